/* kernels/cpu/max-pool.c: kernels/max-pool.h in vector registers. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/vector.h"

#define CHUNK 1024       /* channels that pass through f32 at a time: four pixels' and a result, in the first-level cache */

/* The element where each of a square's four pixels begins, in reading order */
typedef struct
{
  size_t at[4];
} Square;

static Square
square_of (size_t first, size_t W, size_t C)
{
  return (Square) { { first, first + C, first + W * C, first + W * C + C } };
}

FB_INLINE void
largest_of_square_body (void *out, size_t out_first, const void *x, const Square *square, int C, FbDtype dtype)
{
  float best[CHUNK], v[CHUNK];

  for (int c = 0; c < C; c += CHUNK)
    {
      int n = MIN (CHUNK, C - c);

      fb_load_row (best, x, square->at[0] + c, n, dtype);
      for (int k = 1; k < 4; k++)
        {
          fb_load_row (v, x, square->at[k] + c, n, dtype);
#pragma omp simd
          for (int i = 0; i < n; i++)
            best[i] = best[i] >= v[i] || best[i] != best[i] ? best[i] : v[i];
        }
      fb_store_row (out, out_first + c, best, n, dtype);
    }
}

FB_VECTOR_VARIANTS (largest_of_square, (void *out, size_t out_first, const void *x, const Square *square, int C, FbDtype dtype),
                    (out, out_first, x, square, C, dtype))

void
fb_cpu_max_pool (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  size_t N = out->shape[0], Ho = out->shape[1], Wo = out->shape[2], C = out->shape[3];
  size_t H = x->shape[1], W = x->shape[2];

#pragma omp parallel for collapse(2) num_threads(dev->n_threads)
  for (size_t n = 0; n < N; n++)
    for (size_t i = 0; i < Ho; i++)
      for (size_t j = 0; j < Wo; j++)
        {
          const Square square = square_of (((n * H + 2 * i) * W + 2 * j) * C, W, C);

          largest_of_square (out->data, ((n * Ho + i) * Wo + j) * C, x->data, &square, (int) C, x->dtype);
        }
}

/* The gradient of a square's largest value to where that stands, zeros to the other three */
FB_INLINE void
spread_over_square_body (void *dx, const void *dout, size_t out_first, const void *x, const Square *square, int C, FbDtype dtype)
{
  float best[CHUNK], v[CHUNK], g[CHUNK], d[CHUNK];
  float which[CHUNK];

  for (int c = 0; c < C; c += CHUNK)
    {
      int n = MIN (CHUNK, C - c);

      fb_load_row (best, x, square->at[0] + c, n, dtype);
      fb_load_row (g, dout, out_first + c, n, dtype);
      memset (which, 0, n * sizeof (float));
      for (int k = 1; k < 4; k++)
        {
          fb_load_row (v, x, square->at[k] + c, n, dtype);
#pragma omp simd
          for (int i = 0; i < n; i++)
            {
              int keep = best[i] >= v[i] || best[i] != best[i];

              which[i] = keep ? which[i] : (float) k;
              best[i]  = keep ? best[i] : v[i];
            }
        }
      for (int k = 0; k < 4; k++)
        {
#pragma omp simd
          for (int i = 0; i < n; i++)
            d[i] = which[i] == (float) k ? g[i] : 0.0f;
          fb_store_row (dx, square->at[k] + c, d, n, dtype);
        }
    }
}

FB_VECTOR_VARIANTS (spread_over_square,
                    (void *dx, const void *dout, size_t out_first, const void *x, const Square *square, int C, FbDtype dtype),
                    (dx, dout, out_first, x, square, C, dtype))

void
fb_cpu_max_pool_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout, const FbTensor *x)
{
  size_t N = dout->shape[0], Ho = dout->shape[1], Wo = dout->shape[2], C = dout->shape[3];
  size_t H = x->shape[1], W = x->shape[2];
  size_t pixel = C * fb_dtype_size (x->dtype);

#pragma omp parallel for collapse(2) num_threads(dev->n_threads)
  for (size_t n = 0; n < N; n++)
    for (size_t i = 0; i < Ho; i++)
      {
        char *rows = (char *) dx->data + (n * H + 2 * i) * W * pixel;

        for (size_t j = 0; j < Wo; j++)
          {
            const Square square = square_of (((n * H + 2 * i) * W + 2 * j) * C, W, C);

            spread_over_square (dx->data, dout->data, ((n * Ho + i) * Wo + j) * C, x->data, &square, (int) C, x->dtype);
          }
        for (size_t k = 1; W % 2 != 0 && k <= 2; k++)                      /* what no square covers */
          memset (rows + (k * W - 1) * pixel, 0, pixel);
        if (H % 2 != 0 && i == Ho - 1)
          memset (rows + 2 * W * pixel, 0, W * pixel);
      }
}
