/* kernels/cpu/transpose.c: a packed weight with input and output channels exchanged. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Blocks of 64 × 64 (24 × 24) channels are contiguous in both layouts, at most 16 KB: read and written from the first-level cache. */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/vector.h"

#define SLICE_BYTES ((size_t) 8 << 20)

/* @to [n_rows, to_columns] = transposed @from [to_columns, from_columns], of which @n_channels rows are there; the rest is zero. In bf16 pairs of
 * rows are interleaved on both sides, and all three counts are even. */
FB_INLINE void
transpose_block_body (void *to, const void *from, FbDtype dtype, int n_rows, int to_columns, int from_columns, int n_channels)
{
  if (dtype == FB_DTYPE_F32)
    {
      const float *in  = from;
      float       *out = to;

      for (int n = 0; n < n_rows; n++)
        {
          for (int k = 0; k < n_channels; k++)
            out[n * to_columns + k] = in[k * from_columns + n];
          for (int k = n_channels; k < to_columns; k++)
            out[n * to_columns + k] = 0.0f;
        }
    }
  else
    {
      const guint64 *in  = from;                                 /* channels k and k + 1 of column n, then of column n + 1 */
      guint64       *out = to;

      for (int n = 0; n < n_rows; n += 2)
        {
          for (int k = 0; k < n_channels; k += 2)                /* a pair of pairs at a time: only its middle two change places */
            {
              guint64 four = in[(k * from_columns + n * 2) / 4];

              out[(n * to_columns + k * 2) / 4] = (four & G_GUINT64_CONSTANT (0xffff00000000ffff)) | (four & 0xffff0000) << 16
                                                  | (four >> 16 & 0xffff0000);
            }
          for (int k = n_channels; k < to_columns; k += 2)
            out[(n * to_columns + k * 2) / 4] = 0;
        }
    }
}

FB_VECTOR_VARIANTS (transpose_block,
                    (void *to, const void *from, FbDtype dtype, int n_rows, int to_columns, int from_columns, int n_channels),
                    (to, from, dtype, n_rows, to_columns, from_columns, n_channels))

/* @sum [n] = the sum of @n_from rows, rounded to @dtype */
FB_INLINE void
sum_taps_body (void *sum, const char * const *from, int n_from, int n, FbDtype dtype)
{
  float v[FB_PACK_N], total[FB_PACK_N];

  for (int at = 0; at < n; at += FB_PACK_N)
    {
      int m = MIN (FB_PACK_N, n - at);

      fb_load_row (total, from[0], at, m, dtype);
      for (int i = 1; i < n_from; i++)
        {
          fb_load_row (v, from[i], at, m, dtype);
#pragma omp simd
          for (int k = 0; k < m; k++)
            total[k] += v[k];
        }
      fb_store_row (sum, at, total, m, dtype);
    }
}

FB_VECTOR_VARIANTS (sum_taps, (void *sum, const char * const *from, int n_from, int n, FbDtype dtype), (sum, from, n_from, n, dtype))

/* Tap @tap of the block of columns from @k0 on: the source's input channels from @c0 + @k0 on */
static void
transpose_tap (FbPacked *to, const FbPacked *from, FbDtype dtype, const FbTapSum *sum, int c0, int k0, int tap)
{
  size_t size       = fb_dtype_size (to->kept);
  int    to_columns = fb_packed_n_columns (to, k0);
  int    n_channels = MIN (to_columns, from->K - c0 - k0);
  float  room[FB_MAX_TAPS_SUMMED][FB_PACK_N * FB_PACK_N];
  char   total[FB_PACK_N * FB_PACK_N * sizeof (float)];

  for (int n0 = 0; n0 < to->K; n0 += from->block)
    {
      int         from_columns = fb_packed_n_columns (from, n0);
      const char *block[FB_MAX_TAPS_SUMMED] = { NULL };
      char       *at           = (char *) to->data + ((size_t) k0 * to->n_taps * to->K + ((size_t) tap * to->K + n0) * to_columns) * size;

      for (int i = 0; i < sum->n; i++)
        block[i] = fb_packed_rows (from, sum->set[i], sum->tap[i], n0, c0 + k0, n_channels, room[i]);
      if (sum->n > 1)
        {
          sum_taps (total, block, sum->n, n_channels * from_columns, dtype);
          block[0] = total;
        }
      transpose_block (at, block[0], dtype, MIN (from->block, to->K - n0), to_columns, from_columns, n_channels);
    }
}

FbPacked *
fb_packed_transpose (FbDevice *dev, const FbWeight *weight, const FbTapSum *taps, int n_taps, int c0, int n_channels)
{
  const FbPacked *from = weight->packed;
  FbPacked       *to   = g_new0 (FbPacked, 1);

  to->n_sets    = 1;
  to->n_taps    = n_taps;
  to->K         = fb_packed_n_channels (from->N, weight->dtype);
  to->N         = n_channels;
  to->block     = from->block;
  to->kept      = weight->dtype;
  to->set_bytes = (size_t) n_taps * to->K * fb_packed_all_columns (to) * fb_dtype_size (weight->dtype);
  to->n_bytes   = to->set_bytes;
  to->data      = fb_device_alloc (dev, to->n_bytes);
  if (to->data == NULL)
    {
      g_free (to);
      return NULL;
    }

#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(dev->n_threads)
  for (int k0 = 0; k0 < to->N; k0 += to->block)
    for (int tap = 0; tap < n_taps; tap++)
      if (!fb_device_cancel_requested (dev))
        transpose_tap (to, from, weight->dtype, &taps[tap], c0, k0, tap);

  return to;
}

int
fb_packed_slice (const FbWeight *weight, int n_taps, const FbTensor *dy)
{
  const FbPacked *packed        = weight->packed;
  size_t          block         = packed->block;
  size_t          channel_bytes = (size_t) n_taps * weight->shape[0] * fb_dtype_size (weight->dtype);

  return CLAMP (MAX (SLICE_BYTES, dy->n_bytes) / channel_bytes / block, 1, (weight->shape[1] + block - 1) / block) * block;
}

void
fb_packed_free (FbDevice *dev, FbPacked *packed)
{
  fb_device_free (dev, packed->data, packed->n_bytes);
  g_free (packed);
}
