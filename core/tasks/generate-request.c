/* core/tasks/generate-request.c: the request of a generate job, its a{sv} form, and its checks.
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/generate.h"

#include <glib/gi18n-lib.h>
#include <stddef.h>

#include "core/samplers/sampler.h"
#include "core/tasks/diffusion-private.h"
#include "core/tasks/fields-private.h"

#define MAX_STEPS    1000
#define MAX_COUNT    64
#define MAX_SIZE     8192
#define MAX_GUIDANCE 100.0

FbGenerate *
fb_generate_new (void)
{
  FbGenerate *request = g_new0 (FbGenerate, 1);

  request->prompt           = g_strdup ("");
  request->negative_prompt  = g_strdup ("");
  request->sampler          = g_strdup ("");
  request->timestep_spacing = g_strdup ("");
  request->count            = 1;
  request->strength         = 1.0;
  request->preview          = FB_PREVIEW_TAESD;

  return request;
}

FbGenerate *
fb_generate_copy (const FbGenerate *request)
{
  FbGenerate *copy = g_memdup2 (request, sizeof *request);

  copy->prompt           = g_strdup (request->prompt);
  copy->negative_prompt  = g_strdup (request->negative_prompt);
  copy->sampler          = g_strdup (request->sampler);
  copy->timestep_spacing = g_strdup (request->timestep_spacing);
  copy->init             = request->init != NULL ? fb_image_ref (request->init) : NULL;

  return copy;
}

void
fb_generate_free (FbGenerate *request)
{
  g_free (request->prompt);
  g_free (request->negative_prompt);
  g_free (request->sampler);
  g_free (request->timestep_spacing);
  g_clear_pointer (&request->init, fb_image_unref);
  g_free (request);
}

/* --- the a{sv} form: one table serves both directions ------------------------------------------------------------------- */

static const char * const preview_names[] = { "none", "linear", "taesd", NULL };
static const char * const decoder_names[] = { "full", "taesd", NULL };
static const char * const background_names[] = { "keep", "transparent", NULL };

static const FbField fields[] =
{
  { "prompt",           FB_FIELD_STRING, offsetof (FbGenerate, prompt) },
  { "negative-prompt",  FB_FIELD_STRING, offsetof (FbGenerate, negative_prompt) },
  { "sampler",          FB_FIELD_STRING, offsetof (FbGenerate, sampler) },
  { "timestep-spacing", FB_FIELD_STRING, offsetof (FbGenerate, timestep_spacing) },
  { "n-steps",          FB_FIELD_INT,    offsetof (FbGenerate, n_steps) },
  { "guidance-scale",   FB_FIELD_DOUBLE, offsetof (FbGenerate, guidance_scale) },
  { "seed",             FB_FIELD_INT64,  offsetof (FbGenerate, seed) },
  { "count",            FB_FIELD_INT,    offsetof (FbGenerate, count) },
  { "width",            FB_FIELD_INT,    offsetof (FbGenerate, width) },
  { "height",           FB_FIELD_INT,    offsetof (FbGenerate, height) },
  { "clip-skip",        FB_FIELD_INT,    offsetof (FbGenerate, clip_skip) },
  { "strength",         FB_FIELD_DOUBLE, offsetof (FbGenerate, strength) },
  { "preview",          FB_FIELD_CHOICE, offsetof (FbGenerate, preview), preview_names },
  { "decoder",          FB_FIELD_CHOICE, offsetof (FbGenerate, decoder), decoder_names },
  { "background",       FB_FIELD_CHOICE, offsetof (FbGenerate, background), background_names },
};

GVariant *
fb_generate_to_variant (const FbGenerate *request)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  fb_fields_to_dict (fields, G_N_ELEMENTS (fields), request, &dict);

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

FbGenerate *
fb_generate_from_variant (GVariant *variant, GError **error)
{
  g_autoptr(FbGenerate) request = fb_generate_new ();

  return fb_fields_from_variant (fields, G_N_ELEMENTS (fields), request, variant, error) ? g_steal_pointer (&request) : NULL;
}

/* --- checks -------------------------------------------------------------------------------------------------------------- */

