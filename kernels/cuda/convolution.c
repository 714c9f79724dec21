/* kernels/cuda/convolution.c: kernels/cuda/convolution.h by cuDNN's graphs. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A convolution is described once, as a graph of one operation; the library's heuristics list engines for it, best first, and the first one
 * that is exact enough, deterministic and content with our working memory becomes the plan that is kept for the next call of these sizes. */

#include <cudnn.h>
#include <string.h>

#include "kernels/cuda/convolution.h"

#define MAX_WORKSPACE ((size_t) 256 << 20)
#define MAX_ENGINES   64

enum { ID_X = 1, ID_W, ID_Y };       /* the operands' names inside a graph */

typedef cudnnBackendDescriptor_t Descriptor;

typedef struct
{
  FbConvolution key;
  guint32       alignment;           /* that all operands have, bytes */
} Key;

typedef struct
{
  Key        key;
  Descriptor plan;                   /* NULL: no engine */
  size_t     workspace_bytes;
} Plan;

struct FbConvolutions
{
  cudnnHandle_t handle;
  GHashTable   *plans;               /* of Plan, by its key */
};

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

static void
destroy (Descriptor *d)
{
  if (*d != NULL)
    cudnnBackendDestroyDescriptor (*d);
  *d = NULL;
}

static void
plan_free (gpointer data)
{
  Plan *plan = data;

  destroy (&plan->plan);
  g_free (plan);
}

static gboolean
dnn_succeeded (FbDevice *dev, cudnnStatus_t status, const char *call)
{
  if (status == CUDNN_STATUS_SUCCESS)
    return TRUE;

  cudaGetLastError ();
  fb_cuda_library_failed (dev, "cuDNN", cudnnGetErrorString (status), call);
  return FALSE;
}
#define FB_CUDNN(dev, call) dnn_succeeded (dev, call, #call)

static FbConvolutions *
get_convolutions (FbDevice *dev)
{
  FbCuda *cuda = fb_cuda (dev);

  if (cuda->convolutions == NULL)
    {
      FbConvolutions *self = g_new0 (FbConvolutions, 1);

      if (!FB_CUDNN (dev, cudnnCreate (&self->handle)))
        {
          g_free (self);
          return NULL;
        }
      self->plans        = g_hash_table_new_full (hash_key, same_key, NULL, plan_free);
      cuda->convolutions = self;
      FB_CUDNN (dev, cudnnSetStream (self->handle, cuda->stream));
    }
  return cuda->convolutions;
}

void
fb_convolutions_free (FbConvolutions *self)
{
  if (self == NULL)
    return;

  g_hash_table_unref (self->plans);
  cudnnDestroy (self->handle);
  g_free (self);
}

/* --- building descriptors: each step returns FALSE where the library declines, which is an answer and no failure ---------- */

static gboolean
set (Descriptor d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, gint64 n, const void *values)
{
  return cudnnBackendSetAttribute (d, name, type, n, values) == CUDNN_STATUS_SUCCESS;
}

static gboolean
create (Descriptor *d, cudnnBackendDescriptorType_t type)
{
  return cudnnBackendCreateDescriptor (type, d) == CUDNN_STATUS_SUCCESS;
}

static gboolean
finalize (Descriptor d)
{
  return cudnnBackendFinalize (d) == CUDNN_STATUS_SUCCESS;
}

static cudnnDataType_t
type_of (FbDtype dtype)
{
  g_assert (dtype == FB_DTYPE_F32 || dtype == FB_DTYPE_BF16 || dtype == FB_DTYPE_F16);

  return dtype == FB_DTYPE_F32 ? CUDNN_DATA_FLOAT : dtype == FB_DTYPE_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF;
}

/* Sizes in cuDNN's order, outer, channels, height, width; in memory channels lie together */
static gboolean
build_tensor (Descriptor *d, gint64 id, FbDtype dtype, gint64 outer, gint64 channels, gint64 height, gint64 width, gint64 alignment)
{
  cudnnDataType_t type       = type_of (dtype);
  gint64          sizes[4]   = { outer, channels, height, width };
  gint64          strides[4] = { height * width * channels, 1, width * channels, channels };

  return create (d, CUDNN_BACKEND_TENSOR_DESCRIPTOR) &&
         set (*d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type) &&
         set (*d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, sizes) &&
         set (*d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides) &&
         set (*d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id) &&
         set (*d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment) &&
         finalize (*d);
}

