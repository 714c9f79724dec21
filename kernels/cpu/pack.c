/* kernels/cpu/pack.c: brings weights into the layout that the micro-kernels read. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/pack.h"

/*
 * Nearest-neighbour enlargement followed by a 3×3 convolution: an output pixel of even row reads source row y − 1 by the kernel's row 0 and
 * source row y by rows 1 and 2; one of odd row reads y by rows 0 and 1, and y + 1 by row 2. The same holds for columns. So each of the four
 * parities is a 2×2 convolution of the small picture, 4/9 of the arithmetic.
 */
static void
fold (float *folded, const float *kernel, int parity_y, int parity_x)
{
  for (int i = 0; i < 4; i++)
    folded[i] = 0.0f;
  for (int ky = 0; ky < 3; ky++)
    for (int kx = 0; kx < 3; kx++)
      folded[(ky + 1 - parity_y) / 2 * 2 + (kx + 1 - parity_x) / 2] += kernel[ky * 3 + kx];
}

/* One output channel, @from [Cin][taps], into column @column of its block */
static void
scatter (char *block, const void *from, FbDtype dtype, int n_taps, int Cin, int K, int n_columns, int column)
{
  if (dtype == FB_DTYPE_F32)
    {
      const float *in  = from;
      float       *out = (float *) block + column;

      for (int tap = 0; tap < n_taps; tap++)
        for (int k = 0; k < Cin; k++)
          out[((size_t) tap * K + k) * n_columns] = in[(size_t) k * n_taps + tap];
    }
  else
    {
      const guint16 *in  = from;
      guint16       *out = (guint16 *) block + 2 * column;

      for (int tap = 0; tap < n_taps; tap++)
        for (int k = 0; k < Cin; k++)
          out[((size_t) tap * K + k) / 2 * 2 * n_columns + k % 2] = in[(size_t) k * n_taps + tap];
    }
}

static void
pack_block (const FbPacked *packed, FbDtype dtype, int set, int n0, int Cin, int n_source_taps, const char *data, FbDtype data_dtype,
            float *wide, void *narrow)
{
  size_t row       = (size_t) Cin * n_source_taps;
  int    n_columns = fb_packed_n_columns (packed, n0);
  size_t tap_bytes = (size_t) packed->K * fb_dtype_size (dtype);
  char  *block     = (char *) packed->data + set * packed->set_bytes + (size_t) n0 * packed->n_taps * tap_bytes;

  if (packed->K > Cin || n0 + n_columns > packed->N)
    memset (block, 0, packed->n_taps * tap_bytes * n_columns);

  for (int n = n0; n < MIN (n0 + n_columns, packed->N); n++)
    {
      const char *from = data + n * row * fb_dtype_size (data_dtype);

      if (packed->n_sets == 4)
        {
          fb_dtype_convert (wide, FB_DTYPE_F32, from, data_dtype, row);
          for (int k = 0; k < Cin; k++)
            fold (wide + (size_t) 4 * k, memcpy ((float[9]) { 0 }, wide + (size_t) 9 * k, 9 * sizeof (float)), set / 2, set % 2);
          fb_dtype_convert (narrow, dtype, wide, FB_DTYPE_F32, (size_t) Cin * 4);
        }
      else
        {
          fb_dtype_convert (narrow, dtype, from, data_dtype, row);
        }
      scatter (block, narrow, dtype, packed->n_taps, Cin, packed->K, n_columns, n - n0);
    }
}

void
fb_cpu_pack (FbDevice *dev, FbWeight *weight, const void *data, FbDtype data_dtype)
{
  int       Cout      = weight->shape[0];
  int       Cin       = weight->shape[1];
  int       n_source  = weight->shape[2] * weight->shape[3];
  gboolean  folded    = weight->kind == FB_WEIGHT_CONV2D_UPSAMPLE;
  int       n_columns = (Cout + 15) / 16 * 16;
  FbPacked *packed    = g_new0 (FbPacked, 1);

  packed->n_sets    = folded ? 4 : 1;
  packed->n_taps    = folded ? 4 : n_source;
  packed->K         = weight->dtype == FB_DTYPE_BF16 ? (Cin + 1) / 2 * 2 : Cin;
  packed->N         = Cout;
  packed->set_bytes = (size_t) packed->n_taps * packed->K * n_columns * fb_dtype_size (weight->dtype);
  packed->n_bytes   = packed->n_sets * packed->set_bytes;
  packed->data      = fb_device_alloc (dev, packed->n_bytes);
  weight->n_bytes   = packed->n_bytes;
  if (packed->data == NULL)
    {
      g_free (packed);
      return;
    }
  weight->packed = packed;

#pragma omp parallel num_threads(dev->n_threads)
  {
    g_autofree float *wide   = g_new (float, (size_t) Cin * n_source);
    g_autofree void  *narrow = g_malloc_n ((size_t) Cin * n_source, fb_dtype_size (weight->dtype));

#pragma omp for collapse(2) schedule(dynamic)
    for (int set = 0; set < packed->n_sets; set++)
      for (int n0 = 0; n0 < Cout; n0 += FB_PACK_N)
        pack_block (packed, weight->dtype, set, n0, Cin, n_source, data, data_dtype, wide, narrow);
  }
}

void
fb_cpu_free_packed (FbDevice *dev, FbWeight *weight)
{
  FbPacked *packed = weight->packed;

  fb_device_free (dev, packed->data, packed->n_bytes);
  g_free (packed);
}
