/* kernels/cpu/pack.c: brings weights into the layout that the micro-kernels read. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/vector.h"

void
fb_packed_choose_block (FbPacked *packed, FbDtype dtype)
{
  packed->block = dtype == FB_DTYPE_F32 && fb_vector_level () == FB_VECTOR_AVX2 ? FB_PACK_AVX2 : FB_PACK_N;
}

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

/* One output channel's @n_channels from channel @k0 (even) on, @from [n_channels][taps], into column @column of its block */
static void
scatter (const FbPacked *packed, char *block, const void *from, int n_taps, int k0, int n_channels, int n_columns, int column)
{
  const int K = packed->K;

  if (packed->half)
    {
      const guint16 *in  = from;
      guint16       *out = (guint16 *) block + (size_t) k0 * n_columns + column;

      for (int tap = 0; tap < n_taps; tap++)
        for (int k = 0; k < n_channels; k++)
          out[((size_t) tap * K + k) * n_columns] = in[(size_t) k * n_taps + tap];
    }
  else if (packed->kept == FB_DTYPE_F32)
    {
      const float *in  = from;
      float       *out = (float *) block + (size_t) k0 * n_columns + column;

      for (int tap = 0; tap < n_taps; tap++)
        for (int k = 0; k < n_channels; k++)
          out[((size_t) tap * K + k) * n_columns] = in[(size_t) k * n_taps + tap];
    }
  else
    {
      const guint16 *in  = from;
      guint32       *out = (guint32 *) block + (size_t) k0 / 2 * n_columns + column;

      for (int tap = 0; tap < n_taps; tap++)
        for (int k = 0; k < n_channels; k += 2)                  /* a pair of channels in one store */
          {
            guint32 odd = k + 1 < n_channels ? in[(size_t) (k + 1) * n_taps + tap] : 0;

            out[((size_t) tap * K + k) / 2 * n_columns] = odd << 16 | in[(size_t) k * n_taps + tap];
          }
    }
}

/* What all blocks of a weight have in common */
typedef struct
{
  const FbPacked *packed;
  FbDtype         data_dtype;
  const char     *data;
  int             Cin;
  int             n_source_taps;
  int             n_taps;              /* of each set, as kept */
  int             slice;               /* input channels that pass through the buffers at a time; even */
} Job;

/* @wide, @narrow: buffers for a slice of one output channel */
static void
pack_block (const Job *job, int set, int n0, float *wide, void *narrow)
{
  const FbPacked *packed    = job->packed;
  int             n_columns = fb_packed_n_columns (packed, n0);
  size_t          tap_bytes = (size_t) packed->K * fb_dtype_size (packed->kept);
  size_t          row       = (size_t) job->Cin * job->n_source_taps;
  char           *block     = (char *) packed->data + set * packed->set_bytes + (size_t) n0 * job->n_taps * tap_bytes;

  if (packed->K > job->Cin || n0 + n_columns > packed->N)
    memset (block, 0, job->n_taps * tap_bytes * n_columns);

  for (int k0 = 0; k0 < job->Cin; k0 += job->slice)              /* outside, so that the columns written stay in the cache */
    for (int n = n0; n < MIN (n0 + n_columns, packed->N); n++)
      {
        int         n_channels = MIN (job->slice, job->Cin - k0);
        const char *from       = job->data + (n * row + (size_t) k0 * job->n_source_taps) * fb_dtype_size (job->data_dtype);

        if (packed->n_sets == 4 && !packed->half)
          {
            float folded[4];

            fb_dtype_convert (wide, FB_DTYPE_F32, from, job->data_dtype, (size_t) n_channels * 9);
            for (int k = 0; k < n_channels; k++)
              {
                fold (folded, wide + 9 * k, set / 2, set % 2);
                memcpy (wide + 4 * k, folded, sizeof folded);
              }
            fb_dtype_convert (narrow, packed->kept, wide, FB_DTYPE_F32, (size_t) n_channels * 4);
          }
        else
          {
            fb_dtype_convert (narrow, packed->kept, from, job->data_dtype, (size_t) n_channels * job->n_source_taps);
          }
        scatter (packed, block, narrow, job->n_taps, k0, n_channels, n_columns, n - n0);
      }
}

void
fb_cpu_pack (FbDevice *dev, FbWeight *weight, const void *data, FbDtype data_dtype)
{
  int       Cout      = weight->shape[0];
  int       Cin       = weight->shape[1];
  int       n_source  = weight->shape[2] * weight->shape[3];
  gboolean  folded    = weight->kind == FB_WEIGHT_CONV2D_UPSAMPLE;
  gboolean  half      = weight->kept != weight->dtype;
  int       n_sets    = folded && !half ? 4 : 1;                 /* as kept */
  int       n_taps    = folded && !half ? 4 : n_source;
  FbPacked *packed    = weight->packed != NULL ? weight->packed : g_new0 (FbPacked, 1);
  Job       job       = { packed, data_dtype, data, Cin, n_source, n_taps, MAX (2, 256 / n_source / 2 * 2) };

  packed->n_sets    = folded ? 4 : 1;
  packed->n_taps    = folded ? 4 : n_source;
  packed->K         = fb_packed_n_channels (Cin, weight->dtype);
  packed->N         = Cout;
  packed->kept      = weight->kept;
  packed->half      = half;
  fb_packed_choose_block (packed, weight->dtype);
  packed->set_bytes = (size_t) n_taps * packed->K * fb_packed_all_columns (packed) * fb_dtype_size (weight->kept);
  packed->n_bytes   = n_sets * packed->set_bytes;
  weight->n_bytes   = packed->n_bytes;
  if (packed->data == NULL)
    packed->data = fb_device_alloc (dev, packed->n_bytes);
  if (packed->data == NULL)
    {
      g_free (packed);
      return;
    }
  weight->packed = packed;

#pragma omp parallel num_threads(dev->n_threads)
  {
    g_autofree float *wide   = g_new (float, (size_t) job.slice * n_source);
    g_autofree void  *narrow = g_malloc_n ((size_t) job.slice * n_source, fb_dtype_size (weight->kept));

#pragma omp for collapse(2) schedule(dynamic)
    for (int set = 0; set < n_sets; set++)
      for (int n0 = 0; n0 < Cout; n0 += packed->block)
        pack_block (&job, set, n0, wide, narrow);
  }
}

void
fb_cpu_free_packed (FbDevice *dev, FbWeight *weight)
{
  fb_packed_free (dev, weight->packed);
}