/* @unit: 8, or what one latent pixel covers where an autoencoder halves more than three times */
static gboolean
check_size (const char *key, int value, int unit, GError **error)
{
  const int below = value / unit * unit;

  if (value % unit != 0)
    {
      g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("“%s” is %d, but must be a multiple of %d; %d or %d would do."),
                   key, value, unit, MAX (below, unit), below + unit);
      return FALSE;
    }

  return fb_field_check_range (key, value, unit, MAX_SIZE, error);
}

static gboolean
check_not_blank (const char *prompt, GError **error)
{
  for (const char *p = prompt; *p != '\0'; p = g_utf8_next_char (p))
    if (!g_unichar_isspace (g_utf8_get_char (p)))
      return TRUE;

  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("The prompt is empty; write what the picture should show."));
  return FALSE;
}

/* the sampler's own limits, "lcm" takes 50 steps at most */
static gboolean
check_sampler (const FbGenerate *request, FbModel *model, GError **error)
{
  FbSamplerParams      params  = { .n_steps = request->n_steps, .strength = 1.0 };
  g_autoptr(FbSampler) sampler = NULL;

  if (!fb_spacing_from_name (request->timestep_spacing, &params.spacing, error))
    return FALSE;
  sampler = fb_sampler_new (request->sampler, fb_model_schedule (model), &params, error);

  return sampler != NULL;
}

/* Whether @model is one that a prompt alone can drive */
static gboolean
check_channels (FbModel *model, GError **error)
{
  const FbModelInfo *info = fb_model_info (model);

  if (info->unet_channels == info->latent_channels)
    return TRUE;

  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD,
               fb_model_low_res_schedule (model) != NULL
               ? _("“%s” cannot make pictures from words alone: it is a model for super-resolution. Choose an ordinary model.")
               : _("“%s” cannot make pictures from words alone: it is a model for inpainting. Choose an ordinary model."), fb_model_path (model));
  return FALSE;
}

static void
fill_string (char **place, const char *value)
{
  if (**place == '\0')
    {
      g_free (*place);
      *place = g_strdup (value);
    }
}

gboolean
fb_diffusion_resolve (FbGenerate *request, FbModel *model, GError **error)
{
  const FbModelInfo *info = fb_model_info (model);

  fill_string (&request->sampler, info->sampler);
  if (g_str_equal (request->timestep_spacing, "auto"))
    *request->timestep_spacing = '\0';
  fill_string (&request->timestep_spacing, info->timestep_spacing);
  if (request->n_steps == 0)
    request->n_steps = info->n_steps;
  if (request->guidance_scale == 0.0)
    request->guidance_scale = info->guidance_scale;
  if (request->width == 0)
    request->width = info->width;
  if (request->height == 0)
    request->height = info->height;

  if (request->decoder == FB_DECODER_TAESD && !fb_model_has_taesd (model))
    {
      g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD,
                   _("“decoder” asks for TAESD, but none was found for “%s”; put one beside the model or use “full”."), fb_model_path (model));
      return FALSE;
    }

  return fb_field_check_text ("prompt", request->prompt, error) &&
         fb_field_check_text ("negative-prompt", request->negative_prompt, error) &&
         fb_field_check_range ("clip-skip", request->clip_skip, 0, MIN (info->n_text_layers, 12) - 1, error) &&
         fb_field_check_range ("n-steps", request->n_steps, 1, MAX_STEPS, error) &&
         check_sampler (request, model, error) &&
         fb_field_check_range ("guidance-scale", request->guidance_scale, 1.0, MAX_GUIDANCE, error) &&
         fb_field_check_range ("count", request->count, 1, MAX_COUNT, error) &&
         fb_field_check_range ("strength", request->strength, 0.0, 1.0, error);
}

gboolean
fb_generate_resolve (FbGenerate *request, FbModel *model, GError **error)
{
  const int unit = MAX (8, fb_model_info (model)->scale_factor);

  return fb_diffusion_resolve (request, model, error) &&
         check_not_blank (request->prompt, error) &&
         check_channels (model, error) &&
         check_size ("width", request->width, unit, error) &&
         check_size ("height", request->height, unit, error);
}
