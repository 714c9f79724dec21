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
  float  *inverse;          /* [N, C]: 1 / deviation, of its group; backward only, as what follows */
  float  *lost;             /* [N, C]: what rounding @mean lost, to add to x̂ */
  float  *sums;             /* [N, n_chunks, 2, C]: Σ g · x̂ and Σ g */
  float  *mean_g, *mean_gx; /* [N, C]: of g · weight and of g · weight · x̂, over the channel's group */
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
      if (plan->inverse != NULL)
        {
          plan->inverse[at] = 1.0 / deviation;
          plan->lost[at]    = (plan->mean[at] - mean) / deviation;
        }
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

static void
plan_chunks (Plan *plan, const FbTensor *x, int n_groups)
{
  size_t C = x->shape[x->n_dims - 1];

  *plan = (Plan) { .P = fb_tensor_n_elements (x) / x->shape[0] / C, .C = C, .n_groups = n_groups };
  plan->chunk_pixels = MAX (1, CHUNK_BYTES / (C * fb_dtype_size (x->dtype)));
  plan->n_chunks     = (plan->P + plan->chunk_pixels - 1) / plan->chunk_pixels;
}

/* Statistics of all groups; inside a parallel region, whose threads meet at its end */
static void
measure (FbDevice *dev, const Plan *plan, const FbTensor *x, const FbTensor *weight, const FbTensor *bias, float eps)
{
  size_t N      = x->shape[0];
  float *memory = (float *) fb_cpu_workspace (dev);

#pragma omp for collapse(2)
  for (size_t image = 0; image < N; image++)
    for (size_t chunk = 0; chunk < plan->n_chunks; chunk++)
      measure_chunk (plan, x, image, chunk, memory);

#pragma omp for collapse(2)
  for (size_t image = 0; image < N; image++)
    for (int g = 0; g < plan->n_groups; g++)
      measure_group (plan, image, g, weight != NULL ? weight->data : NULL, bias != NULL ? bias->data : NULL, eps);
}

void
fb_cpu_group_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias,
                   int n_groups, float eps, FbActivation act)
{
  size_t N = x->shape[0], C = x->shape[x->n_dims - 1];
  Plan   plan;

  plan_chunks (&plan, x, n_groups);
  if (!fb_cpu_reserve_shared (dev, N * plan.n_chunks * n_groups * 2 * sizeof (double) + 3 * N * C * sizeof (float))
      || !fb_cpu_reserve_workspaces (dev, 2 * C * sizeof (float)))
    return;
  plan.partial = fb_cpu (dev)->shared;
  plan.mean    = (float *) (plan.partial + N * plan.n_chunks * n_groups * 2);
  plan.factor  = plan.mean + N * C;
  plan.offset  = plan.factor + N * C;

#pragma omp parallel num_threads(dev->n_threads)
  {
    measure (dev, &plan, x, weight, bias, eps);

#pragma omp for collapse(2)
    for (size_t image = 0; image < N; image++)
      for (size_t chunk = 0; chunk < plan.n_chunks; chunk++)
        normalise_chunk (&plan, out, x, image, chunk, act);
  }
}

/* Per channel of one image, what the backward loops use */
typedef struct
{
  const float *mean, *inverse, *lost, *factor, *offset, *mean_g, *mean_gx;
} Channels;

/* x̂ and g = dy · act′(…) of @n channels from @c on */
FB_INLINE void
load_gradient (float *v, float *g, const void *dy, const void *x, size_t at, size_t c, int n, FbDtype dtype, const Channels *ch, FbActivation act)
{
  float slope[64];

  fb_load_row (v, x, at, n, dtype);
  fb_load_row (g, dy, at, n, dtype);
#pragma omp simd
  for (int i = 0; i < n; i++)
    {
      slope[i] = (v[i] - ch->mean[c + i]) * ch->factor[c + i] + ch->offset[c + i];
      v[i]     = (v[i] - ch->mean[c + i]) * ch->inverse[c + i] + ch->lost[c + i];
    }
  fb_slope_row (slope, n, act);
#pragma omp simd
  for (int i = 0; i < n; i++)
    g[i] *= slope[i];
}

