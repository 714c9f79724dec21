/* core/samplers/schedule-json.c: reads scheduler_config.json. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Source: the schedulers' constructors in diffusers 0.42, whose defaults stand for keys that a file leaves out.
 */
#include "core/samplers/schedule.h"

#include <glib/gi18n-lib.h>
#include <string.h>

/* what differs between classes; all others have linear betas from 1e-4 to 0.02 */
static const struct
{
  const char *name;
  FbSpacing   spacing;
  gboolean    set_alpha_to_one;
  gboolean    sd_betas;
} classes[] =
{
  { "DDIMScheduler",                       FB_SPACING_LEADING,  TRUE,  FALSE },
  { "DDPMScheduler",                       FB_SPACING_LEADING,  TRUE,  FALSE },
  { "DPMSolverMultistepScheduler",         FB_SPACING_LINSPACE, TRUE,  FALSE },
  { "DPMSolverSinglestepScheduler",        FB_SPACING_LINSPACE, TRUE,  FALSE },
  { "EulerAncestralDiscreteScheduler",     FB_SPACING_LINSPACE, TRUE,  FALSE },
  { "EulerDiscreteScheduler",              FB_SPACING_LINSPACE, TRUE,  FALSE },
  { "HeunDiscreteScheduler",               FB_SPACING_LINSPACE, TRUE,  FALSE },
  { "LCMScheduler",                        FB_SPACING_LEADING,  TRUE,  TRUE  },
  { "LMSDiscreteScheduler",                FB_SPACING_LINSPACE, TRUE,  FALSE },
  { "PNDMScheduler",                       FB_SPACING_LEADING,  FALSE, FALSE },
  { "UniPCMultistepScheduler",             FB_SPACING_LINSPACE, TRUE,  FALSE },
};

/* The node of @key if it is there and not null. */
static JsonNode *
find (JsonObject *object, const char *key)
{
  JsonNode *node = json_object_get_member (object, key);
  return node == NULL || JSON_NODE_HOLDS_NULL (node) ? NULL : node;
}

/* @sentence: with one %s for @key */
static gboolean
wrong_type (const char *key, const char *sentence, GError **error)
{
  g_set_error (error, FB_SCHEDULE_ERROR, FB_SCHEDULE_ERROR_CONFIG, sentence, key);
  return FALSE;
}

/* The readers below leave @value as it is where the key is missing. */

static gboolean
read_double (JsonObject *object, const char *key, double *value, GError **error)
{
  JsonNode *node = find (object, key);

  if (node == NULL)
    return TRUE;
  if (json_node_get_value_type (node) != G_TYPE_DOUBLE && json_node_get_value_type (node) != G_TYPE_INT64)
    return wrong_type (key, _("“%s” must be a number."), error);
  *value = json_node_get_double (node);
  return TRUE;
}

static gboolean
read_int (JsonObject *object, const char *key, int *value, GError **error)
{
  JsonNode *node = find (object, key);

  if (node == NULL)
    return TRUE;
  if (json_node_get_value_type (node) != G_TYPE_INT64
      || json_node_get_int (node) < G_MININT || json_node_get_int (node) > G_MAXINT)
    return wrong_type (key, _("“%s” must be a whole number."), error);
  *value = (int) json_node_get_int (node);
  return TRUE;
}

static gboolean
read_boolean (JsonObject *object, const char *key, gboolean *value, GError **error)
{
  JsonNode *node = find (object, key);

  if (node == NULL)
    return TRUE;
  if (json_node_get_value_type (node) != G_TYPE_BOOLEAN)
    return wrong_type (key, _("“%s” must be true or false."), error);
  *value = json_node_get_boolean (node);
  return TRUE;
}

static gboolean
read_string (JsonObject *object, const char *key, const char **value, GError **error)
{
  JsonNode *node = find (object, key);

  if (node == NULL)
    return TRUE;
  if (json_node_get_value_type (node) != G_TYPE_STRING)
    return wrong_type (key, _("“%s” must be a text."), error);
  *value = json_node_get_string (node);
  return TRUE;
}

