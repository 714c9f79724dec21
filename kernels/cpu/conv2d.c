/* kernels/cpu/conv2d.c: kernels/conv2d.h by micro-kernels. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * With the zeros of the padding around it, a picture in NHWC is already the left operand: the pixels that one tap of the kernel multiplies
 * lie a fixed step apart. So a band of the picture is copied with its zeros (and enlarged, where @upsample says so) into memory that the
 * third-level cache holds, and multiplied from there. */

#include "kernels/cpu/product.h"
#include "kernels/cpu/winograd.h"

#define BAND_BYTES ((size_t) 8 << 20)

/* The padded picture that the convolution runs over */
typedef struct
{
  const FbTensor *x;
  int             enlarge;            /* 2: each pixel of @x is repeated, both ways */
  int             top, left;          /* zeros */
  int             height, width;
  int             channels;           /* those of @x, rounded up to even in bf16 */
  size_t          pixel_bytes, row_bytes;
} Picture;

static void
copy_row (char *to, const Picture *pic, int image, int row)
{
  const FbTensor *x        = pic->x;
  int             H        = x->shape[1], W = x->shape[2];
  size_t          in_bytes = x->shape[3] * fb_dtype_size (x->dtype);
  int             y        = row - pic->top;
  const char     *from;

  if (y < 0 || y >= H * pic->enlarge)
    {
      memset (to, 0, pic->row_bytes);
      return;
    }

  from = (const char *) x->data + ((size_t) image * H + y / pic->enlarge) * W * in_bytes;
  if (pic->enlarge == 1 && in_bytes == pic->pixel_bytes)
    {
      size_t left = pic->left * in_bytes, middle = W * in_bytes;

      memset (to, 0, left);
      memcpy (to + left, from, middle);
      memset (to + left + middle, 0, pic->row_bytes - left - middle);
      return;
    }

  memset (to, 0, pic->row_bytes);
  for (int u = 0; u < W * pic->enlarge; u++)
    memcpy (to + (pic->left + u) * pic->pixel_bytes, from + u / pic->enlarge * in_bytes, in_bytes);
}

/* Rows @row0 … of images @image0 … into the shared memory */
static void
copy_band (FbDevice *dev, const Picture *pic, int image0, int n_images, int row0, int n_rows)
{
  char *band = fb_cpu (dev)->shared;

#pragma omp parallel for num_threads(dev->n_threads)
  for (int i = 0; i < n_images * n_rows; i++)
    copy_row (band + i * pic->row_bytes, pic, image0 + i / n_rows, row0 + i % n_rows);
}

/**
 * Part:
 * @packed, @set: weight, and which of its sets
 * @in_row, @in_pixel: where its first output pixel reads the padded picture
 * @out_row, @out_pixel: its first output pixel
 * @n_rows, @n_pixels: of its output
 * @taps: offsets from there in the padded picture, in bytes
 *
 * A convolution whose output is all of the picture, or the pixels of one parity, two apart.
 */
typedef struct
{
  const FbPacked *packed;
  int             set;
  int             in_row, in_pixel;
  int             out_row, out_pixel;
  int             n_rows, n_pixels;
  size_t         *taps;
} Part;

static void
set_taps (size_t *taps, const Picture *pic, int kH, int kW)
{
  for (int tap = 0; tap < kH * kW; tap++)
    taps[tap] = tap / kW * pic->row_bytes + tap % kW * pic->pixel_bytes;
}

/* Fields of the product that no band changes; @spread: 2 where parts are parities */
static void
describe_output (FbProduct *p, FbTensor *out, const FbWeight *weight, const FbTensor *bias, FbActivation act, int spread)
{
  p->weight_dtype = weight->dtype;
  p->out_dtype    = out->dtype;
  p->out_pixel    = (size_t) out->shape[3] * spread;
  p->out_row      = (size_t) out->shape[2] * out->shape[3] * spread;
  p->out_image    = (size_t) out->shape[1] * out->shape[2] * out->shape[3];
  p->bias_image   = bias != NULL && bias->n_dims == 2 ? out->shape[3] : 0;
  p->act          = act;
}

/* No padding, no enlargement: from @x itself */
static void
convolve_directly (FbDevice *dev, FbProduct *p, FbTensor *out, const FbTensor *x, const FbTensor *bias, const FbTensor *residual,
                   int stride, gboolean one_by_one)
{
  size_t pixel_bytes = x->shape[3] * fb_dtype_size (x->dtype);

  p->in        = x->data;
  p->in_pixel  = stride * pixel_bytes;
  p->in_row    = stride * pixel_bytes * x->shape[2];
  p->in_image  = pixel_bytes * x->shape[2] * x->shape[1];
  p->n_images  = x->shape[0];
  p->n_rows    = out->shape[1];
  p->n_pixels  = out->shape[2];
  p->out       = out->data;
  p->residual  = residual != NULL ? residual->data : NULL;
  p->bias      = bias != NULL ? bias->data : NULL;
  if (one_by_one && stride == 1)
    {
      p->n_pixels *= p->n_rows;                                  /* rows follow each other, so a tile need not end with one */
      p->n_rows    = 1;
    }
  fb_cpu_product (dev, p);
}