static gboolean
build_parameters (Descriptor *d, const FbConvolution *c)
{
  gint64                 n_dims       = 2;
  cudnnDataType_t        sums         = CUDNN_DATA_FLOAT;
  cudnnConvolutionMode_t mode         = CUDNN_CROSS_CORRELATION;
  gint64                 dilations[2] = { 1, 1 };
  gint64                 strides[2]   = { c->stride, c->stride };
  gint64                 before[2]    = { c->pad_top, c->pad_left };
  gint64                 after[2]     = { c->pad_bottom, c->pad_right };

  return create (d, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR) &&
         set (*d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &n_dims) &&
         set (*d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums) &&
         set (*d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode) &&
         set (*d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations) &&
         set (*d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides) &&
         set (*d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, before) &&
         set (*d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, after) &&
         finalize (*d);
}

static gboolean
build_operation (Descriptor *d, FbConvolutionKind kind, Descriptor parameters, Descriptor x, Descriptor w, Descriptor y)
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

  return create (d, kinds[kind].type) &&
         set (*d, kinds[kind].parameters, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &parameters) &&
         set (*d, kinds[kind].x, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x) &&
         set (*d, kinds[kind].w, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w) &&
         set (*d, kinds[kind].y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y) &&
         set (*d, kinds[kind].alpha, CUDNN_TYPE_FLOAT, 1, &alpha) &&
         set (*d, kinds[kind].beta, CUDNN_TYPE_FLOAT, 1, &beta) &&
         finalize (*d);
}

/* (nullable): the convolution as a graph */
static Descriptor
build_graph (cudnnHandle_t handle, const Key *key)
{
  const FbConvolution *c = &key->key;
  Descriptor x = NULL, w = NULL, y = NULL, parameters = NULL, operation = NULL, graph = NULL;

  if (!build_tensor (&x, ID_X, c->x_dtype, c->x[0], c->x[3], c->x[1], c->x[2], key->alignment) ||
      !build_tensor (&w, ID_W, c->w_dtype, c->w[0], c->w[1], c->w[2], c->w[3], key->alignment) ||
      !build_tensor (&y, ID_Y, c->y_dtype, c->y[0], c->y[3], c->y[1], c->y[2], key->alignment) ||
      !build_parameters (&parameters, c) ||
      !build_operation (&operation, c->kind, parameters, x, w, y) ||
      !create (&graph, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR) ||
      !set (graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &operation) ||
      !set (graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle) ||
      !finalize (graph))
    destroy (&graph);

  destroy (&operation);
  destroy (&parameters);
  destroy (&y);
  destroy (&w);
  destroy (&x);
  return graph;
}

/* --- choosing an engine ------------------------------------------------------------------------------------------------ */

/* Whether an engine's notes allow it: always the same result; f32 without TF32, and without transforms that lose digits */
static gboolean
is_acceptable (Descriptor config, gboolean exact)
{
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  Descriptor                  engine = NULL;
  gint64                      n_engines = 0, n = 0;
  gboolean                    acceptable = FALSE;

  if (create (&engine, CUDNN_BACKEND_ENGINE_DESCRIPTOR) &&
      cudnnBackendGetAttribute (config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n_engines, &engine) == CUDNN_STATUS_SUCCESS &&
      cudnnBackendGetAttribute (engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, notes)
        == CUDNN_STATUS_SUCCESS)
    {
      acceptable = TRUE;
      for (gint64 i = 0; i < n && i < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; i++)
        switch (notes[i])
          {
          case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
          case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
          case CUDNN_NUMERICAL_NOTE_FFT:
          case CUDNN_NUMERICAL_NOTE_WINOGRAD:
          case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
          case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
          case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
            acceptable = FALSE;
            break;
          case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
          case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
            acceptable = acceptable && !exact;
            break;
          default:
            break;
          }
    }
  destroy (&engine);
  return acceptable;
}

/* (nullable): @config as a plan that fits our working memory */
static Descriptor
build_plan (cudnnHandle_t handle, Descriptor config, size_t *workspace_bytes)
{
  Descriptor plan  = NULL;
  gint64     bytes = 0, n = 0;

  if (!create (&plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) ||
      !set (plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle) ||
      !set (plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config) ||
      !finalize (plan) ||
      cudnnBackendGetAttribute (plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &n, &bytes) != CUDNN_STATUS_SUCCESS ||
      bytes < 0 || (size_t) bytes > MAX_WORKSPACE)
    destroy (&plan);
  *workspace_bytes = (size_t) bytes;
  return plan;
}

