/* core/tasks/generate-request.c: the request of a generate job, its a{sv} form, and its checks.
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/generate.h"

#include <glib/gi18n-lib.h>
#include <stddef.h>

#include "core/samplers/sampler.h"

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

typedef enum { STRING, INT, INT64, DOUBLE, CHOICE } FieldType;

typedef struct
{
  const char         *key;
  FieldType           type;
  size_t              offset;
  const char * const *choices;     /* CHOICE: names of the enum's values in order */
} Field;

static const char * const preview_names[] = { "none", "linear", "taesd", NULL };
static const char * const decoder_names[] = { "full", "taesd", NULL };

static const Field fields[] =
{
  { "prompt",           STRING, offsetof (FbGenerate, prompt) },
  { "negative-prompt",  STRING, offsetof (FbGenerate, negative_prompt) },
  { "sampler",          STRING, offsetof (FbGenerate, sampler) },
  { "timestep-spacing", STRING, offsetof (FbGenerate, timestep_spacing) },
  { "n-steps",          INT,    offsetof (FbGenerate, n_steps) },
  { "guidance-scale",   DOUBLE, offsetof (FbGenerate, guidance_scale) },
  { "seed",             INT64,  offsetof (FbGenerate, seed) },
  { "count",            INT,    offsetof (FbGenerate, count) },
  { "width",            INT,    offsetof (FbGenerate, width) },
  { "height",           INT,    offsetof (FbGenerate, height) },
  { "clip-skip",        INT,    offsetof (FbGenerate, clip_skip) },
  { "strength",         DOUBLE, offsetof (FbGenerate, strength) },
  { "preview",          CHOICE, offsetof (FbGenerate, preview), preview_names },
  { "decoder",          CHOICE, offsetof (FbGenerate, decoder), decoder_names },
};

GVariant *
fb_generate_to_variant (const FbGenerate *request)
{
  g_auto(GVariantDict) dict;

  g_variant_dict_init (&dict, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    {
      const Field *f     = &fields[i];
      const void  *place = (const char *) request + f->offset;

      switch (f->type)
        {
        case STRING: g_variant_dict_insert (&dict, f->key, "s", *(char * const *) place); break;
        case INT:    g_variant_dict_insert (&dict, f->key, "i", *(const int *) place); break;
        case INT64:  g_variant_dict_insert (&dict, f->key, "x", *(const gint64 *) place); break;
        case DOUBLE: g_variant_dict_insert (&dict, f->key, "d", *(const double *) place); break;
        case CHOICE: g_variant_dict_insert (&dict, f->key, "s", f->choices[*(const int *) place]); break;
        }
    }

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static const GVariantType *
field_variant_type (FieldType type)
{
  switch (type)
    {
    case INT:    return G_VARIANT_TYPE_INT32;
    case INT64:  return G_VARIANT_TYPE_INT64;
    case DOUBLE: return G_VARIANT_TYPE_DOUBLE;
    default:     return G_VARIANT_TYPE_STRING;
    }
}

/* Sets @f of @request from @value, whose type has been checked. */
static gboolean
field_set (FbGenerate *request, const Field *f, GVariant *value, GError **error)
{
  void *place = (char *) request + f->offset;

  switch (f->type)
    {
    case STRING:
      g_free (*(char **) place);
      *(char **) place = g_variant_dup_string (value, NULL);
      break;
    case INT:    *(int *) place    = g_variant_get_int32 (value); break;
    case INT64:  *(gint64 *) place = g_variant_get_int64 (value); break;
    case DOUBLE: *(double *) place = g_variant_get_double (value); break;
    case CHOICE:
      for (int i = 0; f->choices[i] != NULL; i++)
        if (g_str_equal (f->choices[i], g_variant_get_string (value, NULL)))
          {
            *(int *) place = i;
            return TRUE;
          }
      {
        g_autofree char *known = g_strjoinv (", ", (char **) f->choices);
        g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("“%s” is not a value of “%s”; it takes: %s."),
                     g_variant_get_string (value, NULL), f->key, known);
        return FALSE;
      }
    }

  return TRUE;
}

FbGenerate *
fb_generate_from_variant (GVariant *variant, GError **error)
{
  g_autoptr(FbGenerate) request = fb_generate_new ();

  if (!g_variant_is_of_type (variant, G_VARIANT_TYPE_VARDICT))
    {
      g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("The request is no table of named values."));
      return NULL;
    }

  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    {
      g_autoptr(GVariant) value = g_variant_lookup_value (variant, fields[i].key, NULL);
      const GVariantType *type  = field_variant_type (fields[i].type);

      if (value == NULL)
        continue;
      if (!g_variant_is_of_type (value, type))
        {
          g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("“%s” has the type “%s” where “%.*s” is expected."),
                       fields[i].key, g_variant_get_type_string (value),
                       (int) g_variant_type_get_string_length (type), g_variant_type_peek_string (type));
          return NULL;
        }
      if (!field_set (request, &fields[i], value, error))
        return NULL;
    }

  return g_steal_pointer (&request);
}

/* --- checks -------------------------------------------------------------------------------------------------------------- */

static gboolean
check_range (const char *key, double value, double low, double high, GError **error)
{
  if (value >= low && value <= high)                            /* false for NaN */
    return TRUE;

  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("“%s” is %g; it must lie between %g and %g."), key, value, low, high);
  return FALSE;
}

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

  return check_range (key, value, unit, MAX_SIZE, error);
}

static gboolean
check_text (const char *key, const char *text, GError **error)
{
  const char *bad;

  if (g_utf8_validate (text, -1, &bad))
    return TRUE;

  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("“%s” is not valid UTF-8 text at byte %d."), key, (int) (bad - text));
  return FALSE;
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

/* Whether @model is one that a prompt alone can drive, with a text encoder that can do without so many layers */
static gboolean
check_model (const FbGenerate *request, FbModel *model, GError **error)
{
  const FbModelInfo *info = fb_model_info (model);

  if (info->unet_channels != info->latent_channels)
    {
      g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD,
                   _("“%s” cannot make pictures from words alone: it is a model for inpainting. Choose an ordinary model."), fb_model_path (model));
      return FALSE;
    }

  return check_range ("clip-skip", request->clip_skip, 0, MIN (info->n_text_layers, 12) - 1, error);
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
fb_generate_resolve (FbGenerate *request, FbModel *model, GError **error)
{
  const FbModelInfo *info = fb_model_info (model);
  const int          unit = MAX (8, info->scale_factor);

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

  return check_text ("prompt", request->prompt, error) &&
         check_text ("negative-prompt", request->negative_prompt, error) &&
         check_not_blank (request->prompt, error) &&
         check_model (request, model, error) &&
         check_range ("n-steps", request->n_steps, 1, MAX_STEPS, error) &&
         check_sampler (request, model, error) &&
         check_range ("guidance-scale", request->guidance_scale, 1.0, MAX_GUIDANCE, error) &&
         check_range ("count", request->count, 1, MAX_COUNT, error) &&
         check_range ("strength", request->strength, 0.0, 1.0, error) &&
         check_size ("width", request->width, unit, error) &&
         check_size ("height", request->height, unit, error);
}