/* Output rows @row0 … of images @image0 …; the band in shared memory begins with the input row of the first */
static void
convolve_band (FbDevice *dev, FbProduct *p, const Picture *pic, const Part *parts, int n_parts, FbTensor *out, const FbTensor *bias,
               const FbTensor *residual, int image0, int n_images, int row0, int n_rows, int band_rows)
{
  size_t size = fb_dtype_size (out->dtype);

  p->in_image = band_rows * pic->row_bytes;
  p->n_images = n_images;
  p->bias     = bias != NULL ? (const float *) bias->data + image0 * p->bias_image : NULL;
  for (const Part *part = parts; part < parts + n_parts; part++)
    {
      size_t first = image0 * p->out_image + row0 * p->out_row + ((size_t) part->out_row * out->shape[2] + part->out_pixel) * out->shape[3];

      p->packed     = part->packed;
      p->set        = part->set;
      p->tap_offset = part->taps;
      p->n_rows     = MIN (n_rows, part->n_rows - row0);
      p->n_pixels   = part->n_pixels;
      p->in         = (const char *) fb_cpu (dev)->shared + part->in_row * pic->row_bytes + part->in_pixel * pic->pixel_bytes;
      p->out        = (char *) out->data + first * size;
      p->residual   = residual != NULL ? (const char *) residual->data + first * size : NULL;
      if (p->n_rows > 0 && p->n_pixels > 0)
        fb_cpu_product (dev, p);
    }
}

/* @kernel_rows: rows of the padded picture that one row of all parts reads; @n_out_rows: of the part with most */
static void
convolve_in_bands (FbDevice *dev, FbProduct *p, const Picture *pic, const Part *parts, int n_parts, FbTensor *out, const FbTensor *bias,
                   const FbTensor *residual, int stride, int kernel_rows, int n_out_rows)
{
  int N         = out->shape[0];
  int most_rows = MAX (1, ((int) (BAND_BYTES / pic->row_bytes) - kernel_rows) / stride + 1);
  int n_rows    = MIN (most_rows, n_out_rows);
  int n_images  = n_rows < n_out_rows ? 1 : CLAMP ((int) (BAND_BYTES / (pic->height * pic->row_bytes)), 1, N);

  if (!fb_cpu_reserve_shared (dev, (size_t) n_images * ((n_rows - 1) * stride + kernel_rows) * pic->row_bytes))
    return;

  p->in_pixel = stride * pic->pixel_bytes;
  p->in_row   = stride * pic->row_bytes;
  for (int image = 0; image < N; image += n_images)
    for (int row = 0; row < n_out_rows; row += n_rows)
      {
        int images    = MIN (n_images, N - image);
        int rows      = MIN (n_rows, n_out_rows - row);
        int band_rows = (rows - 1) * stride + kernel_rows;

        if (dev->failure != NULL || fb_device_cancelled (dev))
          return;
        copy_band (dev, pic, image, images, row * stride, band_rows);
        convolve_band (dev, p, pic, parts, n_parts, out, bias, residual, image, images, row, rows, band_rows);
      }
}

void
fb_cpu_conv2d (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
               const FbTensor *residual, const FbConv2dParams *params, FbActivation act)
{
  const FbPacked    *packed  = weight->packed;
  gboolean           folded  = packed->n_sets == 4;
  int                kH      = folded ? 2 : weight->shape[2];
  int                kW      = folded ? 2 : weight->shape[3];
  int                enlarge = folded ? 1 : params->upsample;
  gboolean           direct  = !folded && enlarge == 1 && packed->K == x->shape[3]
                               && params->pad_top + params->pad_left + params->pad_bottom + params->pad_right == 0;
  g_autofree size_t *taps    = g_new (size_t, kH * kW);
  FbProduct          p       = { 0 };
  Picture            pic     =
  {
    .x           = x,
    .enlarge     = enlarge,
    .top         = params->pad_top,
    .left        = params->pad_left,
    .height      = x->shape[1] * enlarge + params->pad_top + params->pad_bottom,
    .width       = x->shape[2] * enlarge + params->pad_left + params->pad_right,
    .channels    = packed->K,
    .pixel_bytes = packed->K * fb_dtype_size (x->dtype),
  };

  if (fb_winograd_pays (weight, params, out))
    {
      fb_cpu_winograd (dev, out, x, weight, bias, residual, params, act);
      return;
    }

  pic.row_bytes = pic.width * pic.pixel_bytes;
  set_taps (taps, &pic, kH, kW);
  fb_gemm_set_tidy (fb_cpu (dev)->kernels);
  describe_output (&p, out, weight, bias, act, folded ? 2 : 1);

  if (direct)
    {
      p.packed     = packed;
      p.tap_offset = taps;
      convolve_directly (dev, &p, out, x, bias, residual, params->stride, kH * kW == 1);
    }
  else
    {
      int  spread = folded ? 2 : 1;
      Part parts[4];

      for (int set = 0; set < packed->n_sets; set++)             /* a folded kernel has a set for each parity: row parity · 2 + column parity */
        parts[set] = (Part) { packed, set, set / 2, set % 2, set / 2, set % 2, out->shape[1] / spread, out->shape[2] / spread, taps };
      convolve_in_bands (dev, &p, &pic, parts, packed->n_sets, out, bias, residual, params->stride, folded ? 3 : kH, out->shape[1] / spread);
    }
  fb_device_cancelled (dev);
}

