/* tests/kernels/fake-cuda/cublas.c: as much of cuBLASLt as kernels/cuda/product.c calls, by plain loops over column-major matrices.
 * SPDX-License-Identifier: LGPL-3.0-or-later */

#include <cublasLt.h>
#include <glib.h>
#include <string.h>

#include "kernels/tensor.h"
#include "tests/kernels/fake-cuda/capture.h"

typedef struct
{
  cudaDataType_t type;
  gint32         n;
  guint64        rows, columns;
  gint64         ld, batch;
} Layout;

typedef struct
{
  cublasOperation_t  op_a, op_b;
  cublasLtEpilogue_t epilogue;
  cudaDataType_t     bias_type;
  const void        *bias;
} Operation;

G_STATIC_ASSERT (sizeof (Layout) <= sizeof (cublasLtMatrixLayoutOpaque_t));
G_STATIC_ASSERT (sizeof (Operation) <= sizeof (cublasLtMatmulDescOpaque_t));

cublasStatus_t
cublasLtCreate (cublasLtHandle_t *handle)
{
  *handle = (cublasLtHandle_t) g_malloc (1);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtDestroy (cublasLtHandle_t handle)
{
  g_free (handle);
  return CUBLAS_STATUS_SUCCESS;
}

const char *
cublasLtGetStatusString (cublasStatus_t status)
{
  return "a made-up failure";
}

cublasStatus_t
cublasLtMatrixLayoutInit_internal (cublasLtMatrixLayout_t layout, size_t size, cudaDataType type, uint64_t rows, uint64_t columns, int64_t ld)
{
  Layout l = { type, 1, rows, columns, ld, 0 };

  g_assert (ld >= (gint64) rows);
  memcpy (layout, &l, sizeof l);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatrixLayoutSetAttribute (cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, const void *value, size_t size)
{
  Layout *l = (Layout *) layout;

  if (attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT && size == sizeof l->n)
    memcpy (&l->n, value, size);
  else if (attribute == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET && size == sizeof l->batch)
    memcpy (&l->batch, value, size);
  else
    g_assert_not_reached ();
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatmulDescInit_internal (cublasLtMatmulDesc_t desc, size_t size, cublasComputeType_t compute, cudaDataType_t scale)
{
  Operation op = { CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, CUDA_R_32F, NULL };

  g_assert (compute == CUBLAS_COMPUTE_32F && scale == CUDA_R_32F);
  memcpy (desc, &op, sizeof op);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatmulDescSetAttribute (cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute, const void *value, size_t size)
{
  Operation *op = (Operation *) desc;

  switch (attribute)
    {
    case CUBLASLT_MATMUL_DESC_TRANSA:         memcpy (&op->op_a, value, sizeof op->op_a); break;
    case CUBLASLT_MATMUL_DESC_TRANSB:         memcpy (&op->op_b, value, sizeof op->op_b); break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE:       memcpy (&op->epilogue, value, sizeof op->epilogue); break;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:   memcpy (&op->bias, value, sizeof op->bias); break;
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: memcpy (&op->bias_type, value, sizeof op->bias_type); break;
    default:                                  g_assert_not_reached ();
    }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatmulPreferenceInit_internal (cublasLtMatmulPreference_t preference, size_t size)
{
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatmulPreferenceSetAttribute (cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
                                      size_t size)
{
  return CUBLAS_STATUS_SUCCESS;
}

/* No algorithm where the depth is odd, so that the loops of our own have work too */
cublasStatus_t
cublasLtMatmulAlgoGetHeuristic (cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int n_asked,
                                cublasLtMatmulHeuristicResult_t *results, int *n)
{
  const Layout *A     = (const Layout *) a;
  guint64       depth = ((const Operation *) desc)->op_a == CUBLAS_OP_N ? A->columns : A->rows;

  *n = 0;
  if (depth % 2 != 0)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  memset (results, 0, sizeof *results);
  results->state         = CUBLAS_STATUS_SUCCESS;
  results->workspaceSize = 1024;
  *n                     = 1;
  return CUBLAS_STATUS_SUCCESS;
}

static FbDtype
dtype_of (cudaDataType_t type)
{
  g_assert (type == CUDA_R_32F || type == CUDA_R_16BF || type == CUDA_R_16F);

  return type == CUDA_R_32F ? FB_DTYPE_F32 : type == CUDA_R_16BF ? FB_DTYPE_BF16 : FB_DTYPE_F16;
}

/* (transfer full): op (matrix @i) as f32, rows of its columns after each other: element [row, column] at row · n_columns + column */
static float *
read_matrix (const Layout *l, const void *data, int i, gboolean transposed)
{
  FbDtype           dtype = dtype_of (l->type);
  g_autofree float *line  = g_new (float, l->rows);
  float            *out   = g_new (float, l->rows * l->columns);

  for (guint64 column = 0; column < l->columns; column++)
    {
      fb_dtype_convert (line, FB_DTYPE_F32, (const char *) data + (i * l->batch + (gint64) column * l->ld) * (gint64) fb_dtype_size (dtype),
                        dtype, l->rows);
      for (guint64 row = 0; row < l->rows; row++)
        out[transposed ? column * l->rows + row : row * l->columns + column] = line[row];
    }
  return out;
}

/* One call, with copies of what its caller may change afterwards */
typedef struct
{
  Operation   op;
  Layout      A, B, D;
  float       alpha, beta;
  const void *a, *b, *c;
  void       *d;
} Call;

static void
multiply (void *data)
{
  const Call      *call  = data;
  const Operation *op    = &call->op;
  const Layout    *A     = &call->A, *B = &call->B, *D = &call->D;
  guint64          m     = op->op_a == CUBLAS_OP_N ? A->rows : A->columns, depth = op->op_a == CUBLAS_OP_N ? A->columns : A->rows;
  guint64          n     = op->op_b == CUBLAS_OP_N ? B->columns : B->rows;
  FbDtype          dtype = dtype_of (D->type);
  size_t           size  = fb_dtype_size (dtype);

  g_assert ((op->op_b == CUBLAS_OP_N ? B->rows : B->columns) == depth && D->rows == m && D->columns == n && A->type == B->type);
  g_assert (A->n == D->n && B->n == D->n && (D->type == A->type || D->type == CUDA_R_32F));
  g_assert (op->epilogue == CUBLASLT_EPILOGUE_DEFAULT || (op->bias != NULL && op->bias_type == D->type));

  for (int i = 0; i < D->n; i++)
    {
      g_autofree float *left  = read_matrix (A, call->a, i, op->op_a != CUBLAS_OP_N);      /* [m, depth] */
      g_autofree float *right = read_matrix (B, call->b, i, op->op_b == CUBLAS_OP_N);      /* [n, depth] */
      g_autofree float *bias  = g_new0 (float, m);

      if (op->epilogue != CUBLASLT_EPILOGUE_DEFAULT)
        fb_dtype_convert (bias, FB_DTYPE_F32, op->bias, dtype, m);
      for (guint64 column = 0; column < n; column++)
        for (guint64 row = 0; row < m; row++)
          {
            gint64 at  = (i * D->batch + (gint64) column * D->ld + (gint64) row) * (gint64) size;
            float  before = 0.0f, result;
            double sum    = 0.0;

            for (guint64 k = 0; k < depth; k++)
              sum += left[row * depth + k] * right[column * depth + k];
            if (call->beta != 0.0f)
              fb_dtype_convert (&before, FB_DTYPE_F32, (const char *) call->c + at, dtype, 1);
            result = (float) (call->alpha * sum + call->beta * before + bias[row]);
            fb_dtype_convert ((char *) call->d + at, dtype, &result, FB_DTYPE_F32, 1);
          }
    }
}

cublasStatus_t
cublasLtMatmul (cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *a, cublasLtMatrixLayout_t a_layout,
                const void *b, cublasLtMatrixLayout_t b_layout, const void *beta, const void *c, cublasLtMatrixLayout_t c_layout,
                void *d, cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algorithm, void *workspace, size_t workspace_bytes,
                cudaStream_t stream)
{
  Call call = { *(const Operation *) desc, *(const Layout *) a_layout, *(const Layout *) b_layout, *(const Layout *) d_layout,
                *(const float *) alpha, *(const float *) beta, a, b, c, d };

  g_assert (workspace != NULL && workspace_bytes >= 1024 && c_layout == d_layout);
  fb_fake_do (multiply, g_memdup2 (&call, sizeof call), g_free);
  return CUBLAS_STATUS_SUCCESS;
}
