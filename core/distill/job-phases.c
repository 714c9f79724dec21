/* core/distill/job-phases.c: presets and the phases of a job. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Source of the families' settings: Flash Diffusion, arXiv:2406.02347, with its published configurations.
 */
#include <glib/gi18n-lib.h>
#include <string.h>

#include "core/distill/job-private.h"
#include "core/store/nearest.h"

typedef struct
{
  const char *name;
  int         steps, batch_size, teacher_steps, teacher_reuse;
  double      guidance_min, guidance_max, mode_variance;
  double      learning_rate, clip, average;
  int         warm_up, lora_rank;
  double      lora_alpha;
  const char *targets;
  int         checkpoint_every, sample_every;
  gboolean    is_short;                 /* takes fb_phases_short() */
} Preset;

#define ATTENTION "to_q to_k to_v to_out.0"
#define ALL_UNET  ATTENTION " proj_in proj_out ff.net.0.proj ff.net.2 time_emb_proj conv_in conv_out conv1 conv2 conv_shortcut conv"

/* The published phases count forward passes, two per update; steps here are updates. "small": the modes' width follows their spacing, else
 * every index between them would be trained; its LoRA is on every layer, for small networks have attention at few of their sizes. */
static const Preset presets[] =
{
  /*  name            steps  batch  K   reuse guidance    variance      rate   clip avg   warm rank alpha targets    checkpoint sample */
  { "small",           1200, 8,  8, 4, 2.0,  4.0, FB_MODE_VARIANCE / 16, 1e-3, 1.0, 0.99, 30,  32,  32, ALL_UNET,  25, 100, TRUE },
  { "sd-1.5",         10000, 4, 32, 1, 3.0, 13.0, FB_MODE_VARIANCE,      1e-5, 0.0, 0.0,  0,  128, 128, ATTENTION, 50, 250 },
};

/* the paper's other families, whose networks cannot be trained yet */
static const char * const later[] = { "sdxl", "pixart-alpha", NULL };

const char * const *
fb_distill_presets (void)
{
  static const char *names[G_N_ELEMENTS (presets) + 1];

  for (gsize i = 0; i < G_N_ELEMENTS (presets); i++)
    names[i] = presets[i].name;
  return names;
}

const char *
fb_distill_preset_for (const char *family, int size)
{
  if (size < 512)
    return "small";
  for (gsize i = 0; i < G_N_ELEMENTS (presets); i++)
    if (g_str_has_prefix (family, presets[i].name))
      return presets[i].name;
  return "sd-1.5";
}

FbDistillJob *
fb_distill_job_new_preset (const char *name, GError **error)
{
  const Preset     *p    = NULL;
  g_autofree char  *hint = NULL;
  FbDistillJob     *job;

  for (gsize i = 0; i < G_N_ELEMENTS (presets) && p == NULL; i++)
    if (g_str_equal (presets[i].name, name))
      p = &presets[i];
  if (p == NULL)
    {
      g_autofree char *all = g_strjoinv (", ", (char **) fb_distill_presets ());

      if (g_strv_contains (later, name))
        {
          g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_UNSUPPORTED, _("Models of the family “%s” cannot be distilled yet; there are presets for %s."),
                       name, all);
          return NULL;
        }
      hint = fb_nearest_sentence (name, fb_distill_presets (), G_N_ELEMENTS (presets));
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_FIELD, _("There is no preset “%s”; known are %s.%s"), name, all, hint);
      return NULL;
    }

  job = g_new0 (FbDistillJob, 1);
  job->pictures_per_prompt = 1;
  job->negative_prompt     = g_strdup ("");
  job->aspect_buckets      = FALSE;
  job->steps               = p->steps;
  job->batch_size          = p->batch_size;
  job->samples_per_call    = p->batch_size;
  job->teacher_steps       = p->teacher_steps;
  job->teacher_reuse       = p->teacher_reuse;
  job->guidance_min        = p->guidance_min;
  job->guidance_max        = p->guidance_max;
  job->mode_variance       = p->mode_variance;
  job->distance            = g_strdup ("l2");
  job->learning_rate       = p->learning_rate;
  job->discriminator_learning_rate = p->learning_rate;
  job->beta1               = 0.9;
  job->beta2               = 0.999;
  job->epsilon             = 1e-8;
  job->weight_decay        = 0.01;
  job->warm_up             = p->warm_up;
  job->clip                = p->clip;
  job->average             = p->average;
  job->lora_rank           = p->lora_rank;
  job->lora_alpha          = p->lora_alpha;
  job->lora_targets        = g_strsplit (p->targets, " ", -1);
  job->dtype               = g_strdup ("auto");
  job->checkpoint_every    = p->checkpoint_every;
  job->sample_every        = p->sample_every;
  job->output              = g_strdup ("lora.safetensors");
  job->naming              = g_strdup ("peft");
  job->n_phases            = p->is_short ? 1 : 4;
  (p->is_short ? fb_phases_short : fb_phases_paper) (p->steps, job->phases);
  return job;
}

/* the same shares of another number of steps */
static void
stretch (FbDistillJob *job)
{
  gint64 total = 0, before = 0;

  for (int i = 0; i < job->n_phases; i++)
    total += job->phases[i].n_steps;
  for (int i = 0; i < job->n_phases; i++)
    {
      gint64 after = before + job->phases[i].n_steps;

      job->phases[i].n_steps = (int) (job->steps * after / total - job->steps * before / total);
      before = after;
    }
}