/* The transposed convolution is again one, over dy, by the kernel with its channels exchanged and its taps as @taps says */
static void
backward_by_convolution (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbTensor *sum,
                         const FbTapSum *taps, int kH, int kW, const FbConv2dParams *params)
{
  int Cin   = weight->shape[1];
  int slice = fb_packed_slice (weight, kH * kW, dy);

  for (int c = 0; c < Cin && !fb_device_cancelled (dev); c += slice)
    {
      FbPacked *packed = fb_packed_transpose (dev, weight, taps, kH * kW, c, MIN (slice, Cin - c));
      FbWeight  turned = { .dev = dev, .kind = FB_WEIGHT_CONV2D, .dtype = weight->dtype, .shape = { Cin, weight->shape[0], kH, kW },
                           .packed = packed };
      FbTensor  to     = fb_tensor_from_channel (dx, c);
      FbTensor  added  = fb_tensor_from_channel (sum != NULL ? sum : dx, c);

      if (packed == NULL)
        return;
      fb_cpu_conv2d (dev, &to, dy, &turned, NULL, sum != NULL ? &added : NULL, params, FB_ACT_NONE);
      fb_packed_free (dev, packed);
    }
}

static void
backward_plain (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *p, const FbTensor *sum)
{
  int                  kH   = weight->shape[2], kW = weight->shape[3];
  g_autofree FbTapSum *taps = g_new0 (FbTapSum, kH * kW);

  for (int tap = 0; tap < kH * kW; tap++)
    taps[tap] = (FbTapSum) { .n = 1, .tap = { kH * kW - 1 - tap } };
  backward_by_convolution (dev, dx, dy, weight, sum, taps, kH, kW,
                           &(FbConv2dParams) { 1, kH - 1 - p->pad_top, kW - 1 - p->pad_left, kH - 1 - p->pad_bottom, kW - 1 - p->pad_right, 1 });
}

/*
 * The gradient of an enlarged picture, summed over each pixel's four copies: a convolution of stride 2 by a kernel one wider, whose taps are sums
 * of the turned kernel's tap and the one before, both ways. In a folded weight those sums are there: one in each set.
 */
static void
backward_enlarged (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *p, const FbTensor *sum)
{
  int                  kH     = weight->shape[2], kW = weight->shape[3];
  gboolean             folded = weight->kind == FB_WEIGHT_CONV2D_UPSAMPLE;
  g_autofree FbTapSum *taps   = g_new0 (FbTapSum, (kH + 1) * (kW + 1));

  for (int i = 0; i <= kH; i++)
    for (int j = 0; j <= kW; j++)
      {
        FbTapSum *tap = &taps[i * (kW + 1) + j];

        if (folded)
          {
            tap->n      = 1;
            tap->set[0] = (i + 1) % 2 * 2 + (j + 1) % 2;
            tap->tap[0] = (3 - i) / 2 * 2 + (3 - j) / 2;
            continue;
          }
        for (int y = MAX (0, i - 1); y <= MIN (i, kH - 1); y++)
          for (int u = MAX (0, j - 1); u <= MIN (j, kW - 1); u++)
            tap->tap[tap->n++] = (kH - 1 - y) * kW + kW - 1 - u;
      }
  backward_by_convolution (dev, dx, dy, weight, sum, taps, kH + 1, kW + 1,
                           &(FbConv2dParams) { 2, kH - 1 - p->pad_top, kW - 1 - p->pad_left, kH - 1 - p->pad_bottom, kW - 1 - p->pad_right, 1 });
}

/* In one direction, the input coordinates 2 i + parity: they meet every second tap, from the first on, at the outputs i + start … */
typedef struct
{
  int first, n_taps, start, n;
} Parity;

