/* kernels/cpu/elementwise.c: kernels/elementwise.h, as fast as memory. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/vector.h"

#define CHUNK 1024

FB_INLINE void
add_chunk_body (void *out, const void *a, size_t a_first, const void *b, size_t b_first, int n, FbDtype dtype)
{
  float v[CHUNK], w[CHUNK];

  fb_load_row (v, a, a_first, n, dtype);
  fb_load_row (w, b, b_first, n, dtype);
#pragma omp simd
  for (int i = 0; i < n; i++)
    v[i] += w[i];
  fb_store_row (out, a_first, v, n, dtype);
}

FB_VECTOR_VARIANTS (add_chunk, (void *out, const void *a, size_t a_first, const void *b, size_t b_first, int n, FbDtype dtype),
                    (out, a, a_first, b, b_first, n, dtype))

void
fb_cpu_add (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b)
{
  size_t period  = fb_tensor_n_elements (b);                     /* @b repeats after so many */
  size_t n_turns = fb_tensor_n_elements (a) / period;

#pragma omp parallel for collapse(2) num_threads(dev->n_threads)
  for (size_t turn = 0; turn < n_turns; turn++)
    for (size_t i = 0; i < period; i += CHUNK)
      add_chunk (out->data, a->data, turn * period + i, b->data, i, MIN (CHUNK, period - i), a->dtype);
}

void
fb_cpu_concat (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b)
{
  size_t a_bytes = a->shape[a->n_dims - 1] * fb_dtype_size (a->dtype);
  size_t b_bytes = b->shape[b->n_dims - 1] * fb_dtype_size (b->dtype);
  size_t n_rows  = a->n_bytes / a_bytes;

#pragma omp parallel for num_threads(dev->n_threads)
  for (size_t row = 0; row < n_rows; row++)
    {
      char *to = (char *) out->data + row * (a_bytes + b_bytes);

      memcpy (to, (const char *) a->data + row * a_bytes, a_bytes);
      memcpy (to + a_bytes, (const char *) b->data + row * b_bytes, b_bytes);
    }
}

/* Channels from byte @skip of each row of @whole on */
static void
cut_channels (FbDevice *dev, FbTensor *part, const FbTensor *whole, size_t skip)
{
  size_t part_bytes  = part->shape[part->n_dims - 1] * fb_dtype_size (part->dtype);
  size_t whole_bytes = whole->shape[whole->n_dims - 1] * fb_dtype_size (whole->dtype);
  size_t n_rows      = part->n_bytes / part_bytes;

#pragma omp parallel for num_threads(dev->n_threads)
  for (size_t row = 0; row < n_rows; row++)
    memcpy ((char *) part->data + row * part_bytes, (const char *) whole->data + row * whole_bytes + skip, part_bytes);
}

void
fb_cpu_concat_backward (FbDevice *dev, FbTensor *da, FbTensor *db, const FbTensor *dout)
{
  int last = dout->n_dims - 1;

  if (da != NULL)
    cut_channels (dev, da, dout, 0);
  if (db != NULL)
    cut_channels (dev, db, dout, (dout->shape[last] - db->shape[last]) * fb_dtype_size (dout->dtype));
}

void
fb_cpu_upsample (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  size_t W = x->shape[2], Wo = out->shape[2], Ho = out->shape[1], H = x->shape[1];
  size_t pixel  = x->shape[3] * fb_dtype_size (x->dtype);
  size_t n_rows = out->shape[0] * Ho;

#pragma omp parallel for num_threads(dev->n_threads)
  for (size_t row = 0; row < n_rows; row++)
    {
      const char *from = (const char *) x->data + (row / Ho * H + row % Ho / 2) * W * pixel;
      char       *to   = (char *) out->data + row * Wo * pixel;

      for (size_t i = 0; i < Wo; i++)
        memcpy (to + i * pixel, from + i / 2 * pixel, pixel);
    }
}

/* One pixel: the sum of @n_rows × @n_columns pixels of @C channels, rows @row_step elements apart */
FB_INLINE void
sum_pixels_body (void *out, size_t out_first, const void *x, size_t first, int n_rows, int n_columns, size_t row_step, size_t C, FbDtype dtype)
{
  float sum[CHUNK], v[CHUNK];

  for (size_t c = 0; c < C; c += CHUNK)
    {
      int n = MIN (CHUNK, C - c);

      memset (sum, 0, n * sizeof (float));
      for (int i = 0; i < n_rows * n_columns; i++)
        {
          fb_load_row (v, x, first + i / n_columns * row_step + i % n_columns * C + c, n, dtype);
#pragma omp simd
          for (int k = 0; k < n; k++)
            sum[k] += v[k];
        }
      fb_store_row (out, out_first + c, sum, n, dtype);
    }
}

FB_VECTOR_VARIANTS (sum_pixels,
                    (void *out, size_t out_first, const void *x, size_t first, int n_rows, int n_columns, size_t row_step, size_t C, FbDtype dtype),
                    (out, out_first, x, first, n_rows, n_columns, row_step, C, dtype))

void
fb_cpu_upsample_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout)
{
  size_t N = dx->shape[0], H = dx->shape[1], W = dx->shape[2], C = dx->shape[3];
  size_t Ho = dout->shape[1], Wo = dout->shape[2];

#pragma omp parallel for collapse(2) num_threads(dev->n_threads)
  for (size_t n = 0; n < N; n++)
    for (size_t y = 0; y < H; y++)
      for (size_t u = 0; u < W; u++)
        sum_pixels (dx->data, ((n * H + y) * W + u) * C, dout->data, ((n * Ho + 2 * y) * Wo + 2 * u) * C,
                    MIN (2, Ho - 2 * y), MIN (2, Wo - 2 * u), Wo * C, C, dx->dtype);
}

void
fb_cpu_cast (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  size_t n     = fb_tensor_n_elements (x);
  size_t chunk = 64 * CHUNK;

#pragma omp parallel for num_threads(dev->n_threads)
  for (size_t i = 0; i < n; i += chunk)
    fb_dtype_convert ((char *) out->data + i * fb_dtype_size (out->dtype), out->dtype,
                      (const char *) x->data + i * fb_dtype_size (x->dtype), x->dtype, MIN (chunk, n - i));
}

void
fb_cpu_add_partial_sums (FbDevice *dev, float *to, const float *partial, size_t n, size_t step, size_t C)
{
#pragma omp parallel for num_threads(dev->n_threads)
  for (size_t c = 0; c < C; c++)
    {
      double sum = 0.0;

      for (size_t i = 0; i < n; i++)
        sum += partial[i * step + c];
      to[c] += sum;
    }
}
