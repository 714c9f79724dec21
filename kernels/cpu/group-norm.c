/* kernels/cpu/group-norm.c: kernels/group-norm.h in two passes over memory. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The picture is cut into chunks of pixels. The first pass takes each chunk's mean and then, from the cache, its squared differences from
 * that mean, per channel; groups and chunks are put together in f64 (Chan, Golub & LeVeque 1979). The second pass normalises. Chunks depend
 * on the shape alone, so results do not depend on the number of threads. */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/vector.h"

#define CHUNK_BYTES ((size_t) 128 << 10)     /* fits in the second-level cache */

typedef struct
{
  size_t  P, C;             /* pixels per image, channels */
  int     n_groups;
  size_t  chunk_pixels;
  size_t  n_chunks;         /* per image */
  double *partial;          /* [N, n_chunks, n_groups, 2]: mean, and sum of squared differences from it; f64, or a mean of 1000 is off by 3e-5 */
  float  *mean;             /* [N, C]: per channel, that of its group */
  float  *factor;           /* [N, C]: weight / deviation */
  float  *offset;           /* [N, C]: bias, and what rounding @mean to f32 lost */
} Plan;

/* Σ over pixels of x − about, or of its square, for @n ≤ 64 channels */
FB_INLINE void
sum_block (float *sums, const void *x, size_t first, size_t n_pixels, size_t C, int n, FbDtype dtype, const float *about, gboolean squared)
{
  float sum[64] = { 0 }, v[64];

  for (size_t p = 0; p < n_pixels; p++)
    {
      fb_load_row (v, x, first + p * C, n, dtype);
#pragma omp simd
      for (int i = 0; i < n; i++)
        {
          float d = v[i] - about[i];
          sum[i] += squared ? d * d : d;
        }
    }
  memcpy (sums, sum, n * sizeof (float));
}

FB_INLINE void
sum_pixels_body (float *sums, const void *x, size_t first, size_t n_pixels, size_t C, FbDtype dtype, const float *about, gboolean squared)
{
  size_t c = 0;

  for (; c + 64 <= C; c += 64)                                   /* a constant width keeps the sums in registers */
    sum_block (sums + c, x, first + c, n_pixels, C, 64, dtype, about + c, squared);
  if (c < C)
    sum_block (sums + c, x, first + c, n_pixels, C, C - c, dtype, about + c, squared);
}

FB_VECTOR_VARIANTS (sum_pixels,
                    (float *sums, const void *x, size_t first, size_t n_pixels, size_t C, FbDtype dtype, const float *about, gboolean squared),
                    (sums, x, first, n_pixels, C, dtype, about, squared))

/* @memory: 2 C floats */
static void
measure_chunk (const Plan *plan, const FbTensor *x, size_t image, size_t chunk, float *memory)
{
  size_t  C        = plan->C, D = C / plan->n_groups;
  size_t  pixel0   = chunk * plan->chunk_pixels;
  size_t  n_pixels = MIN (plan->chunk_pixels, plan->P - pixel0);
  size_t  first    = (image * plan->P + pixel0) * C;
  float  *centre   = memory, *sums = memory + C;
  double *partial  = plan->partial + (image * plan->n_chunks + chunk) * plan->n_groups * 2;

  fb_load_row (centre, x->data, first, C, x->dtype);             /* differences from the first pixel: their sum is small when the mean is large */
  sum_pixels (sums, x->data, first, n_pixels, C, x->dtype, centre, FALSE);
  for (int g = 0; g < plan->n_groups; g++)
    {
      double mean = 0.0;

      for (size_t c = g * D; c < (g + 1) * D; c++)
        mean += centre[c] + (double) sums[c] / n_pixels;
      partial[2 * g] = mean / D;
      for (size_t c = g * D; c < (g + 1) * D; c++)
        centre[c] = partial[2 * g];
    }

  sum_pixels (sums, x->data, first, n_pixels, C, x->dtype, centre, TRUE);
  for (int g = 0; g < plan->n_groups; g++)
    {
      double rounded = centre[g * D] - partial[2 * g];
      double squares = 0.0;

      for (size_t c = g * D; c < (g + 1) * D; c++)
        squares += sums[c];
      partial[2 * g + 1] = MAX (squares - rounded * rounded * n_pixels * D, 0.0);
    }
}

