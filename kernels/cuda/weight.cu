/* kernels/cuda/weight.cu: weights as the libraries take them. SPDX-License-Identifier: LGPL-3.0-or-later
 * Linear weights stay [Cout, Cin]; convolution kernels become [Cout, kH, kW, Cin], so that channels lie together as in the pictures. */

#include "kernels/cuda/values.h"

/* one thread per element of @out */
template <typename T> __global__ void
channels_last_kernel (T *__restrict__ out, const T *__restrict__ in, int Cin, int n_taps, size_t n)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    {
      size_t c   = i % Cin;
      size_t tap = i / Cin % n_taps;
      size_t oc  = i / Cin / n_taps;

      out[i] = in[(oc * Cin + c) * n_taps + tap];
    }
}

static void
pack_kernel (FbDevice *dev, FbWeight *weight, const void *data, FbDtype data_dtype, size_t n)
{
  int   n_taps = weight->shape[2] * weight->shape[3];
  void *in     = fb_device_alloc (dev, n * fb_dtype_size (weight->dtype));

  if (in == NULL)
    return;
  fb_cuda_upload (dev, in, weight->dtype, data, data_dtype, n);
  FB_BY_DTYPE (weight->dtype, T,
               FB_LAUNCH (dev, channels_last_kernel<T>, fb_cuda_n_blocks (dev, n, 256), 256, (T *) weight->packed, (const T *) in,
                          weight->shape[1], n_taps, n));
  fb_device_free (dev, in, n * fb_dtype_size (weight->dtype));
}

extern "C" void
fb_cuda_pack (FbDevice *dev, FbWeight *weight, const void *data, FbDtype data_dtype)
{
  size_t n = (size_t) weight->shape[0] * weight->shape[1] * weight->shape[2] * weight->shape[3];

  weight->n_bytes = n * fb_dtype_size (weight->dtype);
  if (weight->packed == NULL)
    weight->packed = fb_device_alloc (dev, weight->n_bytes);
  if (weight->packed == NULL)
    return;

  if (weight->shape[2] * weight->shape[3] == 1)
    fb_cuda_upload (dev, weight->packed, weight->dtype, data, data_dtype, n);
  else
    pack_kernel (dev, weight, data, data_dtype, n);
}

extern "C" void
fb_cuda_free_packed (FbDevice *dev, FbWeight *weight)
{
  fb_device_free (dev, weight->packed, weight->n_bytes);
}
