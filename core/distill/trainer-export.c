/* core/distill/trainer-export.c: the trained LoRA as a file that other programs load. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * PEFT's names, as diffusers writes them: unet.PATH.lora_A.weight and lora_B.weight with the scale in the latter. kohya's: lora_unet_PATH with
 * underscores, lora_down, lora_up and alpha. Where the teacher's file has a 1×1 convolution for what is a linear layer here, as Stable Diffusion
 * 1.x for proj_in and proj_out, the matrices have its four dimensions: diffusers refuses others.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#include "core/distill/trainer-private.h"
#include "core/formats/checkpoint.h"
#include "core/formats/safetensors-writer.h"

#define DOWN ".lora_A.weight"
#define UP   ".lora_B.weight"

/* "a.b.lora_A.weight" -> its name in the file */
static char *
name_in_file (const char *name, gboolean kohya)
{
  const gboolean    is_down = g_str_has_suffix (name, DOWN);
  g_autofree char  *path    = g_strndup (name, strlen (name) - strlen (DOWN));

  g_assert (is_down || g_str_has_suffix (name, UP));
  if (!kohya)
    return g_strconcat ("unet.", name, NULL);
  g_strdelimit (path, ".", '_');
  return g_strconcat ("lora_unet_", path, is_down ? ".lora_down.weight" : ".lora_up.weight", NULL);
}

static char *
alpha_name (const char *down)
{
  g_autofree char *path = g_strndup (down, strlen (down) - strlen (DOWN));

  g_strdelimit (path, ".", '_');
  return g_strconcat ("lora_unet_", path, ".alpha", NULL);
}

/* dimensions of the layer's weight in the teacher's file */
static int
n_dims_in_file (const FbCheckpoint *teacher, const FbTrainable *t)
{
  g_autofree char    *path = g_strndup (t->name, strlen (t->name) - strlen (DOWN));
  g_autofree char    *name = g_strconcat (path, ".weight", NULL);
  const FbTensorInfo *info = fb_checkpoint_lookup (teacher, name);

  return info != NULL ? MAX (t->n_dims, info->n_dims) : t->n_dims;
}

/* who made it of what, and how it is meant to be used */
static void
add_metadata (FbTrainer *self, FbSafetensorsWriter *writer, gboolean kohya)
{
  g_autofree char *digest = fb_distill_job_digest (self->job);
  g_autofree char *step   = g_strdup_printf ("%d", self->step);
  g_autofree char *rank   = g_strdup_printf ("%d", self->job->lora_rank);
  g_autofree char *alpha  = g_strdup_printf ("%g", self->job->lora_alpha);
  g_autofree char *title  = g_path_get_basename (self->job->path);
  const struct { const char *key, *value; } entries[] =
  {
    { "format", "pt" },
    { "flashbrush_method", "Flash Diffusion, arXiv:2406.02347" },
    { "flashbrush_job", digest },
    { "flashbrush_job_name", title },
    { "flashbrush_teacher", self->teacher_hash },
    { "flashbrush_family", self->info->family },
    { "flashbrush_trained_steps", step },
    { "flashbrush_sampler", "flash" },
    { "flashbrush_steps", "4" },
    { "flashbrush_guidance_scale", "1" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (entries); i++)
    fb_safetensors_writer_set_metadata (writer, entries[i].key, entries[i].value);
  if (kohya)
    {
      fb_safetensors_writer_set_metadata (writer, "ss_network_module", "networks.lora");
      fb_safetensors_writer_set_metadata (writer, "ss_network_dim", rank);
      fb_safetensors_writer_set_metadata (writer, "ss_network_alpha", alpha);
    }
}

static const float *
values_of (FbTrainer *self, guint i)
{
  const FbTrained *t = self->student->tensors->pdata[i];

  return t->average != NULL ? t->average : t->value;
}

static gboolean
write_values (FbTrainer *self, FbSafetensorsWriter *writer, gboolean kohya, GError **error)
{
  GPtrArray  *trainables = fb_networks_student_trainables (self->networks);
  const float alpha      = (float) self->job->lora_alpha;

  for (guint i = 0; i < trainables->len; i++)
    {
      const FbTrainable *t       = trainables->pdata[i];
      const float       *values  = values_of (self, i);
      const gboolean     is_down = g_str_has_suffix (t->name, DOWN);
      const float        scale   = is_down || kohya ? 1.0f : alpha / (float) self->job->lora_rank;
      g_autofree float  *scaled  = g_new (float, t->n);

      for (gsize k = 0; k < t->n; k++)
        scaled[k] = scale * values[k];
      if (!fb_safetensors_writer_write (writer, scaled, t->n * sizeof *scaled, error) ||
          (kohya && is_down && !fb_safetensors_writer_write (writer, &alpha, sizeof alpha, error)))
        return FALSE;
    }
  return TRUE;
}

gboolean
fb_trainer_export (FbTrainer *self, GError **error)
{
  GPtrArray                      *trainables = fb_networks_student_trainables (self->networks);
  const gboolean                  kohya      = g_str_equal (self->job->naming, "kohya");
  g_autofree char                *path       = fb_distill_job_output (self->job);
  g_autofree char                *folder     = g_path_get_dirname (path);
  g_autoptr(FbSafetensorsWriter)  writer     = fb_safetensors_writer_new (path);
  g_autoptr(FbCheckpoint)         teacher    = fb_checkpoint_open (fb_model_path (self->model), "unet", error);

  if (teacher == NULL)
    return FALSE;
  if (g_mkdir_with_parents (folder, 0755) != 0)
    {
      fb_model_error_set_errno (error, errno, folder, TRUE);
      return FALSE;
    }
  add_metadata (self, writer, kohya);
  for (guint i = 0; i < trainables->len; i++)
    {
      const FbTrainable *t        = trainables->pdata[i];
      const gint64       shape[]  = { t->shape[0], t->shape[1], t->n_dims > 2 ? t->shape[2] : 1, t->n_dims > 3 ? t->shape[3] : 1 };
      g_autofree char   *name     = name_in_file (t->name, kohya);

      fb_safetensors_writer_add (writer, name, FB_DTYPE_F32, n_dims_in_file (teacher, t), shape);
      if (kohya && g_str_has_suffix (t->name, DOWN))
        {
          g_autofree char *alpha = alpha_name (t->name);

          fb_safetensors_writer_add (writer, alpha, FB_DTYPE_F32, 0, NULL);
        }
    }
  return write_values (self, writer, kohya, error) && fb_safetensors_writer_finish (writer, error);
}