/* Puts the chunks of one group of one image together */
static void
measure_group (const Plan *plan, size_t image, int g, const float *weight, const float *bias, float eps)
{
  size_t        D       = plan->C / plan->n_groups;
  const double *partial = plan->partial + (image * plan->n_chunks * plan->n_groups + g) * 2;
  double        n = 0.0, mean = 0.0, squares = 0.0, deviation;

  for (size_t chunk = 0; chunk < plan->n_chunks; chunk++)
    {
      const double *of_chunk = partial + chunk * plan->n_groups * 2;
      double        m        = (double) MIN (plan->chunk_pixels, plan->P - chunk * plan->chunk_pixels) * D;
      double        apart    = of_chunk[0] - mean;

      squares += of_chunk[1] + apart * apart * n * m / (n + m);
      mean    += apart * m / (n + m);
      n       += m;
    }

  deviation = sqrt (squares / n + eps);
  for (size_t c = g * D; c < (g + 1) * D; c++)
    {
      size_t at     = image * plan->C + c;
      double factor = (weight != NULL ? weight[c] : 1.0) / deviation;

      plan->mean[at]   = mean;
      plan->factor[at] = factor;
      plan->offset[at] = (bias != NULL ? bias[c] : 0.0) - (mean - plan->mean[at]) * factor;
    }
}

FB_INLINE void
normalise_pixels_body (void *out, const void *x, size_t first, size_t n_pixels, size_t C, FbDtype dtype, const float *mean, const float *factor,
                       const float *offset, FbActivation act)
{
  float v[256];

  for (size_t p = 0; p < n_pixels; p++)
    for (size_t c = 0; c < C; c += G_N_ELEMENTS (v))
      {
        int    n  = MIN (G_N_ELEMENTS (v), C - c);
        size_t at = first + p * C + c;

        fb_load_row (v, x, at, n, dtype);
#pragma omp simd
        for (int i = 0; i < n; i++)
          v[i] = (v[i] - mean[c + i]) * factor[c + i] + offset[c + i];
        fb_activate_row (v, n, act);
        fb_store_row (out, at, v, n, dtype);
      }
}

FB_VECTOR_VARIANTS (normalise_pixels,
                    (void *out, const void *x, size_t first, size_t n_pixels, size_t C, FbDtype dtype, const float *mean, const float *factor,
                     const float *offset, FbActivation act),
                    (out, x, first, n_pixels, C, dtype, mean, factor, offset, act))

static void
normalise_chunk (const Plan *plan, FbTensor *out, const FbTensor *x, size_t image, size_t chunk, FbActivation act)
{
  size_t pixel0   = chunk * plan->chunk_pixels;
  size_t n_pixels = MIN (plan->chunk_pixels, plan->P - pixel0);

  normalise_pixels (out->data, x->data, (image * plan->P + pixel0) * plan->C, n_pixels, plan->C, x->dtype, plan->mean + image * plan->C,
                    plan->factor + image * plan->C, plan->offset + image * plan->C, act);
}

void
fb_cpu_group_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias,
                   int n_groups, float eps, FbActivation act)
{
  size_t N    = x->shape[0], C = x->shape[x->n_dims - 1];
  Plan   plan = { .P = fb_tensor_n_elements (x) / N / C, .C = C, .n_groups = n_groups };

  plan.chunk_pixels = MAX (1, CHUNK_BYTES / (C * fb_dtype_size (x->dtype)));
  plan.n_chunks     = (plan.P + plan.chunk_pixels - 1) / plan.chunk_pixels;
  if (!fb_cpu_reserve_shared (dev, N * plan.n_chunks * n_groups * 2 * sizeof (double) + 3 * N * C * sizeof (float))
      || !fb_cpu_reserve_workspaces (dev, 2 * C * sizeof (float)))
    return;
  plan.partial = fb_cpu (dev)->shared;
  plan.mean    = (float *) (plan.partial + N * plan.n_chunks * n_groups * 2);
  plan.factor  = plan.mean + N * C;
  plan.offset  = plan.factor + N * C;

#pragma omp parallel num_threads(dev->n_threads)
  {
    float *memory = (float *) fb_cpu_workspace (dev);

#pragma omp for collapse(2)
    for (size_t image = 0; image < N; image++)
      for (size_t chunk = 0; chunk < plan.n_chunks; chunk++)
        measure_chunk (&plan, x, image, chunk, memory);

#pragma omp for collapse(2)
    for (size_t image = 0; image < N; image++)
      for (int g = 0; g < n_groups; g++)
        measure_group (&plan, image, g, weight != NULL ? weight->data : NULL, bias != NULL ? bias->data : NULL, eps);

#pragma omp for collapse(2)
    for (size_t image = 0; image < N; image++)
      for (size_t chunk = 0; chunk < plan.n_chunks; chunk++)
        normalise_chunk (&plan, out, x, image, chunk, act);
  }
}
