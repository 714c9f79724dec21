/* core/nn/tape.c: what layers did, to be walked back for gradients. SPDX-License-Identifier: LGPL-3.0-or-later
 * Reverse accumulation: a node per layer, in the order they ran; gradients wait by the id of the tensor they belong to. */
#include "core/nn/tape-private.h"

#include "kernels/elementwise.h"

#include "core/nn/nn-private.h"

struct FbTape
{
  FbDevice   *dev;
  GPtrArray  *nodes;          /* of FbNode, owned */
  GHashTable *gradients;      /* tensor id -> Gradient, owned: all tensors that want a gradient */
  gsize       budget;
  gsize       bytes_before;   /* of the device, when the tape was made */
  gboolean    keeps;          /* FALSE: a block that will run again */
  gboolean    frozen;
};

typedef struct
{
  FbTensor *sum;              /* NULL = none yet; owned */
  gboolean  watched;
} Gradient;

static void
gradient_free (gpointer data)
{
  Gradient *gradient = data;

  g_clear_pointer (&gradient->sum, fb_tensor_unref);
  g_free (gradient);
}

static void
node_free (gpointer data)
{
  FbNode *node = data;

  for (int i = 0; i < node->n_kept; i++)
    fb_tensor_unref (node->kept[i]);
  if (node->clear_settings != NULL)
    node->clear_settings (node->settings);
  g_free (node->settings);
  g_free (node);
}

FbTape *
fb_tape_new (FbDevice *dev, gsize memory_budget)
{
  FbTape *tape = g_new0 (FbTape, 1);

  tape->dev = fb_device_ref (dev);
  tape->nodes = g_ptr_array_new_with_free_func (node_free);
  tape->gradients = g_hash_table_new_full (NULL, NULL, NULL, gradient_free);
  tape->budget = memory_budget;
  tape->bytes_before = fb_device_bytes_in_use (dev);
  tape->keeps = TRUE;

  return tape;
}

FbTape *
fb_tape_new_inner (FbTape *outer, gboolean keeps)
{
  FbTape *tape = fb_tape_new (outer->dev, G_MAXSIZE);

  tape->keeps = keeps;
  tape->frozen = outer->frozen;

  return tape;
}

void
fb_tape_free (FbTape *tape)
{
  if (tape == NULL)
    return;

  g_ptr_array_unref (tape->nodes);
  g_hash_table_unref (tape->gradients);
  fb_device_unref (tape->dev);
  g_free (tape);
}

FbDevice *
fb_tape_device (const FbTape *tape)
{
  return tape->dev;
}

void
fb_tape_freeze (FbTape *tape)
{
  tape->frozen = TRUE;
}

gboolean
fb_tape_is_full (const FbTape *tape)
{
  const gsize bytes = fb_device_bytes_in_use (tape->dev);

  return !tape->keeps || tape->budget == 0 || (bytes > tape->bytes_before && bytes - tape->bytes_before > tape->budget);
}

static Gradient *
lookup (const FbTape *tape, guint64 id)
{
  return g_hash_table_lookup (tape->gradients, GSIZE_TO_POINTER (id));
}

static Gradient *
want (FbTape *tape, guint64 id)
{
  Gradient *gradient = lookup (tape, id);

  if (gradient == NULL)
    {
      gradient = g_new0 (Gradient, 1);
      g_hash_table_insert (tape->gradients, GSIZE_TO_POINTER (id), gradient);
    }

  return gradient;
}

static FbVariable
variable (const FbTensor *t)
{
  FbVariable v = { .id = t->id, .dtype = t->dtype, .n_dims = t->n_dims };

  memcpy (v.shape, t->shape, sizeof v.shape);

  return v;
}

void
fb_tape_watch_variable (FbTape *tape, const FbVariable *v)
{
  want (tape, v->id)->watched = TRUE;
}

void
fb_tape_watch (FbTape *tape, const FbTensor *x)
{
  want (tape, x->id)->watched = TRUE;
}

gboolean
fb_tape_reaches (const FbTape *tape, const FbTensor *x)
{
  return lookup (tape, x->id) != NULL;
}

gboolean
fb_tape_trains (const FbContext *ctx)
{
  return ctx->tape != NULL && !ctx->tape->frozen;
}

gboolean
fb_tape_wants (const FbContext *ctx, gboolean trains, FbTensor * const *inputs, int n_inputs)
{
  if (ctx->tape == NULL)
    return FALSE;

  for (int i = 0; i < n_inputs && !trains; i++)
    trains = inputs[i] != NULL && fb_tape_reaches (ctx->tape, inputs[i]);

  return trains;
}