/* (nullable): the first acceptable plan among those that @mode proposes */
static Descriptor
choose_plan (cudnnHandle_t handle, Descriptor graph, cudnnBackendHeurMode_t mode, gboolean exact, size_t *workspace_bytes)
{
  Descriptor heuristic = NULL, plan = NULL;
  Descriptor configs[MAX_ENGINES] = { NULL };
  gint64     n = 0;

  for (int i = 0; i < MAX_ENGINES; i++)
    if (!create (&configs[i], CUDNN_BACKEND_ENGINECFG_DESCRIPTOR))
      configs[i] = NULL;

  if (create (&heuristic, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR) &&
      set (heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph) &&
      set (heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode) &&
      finalize (heuristic) &&
      cudnnBackendGetAttribute (heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, MAX_ENGINES, &n, configs)
        == CUDNN_STATUS_SUCCESS)
    for (gint64 i = 0; i < MIN (n, MAX_ENGINES) && plan == NULL; i++)
      if (configs[i] != NULL && is_acceptable (configs[i], exact))
        plan = build_plan (handle, configs[i], workspace_bytes);

  destroy (&heuristic);
  for (int i = 0; i < MAX_ENGINES; i++)
    destroy (&configs[i]);
  return plan;
}

static const Plan *
find_plan (FbConvolutions *self, const Key *key)
{
  Plan      *plan  = g_hash_table_lookup (self->plans, key);
  gboolean   exact = key->key.x_dtype == FB_DTYPE_F32 && key->key.w_dtype == FB_DTYPE_F32;
  Descriptor graph;

  if (plan != NULL)
    return plan;

  plan      = g_new0 (Plan, 1);
  plan->key = *key;
  graph     = build_graph (self->handle, key);
  if (graph != NULL)
    {
      plan->plan = choose_plan (self->handle, graph, CUDNN_HEUR_MODE_A, exact, &plan->workspace_bytes);
      if (plan->plan == NULL)
        plan->plan = choose_plan (self->handle, graph, CUDNN_HEUR_MODE_FALLBACK, exact, &plan->workspace_bytes);
    }
  destroy (&graph);
  cudaGetLastError ();                                           /* engines that declined may have left one */
  if (plan->plan == NULL)
    g_debug ("cuDNN has no engine for kind %d, x %d×%d×%d×%d, w %d×%d×%d×%d, types %d %d %d", key->key.kind, key->key.x[0], key->key.x[1],
             key->key.x[2], key->key.x[3], key->key.w[0], key->key.w[1], key->key.w[2], key->key.w[3], key->key.x_dtype, key->key.w_dtype,
             key->key.y_dtype);
  g_hash_table_insert (self->plans, &plan->key, plan);
  return plan;
}

/* --- running ----------------------------------------------------------------------------------------------------------- */

static void
execute (FbDevice *dev, cudnnHandle_t handle, const Plan *plan, void *x, void *w, void *y)
{
  Descriptor pack      = NULL;
  gint64     ids[3]    = { ID_X, ID_W, ID_Y };
  void      *data[3]   = { x, w, y };
  void      *workspace = plan->workspace_bytes > 0 ? fb_cuda_workspace (dev, plan->workspace_bytes) : NULL;

  if (dev->failure != NULL)
    return;

  if (FB_CUDNN (dev, cudnnBackendCreateDescriptor (CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack)) &&
      FB_CUDNN (dev, cudnnBackendSetAttribute (pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, ids)) &&
      FB_CUDNN (dev, cudnnBackendSetAttribute (pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, data)) &&
      FB_CUDNN (dev, cudnnBackendSetAttribute (pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace)) &&
      FB_CUDNN (dev, cudnnBackendFinalize (pack)))
    FB_CUDNN (dev, cudnnBackendExecute (handle, plan->plan, pack));
  destroy (&pack);
}

gboolean
fb_cuda_convolve (FbDevice *dev, const FbConvolution *c, void *x, void *w, void *y)
{
  FbConvolutions *self    = fb_cuda_ready (dev) ? get_convolutions (dev) : NULL;
  size_t          address = (size_t) x | (size_t) w | (size_t) y | 16;
  const Plan     *plan;
  Key             key;

  if (self == NULL || dev->failure != NULL)
    return TRUE;

  memset (&key, 0, sizeof key);
  key.key       = *c;
  key.alignment = (guint32) (address & -address);
  plan          = find_plan (self, &key);
  if (plan->plan == NULL)
    return FALSE;

  execute (dev, self->handle, plan, x, w, y);
  return TRUE;
}
