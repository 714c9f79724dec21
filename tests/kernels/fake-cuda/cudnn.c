/* tests/kernels/fake-cuda/cudnn.c: as much of cuDNN's backend as kernels/cuda/dnn.c calls, by plain loops.
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A descriptor is a list of the attributes it was given; a plan keeps what its graph said. */

#include <stdbool.h>
#include <string.h>

#include "tests/kernels/fake-cuda/capture.h"
#include "tests/kernels/fake-cuda/graph.h"

#define MOST_ATTRIBUTES 16
#define MOST_VALUES     FB_FAKE_MOST_STEPS

typedef struct
{
  cudnnBackendAttributeName_t name;
  gint64                      n;
  gint64                      values[MOST_VALUES];        /* in their own type each, eight bytes apart only where that is the type */
} Attribute;

/**
 * Descriptor:
 * @graph: what a graph takes out of its parts when it is made final, and a plan out of its graph
 */
typedef struct
{
  cudnnBackendDescriptorType_t type;
  gboolean                     final;
  int                          n_attributes;
  Attribute                    attributes[MOST_ATTRIBUTES];
  FbFakeGraph                  graph;
} Descriptor;

/**
 * Handle:
 * @asked: in words, what engines were asked for: never twice for the same, unless memory was short
 */
typedef struct
{
  GHashTable *asked;
} Handle;

static size_t
size_of (cudnnBackendAttributeType_t type)
{
  switch (type)
    {
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR: return 8;
    case CUDNN_TYPE_DATA_TYPE:
    case CUDNN_TYPE_CONVOLUTION_MODE:
    case CUDNN_TYPE_POINTWISE_MODE:
    case CUDNN_TYPE_REDUCTION_OPERATOR_TYPE:
    case CUDNN_TYPE_HEUR_MODE:
    case CUDNN_TYPE_NUMERICAL_NOTE:
    case CUDNN_TYPE_FLOAT:              return 4;
    case CUDNN_TYPE_BOOLEAN:            return sizeof (bool);
    default:                            g_assert_not_reached ();
    }
}

/* (nullable): attribute @name */
static const Attribute *
find (const Descriptor *d, cudnnBackendAttributeName_t name)
{
  for (int i = 0; i < d->n_attributes; i++)
    if (d->attributes[i].name == name)
      return &d->attributes[i];
  return NULL;
}

/* The values of attribute @name, which must be there */
static const void *
get (const Descriptor *d, cudnnBackendAttributeName_t name)
{
  const Attribute *a = find (d, name);

  if (a == NULL)
    g_error ("a descriptor of type %d lacks attribute %d", d->type, name);
  return a->values;
}

static const Descriptor *
get_part (const Descriptor *d, cudnnBackendAttributeName_t name)
{
  const Descriptor *part = *(Descriptor * const *) get (d, name);

  g_assert (part->final);
  return part;
}

