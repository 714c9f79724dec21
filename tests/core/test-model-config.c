/* tests/core/test-model-config.c: configs that somebody broke. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "core/formats/json-file.h"
#include "core/models/family.h"

typedef struct
{
  const char *name, *file;
  gboolean (* parse) (JsonObject *json, GError **error);     /* and describes the network, so that every number is used */
} Kind;

static gboolean
parse_unet (JsonObject *json, GError **error)
{
  g_autoptr(FbUnet) unet = NULL;
  FbUnetConfig      config;

  if (!fb_unet_config_parse (&config, json, "broken.json", error))
    return FALSE;

  unet = fb_unet_new (&config);
  return fb_params_n (fb_unet_params (unet)) > 0;
}

static gboolean
parse_vae (JsonObject *json, GError **error)
{
  g_autoptr(FbVaeEncoder) encoder = NULL;
  g_autoptr(FbVaeDecoder) decoder = NULL;
  FbVaeConfig             config;

  if (!fb_vae_config_parse (&config, json, "broken.json", error))
    return FALSE;

  encoder = fb_vae_encoder_new (&config);
  decoder = fb_vae_decoder_new (&config);
  return fb_params_n (fb_vae_encoder_params (encoder)) > 0 && fb_params_n (fb_vae_decoder_params (decoder)) > 0;
}

static gboolean
parse_text (JsonObject *json, GError **error)
{
  g_autoptr(FbClipText) text = NULL;
  FbClipTextConfig      config;

  if (!fb_clip_text_config_parse (&config, json, "broken.json", error))
    return FALSE;

  text = fb_clip_text_new (&config);
  return fb_params_n (fb_clip_text_params (text)) > 0;
}

static gboolean
parse_taesd (JsonObject *json, GError **error)
{
  g_autoptr(FbTaesdEncoder) encoder = NULL;
  g_autoptr(FbTaesdDecoder) decoder = NULL;
  FbTaesdConfig             config;

  if (!fb_taesd_config_parse (&config, json, "broken.json", error))
    return FALSE;

  encoder = fb_taesd_encoder_new (&config);
  decoder = fb_taesd_decoder_new (&config);
  return fb_params_n (fb_taesd_encoder_params (encoder)) > 0 && fb_params_n (fb_taesd_decoder_params (decoder)) > 0;
}

static const Kind kinds[] =
{
  { "unet",         "folder/unet/config.json",         parse_unet },
  { "unet-xl",      "xl/unet/config.json",             parse_unet },
  { "vae",          "folder/vae/config.json",          parse_vae },
  { "text-encoder", "folder/text_encoder/config.json", parse_text },
  { "taesd",        "taesd/config.json",               parse_taesd },
};

static const char * const nonsense[] =
{
  "null", "true", "false", "0", "-1", "1", "3", "7", "0.5", "1e300", "-1e300", "9223372036854775807", "65536", "\"x\"", "\"\"",
  "[]", "[0]", "[1, 2]", "[\"x\"]", "[null, null, null]", "[[1]]", "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1]", "[1e99, 1e99, 1e99, 1e99]", "{}",
};

static JsonObject *
load (const Kind *kind)
{
  g_autoptr(GError) error = NULL;
  g_autofree char  *path  = g_test_build_filename (G_TEST_DIST, "golden", "models", kind->file, NULL);
  JsonObject       *json  = fb_json_load_object (path, &error);

  g_assert_no_error (error);
  return json;
}

/* Every field in turn becomes every kind of nonsense: the config is used, or refused with a sentence that names the file. */
static void
test_nonsense_is_refused_or_harmless (gconstpointer data)
{
  const Kind            *kind    = data;
  g_autoptr(JsonObject)  whole   = load (kind);
  g_autoptr(GList)       members = json_object_get_members (whole);
  int                    n_refused = 0;

  for (GList *l = members; l != NULL; l = l->next)
    for (gsize i = 0; i < G_N_ELEMENTS (nonsense); i++)
      {
        g_autoptr(GError)     error = NULL;
        g_autoptr(JsonObject) json  = load (kind);
        JsonNode             *node  = json_from_string (nonsense[i], NULL);

        json_object_set_member (json, l->data, node != NULL ? node : json_node_new (JSON_NODE_NULL));
        if (kind->parse (json, &error))
          {
            g_assert_no_error (error);
            continue;
          }
        g_assert_true (g_error_matches (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG) ||
                       g_error_matches (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED));
        g_assert_nonnull (strstr (error->message, "broken.json"));
        n_refused++;
      }

  g_assert_cmpint (n_refused, >, 50);
}

static void
test_missing_fields_are_refused_or_harmless (gconstpointer data)
{
  const Kind            *kind    = data;
  g_autoptr(JsonObject)  whole   = load (kind);
  g_autoptr(JsonObject)  empty   = json_object_new ();
  g_autoptr(GList)       members = json_object_get_members (whole);
  g_autoptr(GError)      error   = NULL;

  g_assert_true (kind->parse (whole, &error));
  g_assert_no_error (error);
  for (GList *l = members; l != NULL; l = l->next)
    {
      g_autoptr(JsonObject) json  = load (kind);
      g_autoptr(GError)     lost  = NULL;
      gboolean              fine;

      json_object_remove_member (json, l->data);
      fine = kind->parse (json, &lost);
      g_assert_true (fine == (lost == NULL));
    }
  if (!kind->parse (empty, &error))
    g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG);
}

static void
test_what_changes_the_network_is_refused_by_name (void)
{
  static const struct { const char *key, *value; } cases[] =
  {
    { "time_cond_proj_dim", "256" }, { "act_fn", "\"gelu\"" }, { "resnet_time_scale_shift", "\"scale_shift\"" },
    { "class_embed_type", "\"projection\"" }, { "dual_cross_attention", "true" }, { "addition_embed_type", "\"image\"" },
    { "conv_in_kernel", "1" }, { "down_block_types", "[\"DownBlock2D\", \"AttnDownBlock2D\", \"CrossAttnDownBlock2D\"]" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(JsonObject) json  = load (&kinds[0]);
      g_autoptr(GError)     error = NULL;

      json_object_set_member (json, cases[i].key, json_from_string (cases[i].value, NULL));
      g_assert_false (parse_unet (json, &error));
      g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED);
      g_assert_nonnull (strstr (error->message, cases[i].key));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autofree char *nonsense_path = g_strdup_printf ("/core/models/config/%s/nonsense-is-refused-or-harmless", kinds[i].name);
      g_autofree char *missing_path  = g_strdup_printf ("/core/models/config/%s/missing-fields-are-refused-or-harmless", kinds[i].name);

      g_test_add_data_func (nonsense_path, &kinds[i], test_nonsense_is_refused_or_harmless);
      g_test_add_data_func (missing_path, &kinds[i], test_missing_fields_are_refused_or_harmless);
    }
  g_test_add_func ("/core/models/config/what-changes-the-network-is-refused-by-name", test_what_changes_the_network_is_refused_by_name);

  return g_test_run ();
}
