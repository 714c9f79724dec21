/* kernels/cpu/feature-distance.c: kernels/feature-distance.h in vector registers. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/vector.h"

/* Loads a pixel's two vectors and finds their lengths. */
FB_INLINE void
load_pixel (float *va, float *vb, const void *a, const void *b, size_t first, int C, FbDtype dtype, float *length_a, float *length_b)
{
  float squares_a = 0.0f, squares_b = 0.0f;

  fb_load_row (va, a, first, C, dtype);
  fb_load_row (vb, b, first, C, dtype);
#pragma omp simd reduction (+ : squares_a, squares_b)
  for (int c = 0; c < C; c++)
    {
      squares_a += va[c] * va[c];
      squares_b += vb[c] * vb[c];
    }
  *length_a = sqrtf (squares_a);
  *length_b = sqrtf (squares_b);
}

/* @v: memory for 2 C floats; @sum: of @n_pixels pixels from element @first on, added to */
FB_INLINE void
sum_pixels_body (double *sum, const void *a, const void *b, size_t first, int n_pixels, int C, FbDtype dtype, const float *weight, float eps, float *v)
{
  float *va = v, *vb = v + C;

  for (int p = 0; p < n_pixels; p++)
    {
      float la, lb, total = 0.0f;

      load_pixel (va, vb, a, b, first + (size_t) p * C, C, dtype, &la, &lb);
      la = 1.0f / (la + eps);
      lb = 1.0f / (lb + eps);
#pragma omp simd reduction (+ : total)
      for (int c = 0; c < C; c++)
        {
          float difference = va[c] * la - vb[c] * lb;

          total += weight[c] * difference * difference;
        }
      *sum += total;
    }
}

FB_VECTOR_VARIANTS (sum_pixels,
                    (double *sum, const void *a, const void *b, size_t first, int n_pixels, int C, FbDtype dtype, const float *weight, float eps,
                     float *v),
                    (sum, a, b, first, n_pixels, C, dtype, weight, eps, v))

void
fb_cpu_feature_distance (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b, const FbTensor *weight, float eps)
{
  size_t  N = a->shape[0], H = a->shape[1], W = a->shape[2], C = a->shape[3];
  float  *result = out->data;
  double *sums;                                                  /* one per row: threads must not matter */

  if (!fb_cpu_reserve_shared (dev, N * H * sizeof (double)) || !fb_cpu_reserve_workspaces (dev, 2 * C * sizeof (float)))
    return;

  sums = fb_cpu (dev)->shared;
#pragma omp parallel num_threads(dev->n_threads)
  {
    float *v = (float *) fb_cpu_workspace (dev);

#pragma omp for
    for (size_t row = 0; row < N * H; row++)
      {
        sums[row] = 0.0;
        sum_pixels (&sums[row], a->data, b->data, row * W * C, (int) W, (int) C, a->dtype, weight->data, eps, v);
      }
  }

  for (size_t n = 0; n < N; n++)
    {
      double sum = 0.0;

      for (size_t row = n * H; row < (n + 1) * H; row++)
        sum += sums[row];
      result[n] = (float) (sum / ((double) H * (double) W));
    }
}

/* @scale: the picture's gradient per pixel, twice; @v: memory for 2 C floats */
FB_INLINE void
push_pixels_body (void *da, const void *a, const void *b, size_t first, int n_pixels, int C, FbDtype dtype, const float *weight, float eps,
                  float scale, float *v)
{
  float *va = v, *vb = v + C;

  for (int p = 0; p < n_pixels; p++)
    {
      size_t at = first + (size_t) p * C;
      float  la, lb, ia, ib, along = 0.0f, back;

      load_pixel (va, vb, a, b, at, C, dtype, &la, &lb);
      ia = la > 0.0f ? 1.0f / (la + eps) : la == 0.0f ? 0.0f : la;               /* in this order NaN passes */
      ib = 1.0f / (lb + eps);
#pragma omp simd reduction (+ : along)
      for (int c = 0; c < C; c++)
        {
          float unit = va[c] * ia;

          vb[c]  = scale * weight[c] * (unit - vb[c] * ib);                      /* gradient of the unit vector */
          along += vb[c] * unit;
        }
      back = la > 0.0f ? along / la : along;
#pragma omp simd
      for (int c = 0; c < C; c++)
        vb[c] = vb[c] * ia - va[c] * ia * back;
      fb_store_row (da, at, vb, C, dtype);
    }
}

FB_VECTOR_VARIANTS (push_pixels,
                    (void *da, const void *a, const void *b, size_t first, int n_pixels, int C, FbDtype dtype, const float *weight, float eps,
                     float scale, float *v),
                    (da, a, b, first, n_pixels, C, dtype, weight, eps, scale, v))

void
fb_cpu_feature_distance_backward (FbDevice *dev, FbTensor *da, const FbTensor *dout, const FbTensor *a, const FbTensor *b,
                                  const FbTensor *weight, float eps)
{
  size_t       N = a->shape[0], H = a->shape[1], W = a->shape[2], C = a->shape[3];
  const float *d = dout->data;

  if (!fb_cpu_reserve_workspaces (dev, 2 * C * sizeof (float)))
    return;

#pragma omp parallel num_threads(dev->n_threads)
  {
    float *v = (float *) fb_cpu_workspace (dev);

#pragma omp for
    for (size_t row = 0; row < N * H; row++)
      push_pixels (da->data, a->data, b->data, row * W * C, (int) W, (int) C, a->dtype, weight->data, eps,
                   2.0f * d[row / H] / ((float) H * (float) W), v);
  }
}
