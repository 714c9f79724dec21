/* kernels/cpu/layer-norm.c: kernels/layer-norm.h in vector registers. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/vector.h"

#define CHUNK_ROWS ((size_t) 64)      /* whose gradients of weight and bias are summed in one piece */

FB_INLINE void
normalise_row_body (void *out, const void *x, size_t first, int C, FbDtype dtype, const float *weight, const float *bias, float eps, float *v)
{
  float shift, sum = 0.0f, squares = 0.0f, rest = 0.0f, mean, factor;

  fb_load_row (v, x, first, C, dtype);
  shift = v[0];                                                  /* near the mean, so the sum of the differences rounds little */
#pragma omp simd reduction (+ : sum)
  for (int c = 0; c < C; c++)
    sum += v[c] - shift;
  mean = sum / C;

#pragma omp simd reduction (+ : squares, rest)
  for (int c = 0; c < C; c++)
    {
      v[c]     = (v[c] - shift) - mean;
      squares += v[c] * v[c];
      rest    += v[c];                                           /* what rounding left of the mean */
    }
  rest  /= C;
  factor = 1.0f / sqrtf (MAX (squares / C - rest * rest, 0.0f) + eps);

#pragma omp simd
  for (int c = 0; c < C; c++)
    v[c] = (v[c] - rest) * factor;
  if (weight != NULL)
    {
#pragma omp simd
      for (int c = 0; c < C; c++)
        v[c] *= weight[c];
    }
  if (bias != NULL)
    {
#pragma omp simd
      for (int c = 0; c < C; c++)
        v[c] += bias[c];
    }
  fb_store_row (out, first, v, C, dtype);
}

FB_VECTOR_VARIANTS (normalise_row,
                    (void *out, const void *x, size_t first, int C, FbDtype dtype, const float *weight, const float *bias, float eps, float *v),
                    (out, x, first, C, dtype, weight, bias, eps, v))

void
fb_cpu_layer_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias, float eps)
{
  size_t C      = x->shape[x->n_dims - 1];
  size_t n_rows = fb_tensor_n_elements (x) / C;

  if (!fb_cpu_reserve_workspaces (dev, C * sizeof (float)))
    return;

#pragma omp parallel num_threads(dev->n_threads)
  {
    float *v = (float *) fb_cpu_workspace (dev);

#pragma omp for
    for (size_t row = 0; row < n_rows; row++)
      normalise_row (out->data, x->data, row * C, C, x->dtype, weight != NULL ? weight->data : NULL, bias != NULL ? bias->data : NULL, eps, v);
  }
}

/* @v, @g: memory for C floats each; @sums: [2, C]: Σ dy · x̂ and Σ dy so far */
FB_INLINE void
denormalise_row_body (void *dx, const void *dy, const void *x, size_t first, int C, FbDtype dtype, const float *weight, float eps,
                      float *v, float *g, float *sums)
{
  float shift, sum = 0.0f, squares = 0.0f, rest = 0.0f, mean, factor, mean_g = 0.0f, mean_gx = 0.0f;

  fb_load_row (v, x, first, C, dtype);
  fb_load_row (g, dy, first, C, dtype);
  shift = v[0];                                                  /* as in the forward pass */
#pragma omp simd reduction (+ : sum)
  for (int c = 0; c < C; c++)
    sum += v[c] - shift;
  mean = sum / C;

#pragma omp simd reduction (+ : squares, rest)
  for (int c = 0; c < C; c++)
    {
      v[c]     = (v[c] - shift) - mean;
      squares += v[c] * v[c];
      rest    += v[c];
    }
  rest  /= C;
  factor = 1.0f / sqrtf (MAX (squares / C - rest * rest, 0.0f) + eps);

#pragma omp simd
  for (int c = 0; c < C; c++)
    {
      v[c]         = (v[c] - rest) * factor;
      sums[c]     += g[c] * v[c];
      sums[C + c] += g[c];
    }
  if (weight != NULL)
    {
#pragma omp simd
      for (int c = 0; c < C; c++)
        g[c] *= weight[c];
    }
#pragma omp simd reduction (+ : mean_g, mean_gx)
  for (int c = 0; c < C; c++)
    {
      mean_g  += g[c];
      mean_gx += g[c] * v[c];
    }
  mean_g  /= C;
  mean_gx /= C;
#pragma omp simd
  for (int c = 0; c < C; c++)
    g[c] = (g[c] - mean_g - v[c] * mean_gx) * factor;
  fb_store_row (dx, first, g, C, dtype);
}

FB_VECTOR_VARIANTS (denormalise_row,
                    (void *dx, const void *dy, const void *x, size_t first, int C, FbDtype dtype, const float *weight, float eps,
                     float *v, float *g, float *sums),
                    (dx, dy, x, first, C, dtype, weight, eps, v, g, sums))

void
fb_cpu_layer_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                            const FbTensor *weight, const FbTensor *bias, float eps)
{
  size_t C        = x->shape[x->n_dims - 1];
  size_t n_rows   = fb_tensor_n_elements (x) / C;
  size_t n_chunks = (n_rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
  float *partial;                                                /* [n_chunks, 2, C] */

  if (!fb_cpu_reserve_shared (dev, n_chunks * 2 * C * sizeof (float)) || !fb_cpu_reserve_workspaces (dev, 2 * C * sizeof (float)))
    return;
  partial = fb_cpu (dev)->shared;

#pragma omp parallel num_threads(dev->n_threads)
  {
    float *v = (float *) fb_cpu_workspace (dev);

#pragma omp for
    for (size_t chunk = 0; chunk < n_chunks; chunk++)
      {
        float *sums = partial + chunk * 2 * C;

        memset (sums, 0, 2 * C * sizeof (float));
        for (size_t row = chunk * CHUNK_ROWS; row < MIN ((chunk + 1) * CHUNK_ROWS, n_rows); row++)
          denormalise_row (dx->data, dy->data, x->data, row * C, C, x->dtype, weight != NULL ? weight->data : NULL, eps, v, v + C, sums);
      }
  }

  if (dweight != NULL)
    fb_cpu_add_partial_sums (dev, dweight->data, partial, n_chunks, 2 * C, C);
  if (dbias != NULL)
    fb_cpu_add_partial_sums (dev, dbias->data, partial + C, n_chunks, 2 * C, C);
}
