/* kernels/cuda/product.c: kernels/cuda/product.h. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * cuBLASLt thinks in columns: a row-major matrix is its transpose. So outᵀ [n_columns, n_rows] = rightᵀ · leftᵀ is asked for; its A is our
 * right operand, its B our left one, and the bias, one number per row of its D, is one per column of ours. */

#include <cublasLt.h>
#include <string.h>

#include "kernels/cuda/product.h"

#define WORKSPACE_BYTES ((size_t) 32 << 20)     /* what NVIDIA advises for Hopper; more than any older card's algorithms use */

/* All that an algorithm was chosen for; compared byte by byte, so made from zeroed memory */
typedef struct
{
  gint32  dtype, out_dtype;
  gint32  n_rows, n_columns, depth, n_products;
  gint32  left_transposed, right_transposed, has_addend, has_bias;
  guint64 left_step, left_batch, right_step, right_batch, out_step, out_batch;
  guint32 left_alignment, right_alignment, addend_alignment, out_alignment;
} Key;

typedef struct
{
  Key                   key;
  gboolean              possible;
  cublasLtMatmulAlgo_t  algorithm;
  size_t                workspace_bytes;
} Plan;

struct FbProducts
{
  cublasLtHandle_t handle;
  GHashTable      *plans;           /* of Plan, by its key */
};

/* The library's descriptions of one product */
typedef struct
{
  cublasLtMatmulDescOpaque_t   operation;
  cublasLtMatrixLayoutOpaque_t a, b, d;
} Description;

static guint
hash_key (gconstpointer key)
{
  const guint8 *bytes = key;
  guint         hash  = 5381;

  for (size_t i = 0; i < sizeof (Key); i++)
    hash = hash * 33 + bytes[i];
  return hash;
}

static gboolean
same_key (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, sizeof (Key)) == 0;
}

static gboolean
blas_succeeded (FbDevice *dev, cublasStatus_t status, const char *call)
{
  if (status == CUBLAS_STATUS_SUCCESS)
    return TRUE;

  cudaGetLastError ();
  if (status == CUBLAS_STATUS_ALLOC_FAILED)
    fb_device_fail_no_memory (dev, WORKSPACE_BYTES);
  else
    fb_cuda_library_failed (dev, "cuBLAS", cublasLtGetStatusString (status), call);
  return FALSE;
}
#define FB_CUBLAS(dev, call) blas_succeeded (dev, call, #call)

static FbProducts *
get_products (FbDevice *dev)
{
  FbCuda *cuda = fb_cuda (dev);

  if (cuda->products == NULL)
    {
      FbProducts *products = g_new0 (FbProducts, 1);

      if (!FB_CUBLAS (dev, cublasLtCreate (&products->handle)))
        {
          g_free (products);
          return NULL;
        }
      products->plans = g_hash_table_new_full (hash_key, same_key, NULL, g_free);
      cuda->products  = products;
    }
  return cuda->products;
}

void
fb_products_free (FbProducts *products)
{
  if (products == NULL)
    return;

  cublasLtDestroy (products->handle);
  g_hash_table_unref (products->plans);
  g_free (products);
}

static cudaDataType_t
type_of (FbDtype dtype)
{
  g_assert (dtype == FB_DTYPE_F32 || dtype == FB_DTYPE_BF16 || dtype == FB_DTYPE_F16);

  return dtype == FB_DTYPE_F32 ? CUDA_R_32F : dtype == FB_DTYPE_BF16 ? CUDA_R_16BF : CUDA_R_16F;
}

/* The largest power of two up to 256 that divides the address */
static guint32
alignment_of (const void *data)
{
  size_t address = (size_t) data | 256;

  return (guint32) (address & -address);
}

static Key
make_key (const FbCudaProduct *p)
{
  Key key;

  memset (&key, 0, sizeof key);
  key.dtype            = p->dtype;
  key.out_dtype        = p->out_dtype;
  key.n_rows           = p->n_rows;
  key.n_columns        = p->n_columns;
  key.depth            = p->depth;
  key.n_products       = p->n_products;
  key.left_transposed  = p->left.transposed;
  key.right_transposed = p->right.transposed;
  key.has_addend       = p->addend != NULL;
  key.has_bias         = p->bias != NULL;
  key.left_step        = p->left.step;
  key.left_batch       = p->left.batch;
  key.right_step       = p->right.step;
  key.right_batch      = p->right.batch;
  key.out_step         = p->out_step;
  key.out_batch        = p->out_batch;
  key.left_alignment   = alignment_of (p->left.data);
  key.right_alignment  = alignment_of (p->right.data);
  key.out_alignment    = alignment_of (p->out);
  key.addend_alignment = p->addend != NULL ? alignment_of (p->addend) : key.out_alignment;
  return key;
}

/* @height, @width: of the operand as stored, seen row by row; for the library a matrix of @width rows and @height columns */
static gboolean
describe_matrix (FbDevice *dev, cublasLtMatrixLayout_t layout, FbDtype dtype, size_t height, size_t width, size_t step, int n, size_t batch)
{
  gint64  offset = (gint64) batch;
  gint32  count  = n;

  return FB_CUBLAS (dev, cublasLtMatrixLayoutInit (layout, type_of (dtype), width, height, (gint64) step)) &&
         FB_CUBLAS (dev, cublasLtMatrixLayoutSetAttribute (layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count)) &&
         FB_CUBLAS (dev, cublasLtMatrixLayoutSetAttribute (layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &offset, sizeof offset));
}

