/* kernels/cpu/layer-norm.c: kernels/layer-norm.h in vector registers. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/vector.h"

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
