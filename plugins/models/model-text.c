/* plugins/models/model-text.c: an entry of the list of models, in words. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/model-text.h"

#include <glib/gi18n-lib.h>

const char *
fb_model_string (GVariant *model, const char *key)
{
  const char *text = "";

  g_variant_lookup (model, key, "&s", &text);

  return text;
}

gboolean
fb_model_flag (GVariant *model, const char *key)
{
  gboolean flag = FALSE;

  g_variant_lookup (model, key, "b", &flag);

  return flag;
}

const char *
fb_model_title (GVariant *model)
{
  const char *title = fb_model_string (model, "title");

  return *title != '\0' ? title : fb_model_string (model, "name");
}

const char *
fb_model_section (const char *kind)
{
  static const struct { const char *kind, *label; } sections[] =
  {
    { "checkpoint", N_("Models") },
    { "lora",       N_("LoRAs") },
    { "vae",        N_("Autoencoders") },
    { "taesd",      N_("Tiny decoders") },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (sections); i++)
    if (g_str_equal (sections[i].kind, kind))
      return _(sections[i].label);

  return kind;
}

char *
fb_model_size (GVariant *model)
{
  guint64 bytes = 0;

  g_variant_lookup (model, "bytes", "t", &bytes);

  return g_format_size (bytes);
}

char *
fb_model_family (GVariant *model)
{
  const char *label = fb_model_string (model, "family-label");
  const char *base  = fb_model_string (model, "base");

  if (*label == '\0')
    label = fb_model_string (model, "family");
  if (*base != '\0' && *label != '\0')
    /* Translators: a family of models, and what a LoRA's file calls what it was made for: "Stable Diffusion 1.x (sd_v1)" */
    return g_strdup_printf (_("%s (%s)"), label, base);

  return g_strdup (*label != '\0' ? label : base);
}

char *
fb_model_summary (GVariant *model)
{
  g_autoptr(GPtrArray)  parts  = g_ptr_array_new ();
  g_autofree char      *size   = fb_model_size (model);
  const char           *family = fb_model_string (model, "family-label");

  if (*fb_model_string (model, "problem") != '\0')
    g_ptr_array_add (parts, _("cannot be used"));
  if (*family != '\0')
    g_ptr_array_add (parts, (gpointer) family);
  g_ptr_array_add (parts, size);
  if (fb_model_flag (model, "loaded"))
    g_ptr_array_add (parts, _("in memory"));
  g_ptr_array_add (parts, NULL);

  return g_strjoinv (", ", (char **) parts->pdata);
}

/* (transfer none): what the sampler called @name is called for people */
static const char *
sampler_label (GVariant *samplers, const char *name)
{
  for (gsize i = 0; samplers != NULL && i < g_variant_n_children (samplers); i++)
    {
      g_autoptr(GVariant) sampler = g_variant_get_child_value (samplers, i);

      if (g_str_equal (fb_model_string (sampler, "name"), name) && *fb_model_string (sampler, "label") != '\0')
        return _(fb_model_string (sampler, "label"));
    }

  return name;
}

char *
fb_model_sampling (GVariant *model, GVariant *samplers)
{
  const char *sampler = fb_model_string (model, "sampler");
  int         n_steps = 0;
  double      scale   = 0.0;

  if (*sampler == '\0')
    return g_strdup ("");
  g_variant_lookup (model, "n-steps", "i", &n_steps);
  g_variant_lookup (model, "guidance-scale", "d", &scale);

  /* Translators: what suits a model: a sampler's name, steps and guidance */
  return g_strdup_printf (ngettext ("%s, %d step, guidance %g", "%s, %d steps, guidance %g", (gulong) n_steps),
                          sampler_label (samplers, sampler), n_steps, scale);
}

char *
fb_model_place (GVariant *model)
{
  const char *target = fb_model_string (model, "target");
  const char *path   = fb_model_string (model, "path");

  if (fb_model_flag (model, "embedded"))
    return g_strdup (_("Came with Flashbrush"));

  return g_strdup (*target != '\0' ? target : path);
}

const char *
fb_model_task (const char *task)
{
  static const struct { const char *task, *label; } tasks[] =
  {
    { "generate", N_("Generate") },
    { "inpaint",  N_("Inpaint") },
    { "upscale",  N_("Super-Resolution") },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (tasks); i++)
    if (g_str_equal (tasks[i].task, task))
      return _(tasks[i].label);

  return task;
}

const char *
fb_model_use_label (const char *task)
{
  return g_str_equal (task, "inpaint") ? _("_Use in Inpaint…") : _("_Use in Generate…");
}
