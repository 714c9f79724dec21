/* kernels/cuda/dnn.c: operations as cuDNN's graphs, and the plans that are kept for them. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * What is to be done is described once, as a graph of one operation; the library's heuristics list engines for it, best first, and the first one
 * that is exact enough, deterministic and content with our working memory becomes the plan that is kept for the next call of these sizes. */

#include "kernels/cuda/dnn.h"

#include <stdbool.h>
#include <string.h>

#define MAX_WORKSPACE ((size_t) 256 << 20)      /* what is usual */
#define MAX_ENGINES   64

typedef struct
{
  FbDescriptor plan;                 /* NULL: no engine, or it has declined */
  size_t       workspace_bytes;
} Plan;

struct FbDnn
{
  cudnnHandle_t handle;
  GHashTable   *plans;               /* of Plan, by GBytes of the operation's address and its key */
};

static void
plan_free (gpointer data)
{
  Plan *plan = data;

  fb_dnn_destroy (&plan->plan);
  g_free (plan);
}

static gboolean
succeeded (FbDevice *dev, cudnnStatus_t status, const char *call)
{
  if (status == CUDNN_STATUS_SUCCESS)
    return TRUE;

  cudaGetLastError ();
  fb_cuda_library_failed (dev, "cuDNN", cudnnGetErrorString (status), call);
  return FALSE;
}
#define FB_CUDNN(dev, call) succeeded (dev, call, #call)

static FbDnn *
get_dnn (FbDevice *dev)
{
  FbCuda *cuda = fb_cuda (dev);

  if (cuda->dnn == NULL)
    {
      FbDnn *self = g_new0 (FbDnn, 1);

      if (!FB_CUDNN (dev, cudnnCreate (&self->handle)))
        {
          g_free (self);
          return NULL;
        }
      self->plans = g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, plan_free);
      cuda->dnn   = self;
      FB_CUDNN (dev, cudnnSetStream (self->handle, cuda->stream));
    }
  return cuda->dnn;
}

void
fb_dnn_free (FbDnn *self)
{
  if (self == NULL)
    return;

  g_hash_table_unref (self->plans);
  cudnnDestroy (self->handle);
  g_free (self);
}

/* --- building descriptors ---------------------------------------------------------------------------------------------------- */

gboolean
fb_dnn_create (FbDescriptor *d, cudnnBackendDescriptorType_t type)
{
  return cudnnBackendCreateDescriptor (type, d) == CUDNN_STATUS_SUCCESS;
}

gboolean
fb_dnn_set (FbDescriptor d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, gint64 n, const void *values)
{
  return cudnnBackendSetAttribute (d, name, type, n, values) == CUDNN_STATUS_SUCCESS;
}

gboolean
fb_dnn_set_part (FbDescriptor d, cudnnBackendAttributeName_t name, FbDescriptor part)
{
  return fb_dnn_set (d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part);
}

gboolean
fb_dnn_finalize (FbDescriptor d)
{
  return cudnnBackendFinalize (d) == CUDNN_STATUS_SUCCESS;
}

void
fb_dnn_destroy (FbDescriptor *d)
{
  if (*d != NULL)
    cudnnBackendDestroyDescriptor (*d);
  *d = NULL;
}

static cudnnDataType_t
type_of (FbDtype dtype)
{
  g_assert (dtype == FB_DTYPE_F32 || dtype == FB_DTYPE_BF16 || dtype == FB_DTYPE_F16);

  return dtype == FB_DTYPE_F32 ? CUDNN_DATA_FLOAT : dtype == FB_DTYPE_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF;
}

