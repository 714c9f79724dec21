/* kernels/cuda/conv2d-backward.cu: gradients of convolutions. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Of the input: cuDNN's, or loops of our own where it has no engine. Of the weight: for each tap the pixels that lie under it are gathered,
 * and one product with dy gives the tap's matrix in f32, which no engine of cuDNN's promises for 16-bit inputs. */

#include "kernels/cuda/convolution.h"
#include "kernels/cuda/product.h"
#include "kernels/cuda/values.h"

#define TILE   64
#define DEPTH  16
#define BLOCK  256           /* of the tiled kernel: 16 × 16 threads with 4 × 4 sums each */
#define COPIES 256           /* of those that only move */

typedef struct
{
  int H, W, Cin, Ho, Wo, Cout, kH, kW;
  int stride, top, left, upsample;
  size_t n_pixels;           /* of all input images */
} Sizes;

static Sizes
make_sizes (const FbTensor *x, const FbTensor *y, const int *kernel, const FbConv2dParams *p)
{
  Sizes s = { x->shape[1], x->shape[2], x->shape[3], y->shape[1], y->shape[2], y->shape[3], kernel[2], kernel[3],
              p->stride, p->pad_top, p->pad_left, p->upsample, (size_t) x->shape[0] * x->shape[1] * x->shape[2] };

  return s;
}

static gboolean
is_one_by_one (const int *kernel, const FbConv2dParams *p)
{
  return kernel[2] * kernel[3] == 1 && p->stride == 1 && p->upsample == 1 && p->pad_top + p->pad_left + p->pad_bottom + p->pad_right == 0;
}

/* --- of the input -------------------------------------------------------------------------------------------------------- */

/* Triple @k of input pixel @pixel: one of the pixels it was repeated into, a tap, a channel of dy. 0 where no output pixel saw it there. */
template <typename T> __device__ inline float
read_gradient (const T *__restrict__ dy, const Sizes &s, size_t pixel, int k)
{
  int    oc    = k % s.Cout, tap = k / s.Cout % (s.kH * s.kW), copy = k / s.Cout / (s.kH * s.kW);
  size_t image = pixel / s.W / s.H;
  int    y     = (int) (pixel / s.W % s.H) * s.upsample + copy / s.upsample + s.top - tap / s.kW;
  int    u     = (int) (pixel % s.W) * s.upsample + copy % s.upsample + s.left - tap % s.kW;

  if (y < 0 || u < 0 || y % s.stride != 0 || u % s.stride != 0 || y / s.stride >= s.Ho || u / s.stride >= s.Wo)
    return 0.0f;
  return widen (dy[((image * s.Ho + y / s.stride) * s.Wo + u / s.stride) * s.Cout + oc]);
}

/* grid: tiles of pixels, tiles of input channels */
template <typename T> __global__ void
input_kernel (T *dx, const T *__restrict__ dy, const T *__restrict__ weight, const T *sum, Sizes s)
{
  __shared__ float gradients[DEPTH][TILE + 1], kernels[DEPTH][TILE + 1];
  int    n_taps  = s.kH * s.kW;
  int    n_terms = s.upsample * s.upsample * n_taps * s.Cout;
  size_t pixel0  = (size_t) blockIdx.x * TILE;
  int    ic0     = blockIdx.y * TILE;
  int    row     = threadIdx.x / 16 * 4, column = threadIdx.x % 16 * 4;
  float  sums[4][4] = { { 0.0f } };

  for (int k0 = 0; k0 < n_terms; k0 += DEPTH)
    {
      for (int i = threadIdx.x; i < DEPTH * TILE; i += BLOCK)
        {
          int k = k0 + i % DEPTH, j = i / DEPTH;
          int oc = k % s.Cout, tap = k / s.Cout % n_taps;

          gradients[i % DEPTH][j] = k < n_terms && pixel0 + j < s.n_pixels ? read_gradient (dy, s, pixel0 + j, k) : 0.0f;
          kernels[i % DEPTH][j]   = k < n_terms && ic0 + j < s.Cin ? widen (weight[((size_t) oc * n_taps + tap) * s.Cin + ic0 + j]) : 0.0f;
        }
      __syncthreads ();
#pragma unroll 4
      for (int k = 0; k < DEPTH; k++)
        for (int i = 0; i < 4; i++)
          for (int j = 0; j < 4; j++)
            sums[i][j] += gradients[k][row + i] * kernels[k][column + j];
      __syncthreads ();
    }

  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++)
      {
        size_t pixel = pixel0 + row + i;
        int    ic    = ic0 + column + j;
        size_t at    = pixel * s.Cin + ic;

        if (pixel < s.n_pixels && ic < s.Cin)
          dx[at] = narrow<T> (sums[i][j] + (sum != NULL ? widen (sum[at]) : 0.0f));
      }
}

static void
gather_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbTensor *sum, const Sizes &s)
{
  dim3 grid ((unsigned) ((s.n_pixels + TILE - 1) / TILE), (unsigned) ((s.Cin + TILE - 1) / TILE));

  FB_BY_DTYPE (dx->dtype, T,
               FB_LAUNCH (dev, input_kernel<T>, grid, BLOCK, (T *) dx->data, (const T *) dy->data, (const T *) weight->packed,
                          sum != NULL ? (const T *) sum->data : (const T *) NULL, s));
}

