/* tests/kernels/fake-cuda/cudnn.c: as much of cuDNN's backend as kernels/cuda/convolution.c calls, by plain loops.
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A descriptor is a list of the attributes it was given; a plan keeps what its graph said. */

#include <cudnn.h>
#include <glib.h>
#include <string.h>

#include "kernels/tensor.h"
#include "tests/kernels/fake-cuda/capture.h"

#define MOST_ATTRIBUTES 16
#define MOST_VALUES     8

typedef struct
{
  cudnnBackendAttributeName_t name;
  gint64                      n;
  gint64                      values[MOST_VALUES];        /* in their own type each, eight bytes apart only where that is the type */
} Attribute;

typedef struct
{
  gint64   sizes[4], strides[4];
  gint64   id;
  FbDtype  dtype;
} Tensor;

typedef struct Descriptor Descriptor;
struct Descriptor
{
  cudnnBackendDescriptorType_t type;
  gboolean                     final;
  int                          n_attributes;
  Attribute                    attributes[MOST_ATTRIBUTES];
  /* what a graph takes out of its parts when it is made final, and a plan out of its graph */
  cudnnBackendDescriptorType_t operation;
  Tensor                       x, w, y;
  gint64                       strides[2], before[2];
};

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
    case CUDNN_TYPE_HEUR_MODE:
    case CUDNN_TYPE_NUMERICAL_NOTE:
    case CUDNN_TYPE_FLOAT:              return 4;
    default:                            g_assert_not_reached ();
    }
}

/* The values of attribute @name, which must be there */
static const void *
get (const Descriptor *d, cudnnBackendAttributeName_t name)
{
  for (int i = 0; i < d->n_attributes; i++)
    if (d->attributes[i].name == name)
      return d->attributes[i].values;
  g_error ("a descriptor of type %d lacks attribute %d", d->type, name);
}

static const Descriptor *
get_part (const Descriptor *d, cudnnBackendAttributeName_t name)
{
  const Descriptor *part = *(Descriptor * const *) get (d, name);

  g_assert (part->final);
  return part;
}

