/* kernels/cuda/product.h: matrix products by cuBLASLt. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/cuda/cuda-private.h"

G_BEGIN_DECLS

/**
 * FbCudaMatrix: row-major matrices in device memory, one per product of a batch
 * @step: elements from one row to the next
 * @batch: elements from one matrix to the next
 * @transposed: the rows that are stored are the columns of the operand
 */
typedef struct
{
  const void *data;
  size_t      step;
  size_t      batch;
  gboolean    transposed;
} FbCudaMatrix;

/**
 * FbCudaProduct: out [n_rows, n_columns] = scale · left [n_rows, depth] · right [depth, n_columns] + addend + bias
 * @dtype: of @left and @right; f32 is multiplied as f32, never rounded to TF32
 * @out_dtype: @dtype or f32
 * @addend: (nullable): of the layout and type of @out; may be its memory
 * @bias: (nullable): [n_columns], of @out_dtype
 */
typedef struct
{
  FbDtype      dtype, out_dtype;
  int          n_rows, n_columns, depth, n_products;
  float        scale;
  FbCudaMatrix left, right;
  void        *out;
  size_t       out_step, out_batch;
  const void  *addend;
  const void  *bias;
} FbCudaProduct;

/* Sums in f32. */
void fb_cuda_product (FbDevice *dev, const FbCudaProduct *p);

/* The same by our own loops, for what the library has no algorithm for */
void fb_cuda_multiply_plainly (FbDevice *dev, const FbCudaProduct *p);

G_END_DECLS