static gboolean
describe (FbDevice *dev, Description *d, const FbCudaProduct *p)
{
  /* op N reads what is stored as the transpose of ours, which is what the swapped product wants */
  cublasOperation_t  op_a     = p->right.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  cublasOperation_t  op_b     = p->left.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = p->bias != NULL ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  cudaDataType_t     bias     = type_of (p->out_dtype);

  if (!FB_CUBLAS (dev, cublasLtMatmulDescInit (&d->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F)) ||
      !FB_CUBLAS (dev, cublasLtMatmulDescSetAttribute (&d->operation, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a)) ||
      !FB_CUBLAS (dev, cublasLtMatmulDescSetAttribute (&d->operation, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b)) ||
      !FB_CUBLAS (dev, cublasLtMatmulDescSetAttribute (&d->operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue)))
    return FALSE;
  if (p->bias != NULL &&
      (!FB_CUBLAS (dev, cublasLtMatmulDescSetAttribute (&d->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p->bias, sizeof p->bias)) ||
       !FB_CUBLAS (dev, cublasLtMatmulDescSetAttribute (&d->operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias, sizeof bias))))
    return FALSE;

  return describe_matrix (dev, &d->a, p->dtype, p->right.transposed ? p->n_columns : p->depth, p->right.transposed ? p->depth : p->n_columns,
                          p->right.step, p->n_products, p->right.batch) &&
         describe_matrix (dev, &d->b, p->dtype, p->left.transposed ? p->depth : p->n_rows, p->left.transposed ? p->n_rows : p->depth,
                          p->left.step, p->n_products, p->left.batch) &&
         describe_matrix (dev, &d->d, p->out_dtype, p->n_rows, p->n_columns, p->out_step, p->n_products, p->out_batch);
}

static gboolean
prefer (FbDevice *dev, cublasLtMatmulPreference_t preference, const Key *key)
{
  size_t  workspace = WORKSPACE_BYTES;
  guint32 sums      = CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;     /* the others add parts up in 16 bits */

  return FB_CUBLAS (dev, cublasLtMatmulPreferenceInit (preference)) &&
         FB_CUBLAS (dev, cublasLtMatmulPreferenceSetAttribute (preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &sums, sizeof sums)) &&
         FB_CUBLAS (dev, cublasLtMatmulPreferenceSetAttribute (preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace)) &&
         FB_CUBLAS (dev, cublasLtMatmulPreferenceSetAttribute (preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &key->right_alignment, 4)) &&
         FB_CUBLAS (dev, cublasLtMatmulPreferenceSetAttribute (preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &key->left_alignment, 4)) &&
         FB_CUBLAS (dev, cublasLtMatmulPreferenceSetAttribute (preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &key->addend_alignment, 4)) &&
         FB_CUBLAS (dev, cublasLtMatmulPreferenceSetAttribute (preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &key->out_alignment, 4));
}

/* (transfer none) (nullable): the first algorithm the library proposes; NULL where @dev failed meanwhile */
static const Plan *
find_plan (FbDevice *dev, FbProducts *products, const Key *key, Description *d)
{
  Plan                            *plan = g_hash_table_lookup (products->plans, key);
  cublasLtMatmulPreferenceOpaque_t preference;
  cublasLtMatmulHeuristicResult_t  result;
  cublasStatus_t                   status;
  int                              n = 0;

  if (plan != NULL)
    return plan;
  if (!prefer (dev, &preference, key))
    return NULL;

  status = cublasLtMatmulAlgoGetHeuristic (products->handle, &d->operation, &d->a, &d->b, &d->d, &d->d, &preference, 1, &result, &n);
  if (status != CUBLAS_STATUS_NOT_SUPPORTED && !FB_CUBLAS (dev, status))
    return NULL;

  plan           = g_new0 (Plan, 1);
  plan->key      = *key;
  plan->possible = status == CUBLAS_STATUS_SUCCESS && n > 0 && result.state == CUBLAS_STATUS_SUCCESS;
  if (plan->possible)
    {
      plan->algorithm       = result.algo;
      plan->workspace_bytes = result.workspaceSize;
    }
  g_hash_table_insert (products->plans, &plan->key, plan);
  return plan;
}

static void
multiply (FbDevice *dev, FbProducts *products, const Plan *plan, Description *d, const FbCudaProduct *p)
{
  float beta      = p->addend != NULL ? 1.0f : 0.0f;
  void *workspace = plan->workspace_bytes > 0 ? fb_cuda_workspace (dev, plan->workspace_bytes) : NULL;

  if (dev->failure != NULL)
    return;

  FB_CUBLAS (dev, cublasLtMatmul (products->handle, &d->operation, &p->scale, p->right.data, &d->a, p->left.data, &d->b, &beta,
                                  p->addend != NULL ? p->addend : p->out, &d->d, p->out, &d->d, &plan->algorithm,
                                  workspace, plan->workspace_bytes, fb_cuda (dev)->stream));
}

void
fb_cuda_product (FbDevice *dev, const FbCudaProduct *p)
{
  FbProducts *products = fb_cuda_ready (dev) ? get_products (dev) : NULL;
  Key         key      = make_key (p);
  Description d;
  const Plan *plan     = products != NULL && describe (dev, &d, p) ? find_plan (dev, products, &key, &d) : NULL;

  if (plan != NULL && plan->possible)
    multiply (dev, products, plan, &d, p);
  else if (plan != NULL)
    fb_cuda_multiply_plainly (dev, p);
}