/* @n ≤ 64 channels from @c on */
FB_INLINE void
sum_gradients_block (float *sums, const void *dy, const void *x, size_t first, size_t n_pixels, size_t C, size_t c, int n, FbDtype dtype,
                     const Channels *ch, FbActivation act)
{
  float sum_gx[64] = { 0 }, sum_g[64] = { 0 }, v[64], g[64];

  for (size_t p = 0; p < n_pixels; p++)
    {
      load_gradient (v, g, dy, x, first + p * C + c, c, n, dtype, ch, act);
#pragma omp simd
      for (int i = 0; i < n; i++)
        {
          sum_gx[i] += g[i] * v[i];
          sum_g[i]  += g[i];
        }
    }
  memcpy (sums + c, sum_gx, n * sizeof (float));
  memcpy (sums + C + c, sum_g, n * sizeof (float));
}

FB_INLINE void
sum_gradients_body (float *sums, const void *dy, const void *x, size_t first, size_t n_pixels, size_t C, FbDtype dtype, const Channels *ch,
                    FbActivation act)
{
  size_t c = 0;

  for (; c + 64 <= C; c += 64)
    sum_gradients_block (sums, dy, x, first, n_pixels, C, c, 64, dtype, ch, act);
  if (c < C)
    sum_gradients_block (sums, dy, x, first, n_pixels, C, c, C - c, dtype, ch, act);
}

FB_VECTOR_VARIANTS (sum_gradients,
                    (float *sums, const void *dy, const void *x, size_t first, size_t n_pixels, size_t C, FbDtype dtype, const Channels *ch,
                     FbActivation act),
                    (sums, dy, x, first, n_pixels, C, dtype, ch, act))

FB_INLINE void
denormalise_block (void *dx, const void *dy, const void *x, size_t at, size_t c, int n, FbDtype dtype, const Channels *ch, FbActivation act)
{
  float v[64], g[64];

  load_gradient (v, g, dy, x, at, c, n, dtype, ch, act);
#pragma omp simd
  for (int i = 0; i < n; i++)
    g[i] = g[i] * ch->factor[c + i] - (ch->mean_g[c + i] + v[i] * ch->mean_gx[c + i]) * ch->inverse[c + i];
  fb_store_row (dx, at, g, n, dtype);
}

FB_INLINE void
denormalise_pixels_body (void *dx, const void *dy, const void *x, size_t first, size_t n_pixels, size_t C, FbDtype dtype, const Channels *ch,
                         FbActivation act)
{
  for (size_t p = 0; p < n_pixels; p++)
    {
      size_t c = 0;

      for (; c + 64 <= C; c += 64)
        denormalise_block (dx, dy, x, first + p * C + c, c, 64, dtype, ch, act);
      if (c < C)
        denormalise_block (dx, dy, x, first + p * C + c, c, C - c, dtype, ch, act);
    }
}

FB_VECTOR_VARIANTS (denormalise_pixels,
                    (void *dx, const void *dy, const void *x, size_t first, size_t n_pixels, size_t C, FbDtype dtype, const Channels *ch,
                     FbActivation act),
                    (dx, dy, x, first, n_pixels, C, dtype, ch, act))

static Channels
channels_of (const Plan *plan, size_t image)
{
  size_t at = image * plan->C;

  return (Channels) { plan->mean + at, plan->inverse + at, plan->lost + at, plan->factor + at, plan->offset + at,
                      plan->mean_g + at, plan->mean_gx + at };
}

static void
sum_chunk (const Plan *plan, const FbTensor *dy, const FbTensor *x, size_t image, size_t chunk, FbActivation act)
{
  Channels ch       = channels_of (plan, image);
  size_t   pixel0   = chunk * plan->chunk_pixels;
  size_t   n_pixels = MIN (plan->chunk_pixels, plan->P - pixel0);

  sum_gradients (plan->sums + (image * plan->n_chunks + chunk) * 2 * plan->C, dy->data, x->data, (image * plan->P + pixel0) * plan->C,
                 n_pixels, plan->C, x->dtype, &ch, act);
}

