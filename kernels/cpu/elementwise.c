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