static Tensor
read_tensor (const Descriptor *d)
{
  cudnnDataType_t type = *(const cudnnDataType_t *) get (d, CUDNN_ATTR_TENSOR_DATA_TYPE);
  Tensor          t;

  g_assert (d->type == CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  get (d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
  memcpy (t.sizes, get (d, CUDNN_ATTR_TENSOR_DIMENSIONS), sizeof t.sizes);
  memcpy (t.strides, get (d, CUDNN_ATTR_TENSOR_STRIDES), sizeof t.strides);
  memcpy (&t.id, get (d, CUDNN_ATTR_TENSOR_UNIQUE_ID), sizeof t.id);
  t.dtype = type == CUDNN_DATA_FLOAT ? FB_DTYPE_F32 : type == CUDNN_DATA_BFLOAT16 ? FB_DTYPE_BF16 : FB_DTYPE_F16;
  return t;
}

/* Reads the operation of a graph, and holds its sizes against each other as the library would */
static void
read_graph (Descriptor *graph)
{
  static const struct
  {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t  parameters, x, w, y;
  } kinds[] =
  {
    { CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y },
    { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY },
    { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY },
  };
  const Descriptor *operation = get_part (graph, CUDNN_ATTR_OPERATIONGRAPH_OPS), *parameters;
  const gint64     *after;
  size_t            kind = 0;

  while (kinds[kind].type != operation->type)
    g_assert (++kind < G_N_ELEMENTS (kinds));

  graph->operation = operation->type;
  graph->x         = read_tensor (get_part (operation, kinds[kind].x));
  graph->w         = read_tensor (get_part (operation, kinds[kind].w));
  graph->y         = read_tensor (get_part (operation, kinds[kind].y));
  parameters       = get_part (operation, kinds[kind].parameters);
  after            = get (parameters, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
  memcpy (graph->strides, get (parameters, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), sizeof graph->strides);
  memcpy (graph->before, get (parameters, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), sizeof graph->before);

  g_assert (graph->x.sizes[0] == graph->y.sizes[0] && graph->x.sizes[1] == graph->w.sizes[1] && graph->y.sizes[1] == graph->w.sizes[0]);
  for (int i = 0; i < 2; i++)
    g_assert (graph->y.sizes[2 + i] ==
              (graph->x.sizes[2 + i] + graph->before[i] + after[i] - graph->w.sizes[2 + i]) / graph->strides[i] + 1);
}

cudnnStatus_t
cudnnCreate (cudnnHandle_t *handle)
{
  *handle = (cudnnHandle_t) g_malloc (1);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t
cudnnDestroy (cudnnHandle_t handle)
{
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
  Descriptor *d = descriptor;

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
      d->operation = config->operation;
      d->x         = config->x;
      d->w         = config->w;
      d->y         = config->y;
      memcpy (d->strides, config->strides, sizeof d->strides);
      memcpy (d->before, config->before, sizeof d->before);
    }
  return CUDNN_STATUS_SUCCESS;
}

/* Heuristics answer with a deterministic engine behind one that is not; none where types are mixed or channels odd */
static gint64
propose (const Descriptor *heuristic, Descriptor **configs)
{
  const Descriptor *graph = get_part (heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);

  get (heuristic, CUDNN_ATTR_ENGINEHEUR_MODE);
  if (graph->x.dtype != graph->y.dtype || graph->x.sizes[1] % 2 != 0)
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

/* (transfer full): all elements that @t spans, as f32; dense, so that memory's order is kept */
static float *
read_data (const Tensor *t, const void *data)
{
  size_t n   = t->sizes[0] * t->sizes[1] * t->sizes[2] * t->sizes[3];
  float *out = g_new (float, n);

  fb_dtype_convert (out, FB_DTYPE_F32, data, t->dtype, n);
  return out;
}

static size_t
place (const Tensor *t, gint64 outer, gint64 channel, gint64 row, gint64 column)
{
  return outer * t->strides[0] + channel * t->strides[1] + row * t->strides[2] + column * t->strides[3];
}

/* One execution: a plan stays as long as its device */
typedef struct
{
  const Descriptor *plan;
  void             *data[3];
} Call;

/* Which of x, w and y an operation computes */
static int
target_of (const Descriptor *p)
{
  return p->operation == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR           ? 2
         : p->operation == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR ? 1 : 0;
}

static void
convolve (void *closure)
{
  const Call        *call       = closure;
  const Descriptor  *p          = call->plan;
  const Tensor      *tensors[3] = { &p->x, &p->w, &p->y };
  int                target     = target_of (p);

  g_autofree float  *x      = read_data (&p->x, call->data[0]);
  g_autofree float  *w      = read_data (&p->w, call->data[1]);
  g_autofree float  *y      = read_data (&p->y, call->data[2]);
  size_t             n      = tensors[target]->sizes[0] * tensors[target]->sizes[1] * tensors[target]->sizes[2] * tensors[target]->sizes[3];
  g_autofree double *result = g_new0 (double, n);

  for (gint64 image = 0; image < p->y.sizes[0]; image++)
    for (gint64 oy = 0; oy < p->y.sizes[2]; oy++)
      for (gint64 ox = 0; ox < p->y.sizes[3]; ox++)
        for (gint64 oc = 0; oc < p->y.sizes[1]; oc++)
          for (gint64 ky = 0; ky < p->w.sizes[2]; ky++)
            for (gint64 kx = 0; kx < p->w.sizes[3]; kx++)
              {
                gint64 iy = oy * p->strides[0] + ky - p->before[0], ix = ox * p->strides[1] + kx - p->before[1];

                if (iy < 0 || ix < 0 || iy >= p->x.sizes[2] || ix >= p->x.sizes[3])
                  continue;
                for (gint64 ic = 0; ic < p->x.sizes[1]; ic++)
                  {
                    size_t in_x = place (&p->x, image, ic, iy, ix), in_w = place (&p->w, oc, ic, ky, kx), in_y = place (&p->y, image, oc, oy, ox);

                    if (target == 2)
                      result[in_y] += (double) x[in_x] * w[in_w];
                    else if (target == 1)
                      result[in_w] += (double) x[in_x] * y[in_y];
                    else
                      result[in_x] += (double) y[in_y] * w[in_w];
                  }
              }

  fb_dtype_convert (call->data[target], tensors[target]->dtype, result, FB_DTYPE_F64, n);
}

cudnnStatus_t
cudnnBackendExecute (cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack)
{
  const Descriptor  *p        = plan;
  const gint64      *ids      = get (pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  void       *const *pointers = get (pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  const gint64       wanted[] = { p->x.id, p->w.id, p->y.id };
  Call               call     = { .plan = p };

  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      if (ids[j] == wanted[i])
        call.data[i] = pointers[j];
  g_assert (*(void *const *) get (pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE) != NULL);

  if (fb_fake_captures ())
    fb_fake_note (convolve, g_memdup2 (&call, sizeof call), g_free);
  else
    convolve (&call);
  return CUDNN_STATUS_SUCCESS;
}
