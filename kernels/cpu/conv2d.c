/* kernels/cpu/conv2d.c: kernels/conv2d.h by micro-kernels. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * With the zeros of the padding around it, a picture in NHWC is already the left operand: the pixels that one tap of the kernel multiplies
 * lie a fixed step apart. So a band of the picture is copied with its zeros (and enlarged, where @upsample says so) into memory that the
 * third-level cache holds, and multiplied from there. */

#include "kernels/cpu/product.h"

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

/* Fields of the product that no band changes */
static void
describe_output (FbProduct *p, FbTensor *out, const FbWeight *weight, const FbTensor *bias, FbActivation act, int spread)
{
  p->weight_dtype = weight->dtype;
  p->packed       = weight->packed;
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
convolve_band (FbDevice *dev, FbProduct *p, const Picture *pic, FbTensor *out, const FbTensor *bias, const FbTensor *residual,
               int image0, int n_images, int row0, int n_rows, int band_rows)
{
  size_t size  = fb_dtype_size (out->dtype);
  int    n_sets = p->packed->n_sets;

  p->in_image = band_rows * pic->row_bytes;
  p->n_images = n_images;
  p->n_rows   = n_rows;
  p->bias     = bias != NULL ? (const float *) bias->data + image0 * p->bias_image : NULL;
  for (p->set = 0; p->set < n_sets; p->set++)
    {
      int    parity_y = p->set / 2, parity_x = p->set % 2;
      size_t first    = image0 * p->out_image + row0 * p->out_row
                        + ((size_t) parity_y * out->shape[2] + parity_x) * out->shape[3];

      p->in       = (const char *) fb_cpu (dev)->shared + parity_y * pic->row_bytes + parity_x * pic->pixel_bytes;
      p->out      = (char *) out->data + first * size;
      p->residual = residual != NULL ? (const char *) residual->data + first * size : NULL;
      fb_cpu_product (dev, p);
    }
}

static void
convolve_in_bands (FbDevice *dev, FbProduct *p, const Picture *pic, FbTensor *out, const FbTensor *bias, const FbTensor *residual,
                   int stride, int kernel_rows, int n_out_rows)
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
        convolve_band (dev, p, pic, out, bias, residual, image, images, row, rows, band_rows);
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
  FbProduct          p       = { .tap_offset = taps };
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

  pic.row_bytes = pic.width * pic.pixel_bytes;
  for (int tap = 0; tap < kH * kW; tap++)
    taps[tap] = tap / kW * pic.row_bytes + tap % kW * pic.pixel_bytes;
  fb_gemm_set_tidy (fb_cpu (dev)->kernels);
  describe_output (&p, out, weight, bias, act, folded ? 2 : 1);

  if (direct)
    {
      convolve_directly (dev, &p, out, x, bias, residual, params->stride, kH * kW == 1);
    }
  else
    {
      int n_out_rows = out->shape[1] / (folded ? 2 : 1);

      p.n_pixels = out->shape[2] / (folded ? 2 : 1);
      convolve_in_bands (dev, &p, &pic, out, bias, residual, params->stride, folded ? 3 : kH, n_out_rows);
    }
  fb_device_cancelled (dev);
}
