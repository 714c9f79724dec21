/* tests/kernels/fake-cuda/steps.c: the made-up cuDNN's graphs of several operations, one after another. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Values are kept by their place in the sizes; strides tell where those lie that are in memory, and what a reshape takes for what. */

#include "tests/kernels/fake-cuda/graph.h"

#include <math.h>
#include <string.h>

#define MOST_CHANNELS 128            /* of a head: wider ones are for others to compute */

gboolean
fb_fake_has_steps (const FbFakeGraph *graph)
{
  return graph->tensors[0].dtype != FB_DTYPE_F32 && graph->tensors[0].sizes[3] <= MOST_CHANNELS;
}

/* Of @t's element @i in the order of sizes: where it lies by its strides */
static size_t
place_of (const FbFakeTensor *t, size_t i)
{
  const gint64 *n = t->sizes;
  const gint64  at = (gint64) i;

  return fb_fake_place (t, at / (n[1] * n[2] * n[3]), at / (n[2] * n[3]) % n[1], at / n[3] % n[2], at % n[3]);
}

/* The element of @values, of sizes @t, that belongs to element @i of a tensor of sizes @whole: the only one along a side of one */
static float
spread (const FbFakeTensor *t, const float *values, const FbFakeTensor *whole, size_t i)
{
  size_t left = i, at = 0, step = 1;

  for (int d = 3; d >= 0; d--)
    {
      const size_t index = left % (size_t) whole->sizes[d];

      g_assert (t->sizes[d] == 1 || t->sizes[d] == whole->sizes[d]);
      at   += step * (t->sizes[d] == 1 ? 0 : index);
      step *= (size_t) t->sizes[d];
      left /= (size_t) whole->sizes[d];
    }
  return values[at];
}

static float
apply (cudnnPointwiseMode_t mode, float x, float b)
{
  switch (mode)
    {
    case CUDNN_POINTWISE_MUL: return x * b;
    case CUDNN_POINTWISE_SUB: return x - b;
    case CUDNN_POINTWISE_EXP: return expf (x);
    default:                  g_assert_not_reached ();
    }
}

static void
multiply (const FbFakeTensor *ta, const float *a, const FbFakeTensor *tb, const float *b, const FbFakeTensor *tc, float *c)
{
  const gint64 n = tc->sizes[0] * tc->sizes[1], rows = tc->sizes[2], columns = tc->sizes[3], depth = ta->sizes[3];

  g_assert (ta->sizes[2] == rows && tb->sizes[2] == depth && tb->sizes[3] == columns && ta->sizes[1] == tc->sizes[1] && tb->sizes[1] == tc->sizes[1]);
  for (gint64 i = 0; i < n; i++)
    for (gint64 row = 0; row < rows; row++)
      for (gint64 column = 0; column < columns; column++)
        {
          double sum = 0.0;

          for (gint64 k = 0; k < depth; k++)
            sum += (double) a[(i * rows + row) * depth + k] * b[(i * depth + k) * columns + column];
          c[(i * rows + row) * columns + column] = (float) sum;
        }
}

static void
do_step (const FbFakeGraph *graph, const FbFakeStep *step, float **values)
{
  const FbFakeTensor *x = &graph->tensors[step->x], *b = step->b >= 0 ? &graph->tensors[step->b] : NULL, *y = &graph->tensors[step->y];
  const size_t        n = fb_fake_n_elements (y);
  float              *out = g_new0 (float, n);

  switch (step->type)
    {
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
      for (size_t i = 0; i < n; i++)
        out[i] = apply (step->mode, spread (x, values[step->x], y, i), b != NULL ? spread (b, values[step->b], y, i) : 0.0f);
      break;
    case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
      g_assert (y->sizes[3] == 1 && fb_fake_n_elements (x) == n * (size_t) x->sizes[3]);
      for (size_t i = 0; i < fb_fake_n_elements (x); i++)
        out[i / (size_t) x->sizes[3]] += values[step->x][i];
      break;
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
      multiply (x, values[step->x], b, values[step->b], y, out);
      break;
    default:
      {
        g_autofree float *memory = g_new (float, n);

        g_assert (step->type == CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR && fb_fake_n_elements (x) == n);
        for (size_t i = 0; i < n; i++)
          memory[place_of (x, i)] = values[step->x][i];
        for (size_t i = 0; i < n; i++)
          out[i] = memory[place_of (y, i)];
      }
    }
  if (y->dtype != FB_DTYPE_F32)                                  /* what is rounded on the chip is rounded here */
    {
      g_autofree guint16 *rounded = g_new (guint16, n);

      fb_dtype_convert (rounded, y->dtype, out, FB_DTYPE_F32, n);
      fb_dtype_convert (out, FB_DTYPE_F32, rounded, y->dtype, n);
    }
  g_assert (values[step->y] == NULL);
  values[step->y] = out;
}

void
fb_fake_take_steps (void *data)
{
  const FbFakeCall  *call  = data;
  const FbFakeGraph *graph = &call->graph;
  float             *values[FB_FAKE_MOST_TENSORS] = { NULL };
  gboolean           written[FB_FAKE_MOST_TENSORS] = { FALSE };

  for (int i = 0; i < graph->n_steps; i++)
    written[graph->steps[i].y] = TRUE;
  for (int t = 0; t < graph->n_tensors; t++)
    if (!written[t])
      {
        const FbFakeTensor *tensor = &graph->tensors[t];
        const size_t        n      = fb_fake_n_elements (tensor);
        g_autofree float   *memory = tensor->by_value ? g_memdup2 (&call->numbers[t], sizeof (float)) : fb_fake_read (tensor, call->data[t]);

        g_assert (!tensor->is_virtual);
        values[t] = g_new (float, n);
        for (size_t i = 0; i < n; i++)
          values[t][i] = memory[tensor->by_value ? 0 : place_of (tensor, i)];
      }

  for (int i = 0; i < graph->n_steps; i++)
    do_step (graph, &graph->steps[i], values);

  for (int t = 0; t < graph->n_tensors; t++)
    {
      const FbFakeTensor *tensor = &graph->tensors[t];
      const size_t        n      = fb_fake_n_elements (tensor);

      if (written[t] && !tensor->is_virtual)
        {
          g_autofree float *memory = g_new (float, n);

          for (size_t i = 0; i < n; i++)
            memory[place_of (tensor, i)] = values[t][i];
          fb_dtype_convert (call->data[t], tensor->dtype, memory, FB_DTYPE_F32, n);
        }
      g_free (values[t]);
    }
}