static FbFakeTensor
read_tensor (const Descriptor *d)
{
  cudnnDataType_t type = *(const cudnnDataType_t *) get (d, CUDNN_ATTR_TENSOR_DATA_TYPE);
  FbFakeTensor    t;

  g_assert (d->type == CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  memcpy (t.sizes, get (d, CUDNN_ATTR_TENSOR_DIMENSIONS), sizeof t.sizes);
  memcpy (t.strides, get (d, CUDNN_ATTR_TENSOR_STRIDES), sizeof t.strides);
  memcpy (&t.id, get (d, CUDNN_ATTR_TENSOR_UNIQUE_ID), sizeof t.id);
  memcpy (&t.alignment, get (d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT), sizeof t.alignment);
  t.dtype    = type == CUDNN_DATA_FLOAT ? FB_DTYPE_F32 : type == CUDNN_DATA_BFLOAT16 ? FB_DTYPE_BF16 : FB_DTYPE_F16;
  t.by_value = find (d, CUDNN_ATTR_TENSOR_IS_BY_VALUE) != NULL;
  t.is_virtual = find (d, CUDNN_ATTR_TENSOR_IS_VIRTUAL) != NULL;
  g_assert (!t.by_value || (*(const bool *) get (d, CUDNN_ATTR_TENSOR_IS_BY_VALUE) && fb_fake_n_elements (&t) == 1 && t.dtype == FB_DTYPE_F32));
  return t;
}

static const struct
{
  cudnnBackendDescriptorType_t type;
  int                          n_tensors;
  cudnnBackendAttributeName_t  tensors[5];
  cudnnBackendAttributeName_t  parameters;                       /* of convolutions */
} kinds[] =
{
  { CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, 3,
    { CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y },
    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC },
  { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, 3,
    { CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY },
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC },
  { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, 3,
    { CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY },
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC },
  { CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR, 5,
    { CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC,
      CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC } },
};

static gboolean
convolves (const FbFakeGraph *graph)
{
  return graph->operation != CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR && graph->n_steps == 0;
}

/* Of convolutions: reads the rest, and holds the sizes against each other as the library would */
static void
read_parameters (FbFakeGraph *graph, const Descriptor *parameters)
{
  const FbFakeTensor *x = &graph->tensors[0], *w = &graph->tensors[1], *y = &graph->tensors[2];

  memcpy (graph->strides, get (parameters, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), sizeof graph->strides);
  memcpy (graph->before, get (parameters, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), sizeof graph->before);
  memcpy (graph->after, get (parameters, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS), sizeof graph->after);

  g_assert (x->sizes[0] == y->sizes[0] && x->sizes[1] == w->sizes[1] && y->sizes[1] == w->sizes[0]);
  for (int i = 0; i < 2; i++)
    g_assert (y->sizes[2 + i] == (x->sizes[2 + i] + graph->before[i] + graph->after[i] - w->sizes[2 + i]) / graph->strides[i] + 1);
}

/* The number of attribute @name of @operation among the graph's tensors, which it joins where it is new; −1 where there is none */
static int
number_of (FbFakeGraph *graph, const Descriptor *operation, cudnnBackendAttributeName_t name)
{
  FbFakeTensor t;

  if (find (operation, name) == NULL)
    return -1;
  t = read_tensor (get_part (operation, name));
  for (int i = 0; i < graph->n_tensors; i++)
    if (graph->tensors[i].id == t.id)
      return i;
  g_assert (graph->n_tensors < FB_FAKE_MOST_TENSORS);
  graph->tensors[graph->n_tensors] = t;
  return graph->n_tensors++;
}

static FbFakeStep
read_step (FbFakeGraph *graph, const Descriptor *operation)
{
  FbFakeStep step = { .type = operation->type, .b = -1 };

  switch (operation->type)
    {
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
      step.x = number_of (graph, operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC);
      step.b = number_of (graph, operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
      step.y = number_of (graph, operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
      memcpy (&step.mode, get (get_part (operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR), CUDNN_ATTR_POINTWISE_MODE), sizeof step.mode);
      break;
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
      get_part (operation, CUDNN_ATTR_OPERATION_MATMUL_DESC);
      step.x = number_of (graph, operation, CUDNN_ATTR_OPERATION_MATMUL_ADESC);
      step.b = number_of (graph, operation, CUDNN_ATTR_OPERATION_MATMUL_BDESC);
      step.y = number_of (graph, operation, CUDNN_ATTR_OPERATION_MATMUL_CDESC);
      break;
    case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
      get_part (operation, CUDNN_ATTR_OPERATION_REDUCTION_DESC);
      step.x = number_of (graph, operation, CUDNN_ATTR_OPERATION_REDUCTION_XDESC);
      step.y = number_of (graph, operation, CUDNN_ATTR_OPERATION_REDUCTION_YDESC);
      break;
    case CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR:
      step.x = number_of (graph, operation, CUDNN_ATTR_OPERATION_RESHAPE_XDESC);
      step.y = number_of (graph, operation, CUDNN_ATTR_OPERATION_RESHAPE_YDESC);
      break;
    default:
      g_assert_not_reached ();
    }
  return step;
}

/* Reads the operations of a graph */
static void
read_graph (Descriptor *d)
{
  const Attribute  *operations = find (d, CUDNN_ATTR_OPERATIONGRAPH_OPS);
  const Descriptor *operation  = get_part (d, CUDNN_ATTR_OPERATIONGRAPH_OPS);
  FbFakeGraph      *graph      = &d->graph;
  size_t            kind       = 0;

  if (operations->n > 1)
    {
      graph->operation = CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR;
      for (gint64 i = 0; i < operations->n; i++)
        graph->steps[graph->n_steps++] = read_step (graph, (const Descriptor *) operations->values[i]);
      return;
    }

  while (kinds[kind].type != operation->type)
    g_assert (++kind < G_N_ELEMENTS (kinds));

  graph->operation = operation->type;
  graph->n_tensors = kinds[kind].n_tensors;
  for (int i = 0; i < graph->n_tensors; i++)
    graph->tensors[i] = read_tensor (get_part (operation, kinds[kind].tensors[i]));
  if (find (operation, CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC) != NULL)
    graph->tensors[graph->n_tensors++] = read_tensor (get_part (operation, CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC));
  if (convolves (graph))
    read_parameters (graph, get_part (operation, kinds[kind].parameters));
}

cudnnStatus_t
cudnnCreate (cudnnHandle_t *handle)
{
  Handle *self = g_new0 (Handle, 1);

  self->asked = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  *handle     = (cudnnHandle_t) self;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t
cudnnDestroy (cudnnHandle_t handle)
{
  g_hash_table_unref (((Handle *) handle)->asked);
  g_free (handle);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t
cudnnSetStream (cudnnHandle_t handle, cudaStream_t stream)
{
  return CUDNN_STATUS_SUCCESS;
}

const char *
cudnnGetErrorString (cudnnStatus_t status)
{
  return "a made-up failure";
}

cudnnStatus_t
cudnnBackendCreateDescriptor (cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *descriptor)
{
  Descriptor *d = g_new0 (Descriptor, 1);

  d->type     = type;
  *descriptor = d;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t
cudnnBackendDestroyDescriptor (cudnnBackendDescriptor_t descriptor)
{
  g_free (descriptor);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t
cudnnBackendSetAttribute (cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                          int64_t n, const void *values)
{
  Descriptor *d = descriptor;
  Attribute  *a = &d->attributes[d->n_attributes++];

  g_assert (!d->final && d->n_attributes <= MOST_ATTRIBUTES && n <= MOST_VALUES);
  a->name = name;
  a->n    = n;
  memcpy (a->values, values, n * size_of (type));
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t
cudnnBackendFinalize (cudnnBackendDescriptor_t descriptor)
{
  Descriptor *d     = descriptor;
  const char *fails = g_getenv ("FB_FAKE_PLANS_FAIL");           /* "memory", else for good */

  if (fails != NULL && d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
    return g_str_equal (fails, "memory") ? CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED : CUDNN_STATUS_NOT_SUPPORTED_SHAPE;
  d->final = TRUE;
  if (d->type == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)
    {
      get (d, CUDNN_ATTR_OPERATIONGRAPH_HANDLE);
      read_graph (d);
    }
  else if (d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
    {
      const Descriptor *config = get_part (d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);

      get (d, CUDNN_ATTR_EXECUTION_PLAN_HANDLE);
      d->graph = config->graph;
    }
  return CUDNN_STATUS_SUCCESS;
}

/* What a graph asks for, in words, of the heuristics of @mode */
static char *
tell (const FbFakeGraph *graph, cudnnBackendHeurMode_t mode)
{
  GString     *words     = g_string_new (NULL);
  const gint64 numbers[] = { mode, graph->operation, graph->strides[0], graph->strides[1], graph->before[0], graph->before[1], graph->after[0],
                             graph->after[1] };

  for (gsize i = 0; i < G_N_ELEMENTS (numbers); i++)
    g_string_append_printf (words, " %" G_GINT64_FORMAT, numbers[i]);
  for (int i = 0; i < graph->n_tensors; i++)
    {
      const FbFakeTensor *t = &graph->tensors[i];

      g_string_append_printf (words, " | %d %" G_GINT64_FORMAT, t->dtype, t->alignment);
      for (int j = 0; j < 4; j++)
        g_string_append_printf (words, " %" G_GINT64_FORMAT, t->sizes[j]);
    }
  return g_string_free (words, FALSE);
}

/* No engine convolves where types are mixed or channels odd */
static gboolean
has_engine (const FbFakeGraph *graph)
{
  if (graph->n_steps > 0)
    return fb_fake_has_steps (graph);
  if (!convolves (graph))
    return fb_fake_has_attention (graph);
  return graph->tensors[0].dtype == graph->tensors[2].dtype && graph->tensors[0].sizes[1] % 2 == 0;
}

/* Heuristics answer with a deterministic engine behind one that is not */
static gint64
propose (const Descriptor *heuristic, Descriptor **configs)
{
  const Descriptor             *graph  = get_part (heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
  const Handle                 *handle = *(Handle * const *) get (graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE);
  const cudnnBackendHeurMode_t *mode   = get (heuristic, CUDNN_ATTR_ENGINEHEUR_MODE);

  g_assert (g_strcmp0 (g_getenv ("FB_FAKE_PLANS_FAIL"), "memory") == 0 || g_hash_table_add (handle->asked, tell (&graph->graph, *mode)));
  if (!has_engine (&graph->graph))
    return 0;
  for (int i = 0; i < 2; i++)
    {
      *configs[i]              = *graph;
      configs[i]->type         = CUDNN_BACKEND_ENGINECFG_DESCRIPTOR;
      configs[i]->final        = TRUE;
      configs[i]->n_attributes = i;                             /* the first of the two is the one to refuse */
    }
  return 2;
}

cudnnStatus_t
cudnnBackendGetAttribute (cudnnBackendDescriptor_t const descriptor, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                          int64_t n_asked, int64_t *n, void *values)
{
  Descriptor *d = descriptor;

  g_assert (d->final);
  *n = 1;
  switch (name)
    {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
      *n = propose (d, values);
      break;
    case CUDNN_ATTR_ENGINECFG_ENGINE:
      (*(Descriptor **) values)->final        = TRUE;
      (*(Descriptor **) values)->n_attributes = d->n_attributes;
      break;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
      *(cudnnBackendNumericalNote_t *) values = d->n_attributes == 0 ? CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC : CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP;
      break;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      *(gint64 *) values = 4096;
      break;
    default:
      g_assert_not_reached ();
    }
  return CUDNN_STATUS_SUCCESS;
}

float *
fb_fake_read (const FbFakeTensor *t, const void *data)
{
  const size_t n   = fb_fake_n_elements (t);
  float       *out = g_new (float, n);

  fb_dtype_convert (out, FB_DTYPE_F32, data, t->dtype, n);
  return out;
}

/* Which of x, w and y an operation computes */
static int
target_of (const FbFakeGraph *graph)
{
  return graph->operation == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR           ? 2
         : graph->operation == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR ? 1 : 0;
}

static void
convolve (void *closure)
{
  const FbFakeCall   *call    = closure;
  const FbFakeGraph  *graph   = &call->graph;
  const FbFakeTensor *tx      = &graph->tensors[0], *tw = &graph->tensors[1], *ty = &graph->tensors[2];
  const int           target  = target_of (graph);
  const size_t        n       = fb_fake_n_elements (&graph->tensors[target]);
  g_autofree float   *x       = fb_fake_read (tx, call->data[0]);
  g_autofree float   *w       = fb_fake_read (tw, call->data[1]);
  g_autofree float   *y       = fb_fake_read (ty, call->data[2]);
  g_autofree double  *result  = g_new0 (double, n);

  for (gint64 image = 0; image < ty->sizes[0]; image++)
    for (gint64 oy = 0; oy < ty->sizes[2]; oy++)
      for (gint64 ox = 0; ox < ty->sizes[3]; ox++)
        for (gint64 oc = 0; oc < ty->sizes[1]; oc++)
          for (gint64 ky = 0; ky < tw->sizes[2]; ky++)
            for (gint64 kx = 0; kx < tw->sizes[3]; kx++)
              {
                gint64 iy = oy * graph->strides[0] + ky - graph->before[0], ix = ox * graph->strides[1] + kx - graph->before[1];

                if (iy < 0 || ix < 0 || iy >= tx->sizes[2] || ix >= tx->sizes[3])
                  continue;
                for (gint64 ic = 0; ic < tx->sizes[1]; ic++)
                  {
                    size_t in_x = fb_fake_place (tx, image, ic, iy, ix), in_w = fb_fake_place (tw, oc, ic, ky, kx);
                    size_t in_y = fb_fake_place (ty, image, oc, oy, ox);

                    if (target == 2)
                      result[in_y] += (double) x[in_x] * w[in_w];
                    else if (target == 1)
                      result[in_w] += (double) x[in_x] * y[in_y];
                    else
                      result[in_x] += (double) y[in_y] * w[in_w];
                  }
              }

  fb_dtype_convert (call->data[target], graph->tensors[target].dtype, result, FB_DTYPE_F64, n);
}

cudnnStatus_t
cudnnBackendExecute (cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack)
{
  const FbFakeGraph *graph    = &((const Descriptor *) plan)->graph;
  const Attribute   *ids      = find (pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  void       *const *pointers = get (pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  void            (* run) (void *call) = graph->n_steps > 0 ? fb_fake_take_steps : convolves (graph) ? convolve : fb_fake_attend;
  cudnnStatus_t      status   = run == fb_fake_attend ? fb_fake_may_attend (graph) : CUDNN_STATUS_SUCCESS;
  FbFakeCall         call     = { .graph = *graph };
  int                n_found  = 0;

  g_assert (*(void *const *) get (pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE) != NULL);
  if (status != CUDNN_STATUS_SUCCESS)
    return status;

  for (int i = 0; i < graph->n_tensors; i++)
    for (int j = 0; j < ids->n; j++)
      if (ids->values[j] == graph->tensors[i].id)
        {
          n_found++;
          call.data[i] = pointers[j];
          if (graph->tensors[i].by_value)
            call.numbers[i] = *(const float *) pointers[j];
          else
            g_assert ((size_t) pointers[j] % graph->tensors[i].alignment == 0);
        }

  for (int i = 0; i < graph->n_tensors; i++)
    g_assert (graph->tensors[i].is_virtual || call.data[i] != NULL);
  g_assert (n_found == ids->n);

  fb_fake_do (run, g_memdup2 (&call, sizeof call), g_free);
  return CUDNN_STATUS_SUCCESS;
}
