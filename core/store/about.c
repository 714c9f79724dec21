/* core/store/about.c: what a model's files say about it. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Sources: Stability's ModelSpec 1.0.1 (modelspec.* in a safetensors header), the front matter of Hugging Face's model cards, our own
 * flashbrush.json and flashbrush_* entries.
 */
#include "core/store/about.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "core/formats/checkpoint.h"
#include "core/formats/json-file.h"
#include "core/formats/lora.h"
#include "core/models/config.h"
#include "core/models/family.h"
#include "core/samplers/sampler.h"

#define MAX_LETTERS 200
#define MAX_CARD    65536      /* bytes of a model card that are looked at */

static const char * const components[FB_STORE_N_KINDS] = { [FB_STORE_MODELS] = "unet", [FB_STORE_VAE] = "vae", [FB_STORE_TAESD] = "taesd" };

/* words in file names; the numbers are those of the methods' cards */
static const struct { const char *word, *sampler; int n_steps; double guidance_scale; } known[] =
{
  { "lcm",   "lcm",   4, 1.0 },
  { "flash", "flash", 4, 1.0 },
};

void
fb_about_free (FbAbout *about)
{
  g_free (about->title);
  g_free (about->base);
  g_free (about->precision);
  g_free (about->licence);
  g_free (about->trigger);
  g_free (about->sampler);
  g_strfreev (about->files);
  g_clear_error (&about->problem);
  g_free (about);
}

/* --- texts -------------------------------------------------------------------------------------------------------------- */

/* (transfer full) (nullable): what strangers wrote, fit for a label: one line, not long, no control characters */
static char *
one_line (const char *text)
{
  g_autoptr(GString) line = g_string_new (NULL);
  int                n    = 0;

  if (text == NULL || !g_utf8_validate (text, -1, NULL))
    return NULL;
  for (const char *p = text; *p != '\0' && n < MAX_LETTERS; p = g_utf8_next_char (p), n++)
    {
      gunichar letter = g_utf8_get_char (p);

      g_string_append_unichar (line, g_unichar_isprint (letter) ? letter : ' ');
    }
  g_strstrip (line->str);
  return *line->str != '\0' ? g_strdup (line->str) : NULL;
}

static void
set_text (char **text, const char *value)
{
  if (*text == NULL)
    *text = one_line (value);
}

/* The line "license: …" of a model card's front matter, which stands between two lines "---"; else none */
static void
read_card (FbAbout *about, const char *folder)
{
  g_autofree char             *path   = g_build_filename (folder, "README.md", NULL);
  g_autoptr(GFile)             file   = g_file_new_for_path (path);
  g_autoptr(GFileInputStream)  stream = g_file_test (path, G_FILE_TEST_IS_REGULAR) ? g_file_read (file, NULL, NULL) : NULL;
  g_autofree char             *text   = g_malloc0 (MAX_CARD + 1);
  g_auto(GStrv)                lines  = NULL;
  gsize                        n      = 0;

  if (stream == NULL || !g_input_stream_read_all (G_INPUT_STREAM (stream), text, MAX_CARD, &n, NULL, NULL))
    return;
  lines = g_strsplit (text, "\n", -1);
  if (lines[0] == NULL || strcmp (g_strstrip (lines[0]), "---") != 0)
    return;
  for (int i = 1; lines[i] != NULL && strcmp (g_strstrip (lines[i]), "---") != 0; i++)
    if (g_str_has_prefix (lines[i], "license:"))
      set_text (&about->licence, g_strstrip (lines[i] + strlen ("license:")));
}

/* --- what suits it -------------------------------------------------------------------------------------------------------- */

static void
suit (FbAbout *about, const char *sampler, int n_steps, double guidance_scale)
{
  const FbSamplerInfo *info = fb_sampler_find (sampler, NULL);

  if (about->sampler != NULL || info == NULL)              /* somebody else's sampler: no use to name it */
    return;
  about->sampler        = g_strdup (sampler);
  about->n_steps        = n_steps > 0 ? n_steps : info->n_steps;
  about->guidance_scale = guidance_scale >= 1.0 ? guidance_scale : info->guidance_scale;
  about->few_steps      = info->few_steps;
}

static void
suit_by_name (FbAbout *about, const char *path)
{
  g_autofree char *base  = g_path_get_basename (path);
  g_autofree char *lower = g_ascii_strdown (base, -1);

  for (gsize i = 0; i < G_N_ELEMENTS (known); i++)
    if (strstr (lower, known[i].word) != NULL)
      suit (about, known[i].sampler, known[i].n_steps, known[i].guidance_scale);
}

