/* kernels/cuda/convolution.c: kernels/cuda/convolution.h by cuDNN's graphs. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cuda/convolution.h"

#include <string.h>

#include "kernels/cuda/dnn.h"

enum { ID_X = 1, ID_W, ID_Y };       /* the operands' names inside a graph */

typedef struct
{
  FbConvolution of;
  guint32       alignment;           /* that all operands have, bytes */
} Key;

/* Sizes in cuDNN's order, outer, channels, height, width; in memory channels lie together */
static gboolean
build_tensor (FbDescriptor *d, gint64 id, FbDtype dtype, gint64 outer, gint64 channels, gint64 height, gint64 width, gint64 alignment)
{
  const gint64 sizes[4]   = { outer, channels, height, width };
  const gint64 strides[4] = { height * width * channels, 1, width * channels, channels };

  return fb_dnn_tensor (d, id, dtype, sizes, strides, alignment);
}

static gboolean
build_parameters (FbDescriptor *d, const FbConvolution *c)
{
  gint64                 n_dims       = 2;
  cudnnDataType_t        sums         = CUDNN_DATA_FLOAT;
  cudnnConvolutionMode_t mode         = CUDNN_CROSS_CORRELATION;
  gint64                 dilations[2] = { 1, 1 };
  gint64                 strides[2]   = { c->stride, c->stride };
  gint64                 before[2]    = { c->pad_top, c->pad_left };
  gint64                 after[2]     = { c->pad_bottom, c->pad_right };

  return fb_dnn_create (d, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR) &&
         fb_dnn_set (*d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &n_dims) &&
         fb_dnn_set (*d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums) &&
         fb_dnn_set (*d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode) &&
         fb_dnn_set (*d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations) &&
         fb_dnn_set (*d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides) &&
         fb_dnn_set (*d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, before) &&
         fb_dnn_set (*d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, after) &&
         fb_dnn_finalize (*d);
}

static gboolean
build_operation (FbDescriptor *d, FbConvolutionKind kind, FbDescriptor parameters, FbDescriptor x, FbDescriptor w, FbDescriptor y)
{
  static const struct
  {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t  parameters, x, w, y, alpha, beta;
  } kinds[] =
  {
    [FB_CONVOLUTION_FORWARD] =
      { CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA },
    [FB_CONVOLUTION_BACKWARD_INPUT] =
      { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA },
    [FB_CONVOLUTION_BACKWARD_WEIGHT] =
      { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA },
  };
  float alpha = 1.0f, beta = 0.0f;

  return fb_dnn_create (d, kinds[kind].type) &&
         fb_dnn_set_part (*d, kinds[kind].parameters, parameters) &&
         fb_dnn_set_part (*d, kinds[kind].x, x) &&
         fb_dnn_set_part (*d, kinds[kind].w, w) &&
         fb_dnn_set_part (*d, kinds[kind].y, y) &&
         fb_dnn_set (*d, kinds[kind].alpha, CUDNN_TYPE_FLOAT, 1, &alpha) &&
         fb_dnn_set (*d, kinds[kind].beta, CUDNN_TYPE_FLOAT, 1, &beta) &&
         fb_dnn_finalize (*d);
}

/* (nullable): the convolution as a graph */
static FbDescriptor
describe (cudnnHandle_t handle, const void *data)
{
  const Key           *key = data;
  const FbConvolution *c   = &key->of;
  FbDescriptor         x = NULL, w = NULL, y = NULL, parameters = NULL, operation = NULL, graph = NULL;

  if (build_tensor (&x, ID_X, c->x_dtype, c->x[0], c->x[3], c->x[1], c->x[2], key->alignment) &&
      build_tensor (&w, ID_W, c->w_dtype, c->w[0], c->w[1], c->w[2], c->w[3], key->alignment) &&
      build_tensor (&y, ID_Y, c->y_dtype, c->y[0], c->y[3], c->y[1], c->y[2], key->alignment) &&
      build_parameters (&parameters, c) &&
      build_operation (&operation, c->kind, parameters, x, w, y))
    graph = fb_dnn_graph (handle, 1, &operation);

  fb_dnn_destroy (&operation);
  fb_dnn_destroy (&parameters);
  fb_dnn_destroy (&y);
  fb_dnn_destroy (&w);
  fb_dnn_destroy (&x);
  return graph;
}

static char *
tell (const void *data)
{
  const FbConvolution *c = &((const Key *) data)->of;

  return g_strdup_printf ("convolution of kind %d, x %d×%d×%d×%d, w %d×%d×%d×%d, types %d %d %d", c->kind, c->x[0], c->x[1], c->x[2], c->x[3],
                          c->w[0], c->w[1], c->w[2], c->w[3], c->x_dtype, c->w_dtype, c->y_dtype);
}

gboolean
fb_cuda_convolve (FbDevice *dev, const FbConvolution *c, void *x, void *w, void *y)
{
  static const FbDnnOperation operation = { describe, tell };
  static const gint64         ids[]     = { ID_X, ID_W, ID_Y };

  void  *data[]  = { x, w, y };
  size_t address = (size_t) x | (size_t) w | (size_t) y | 16;
  Key    key;

  memset (&key, 0, sizeof key);
  key.of        = *c;
  key.alignment = (guint32) (address & -address);
  return fb_dnn_run (dev, &operation, &key, sizeof key, c->x_dtype == FB_DTYPE_F32 && c->w_dtype == FB_DTYPE_F32, G_N_ELEMENTS (ids), ids, data);
}