/* All but whether it is final */
static gboolean
describe_tensor (FbDescriptor *d, gint64 id, FbDtype dtype, const gint64 sizes[4], const gint64 strides[4], gint64 alignment)
{
  cudnnDataType_t type = type_of (dtype);

  return fb_dnn_create (d, CUDNN_BACKEND_TENSOR_DESCRIPTOR) &&
         fb_dnn_set (*d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type) &&
         fb_dnn_set (*d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, sizes) &&
         fb_dnn_set (*d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides) &&
         fb_dnn_set (*d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id) &&
         fb_dnn_set (*d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
}

gboolean
fb_dnn_tensor (FbDescriptor *d, gint64 id, FbDtype dtype, const gint64 sizes[4], const gint64 strides[4], gint64 alignment)
{
  return describe_tensor (d, id, dtype, sizes, strides, alignment) && fb_dnn_finalize (*d);
}

gboolean
fb_dnn_inner (FbDescriptor *d, gint64 id, FbDtype dtype, const gint64 sizes[4], const gint64 strides[4])
{
  const bool is_virtual = true;

  return describe_tensor (d, id, dtype, sizes, strides, 16) &&
         fb_dnn_set (*d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual) &&
         fb_dnn_finalize (*d);
}

gboolean
fb_dnn_number (FbDescriptor *d, gint64 id)
{
  const gint64 ones[4]  = { 1, 1, 1, 1 };
  const bool   by_value = true;

  return describe_tensor (d, id, FB_DTYPE_F32, ones, ones, 16) &&
         fb_dnn_set (*d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value) &&
         fb_dnn_finalize (*d);
}

FbDescriptor
fb_dnn_graph (cudnnHandle_t handle, int n, const FbDescriptor *operations)
{
  FbDescriptor graph = NULL;

  if (!fb_dnn_create (&graph, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR) ||
      !fb_dnn_set (graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, n, operations) ||
      !fb_dnn_set (graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle) ||
      !fb_dnn_finalize (graph))
    fb_dnn_destroy (&graph);
  return graph;
}

/* --- choosing an engine ------------------------------------------------------------------------------------------------------- */

/* Whether an engine's notes allow it: always the same result; f32 without TF32, and without transforms that lose digits */
static gboolean
is_acceptable (FbDescriptor config, gboolean exact)
{
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  FbDescriptor                engine = NULL;
  gint64                      n_engines = 0, n = 0;
  gboolean                    acceptable = FALSE;

  if (fb_dnn_create (&engine, CUDNN_BACKEND_ENGINE_DESCRIPTOR) &&
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
  fb_dnn_destroy (&engine);
  return acceptable;
}

/* What an engine says that cannot do it; where it finds that out only when it is to run, it has done nothing */
static gboolean
declines (cudnnStatus_t status)
{
  return CUDNN_STATUS_CATEGORY (status) == CUDNN_STATUS_NOT_SUPPORTED || CUDNN_STATUS_CATEGORY (status) == CUDNN_STATUS_BAD_PARAM;
}

/* Whether @d is final now; *@may_pass where it is not, and is no answer for good: memory may have run out */
static gboolean
try_finalize (FbDescriptor d, gboolean *may_pass)
{
  const cudnnStatus_t status = cudnnBackendFinalize (d);

  *may_pass = *may_pass || (status != CUDNN_STATUS_SUCCESS && !declines (status));
  return status == CUDNN_STATUS_SUCCESS;
}

/* (nullable): @config as a plan that fits our working memory */
static FbDescriptor
build_plan (cudnnHandle_t handle, FbDescriptor config, size_t most_workspace, size_t *workspace_bytes, gboolean *may_pass)
{
  FbDescriptor plan  = NULL;
  gint64       bytes = 0, n = 0;

  if (!fb_dnn_create (&plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) ||
      !fb_dnn_set (plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle) ||
      !fb_dnn_set_part (plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config) ||
      !try_finalize (plan, may_pass) ||
      cudnnBackendGetAttribute (plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &n, &bytes) != CUDNN_STATUS_SUCCESS ||
      bytes < 0 || (size_t) bytes > most_workspace)
    fb_dnn_destroy (&plan);
  *workspace_bytes = (size_t) bytes;
  return plan;
}

/* (nullable): the first acceptable plan among those that @mode proposes; where there is none, *@may_pass tells that there may be one later */
static FbDescriptor
choose_plan (cudnnHandle_t handle, FbDescriptor graph, cudnnBackendHeurMode_t mode, gboolean exact, size_t most_workspace, size_t *workspace_bytes,
             gboolean *may_pass)
{
  FbDescriptor heuristic = NULL, plan = NULL;
  FbDescriptor configs[MAX_ENGINES] = { NULL };
  gint64       n = 0;

  for (int i = 0; i < MAX_ENGINES; i++)
    if (!fb_dnn_create (&configs[i], CUDNN_BACKEND_ENGINECFG_DESCRIPTOR))
      configs[i] = NULL;

  if (fb_dnn_create (&heuristic, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR) &&
      fb_dnn_set_part (heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph) &&
      fb_dnn_set (heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode) &&
      try_finalize (heuristic, may_pass) &&
      cudnnBackendGetAttribute (heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, MAX_ENGINES, &n, configs)
        == CUDNN_STATUS_SUCCESS)
    for (gint64 i = 0; i < MIN (n, MAX_ENGINES) && plan == NULL; i++)
      if (configs[i] != NULL && is_acceptable (configs[i], exact))
        plan = build_plan (handle, configs[i], most_workspace, workspace_bytes, may_pass);

  fb_dnn_destroy (&heuristic);
  for (int i = 0; i < MAX_ENGINES; i++)
    fb_dnn_destroy (&configs[i]);
  return plan;
}

static GBytes *
join_key (const FbDnnOperation *operation, const void *key, size_t size)
{
  char *bytes = g_malloc (sizeof operation + size);

  memcpy (bytes, &operation, sizeof operation);
  memcpy (bytes + sizeof operation, key, size);
  return g_bytes_new_take (bytes, sizeof operation + size);
}

static void
refuse (Plan *plan, const FbDnnOperation *operation, const void *key, const char *reason)
{
  g_autofree char *what = operation->tell (key);

  fb_dnn_destroy (&plan->plan);
  cudaGetLastError ();                                           /* who declined may have left one */
  g_debug ("cuDNN has no engine for %s: %s", what, reason);
}

/* (nullable): NULL where memory ran out or the like, which is no answer for good: the next call asks anew */
static Plan *
find_plan (FbDnn *self, const FbDnnOperation *operation, const void *key, size_t key_size, gboolean exact)
{
  g_autoptr(GBytes) joined   = join_key (operation, key, key_size);
  Plan             *plan     = g_hash_table_lookup (self->plans, joined);
  const size_t      most     = operation->most_workspace > 0 ? operation->most_workspace : MAX_WORKSPACE;
  gboolean          may_pass = FALSE;
  FbDescriptor      graph;

  if (plan != NULL)
    return plan;

  plan  = g_new0 (Plan, 1);
  graph = operation->describe (self->handle, key);
  if (graph != NULL)
    {
      plan->plan = choose_plan (self->handle, graph, CUDNN_HEUR_MODE_A, exact, most, &plan->workspace_bytes, &may_pass);
      if (plan->plan == NULL)
        plan->plan = choose_plan (self->handle, graph, CUDNN_HEUR_MODE_FALLBACK, exact, most, &plan->workspace_bytes, &may_pass);
    }
  may_pass = may_pass && plan->plan == NULL;
  if (plan->plan == NULL)
    refuse (plan, operation, key, graph == NULL ? "it cannot be described" : may_pass ? "none could be made this time" : "none proposed is fit");
  fb_dnn_destroy (&graph);
  cudaGetLastError ();                                           /* so may engines before the one that was chosen */
  if (may_pass)
    g_clear_pointer (&plan, plan_free);
  else
    g_hash_table_insert (self->plans, g_steal_pointer (&joined), plan);
  return plan;
}

/* --- running ------------------------------------------------------------------------------------------------------------------ */

/* Success, or a status with which the plan declines; a failure is @dev's */
static cudnnStatus_t
execute (FbDevice *dev, cudnnHandle_t handle, const Plan *plan, int n, const gint64 *ids, void *const *data)
{
  FbDescriptor  pack      = NULL;
  cudnnStatus_t status    = CUDNN_STATUS_SUCCESS;
  void         *workspace = plan->workspace_bytes > 0 ? fb_cuda_workspace (dev, plan->workspace_bytes) : NULL;

  if (dev->failure != NULL)
    return status;

  if (FB_CUDNN (dev, cudnnBackendCreateDescriptor (CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack)) &&
      FB_CUDNN (dev, cudnnBackendSetAttribute (pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, ids)) &&
      FB_CUDNN (dev, cudnnBackendSetAttribute (pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, data)) &&
      FB_CUDNN (dev, cudnnBackendSetAttribute (pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace)) &&
      FB_CUDNN (dev, cudnnBackendFinalize (pack)))
    {
      status = cudnnBackendExecute (handle, plan->plan, pack);
      if (!declines (status))
        succeeded (dev, status, "cudnnBackendExecute");
    }
  fb_dnn_destroy (&pack);
  return declines (status) ? status : CUDNN_STATUS_SUCCESS;
}

gboolean
fb_dnn_run (FbDevice *dev, const FbDnnOperation *operation, const void *key, size_t key_size, gboolean exact, int n, const gint64 *ids,
            void *const *data)
{
  FbDnn         *self = fb_cuda_ready (dev) ? get_dnn (dev) : NULL;
  Plan          *plan;
  cudnnStatus_t  status;

  if (self == NULL || dev->failure != NULL)
    return TRUE;

  plan = find_plan (self, operation, key, key_size, exact);
  if (plan == NULL && !fb_cuda (dev)->records)
    {
      fb_device_trim (dev);                                      /* what the pool keeps is not there for the library */
      plan = find_plan (self, operation, key, key_size, exact);
    }
  if (plan == NULL || plan->plan == NULL ||
      (operation->most_workspace > 0 && plan->workspace_bytes > fb_cuda (dev)->workspace_bytes && plan->workspace_bytes > fb_device_bytes_free (dev)))
    return FALSE;
  status = execute (dev, self->handle, plan, n, ids, data);
  if (status != CUDNN_STATUS_SUCCESS)
    refuse (plan, operation, key, cudnnGetErrorString (status));
  return status == CUDNN_STATUS_SUCCESS;
}