/* flashbrush.json: what is wrong in it, opening the model will tell */
static void
read_json (FbAbout *about, const char *folder)
{
  g_autofree char       *path = g_build_filename (folder, "flashbrush.json", NULL);
  g_autoptr(JsonObject)  json = fb_json_load_object (path, NULL);
  FbConfigReader         r    = { .json = json, .path = path };
  const char            *sampler;
  int                    n_steps;
  double                 guidance_scale;

  if (json == NULL)
    return;
  set_text (&about->title, fb_json_get_string (json, "title", NULL));
  set_text (&about->licence, fb_json_get_string (json, "license", NULL));
  sampler        = fb_json_get_string (json, "sampler", "");
  n_steps        = fb_config_int (&r, "steps", 1, 1000, 0);
  guidance_scale = fb_config_double (&r, "guidance_scale", 1.0, 100.0, 0.0);
  g_clear_error (&r.error);
  suit (about, sampler, n_steps, guidance_scale);
}

static void
read_header (FbAbout *about, FbSafetensors *file)
{
  const char *steps    = fb_safetensors_metadata (file, "flashbrush_steps");
  const char *guidance = fb_safetensors_metadata (file, "flashbrush_guidance_scale");
  const char *sampler  = fb_safetensors_metadata (file, "flashbrush_sampler");

  set_text (&about->title, fb_safetensors_metadata (file, "modelspec.title"));
  set_text (&about->licence, fb_safetensors_metadata (file, "modelspec.license"));
  set_text (&about->licence, fb_safetensors_metadata (file, "license"));
  set_text (&about->trigger, fb_safetensors_metadata (file, "modelspec.trigger_phrase"));
  if (sampler != NULL)
    suit (about, sampler, steps != NULL ? (int) CLAMP (g_ascii_strtoll (steps, NULL, 10), 0, 1000) : 0,
          guidance != NULL ? CLAMP (g_ascii_strtod (guidance, NULL), 0.0, 100.0) : 0.0);
}

/* --- the tensors ---------------------------------------------------------------------------------------------------------- */

typedef struct
{
  const char *name;
  guint64     n_bytes;
} Share;

/* adds up bytes by type; there are a dozen types at most */
static void
count (GArray *shares, const FbTensorInfo *info)
{
  Share share = { info->dtype_name, info->n_bytes };

  for (guint i = 0; i < shares->len; i++)
    if (strcmp (g_array_index (shares, Share, i).name, info->dtype_name) == 0)
      {
        g_array_index (shares, Share, i).n_bytes += info->n_bytes;
        return;
      }
  g_array_append_val (shares, share);
}

/* (transfer full) (nullable) */
static char *
largest (GArray *shares)
{
  Share best = { NULL, 0 };

  for (guint i = 0; i < shares->len; i++)
    if (best.name == NULL || g_array_index (shares, Share, i).n_bytes > best.n_bytes)
      best = g_array_index (shares, Share, i);
  return g_strdup (best.name);
}

static void
read_checkpoint (FbAbout *about, FbStoreKind kind, const char *path)
{
  g_autoptr(FbCheckpoint)  checkpoint = fb_checkpoint_open (path, components[kind], &about->problem);
  g_autoptr(GArray)        shares     = g_array_new (FALSE, FALSE, sizeof (Share));
  const FbFamily          *family     = NULL;
  const char * const      *names      = checkpoint != NULL ? fb_checkpoint_names (checkpoint) : NULL;

  for (gsize i = 0; names != NULL && names[i] != NULL; i++)
    count (shares, fb_checkpoint_lookup (checkpoint, names[i]));
  about->precision = largest (shares);

  if (kind != FB_STORE_MODELS || checkpoint == NULL)
    return;
  family = fb_family_detect (checkpoint, &about->problem);
  if (family == NULL)
    return;
  about->family = family->name;
  suit_by_name (about, path);
  suit (about, family->sampler, family->n_steps, family->guidance_scale);
}

/* the family whose UNet has cross-attention of this width; those of any width are Stable Diffusion 1.x */
static const char *
family_of_width (int width)
{
  return width == 0 ? NULL : width == 2048 ? "sdxl" : width == 1024 ? "sd-2" : "sd-1.5";
}