static Parity
find_parity (int parity, int kernel, int pad, int size)
{
  Parity p = { .first = (parity + pad) % 2, .n = (size - parity + 1) / 2 };

  p.n_taps = (kernel - p.first + 1) / 2;
  p.start  = (parity + pad - p.first) / 2 - (p.n_taps - 1);
  return p;
}

/* Input channels @c … of the gradient: four convolutions of dy by parts of the turned kernel, one for each parity of the input's pixels */
static void
backward_parities (FbDevice *dev, const Picture *pic, FbTensor *dx, const FbWeight *weight, const FbTensor *sum,
                   const Parity *rows, const Parity *columns, int kernel_rows, int c, int n_channels)
{
  int                  kH      = weight->shape[2], kW = weight->shape[3];
  g_autofree FbTapSum *sources = g_new0 (FbTapSum, kH * kW);
  g_autofree size_t   *taps    = g_new (size_t, 4 * kH * kW);
  FbTensor             to      = fb_tensor_from_channel (dx, c);
  FbTensor             added   = fb_tensor_from_channel (sum != NULL ? sum : dx, c);
  FbProduct            p       = { 0 };
  FbPacked            *packed[4];
  Part                 parts[4];
  int                  n_parts = 0;

  for (int i = 0; i < 4; i++)
    {
      const Parity *row = &rows[i / 2], *column = &columns[i % 2];
      int           n   = row->n_taps * column->n_taps;

      if (n == 0)
        continue;
      for (int tap = 0; tap < n; tap++)
        {
          int ky = row->first + 2 * (row->n_taps - 1 - tap / column->n_taps);
          int kx = column->first + 2 * (column->n_taps - 1 - tap % column->n_taps);

          sources[tap] = (FbTapSum) { .n = 1, .tap = { ky * kW + kx } };
        }
      packed[n_parts] = fb_packed_transpose (dev, weight, sources, n, c, n_channels);
      if (packed[n_parts] == NULL)
        break;
      parts[n_parts] = (Part) { packed[n_parts], 0, pic->top + row->start, pic->left + column->start, i / 2, i % 2, row->n, column->n,
                                taps + i * kH * kW };
      set_taps (parts[n_parts].taps, pic, row->n_taps, column->n_taps);
      n_parts++;
    }

  describe_output (&p, &to, weight, NULL, FB_ACT_NONE, 2);
  if (dev->failure == NULL)
    convolve_in_bands (dev, &p, pic, parts, n_parts, &to, NULL, sum != NULL ? &added : NULL, 1, kernel_rows, rows[0].n);
  while (n_parts > 0)
    fb_packed_free (dev, packed[--n_parts]);
}

static void
backward_strided (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *params, const FbTensor *sum)
{
  int     kH  = weight->shape[2], kW = weight->shape[3], Cin = weight->shape[1];
  int     slice = fb_packed_slice (weight, kH * kW, dy);
  int     kernel_rows = 0;
  Picture pic = { .x = dy, .enlarge = 1, .channels = fb_packed_n_channels (weight->shape[0], weight->dtype) };
  Parity  rows[2], columns[2];

  for (int i = 0; i < 2; i++)
    {
      rows[i]    = find_parity (i, kH, params->pad_top, dx->shape[1]);
      columns[i] = find_parity (i, kW, params->pad_left, dx->shape[2]);
      pic.top    = MAX (pic.top, -rows[i].start);
      pic.left   = MAX (pic.left, -columns[i].start);
    }
  pic.width = dy->shape[2] + pic.left;
  for (int i = 0; i < 2; i++)
    {
      kernel_rows = MAX (kernel_rows, pic.top + rows[i].start + rows[i].n_taps);
      pic.width   = MAX (pic.width, pic.left + columns[i].start + columns[i].n_taps + columns[i].n - 1);
    }
  pic.height      = rows[0].n - 1 + kernel_rows;
  pic.pixel_bytes = pic.channels * fb_dtype_size (dy->dtype);
  pic.row_bytes   = pic.width * pic.pixel_bytes;

  if (kH == 1 || kW == 1)                                        /* some pixels meet no tap */
    {
      if (sum == NULL)
        memset (dx->data, 0, dx->n_bytes);
      else if (sum != dx)
        memcpy (dx->data, sum->data, dx->n_bytes);
    }

  fb_gemm_set_tidy (fb_cpu (dev)->kernels);
  for (int c = 0; c < Cin && !fb_device_cancelled (dev); c += slice)
    backward_parities (dev, &pic, dx, weight, sum, rows, columns, kernel_rows, c, MIN (slice, Cin - c));
  fb_device_cancelled (dev);
}

void
fb_cpu_conv2d_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *params,
                              const FbTensor *sum)
{
  if (params->upsample == 2)
    backward_enlarged (dev, dx, dy, weight, params, sum);
  else if (params->stride == 2)
    backward_strided (dev, dx, dy, weight, params, sum);
  else
    backward_plain (dev, dx, dy, weight, params, sum);
}
