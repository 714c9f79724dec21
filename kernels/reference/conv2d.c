/* kernels/reference/conv2d.c: kernels/conv2d.h in f64, every index written out. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/reference/reference-private.h"

void
fb_reference_conv2d (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                     const FbTensor *residual, const FbConv2dParams *p, FbActivation act)
{
  g_autofree double *in     = fb_reference_read (x);
  g_autofree double *b      = fb_reference_read (bias);
  g_autofree double *r      = fb_reference_read (residual);
  g_autofree double *result = g_new (double, fb_tensor_n_elements (out));
  const double      *w      = weight->packed;
  size_t N = x->shape[0], H = x->shape[1], W = x->shape[2], Cin = x->shape[3];
  size_t Ho = out->shape[1], Wo = out->shape[2], Cout = out->shape[3];
  size_t kH = weight->shape[2], kW = weight->shape[3];
  gboolean bias_per_image = bias != NULL && bias->n_dims == 2;

#pragma omp parallel for collapse(2) num_threads(dev->n_threads)
  for (size_t n = 0; n < N; n++)
    for (size_t oy = 0; oy < Ho; oy++)
      for (size_t ox = 0; ox < Wo; ox++)
        for (size_t oc = 0; oc < Cout; oc++)
          {
            size_t at  = ((n * Ho + oy) * Wo + ox) * Cout + oc;
            double sum = 0.0;

            if (fb_device_cancel_requested (dev))
              continue;

            for (size_t ky = 0; ky < kH; ky++)
              for (size_t kx = 0; kx < kW; kx++)
                {
                  int y = (int) (oy * p->stride + ky) - p->pad_top;      /* in the enlarged picture */
                  int u = (int) (ox * p->stride + kx) - p->pad_left;

                  if (y < 0 || u < 0 || y >= (int) H * p->upsample || u >= (int) W * p->upsample)
                    continue;
                  y /= p->upsample;
                  u /= p->upsample;
                  for (size_t ic = 0; ic < Cin; ic++)
                    sum += in[((n * H + y) * W + u) * Cin + ic] * w[((oc * Cin + ic) * kH + ky) * kW + kx];
                }

            if (b != NULL)
              sum += b[bias_per_image ? n * Cout + oc : oc];
            if (r != NULL)
              sum += r[at];
            result[at] = fb_reference_activate (sum, act);
          }

  if (!fb_device_cancelled (dev))
    fb_reference_write (out, result);
}

/* The input coordinate under output coordinate @o at tap @k, or −1 in the padding */
static int
input_under (size_t o, size_t k, const FbConv2dParams *p, int pad, int size)
{
  int y = (int) (o * p->stride + k) - pad;      /* in the enlarged picture */

  return y < 0 || y >= size * p->upsample ? -1 : y / p->upsample;
}

void
fb_reference_conv2d_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *p,
                                    const FbTensor *sum)
{
  g_autofree double *g      = fb_reference_read (dy);
  g_autofree double *result = sum != NULL ? fb_reference_read (sum) : g_new0 (double, fb_tensor_n_elements (dx));
  const double      *w      = weight->packed;
  size_t N = dx->shape[0], H = dx->shape[1], W = dx->shape[2], Cin = dx->shape[3];
  size_t Ho = dy->shape[1], Wo = dy->shape[2], Cout = dy->shape[3];
  size_t kH = weight->shape[2], kW = weight->shape[3];

#pragma omp parallel for collapse(2) num_threads(dev->n_threads)
  for (size_t n = 0; n < N; n++)
    for (size_t ic = 0; ic < Cin; ic++)
      for (size_t oy = 0; oy < Ho; oy++)
        for (size_t ox = 0; ox < Wo && !fb_device_cancel_requested (dev); ox++)
          for (size_t ky = 0; ky < kH; ky++)
            for (size_t kx = 0; kx < kW; kx++)
              {
                int y = input_under (oy, ky, p, p->pad_top, H);
                int u = input_under (ox, kx, p, p->pad_left, W);

                if (y >= 0 && u >= 0)
                  for (size_t oc = 0; oc < Cout; oc++)
                    result[((n * H + y) * W + u) * Cin + ic] += g[((n * Ho + oy) * Wo + ox) * Cout + oc]
                                                                * w[((oc * Cin + ic) * kH + ky) * kW + kx];
              }

  if (!fb_device_cancelled (dev))
    fb_reference_write (dx, result);
}

void
fb_reference_conv2d_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x, const FbConv2dParams *p)
{
  g_autofree double *g      = fb_reference_read (dy);
  g_autofree double *in     = fb_reference_read (x);
  g_autofree double *result = fb_reference_read (dw);
  size_t N = x->shape[0], H = x->shape[1], W = x->shape[2], Cin = x->shape[3];
  size_t Ho = dy->shape[1], Wo = dy->shape[2], Cout = dy->shape[3];
  size_t kH = dw->shape[2], kW = dw->shape[3];

#pragma omp parallel for num_threads(dev->n_threads)
  for (size_t oc = 0; oc < Cout; oc++)
    for (size_t n = 0; n < N; n++)
      for (size_t oy = 0; oy < Ho; oy++)
        for (size_t ox = 0; ox < Wo && !fb_device_cancel_requested (dev); ox++)
          for (size_t ky = 0; ky < kH; ky++)
            for (size_t kx = 0; kx < kW; kx++)
              {
                int y = input_under (oy, ky, p, p->pad_top, H);
                int u = input_under (ox, kx, p, p->pad_left, W);

                if (y >= 0 && u >= 0)
                  for (size_t ic = 0; ic < Cin; ic++)
                    result[((oc * Cin + ic) * kH + ky) * kW + kx] += g[((n * Ho + oy) * Wo + ox) * Cout + oc]
                                                                     * in[((n * H + y) * W + u) * Cin + ic];
              }

  if (!fb_device_cancelled (dev))
    fb_reference_write (dw, result);
}
