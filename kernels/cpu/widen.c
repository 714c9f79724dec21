/* kernels/cpu/widen.c: weights kept in 16 bits, as f32. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * They lie in the layout of f32, so widening reads and writes straight on; a piece is widened by the thread that is about to multiply with it,
 * into memory that its caches hold. An instruction widens eight f16 where there is AVX2, a shift any bf16. */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/vector.h"

#ifdef __x86_64__
#include <immintrin.h>

__attribute__ ((target ("arch=x86-64-v3")))
static void
widen_f16_avx2 (float *to, const guint16 *from, size_t from_step, int n_rows, size_t n)
{
  for (int row = 0; row < n_rows; row++, to += n, from += from_step)
    {
      size_t i = 0;

      for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps (to + i, _mm256_cvtph_ps (_mm_loadu_si128 ((const __m128i *) (gconstpointer) (from + i))));
      for (; i < n; i++)
        to[i] = _cvtsh_ss (from[i]);
    }
}

#endif

static void
widen_f16 (float *to, const guint16 *from, size_t from_step, int n_rows, size_t n)
{
#ifdef __x86_64__
  if (fb_vector_level () != FB_VECTOR_BASE)
    {
      widen_f16_avx2 (to, from, from_step, n_rows, n);
      return;
    }
#endif
  for (int row = 0; row < n_rows; row++)
    fb_dtype_convert (to + row * n, FB_DTYPE_F32, from + row * from_step, FB_DTYPE_F16, n);
}

FB_INLINE void
widen_bf16_body (float *to, const guint16 *from, size_t from_step, int n_rows, size_t n)
{
  for (int row = 0; row < n_rows; row++)
    {
#pragma omp simd
      for (size_t i = 0; i < n; i++)
        to[row * n + i] = fb_load_bf16 (from[row * from_step + i]);
    }
}

FB_VECTOR_VARIANTS (widen_bf16, (float *to, const guint16 *from, size_t from_step, int n_rows, size_t n), (to, from, from_step, n_rows, n))

FB_INLINE void
add_rows_body (float *to, const float *from, size_t n)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++)
    to[i] += from[i];
}

FB_VECTOR_VARIANTS (add_rows, (float *to, const float *from, size_t n), (to, from, n))

/* @n_taps taps from @tap on, of the @n_kept that there are: [n_taps][n][columns] */
static void
widen (float *to, const FbPacked *packed, int n_kept, int tap, int n_taps, int n0, int k0, int n)
{
  size_t         n_columns = fb_packed_n_columns (packed, n0);
  size_t         tap_step  = packed->K * n_columns;
  const guint16 *from      = (const guint16 *) packed->data + (size_t) n0 * n_kept * packed->K + tap * tap_step + k0 * n_columns;

  if (packed->kept == FB_DTYPE_F16)
    widen_f16 (to, from, tap_step, n_taps, n * n_columns);
  else
    widen_bf16 (to, from, tap_step, n_taps, n * n_columns);
}

/* As fold() in pack.c, and in its order, so that the sums are the same to the last bit */
static void
widen_folded (float *to, const FbPacked *packed, int set, int tap, int n0, int k0, int n)
{
  const int n_columns = fb_packed_n_columns (packed, n0);
  float     one[FB_PACK_N];

  for (int k = 0; k < n; k++)
    {
      float *row = to + (size_t) k * n_columns;

      for (int i = 0; i < n_columns; i++)
        row[i] = 0.0f;
      for (int ky = 0; ky < 3; ky++)
        for (int kx = 0; kx < 3; kx++)
          if ((ky + 1 - set / 2) / 2 * 2 + (kx + 1 - set % 2) / 2 == tap)
            {
              widen (one, packed, 9, ky * 3 + kx, 1, n0, k0 + k, 1);
              add_rows (row, one, n_columns);
            }
    }
}

const void *
fb_packed_rows (const FbPacked *packed, int set, int tap, int n0, int k0, int n, float *room)
{
  if (!packed->half)
    return (const char *) packed->data + set * packed->set_bytes
           + ((size_t) n0 * packed->n_taps * packed->K + ((size_t) tap * packed->K + k0) * fb_packed_n_columns (packed, n0)) * fb_dtype_size (packed->kept);

  if (packed->n_sets == 4)
    widen_folded (room, packed, set, tap, n0, k0, n);
  else
    widen (room, packed, packed->n_taps, tap, 1, n0, k0, n);
  return room;
}

const float *
fb_packed_channel (const FbPacked *packed, int n0, int k, float *room, size_t *step)
{
  if (!packed->half)
    {
      *step = (size_t) packed->K * fb_packed_n_columns (packed, n0);
      return fb_packed_rows (packed, 0, 0, n0, k, 1, NULL);
    }

  *step = fb_packed_n_columns (packed, n0);
  widen (room, packed, packed->n_taps, 0, packed->n_taps, n0, k, 1);
  return room;
}
