/* kernels/tensor.h: element types and tensors. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

typedef struct FbDevice FbDevice;

/**
 * FbDtype:
 *
 * Element types of tensors and of tensor data in files. Ops compute on F32, BF16 and F16 only; F64 is for gradient checks
 * on the reference device; the integers occur in files.
 */
typedef enum
{
  FB_DTYPE_F32,
  FB_DTYPE_BF16,
  FB_DTYPE_F16,
  FB_DTYPE_F64,
  FB_DTYPE_I32,
  FB_DTYPE_I64,
  FB_DTYPE_U8,
} FbDtype;

/* bytes per element */
size_t       fb_dtype_size (FbDtype dtype);
/* "f32", "bf16" … (transfer none) */
const char * fb_dtype_name (FbDtype dtype);

/**
 * fb_dtype_convert:
 * @dst: @n elements of @dst_dtype; may be @src when both element sizes are equal
 * @src: @n elements of @src_dtype
 *
 * Converts between F32, BF16, F16 and F64 on the host, rounding to nearest even. NaN stays NaN, overflow becomes infinity.
 */
void         fb_dtype_convert (void *dst, FbDtype dst_dtype, const void *src, FbDtype src_dtype, size_t n);

#define FB_MAX_DIMS 4

/**
 * FbTensor:
 * @dev: the device that holds @data (not owned)
 * @shape: @n_dims sizes, outermost first; the rest are 1
 * @data: dense row-major elements in @dev's memory; %NULL only while @dev is in its error state
 * @n_bytes: size of @data
 * @id: no other tensor of @dev has had it, but a view of all of a tensor has that tensor's: what a tape knows values by once they are gone
 *
 * Activations are [N, H, W, C] or [N, T, C], f32 or @dev's compute type. Reference-counted, not thread-safe.
 */
typedef struct FbTensor
{
  FbDevice        *dev;
  FbDtype          dtype;
  int              n_dims;
  int              shape[FB_MAX_DIMS];
  void            *data;
  size_t           n_bytes;
  guint64          id;
  struct FbTensor *base;      /* owned; the tensor whose memory this view shares, or NULL */
  int              ref_count;
} FbTensor;

/**
 * fb_tensor_new:
 * @shape: @n_dims sizes, each ≥ 1
 *
 * Returns: (transfer full): an uninitialised tensor. When memory runs out, @dev enters its error state (kernels/device.h) and the
 * tensor's data is %NULL: ops on it do nothing.
 */
FbTensor * fb_tensor_new   (FbDevice *dev, FbDtype dtype, int n_dims, const int *shape);

/* Short forms for the usual ranks; (transfer full) */
FbTensor * fb_tensor_new_1d (FbDevice *dev, FbDtype dtype, int a);
FbTensor * fb_tensor_new_2d (FbDevice *dev, FbDtype dtype, int a, int b);
FbTensor * fb_tensor_new_3d (FbDevice *dev, FbDtype dtype, int a, int b, int c);
FbTensor * fb_tensor_new_4d (FbDevice *dev, FbDtype dtype, int a, int b, int c, int d);

/**
 * fb_tensor_view:
 * @shape: as many elements in all as @t has, from @first_element on at most
 *
 * Returns: (transfer full): a tensor that shares @t's memory, seen with another shape.
 */
FbTensor * fb_tensor_view  (FbTensor *t, int n_dims, const int *shape, size_t first_element);

FbTensor * fb_tensor_ref   (FbTensor *t);
void       fb_tensor_unref (FbTensor *t);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbTensor, fb_tensor_unref)

/* number of elements */
size_t     fb_tensor_n_elements (const FbTensor *t);
gboolean   fb_tensor_same_shape (const FbTensor *a, const FbTensor *b);

/**
 * fb_tensor_upload, fb_tensor_download:
 * @data: host memory, as many elements of @dtype as @t has
 *
 * Copy between host and device and convert from or to @dtype. Download waits for the device.
 */
void       fb_tensor_upload   (FbTensor *t, const void *data, FbDtype dtype);
void       fb_tensor_download (const FbTensor *t, void *data, FbDtype dtype);