/* Into @dx [N, H, W, Cin], of the enlarged picture where there is one; FALSE where cuDNN has no engine */
static gboolean
convolve_back (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *p)
{
  FbConvolution c = {};

  c.kind       = FB_CONVOLUTION_BACKWARD_INPUT;
  c.x_dtype    = dx->dtype;
  c.w_dtype    = weight->dtype;
  c.y_dtype    = dy->dtype;
  c.stride     = p->stride;
  c.pad_top    = p->pad_top;
  c.pad_left   = p->pad_left;
  c.pad_bottom = p->pad_bottom;
  c.pad_right  = p->pad_right;
  for (int i = 0; i < 4; i++)
    {
      c.x[i] = dx->shape[i];
      c.w[i] = weight->shape[i];
      c.y[i] = dy->shape[i];
    }
  return fb_cuda_convolve (dev, &c, dx->data, weight->packed, dy->data);
}

extern "C" void
fb_cuda_conv2d_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *params,
                               const FbTensor *sum)
{
  FbTensor *large, *alone;

  if (is_one_by_one (weight->shape, params))
    {
      fb_cuda_linear_backward_input (dev, dx, dy, weight, sum);
      return;
    }

  large = params->upsample == 2 ? fb_tensor_new_4d (dev, dx->dtype, dx->shape[0], 2 * dx->shape[1], 2 * dx->shape[2], dx->shape[3]) : NULL;
  alone = sum != NULL ? fb_tensor_new (dev, dx->dtype, 4, dx->shape) : fb_tensor_ref (dx);
  if (dev->failure == NULL)
    {
      if (!convolve_back (dev, large != NULL ? large : alone, dy, weight, params))
        {
          gather_input (dev, dx, dy, weight, sum, make_sizes (dx, dy, weight->shape, params));
        }
      else
        {
          if (large != NULL)
            fb_cuda_upsample_backward (dev, alone, large);
          if (sum != NULL)
            fb_cuda_add (dev, dx, alone, sum);
        }
    }
  fb_tensor_unref (alone);
  if (large != NULL)
    fb_tensor_unref (large);
}

/* --- of the weight ------------------------------------------------------------------------------------------------------- */

/* One thread per element of @out [output pixels, Cin]: the input under tap (@ky, @kx) */
template <typename T> __global__ void
gather_kernel (T *__restrict__ out, const T *__restrict__ x, size_t n, int ky, int kx, Sizes s)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    {
      size_t c     = i % s.Cin;
      size_t pixel = i / s.Cin;
      size_t image = pixel / s.Wo / s.Ho;
      int    y     = (int) (pixel / s.Wo % s.Ho) * s.stride + ky - s.top;
      int    u     = (int) (pixel % s.Wo) * s.stride + kx - s.left;

      out[i] = y < 0 || u < 0 || y >= s.H * s.upsample || u >= s.W * s.upsample
               ? narrow<T> (0.0f) : x[((image * s.H + y / s.upsample) * s.W + u / s.upsample) * s.Cin + c];
    }
}

/* dw [Cout, Cin, kH, kW] += that of one tap [Cout, Cin] */
__global__ void
add_tap_kernel (float *dw, const float *__restrict__ one, size_t n, int n_taps, int tap)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    dw[i * n_taps + tap] += one[i];
}

extern "C" void
fb_cuda_conv2d_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x, const FbConv2dParams *params)
{
  Sizes     s       = make_sizes (x, dy, dw->shape, params);
  gboolean  direct  = is_one_by_one (dw->shape, params);
  int       n_taps  = s.kH * s.kW;
  size_t    n       = (size_t) dw->shape[0] * s.Cin;
  int       shape[4] = { dy->shape[0], s.Ho, s.Wo, s.Cin };
  FbTensor *under   = direct ? NULL : fb_tensor_new (dev, x->dtype, 4, shape);    /* the inputs under one tap */
  FbTensor *one     = direct ? NULL : fb_tensor_new_2d (dev, FB_DTYPE_F32, s.Cout, s.Cin);

  for (int tap = 0; tap < n_taps && dev->failure == NULL; tap++)
    {
      FbCudaProduct p = {};

      if (!direct)
        FB_BY_DTYPE (x->dtype, T,
                     FB_LAUNCH (dev, gather_kernel<T>, fb_cuda_n_blocks (dev, fb_tensor_n_elements (under), COPIES), COPIES,
                                (T *) under->data, (const T *) x->data, fb_tensor_n_elements (under), tap / s.kW, tap % s.kW, s));
      p.dtype      = x->dtype;
      p.out_dtype  = FB_DTYPE_F32;
      p.n_rows     = s.Cout;
      p.n_columns  = s.Cin;
      p.depth      = (int) (fb_tensor_n_elements (dy) / s.Cout);
      p.n_products = 1;
      p.scale      = 1.0f;
      p.left       = { dy->data, (size_t) s.Cout, 0, TRUE };
      p.right      = { direct ? x->data : under->data, (size_t) s.Cin, 0, FALSE };
      p.out        = direct ? dw->data : one->data;
      p.out_step   = s.Cin;
      p.addend     = direct ? dw->data : NULL;
      fb_cuda_product (dev, &p);
      if (!direct)
        FB_LAUNCH (dev, add_tap_kernel, fb_cuda_n_blocks (dev, n, COPIES), COPIES, (float *) dw->data, (const float *) one->data, n, n_taps, tap);
    }

  if (!direct)
    {
      fb_tensor_unref (one);
      fb_tensor_unref (under);
    }
}