/* @betas: (transfer full): NULL where the key is missing */
static gboolean
read_betas (JsonObject *object, int n, double **betas, GError **error)
{
  JsonNode           *node = find (object, "trained_betas");
  g_autofree double  *values = NULL;
  JsonArray          *array;

  if (node == NULL || n < 0)                      /* a bad n_train is fb_schedule_new()'s to refuse */
    return TRUE;
  if (!JSON_NODE_HOLDS_ARRAY (node) || json_array_get_length (json_node_get_array (node)) != (guint) n)
    return wrong_type ("trained_betas", _("“%s” must be an array of num_train_timesteps numbers."), error);

  array  = json_node_get_array (node);
  values = g_new (double, n);
  for (int i = 0; i < n; i++)
    {
      JsonNode *element = json_array_get_element (array, i);
      GType     type    = JSON_NODE_HOLDS_VALUE (element) ? json_node_get_value_type (element) : G_TYPE_INVALID;

      values[i] = type == G_TYPE_DOUBLE || type == G_TYPE_INT64 ? json_node_get_double (element) : -1.0;
      if (!(values[i] > 0.0 && values[i] <= 1.0))
        return wrong_type ("trained_betas", _("“%s” must be an array of numbers between 0 and 1."), error);
    }
  *betas = g_steal_pointer (&values);
  return TRUE;
}

static gboolean
unsupported (const char *key, const char *value, const char *supported, GError **error)
{
  g_set_error (error, FB_SCHEDULE_ERROR, FB_SCHEDULE_ERROR_CONFIG,
               _("The noise schedule asks for %s “%s”, which is not supported yet; supported: %s."), key, value, supported);
  return FALSE;
}

static gboolean
read_class (JsonObject *object, FbScheduleConfig *config, GError **error)
{
  const char *name = "DDIMScheduler";

  if (!read_string (object, "_class_name", &name, error))
    return FALSE;
  if (strstr (name, "FlowMatch") != NULL)
    return unsupported ("_class_name", name, "diffusion with betas", error);

  for (size_t i = 0; i < G_N_ELEMENTS (classes); i++)
    if (g_str_equal (name, classes[i].name))
      {
        config->spacing          = classes[i].spacing;
        config->set_alpha_to_one = classes[i].set_alpha_to_one;
        if (classes[i].sd_betas)
          {
            config->beta_start = fb_schedule_config_sd.beta_start;
            config->beta_end   = fb_schedule_config_sd.beta_end;
            config->betas      = FB_BETAS_SCALED_LINEAR;
          }
      }
  return TRUE;
}

static gboolean
read_names (JsonObject *object, FbScheduleConfig *config, GError **error)
{
  const char *betas      = config->betas == FB_BETAS_LINEAR ? "linear" : "scaled_linear";
  const char *prediction = "epsilon";
  const char *spacing    = NULL;
  gboolean    thresholding = FALSE;

  if (!read_string (object, "beta_schedule", &betas, error)
      || !read_string (object, "prediction_type", &prediction, error)
      || !read_string (object, "timestep_spacing", &spacing, error)
      || !read_boolean (object, "thresholding", &thresholding, error))
    return FALSE;

  if (g_str_equal (betas, "linear"))
    config->betas = FB_BETAS_LINEAR;
  else if (g_str_equal (betas, "scaled_linear"))
    config->betas = FB_BETAS_SCALED_LINEAR;
  else
    return unsupported ("beta_schedule", betas, "linear, scaled_linear", error);

  if (g_str_equal (prediction, "epsilon"))
    config->prediction = FB_PREDICT_EPSILON;
  else if (g_str_equal (prediction, "v_prediction"))
    config->prediction = FB_PREDICT_V;
  else
    return unsupported ("prediction_type", prediction, "epsilon, v_prediction", error);

  if (thresholding)
    return unsupported ("thresholding", "true", "false", error);
  if (spacing != NULL && !g_str_equal (spacing, ""))
    return fb_spacing_from_name (spacing, &config->spacing, error);
  return TRUE;
}

FbSchedule *
fb_schedule_new_from_json (JsonObject *object, GError **error)
{
  FbScheduleConfig config =
  {
    .n_train = 1000, .beta_start = 1e-4, .beta_end = 0.02, .betas = FB_BETAS_LINEAR,
    .spacing = FB_SPACING_LEADING, .set_alpha_to_one = TRUE,
  };
  g_autofree double *betas = NULL;

  if (!read_class (object, &config, error)
      || !read_names (object, &config, error)
      || !read_int (object, "num_train_timesteps", &config.n_train, error)
      || !read_double (object, "beta_start", &config.beta_start, error)
      || !read_double (object, "beta_end", &config.beta_end, error)
      || !read_int (object, "steps_offset", &config.steps_offset, error)
      || !read_boolean (object, "set_alpha_to_one", &config.set_alpha_to_one, error)
      || !read_boolean (object, "rescale_betas_zero_snr", &config.zero_snr, error)
      || !read_betas (object, config.n_train, &betas, error))
    return NULL;

  config.trained_betas = betas;
  return fb_schedule_new (&config, error);
}
