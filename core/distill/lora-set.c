/* core/distill/lora-set.c: the LoRA that trains beside a network, arXiv:2106.09685. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/lora-set.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "core/distill/distill-error.h"
#include "core/distill/philox.h"

#define WEIGHT ".weight"

const char * const fb_lora_default_targets[] = { "to_q", "to_k", "to_v", "to_out.0", NULL };

/* One layer's branch and where it hangs */
typedef struct
{
  FbLoraBranch **slot;
  FbLoraBranch   branch;
} Place;

struct FbLoraSet
{
  FbDevice  *dev;
  FbDtype    dtype;
  GPtrArray *places;         /* of Place */
  GPtrArray *trainables;     /* of FbTrainable */
};

static void
place_free (gpointer data)
{
  Place *place = data;

  *place->slot = NULL;
  fb_weight_unref (place->branch.down);
  fb_weight_unref (place->branch.up);
  fb_tensor_unref (place->branch.ddown);
  fb_tensor_unref (place->branch.dup);
  g_free (place);
}

void
fb_lora_set_free (FbLoraSet *self)
{
  if (self == NULL)
    return;

  g_ptr_array_unref (self->trainables);
  g_ptr_array_unref (self->places);
  fb_device_unref (self->dev);
  g_free (self);
}

static gboolean
fits (const char *path, const char *target)
{
  const gsize n_path = strlen (path), n = strlen (target);

  return g_str_equal (path, target) ||
         (n_path > n && path[n_path - n - 1] == '.' && g_str_has_suffix (path, target));
}

/* (transfer full): "mid_block.resnets.0.conv1" of its weight's name */
static char *
layer_path (const FbParam *param)
{
  return g_strndup (param->name, strlen (param->name) - strlen (WEIGHT));
}

/* Whether @param's layer gets a branch; @fitted: (nullable): [targets], set to TRUE for those that fit */
static gboolean
is_target (const FbParam *param, const FbLoraSettings *settings, gboolean *fitted)
{
  g_autofree char *path = NULL;
  gboolean         fit  = FALSE;

  if (param->lora == NULL)
    return FALSE;

  g_assert (g_str_has_suffix (param->name, WEIGHT));
  path = layer_path (param);
  for (int k = 0; settings->targets[k] != NULL; k++)
    if (fits (path, settings->targets[k]))
      {
        fit = TRUE;
        if (fitted != NULL)
          fitted[k] = TRUE;
      }
  return fit;
}

guint64
fb_lora_n_values (FbParams *params, const FbLoraSettings *settings)
{
  guint64 n = 0;

  for (guint i = 0; i < fb_params_n (params); i++)
    {
      const FbParam *param = fb_params_get (params, i);

      if (is_target (param, settings, NULL))
        n += (guint64) settings->rank * (param->n_elements / param->shape[0] + (guint64) param->shape[0]);
    }
  return n;
}

/* One of a branch's two matrices or kernels, with zeros in it */
static FbTrainable *
add_matrix (FbLoraSet *self, const char *path, const char *suffix, int n_dims, const int *shape, FbWeight **weight, FbTensor **slot)
{
  const FbWeightKind  kind  = n_dims == 4 ? FB_WEIGHT_CONV2D : FB_WEIGHT_LINEAR;
  g_autofree char    *name  = g_strconcat (path, suffix, NULL);
  g_autofree float   *zeros = NULL;
  FbTrainable        *trainable;

  *slot = fb_tensor_new (self->dev, FB_DTYPE_F32, n_dims, shape);
  zeros = g_new0 (float, fb_tensor_n_elements (*slot));
  *weight = fb_weight_new (self->dev, kind, self->dtype, shape, zeros, FB_DTYPE_F32);
  fb_tensor_upload (*slot, zeros, FB_DTYPE_F32);
  trainable = fb_trainable_new (name, n_dims, shape, *weight, NULL, *slot);
  g_ptr_array_add (self->trainables, trainable);

  return trainable;
}

static void
add_branch (FbLoraSet *self, const FbParam *param, const FbLoraSettings *settings)
{
  const FbDraw     draw         = { .seed = settings->seed, .sample = self->trainables->len };
  const int        down_shape[] = { settings->rank, param->shape[1], param->shape[2], param->shape[3] };
  const int        up_shape[]   = { param->shape[0], settings->rank, 1, 1 };
  g_autofree char *path         = layer_path (param);
  Place           *place        = g_new0 (Place, 1);
  FbLoraBranch    *branch       = &place->branch;
  FbTrainable     *down, *up;

  down = add_matrix (self, path, ".lora_A.weight", param->n_dims, down_shape, &branch->down, &branch->ddown);
  up = add_matrix (self, path, ".lora_B.weight", param->n_dims, up_shape, &branch->up, &branch->dup);
  up->scale = (float) (settings->alpha / settings->rank);
  fb_draw_normal (&draw, FB_DRAW_LORA, down->values, down->n);
  for (gsize i = 0; i < down->n; i++)
    down->values[i] /= (float) settings->rank;
  fb_trainable_push (down);

  place->slot = param->lora;
  *place->slot = branch;
  g_ptr_array_add (self->places, place);
}

FbLoraSet *
fb_lora_set_new (FbParams *params, FbDevice *dev, FbDtype dtype, const FbLoraSettings *settings, GError **error)
{
  g_autoptr(FbLoraSet)  self   = g_new0 (FbLoraSet, 1);
  const guint           n      = g_strv_length ((char **) settings->targets);
  g_autofree gboolean  *fitted = g_new0 (gboolean, n);

  self->dev = fb_device_ref (dev);
  self->dtype = dtype;
  self->places = g_ptr_array_new_with_free_func (place_free);
  self->trainables = g_ptr_array_new_with_free_func ((GDestroyNotify) fb_trainable_free);

  for (guint i = 0; i < fb_params_n (params); i++)
    {
      const FbParam *param = fb_params_get (params, i);

      g_assert (param->lora == NULL || *param->lora == NULL);
      if (is_target (param, settings, fitted))
        add_branch (self, param, settings);
    }

  for (guint k = 0; k < n; k++)
    if (!fitted[k])
      {
        g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_FIELD,
                     _("“%s” in the field “lora_targets” fits no layer of the teacher. Use ends of layer names such as “to_q” or “attn2.to_k”."),
                     settings->targets[k]);
        return NULL;
      }

  return g_steal_pointer (&self);
}

GPtrArray *
fb_lora_set_trainables (FbLoraSet *self)
{
  return self->trainables;
}
