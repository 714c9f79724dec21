/* kernels/cpu/linear.c: kernels/linear.h by micro-kernels. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cpu/product.h"
#include "kernels/cpu/vector.h"

#define CHUNK_ROWS ((size_t) 128)     /* of a bias's gradient that are summed in one piece */

/* bf16 micro-kernels read pairs of channels: rows of an odd number are copied with a zero behind each */
static const void *
pad_rows (FbDevice *dev, const FbTensor *x, size_t n_rows, int Cin, int K)
{
  const guint16 *from = x->data;
  guint16       *to;

  if (!fb_cpu_reserve_shared (dev, n_rows * K * sizeof (guint16)))
    return NULL;

  to = fb_cpu (dev)->shared;
  for (size_t row = 0; row < n_rows; row++)
    {
      memcpy (to + row * K, from + row * Cin, Cin * sizeof (guint16));
      to[row * K + Cin] = 0;
    }
  return to;
}

void
fb_cpu_linear (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
               const FbTensor *residual, FbActivation act)
{
  const FbPacked *packed = weight->packed;
  int             Cin    = weight->shape[1];
  size_t          n_rows = fb_tensor_n_elements (x) / Cin;
  FbProduct       p      =
  {
    .weight_dtype  = weight->dtype,
    .packed        = packed,
    .in            = packed->K == Cin ? x->data : pad_rows (dev, x, n_rows, Cin, packed->K),
    .in_pixel      = packed->K * fb_dtype_size (weight->dtype),
    .tap_offset    = (size_t[]) { 0 },
    .n_images      = 1,
    .n_rows        = 1,
    .n_pixels      = n_rows,
    .out_dtype     = out->dtype,
    .out           = out->data,
    .residual      = residual != NULL ? residual->data : NULL,
    .out_pixel     = weight->shape[0],
    .bias          = bias != NULL ? bias->data : NULL,
    .act           = act,
    .residual_last = TRUE,
  };

  fb_gemm_set_tidy (fb_cpu (dev)->kernels);
  if (p.in != NULL)
    fb_cpu_product (dev, &p);
  fb_device_cancelled (dev);
}

void
fb_cpu_linear_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbTensor *sum)
{
  FbTapSum tap   = { .n = 1 };
  int      Cin   = weight->shape[1];
  int      slice = fb_packed_slice (weight, 1, dy);

  for (int c = 0; c < Cin && !fb_device_cancelled (dev); c += slice)
    {
      FbPacked *packed     = fb_packed_transpose (dev, weight, &tap, 1, c, MIN (slice, Cin - c));
      FbWeight  transposed = { .dev = dev, .dtype = weight->dtype, .shape = { Cin, weight->shape[0], 1, 1 }, .packed = packed };
      FbTensor  to         = fb_tensor_from_channel (dx, c);
      FbTensor  added      = fb_tensor_from_channel (sum != NULL ? sum : dx, c);

      if (packed == NULL)
        return;
      fb_cpu_linear (dev, &to, dy, &transposed, NULL, sum != NULL ? &added : NULL, FB_ACT_NONE);
      fb_packed_free (dev, packed);
    }
}

FB_INLINE void
sum_rows_body (float *sums, const void *x, size_t first, size_t n_rows, size_t C, FbDtype dtype)
{
  float v[256];

  memset (sums, 0, C * sizeof (float));
  for (size_t row = 0; row < n_rows; row++)
    for (size_t c = 0; c < C; c += G_N_ELEMENTS (v))
      {
        int n = MIN (G_N_ELEMENTS (v), C - c);

        fb_load_row (v, x, first + row * C + c, n, dtype);
#pragma omp simd
        for (int i = 0; i < n; i++)
          sums[c + i] += v[i];
      }
}

FB_VECTOR_VARIANTS (sum_rows, (float *sums, const void *x, size_t first, size_t n_rows, size_t C, FbDtype dtype),
                    (sums, x, first, n_rows, C, dtype))

void
fb_cpu_bias_backward (FbDevice *dev, FbTensor *db, const FbTensor *dy)
{
  size_t C        = dy->shape[dy->n_dims - 1];
  size_t n_sums   = fb_tensor_n_elements (db) / C;               /* 1, or one per image */
  size_t n_rows   = fb_tensor_n_elements (dy) / C / n_sums;
  size_t n_chunks = (n_rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
  float *partial;                                                /* [n_sums, n_chunks, C] */

  if (!fb_cpu_reserve_shared (dev, n_sums * n_chunks * C * sizeof (float)))
    return;
  partial = fb_cpu (dev)->shared;

#pragma omp parallel for collapse(2) num_threads(dev->n_threads)
  for (size_t n = 0; n < n_sums; n++)
    for (size_t chunk = 0; chunk < n_chunks; chunk++)
      sum_rows (partial + (n * n_chunks + chunk) * C, dy->data, (n * n_rows + chunk * CHUNK_ROWS) * C,
                MIN (CHUNK_ROWS, n_rows - chunk * CHUNK_ROWS), C, dy->dtype);

  for (size_t n = 0; n < n_sums; n++)
    fb_cpu_add_partial_sums (dev, (float *) db->data + n * C, partial + n * n_chunks * C, n_chunks, C, C);
}