static void
read_lora (FbAbout *about, const char *path)
{
  g_autoptr(FbLora)        lora   = fb_lora_open (path, &about->problem);
  g_autoptr(FbSafetensors) file   = lora != NULL ? fb_safetensors_open (fb_lora_files (lora)[0], &about->problem) : NULL;
  g_autoptr(GArray)        shares = g_array_new (FALSE, FALSE, sizeof (Share));

  if (file == NULL)
    return;
  for (guint i = 0; i < fb_safetensors_n_tensors (file); i++)
    count (shares, fb_safetensors_tensor (file, i));
  about->precision = largest (shares);
  about->family    = family_of_width (fb_lora_context_width (lora));
  about->base      = one_line (fb_lora_base (lora));
  read_header (about, file);
  suit_by_name (about, path);
}

FbAbout *
fb_about_read (FbStoreKind kind, const char *path)
{
  FbAbout *about = g_new0 (FbAbout, 1);

  if (g_file_test (path, G_FILE_TEST_IS_DIR))
    {
      read_json (about, path);
      read_card (about, path);
    }
  else if (kind != FB_STORE_LORAS && g_str_has_suffix (path, ".safetensors"))
    {
      g_autoptr(FbSafetensors) file = fb_safetensors_open (path, NULL);         /* the checkpoint says what is wrong with it */

      if (file != NULL)
        read_header (about, file);
    }

  if (kind == FB_STORE_LORAS)
    read_lora (about, path);
  else
    read_checkpoint (about, kind, path);
  about->files = fb_about_files (kind, path);
  return about;
}

/* --- what is it ----------------------------------------------------------------------------------------------------------- */

static gboolean
opens_as (const char *path, const char *component)
{
  g_autoptr(FbCheckpoint) checkpoint = fb_checkpoint_open (path, component, NULL);

  return checkpoint != NULL;
}

gboolean
fb_about_find_kind (const char *path, FbStoreKind *kind, GError **error)
{
  g_autoptr(GError)       local = NULL, lora_error = NULL;
  g_autoptr(FbCheckpoint) unet  = fb_checkpoint_open (path, "unet", &local);
  g_autoptr(FbLora)       lora  = NULL;

  if (unet != NULL)
    {
      *kind = FB_STORE_MODELS;
      return TRUE;
    }
  lora = fb_lora_open (path, &lora_error);
  if (lora != NULL || g_error_matches (lora_error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED))
    *kind = FB_STORE_LORAS;
  else if (opens_as (path, "vae"))
    *kind = FB_STORE_VAE;
  else if (opens_as (path, "taesd"))
    *kind = FB_STORE_TAESD;
  else if (g_error_matches (local, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND) && g_file_test (path, G_FILE_TEST_EXISTS))
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND,
                   _("“%s” holds no model, LoRA, VAE or TAESD that is known here. Choose a .safetensors file, or a model's folder as diffusers writes it."),
                   path);
      return FALSE;
    }
  else
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  return TRUE;
}

/* adds the files of @component that are not listed yet: a single-file checkpoint holds them all */
static void
add_files (GPtrArray *files, const char *path, const char *component)
{
  g_autoptr(FbCheckpoint)  checkpoint = fb_checkpoint_open (path, component, NULL);
  const char * const      *names      = checkpoint != NULL ? fb_checkpoint_files (checkpoint) : NULL;

  for (gsize i = 0; names != NULL && names[i] != NULL; i++)
    if (!g_ptr_array_find_with_equal_func (files, names[i], g_str_equal, NULL))
      g_ptr_array_add (files, g_strdup (names[i]));
}

char **
fb_about_files (FbStoreKind kind, const char *path)
{
  static const char * const parts[] = { "text_encoder", "unet", "vae" };
  g_autoptr(GPtrArray)      files   = g_ptr_array_new_with_free_func (g_free);

  if (kind == FB_STORE_MODELS)
    for (gsize i = 0; i < G_N_ELEMENTS (parts); i++)
      add_files (files, path, parts[i]);
  else if (kind == FB_STORE_LORAS)
    {
      g_autoptr(FbLora) lora = fb_lora_open (path, NULL);

      for (const char * const *file = lora != NULL ? fb_lora_files (lora) : NULL; file != NULL && *file != NULL; file++)
        g_ptr_array_add (files, g_strdup (*file));
    }
  else
    add_files (files, path, components[kind]);

  if (files->len == 0)
    g_ptr_array_add (files, g_strdup (path));
  g_ptr_array_add (files, NULL);
  return (char **) g_ptr_array_free (g_steal_pointer (&files), FALSE);
}