void
fb_distill_job_set_steps (FbDistillJob *job, int steps)
{
  job->steps = steps;
  stretch (job);
}

static gboolean
read_modes (FbDistillJob *job, FbPhase *phase, JsonNode *node, const char *field, GError **error)
{
  JsonArray *array = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  double     sum   = 0.0;

  if (array == NULL || json_array_get_length (array) != FB_N_MODES)
    return fb_distill_refuse (job->path, field, _("must be a list of four numbers, the shares of timesteps 999, 749, 499 and 249."), error);
  for (int i = 0; i < FB_N_MODES; i++)
    {
      if (!fb_distill_read_number (json_array_get_element (array, i), job->path, field, 0.0, 1e6, FALSE, &phase->modes[i], error))
        return FALSE;
      sum += phase->modes[i];
    }
  return sum > 0.0 ? TRUE : fb_distill_refuse (job->path, field, _("must have a share above 0."), error);
}

static gboolean
read_phase (FbDistillJob *job, int i, JsonNode *node, GError **error)
{
  static const char * const weights[] = { "distillation", "matching", "adversarial" };
  FbPhase          *phase    = &job->phases[i];
  double           *places[] = { &phase->distillation, &phase->matching, &phase->adversarial };
  g_autofree char  *name     = g_strdup_printf ("phases[%d]", i);
  JsonObject       *object   = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
  g_autoptr(GList)  members  = object != NULL ? json_object_get_members (object) : NULL;
  g_autofree char  *modes    = g_strconcat (name, ".modes", NULL);
  g_autofree char  *steps    = g_strconcat (name, ".steps", NULL);
  double            number;

  *phase = (FbPhase) { .distillation = 1.0 };
  if (object == NULL)
    return fb_distill_refuse (job->path, name, _("must be an object with steps, modes and weights of losses."), error);
  if (json_object_get_member (object, "steps") == NULL)
    return fb_distill_refuse (job->path, steps, _("is missing."), error);
  if (!read_modes (job, phase, json_object_get_member (object, "modes"), modes, error))
    return FALSE;

  for (GList *l = members; l != NULL; l = l->next)
    {
      g_autofree char *field = g_strconcat (name, ".", l->data, NULL);
      JsonNode        *value = json_object_get_member (object, l->data);
      gsize            w     = 0;

      while (w < G_N_ELEMENTS (weights) && !g_str_equal (weights[w], l->data))
        w++;
      if (g_str_equal (l->data, "steps"))
        {
          if (!fb_distill_read_number (value, job->path, field, 1, 10000000, TRUE, &number, error))
            return FALSE;
          phase->n_steps = (int) number;
        }
      else if (w < G_N_ELEMENTS (weights))
        {
          if (!fb_distill_read_number (value, job->path, field, 0, 1e6, FALSE, places[w], error))
            return FALSE;
        }
      else if (!g_str_equal (l->data, "modes"))
        return fb_distill_refuse (job->path, field, _("is not a field of a phase."), error);
    }
  return TRUE;
}

gboolean
fb_distill_read_phases (FbDistillJob *job, JsonNode *node, GError **error)
{
  JsonArray *array = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  gint64     total = 0;

  if (node == NULL || JSON_NODE_HOLDS_NULL (node))
    {
      stretch (job);
      return TRUE;
    }
  if (array == NULL || json_array_get_length (array) < 1 || json_array_get_length (array) > FB_MAX_PHASES)
    return fb_distill_refuse (job->path, "phases", _("must be a list of one to sixteen phases."), error);

  job->n_phases = (int) json_array_get_length (array);
  for (int i = 0; i < job->n_phases; i++)
    {
      if (!read_phase (job, i, json_array_get_element (array, i), error))
        return FALSE;
      total += job->phases[i].n_steps;
    }
  if (total != job->steps)
    return fb_distill_refuse (job->path, "phases", _("must have as many steps in all as the job."), error);
  return TRUE;
}

void
fb_distill_add_phases (JsonBuilder *builder, const FbDistillJob *job)
{
  json_builder_set_member_name (builder, "phases");
  json_builder_begin_array (builder);
  for (int i = 0; i < job->n_phases; i++)
    {
      const FbPhase *phase = &job->phases[i];

      if (phase->n_steps == 0)
        continue;
      json_builder_begin_object (builder);
      json_builder_set_member_name (builder, "steps");
      json_builder_add_int_value (builder, phase->n_steps);
      json_builder_set_member_name (builder, "modes");
      json_builder_begin_array (builder);
      for (int j = 0; j < FB_N_MODES; j++)
        json_builder_add_double_value (builder, phase->modes[j]);
      json_builder_end_array (builder);
      json_builder_set_member_name (builder, "distillation");
      json_builder_add_double_value (builder, phase->distillation);
      json_builder_set_member_name (builder, "matching");
      json_builder_add_double_value (builder, phase->matching);
      json_builder_set_member_name (builder, "adversarial");
      json_builder_add_double_value (builder, phase->adversarial);
      json_builder_end_object (builder);
    }
  json_builder_end_array (builder);
}