FbNode *
fb_tape_record (FbContext *ctx, FbBackward backward, FbTensor *out, FbTensor * const *inputs, int n_inputs,
                gconstpointer settings, gsize size)
{
  FbTape *tape = ctx->tape;
  FbNode *node;

  g_assert (n_inputs <= FB_NODE_INPUTS);

  want (tape, out->id);
  if (!tape->keeps)
    return NULL;

  node = g_new0 (FbNode, 1);
  node->backward = backward;
  node->out = variable (out);
  node->settings = g_memdup2 (settings, size);
  for (int i = 0; i < n_inputs; i++)
    if (inputs[i] != NULL)
      {
        node->inputs[i] = variable (inputs[i]);
        if (!fb_tape_reaches (tape, inputs[i]))
          node->inputs[i].id = 0;
      }
  g_ptr_array_add (tape->nodes, node);

  return node;
}

void
fb_node_keep (FbNode *node, FbTensor *t)
{
  if (node == NULL || t == NULL)
    return;

  g_assert (node->n_kept < FB_NODE_KEPT);

  node->kept[node->n_kept++] = fb_tensor_ref (t);
}

FbTensor *
fb_tape_like (FbTape *tape, const FbVariable *v)
{
  return fb_tensor_new (tape->dev, v->dtype, v->n_dims, v->shape);
}

FbTensor *
fb_tape_zeros (FbTape *tape, FbDtype dtype, int n_dims, const int *shape)
{
  FbTensor        *t     = fb_tensor_new (tape->dev, dtype, n_dims, shape);
  g_autofree void *zeros = g_malloc0 (t->n_bytes);

  fb_tensor_upload (t, zeros, dtype);

  return t;
}

FbTensor *
fb_tape_cast (FbTape *tape, FbTensor *dy, FbDtype dtype)
{
  FbTensor *out;

  if (dy->dtype == dtype)
    return fb_tensor_ref (dy);

  out = fb_tensor_new (tape->dev, dtype, dy->n_dims, dy->shape);
  fb_op_cast (tape->dev, out, dy);

  return out;
}

/* (transfer full): @t (transfer full) in @v's shape: a picture's gradient may arrive by way of its tokens */
static FbTensor *
shaped (FbTensor *t, const FbVariable *v)
{
  FbTensor *view;

  g_assert (t->dtype == v->dtype);

  if (t->n_dims == v->n_dims && memcmp (t->shape, v->shape, sizeof t->shape) == 0)
    return t;

  view = fb_tensor_view (t, v->n_dims, v->shape, 0);
  g_assert (view->n_bytes == t->n_bytes);
  fb_tensor_unref (t);

  return view;
}

FbTensor *
fb_tape_take (FbTape *tape, const FbVariable *v)
{
  Gradient *gradient = v->id != 0 ? lookup (tape, v->id) : NULL;

  return gradient != NULL && gradient->sum != NULL ? shaped (g_steal_pointer (&gradient->sum), v) : NULL;
}

void
fb_tape_add (FbTape *tape, const FbVariable *v, FbTensor *dx)
{
  g_autoptr(FbTensor) before = fb_tape_take (tape, v);

  if (v->id == 0)
    {
      fb_tensor_unref (dx);
      return;
    }

  dx = shaped (dx, v);
  if (before != NULL)
    {
      FbTensor *sum = fb_tape_like (tape, v);         /* never into either: an addition hands one tensor to both its inputs */

      fb_op_add (tape->dev, sum, before, dx);
      fb_tensor_unref (dx);
      dx = sum;
    }
  lookup (tape, v->id)->sum = dx;
}

void
fb_tape_backward_from (FbTape *tape, const FbVariable *y, FbTensor *dy)
{
  if (lookup (tape, y->id) != NULL)
    fb_tape_add (tape, y, fb_tensor_ref (dy));

  while (tape->nodes->len > 0 && !fb_device_has_failed (tape->dev))
    {
      FbNode              *node     = g_ptr_array_steal_index (tape->nodes, tape->nodes->len - 1);
      Gradient            *gradient = lookup (tape, node->out.id);
      g_autoptr(FbTensor)  d        = NULL;

      if (gradient->sum != NULL && gradient->watched)
        d = shaped (fb_tensor_ref (gradient->sum), &node->out);
      else
        d = fb_tape_take (tape, &node->out);
      if (d != NULL)
        node->backward (tape, node, d);
      node_free (node);
    }
  g_ptr_array_set_size (tape->nodes, 0);
}

void
fb_tape_backward (FbTape *tape, const FbTensor *y, FbTensor *dy)
{
  const FbVariable v = variable (y);

  g_assert (tape->keeps && fb_tensor_same_shape (y, dy) && y->dtype == dy->dtype);

  fb_tape_backward_from (tape, &v, dy);
}

FbTensor *
fb_tape_variable_gradient (FbTape *tape, const FbVariable *v)
{
  Gradient *gradient = lookup (tape, v->id);

  g_assert (gradient != NULL && gradient->watched);

  if (gradient->sum != NULL)
    gradient->sum = shaped (gradient->sum, v);

  return gradient->sum;
}

FbTensor *
fb_tape_gradient (FbTape *tape, const FbTensor *x)
{
  const FbVariable v = variable (x);

  return fb_tape_variable_gradient (tape, &v);
}