static void
denormalise_chunk (const Plan *plan, FbTensor *dx, const FbTensor *dy, const FbTensor *x, size_t image, size_t chunk, FbActivation act)
{
  Channels ch       = channels_of (plan, image);
  size_t   pixel0   = chunk * plan->chunk_pixels;
  size_t   n_pixels = MIN (plan->chunk_pixels, plan->P - pixel0);

  denormalise_pixels (dx->data, dy->data, x->data, (image * plan->P + pixel0) * plan->C, n_pixels, plan->C, x->dtype, &ch, act);
}

/* Puts the sums of one group of one image together */
static void
mean_gradients (const Plan *plan, size_t image, int g, const float *weight)
{
  size_t       C = plan->C, D = C / plan->n_groups;
  const float *sums = plan->sums + image * plan->n_chunks * 2 * C;
  double       total_gx = 0.0, total_g = 0.0;

  for (size_t chunk = 0; chunk < plan->n_chunks; chunk++)
    for (size_t c = g * D; c < (g + 1) * D; c++)
      {
        double w = weight != NULL ? weight[c] : 1.0;

        total_gx += w * sums[chunk * 2 * C + c];
        total_g  += w * sums[chunk * 2 * C + C + c];
      }
  for (size_t c = g * D; c < (g + 1) * D; c++)
    {
      plan->mean_gx[image * C + c] = total_gx / (plan->P * D);
      plan->mean_g[image * C + c]  = total_g / (plan->P * D);
    }
}

void
fb_cpu_group_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                            const FbTensor *weight, const FbTensor *bias, int n_groups, float eps, FbActivation act)
{
  size_t N = x->shape[0], C = x->shape[x->n_dims - 1];
  Plan   plan;

  plan_chunks (&plan, x, n_groups);
  if (!fb_cpu_reserve_shared (dev, N * plan.n_chunks * n_groups * 2 * sizeof (double) + (7 + 2 * plan.n_chunks) * N * C * sizeof (float))
      || !fb_cpu_reserve_workspaces (dev, 2 * C * sizeof (float)))
    return;
  plan.partial = fb_cpu (dev)->shared;
  plan.mean    = (float *) (plan.partial + N * plan.n_chunks * n_groups * 2);
  plan.factor  = plan.mean + N * C;
  plan.offset  = plan.factor + N * C;
  plan.inverse = plan.offset + N * C;
  plan.lost    = plan.inverse + N * C;
  plan.mean_g  = plan.lost + N * C;
  plan.mean_gx = plan.mean_g + N * C;
  plan.sums    = plan.mean_gx + N * C;

#pragma omp parallel num_threads(dev->n_threads)
  {
    measure (dev, &plan, x, weight, bias, eps);

#pragma omp for collapse(2)
    for (size_t image = 0; image < N; image++)
      for (size_t chunk = 0; chunk < plan.n_chunks; chunk++)
        sum_chunk (&plan, dy, x, image, chunk, act);

#pragma omp for collapse(2)
    for (size_t image = 0; image < N; image++)
      for (int g = 0; g < n_groups; g++)
        mean_gradients (&plan, image, g, weight != NULL ? weight->data : NULL);

#pragma omp for collapse(2)
    for (size_t image = 0; image < N; image++)
      for (size_t chunk = 0; chunk < plan.n_chunks; chunk++)
        denormalise_chunk (&plan, dx, dy, x, image, chunk, act);
  }

  if (dweight != NULL)
    fb_cpu_add_partial_sums (dev, dweight->data, plan.sums, N * plan.n_chunks, 2 * C, C);
  if (dbias != NULL)
    fb_cpu_add_partial_sums (dev, dbias->data, plan.sums + C, N * plan.n_chunks, 2 * C, C);
}
