/* tests/core/test-about.c: what models' files say about them. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "core/formats/safetensors-writer.h"
#include "core/store/about.h"
#include "core/store/hash.h"
#include "tests/core/scratch.h"

/* A safetensors file with this header and so many bytes of zeros after it */
static void
write_file (const char *folder, const char *name, const char *header, gsize n_bytes)
{
  g_autoptr(GByteArray) bytes = g_byte_array_new ();
  const guint64         n     = GUINT64_TO_LE ((guint64) strlen (header));

  g_byte_array_append (bytes, (const guint8 *) &n, 8);
  g_byte_array_append (bytes, (const guint8 *) header, (guint) strlen (header));
  g_byte_array_set_size (bytes, bytes->len + (guint) n_bytes);
  memset (bytes->data + 8 + strlen (header), 0, n_bytes);
  scratch_write (folder, name, bytes->data, bytes->len);
}

/* a LoRA of rank 1 for one layer with @width columns: a cross-attention's keys */
static void
write_lora (const char *folder, const char *name, const char *metadata, int width)
{
  g_autofree char *header = g_strdup_printf (
    "{\"__metadata__\":{%s},"
    "\"lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight\":"
    "{\"dtype\":\"F16\",\"shape\":[1,%d],\"data_offsets\":[0,%d]},"
    "\"lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight\":"
    "{\"dtype\":\"F16\",\"shape\":[4,1],\"data_offsets\":[%d,%d]}}",
    metadata, width, 2 * width, 2 * width, 2 * width + 8);

  write_file (folder, name, header, (gsize) (2 * width + 8));
}

static FbAbout *
read_lora (const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  return fb_about_read (FB_STORE_LORAS, path);
}

static void
the_model_that_comes_along_tells_everything (void)
{
  g_autofree char    *path  = g_test_build_filename (G_TEST_DIST, "..", "data", "models", "starter", NULL);
  g_autoptr(FbAbout)  about = fb_about_read (FB_STORE_MODELS, path);

  g_assert_no_error (about->problem);
  g_assert_cmpstr (about->title, ==, "Starter (emoji, 128×128)");
  g_assert_cmpstr (about->family, ==, "sd-1.5");
  g_assert_cmpstr (about->precision, ==, "F16");
  g_assert_cmpstr (about->licence, ==, "MIT and Apache-2.0");
  g_assert_cmpstr (about->sampler, ==, "dpmpp-2m");
  g_assert_cmpint (about->n_steps, ==, 6);
  g_assert_cmpfloat (about->guidance_scale, ==, 5.0);
  g_assert_false (about->few_steps);
}

static void
a_loras_family_is_read_off_its_attention (void)
{
  static const struct { int width; const char *family; } cases[] = { { 768, "sd-1.5" }, { 1024, "sd-2" }, { 2048, "sdxl" }, { 192, "sd-1.5" } };
  g_autoptr(Scratch) folder = scratch_new ();

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(FbAbout) about = NULL;

      write_lora (folder, "style.safetensors", "", cases[i].width);
      about = read_lora (folder, "style.safetensors");
      g_assert_no_error (about->problem);
      g_assert_cmpstr (about->family, ==, cases[i].family);
      g_assert_cmpstr (about->precision, ==, "F16");
      g_assert_null (about->sampler);
    }
}

static void
a_loras_header_is_read (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autoptr(FbAbout) about  = NULL;

  write_lora (folder, "mine.safetensors",
              "\"modelspec.title\":\"Ink\",\"modelspec.license\":\"CC-BY-4.0\",\"modelspec.trigger_phrase\":\"ink wash\","
              "\"ss_base_model_version\":\"sd_v1\",\"flashbrush_sampler\":\"flash\",\"flashbrush_steps\":\"2\"", 768);
  about = read_lora (folder, "mine.safetensors");
  g_assert_cmpstr (about->title, ==, "Ink");
  g_assert_cmpstr (about->licence, ==, "CC-BY-4.0");
  g_assert_cmpstr (about->trigger, ==, "ink wash");
  g_assert_cmpstr (about->base, ==, "sd_v1");
  g_assert_cmpstr (about->sampler, ==, "flash");
  g_assert_cmpint (about->n_steps, ==, 2);
  g_assert_cmpfloat (about->guidance_scale, ==, 1.0);
  g_assert_true (about->few_steps);
}

static void
few_step_loras_are_known_by_name (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autoptr(FbAbout) about  = NULL;

  write_lora (folder, "LCM-LoRA-SDv1-5.safetensors", "", 768);
  about = read_lora (folder, "LCM-LoRA-SDv1-5.safetensors");
  g_assert_cmpstr (about->sampler, ==, "lcm");
  g_assert_cmpint (about->n_steps, ==, 4);
  g_assert_true (about->few_steps);
}

static void
strangers_texts_become_one_short_line (void)
{
  g_autoptr(Scratch) folder   = scratch_new ();
  g_autofree char   *many     = g_strnfill (5000, 'a');
  g_autofree char   *metadata = g_strdup_printf ("\"modelspec.title\":\"one\\ntwo\\u0007\",\"modelspec.license\":\"%s\",\"flashbrush_sampler\":\"flash\","
                                                 "\"flashbrush_steps\":\"-99999999999999999999\",\"flashbrush_guidance_scale\":\"nan\"", many);
  g_autoptr(FbAbout) about    = NULL;

  write_lora (folder, "x.safetensors", metadata, 768);
  about = read_lora (folder, "x.safetensors");
  g_assert_cmpstr (about->title, ==, "one two");
  g_assert_cmpuint (strlen (about->licence), ==, 200);
  g_assert_cmpint (about->n_steps, ==, 4);
  g_assert_cmpfloat (about->guidance_scale, ==, 1.0);
}

static void
a_model_cards_licence_is_read (void)
{
  static const char  card[] = "---\r\ntags:\n- art\nlicense: creativeml-openrail-m\n---\nlicense: other\n";
  g_autoptr(Scratch) folder = scratch_new ();
  g_autoptr(FbAbout) about  = NULL, without = NULL;

  scratch_write (folder, "README.md", card, -1);
  about = fb_about_read (FB_STORE_MODELS, folder);
  g_assert_cmpstr (about->licence, ==, "creativeml-openrail-m");
  g_assert_error (about->problem, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  scratch_write (folder, "README.md", "# A model\nlicense: other\n", -1);
  without = fb_about_read (FB_STORE_MODELS, folder);
  g_assert_null (without->licence);
}

static void
assert_kind (const char *folder, const char *name, FbStoreKind expected)
{
  g_autofree char   *path  = g_build_filename (folder, name, NULL);
  g_autoptr(GError)  error = NULL;
  FbStoreKind        kind  = FB_STORE_N_KINDS;

  g_assert_true (fb_about_find_kind (path, &kind, &error));
  g_assert_no_error (error);
  g_assert_cmpint (kind, ==, expected);
}

static void
kinds_are_found_by_looking_inside (void)
{
  g_autofree char   *models = g_test_build_filename (G_TEST_DIST, "..", "data", "models", NULL);
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *text   = g_build_filename (folder, "notes.safetensors", NULL), *none = g_build_filename (folder, "none.safetensors", NULL);
  g_autofree char   *broken = g_build_filename (folder, "broken.safetensors", NULL);
  g_autoptr(GError)  error  = NULL;
  FbStoreKind        kind;

  assert_kind (models, "starter", FB_STORE_MODELS);
  assert_kind (models, "starter/vae", FB_STORE_VAE);
  write_lora (folder, "a.safetensors", "", 768);
  assert_kind (folder, "a.safetensors", FB_STORE_LORAS);

  write_file (folder, "notes.safetensors", "{\"notes\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
  g_assert_false (fb_about_find_kind (text, &kind, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "notes.safetensors"));
  g_clear_error (&error);
  scratch_write (folder, "broken.safetensors", "12", 2);
  g_assert_false (fb_about_find_kind (broken, &kind, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_TRUNCATED);
  g_clear_error (&error);
  g_assert_false (fb_about_find_kind (none, &kind, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
}

static void
known_hashes_are_told_without_computing (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *path   = g_build_filename (folder, "a.safetensors", NULL);
  g_auto(GStrv)      files  = NULL;
  g_autofree char   *hash   = NULL, *known = NULL;
  g_autoptr(GError)  error  = NULL;
  g_autoptr(FbHashes) before = fb_hashes_load ();
  g_autoptr(FbHashes) after  = NULL;

  write_lora (folder, "a.safetensors", "", 768);
  files = fb_about_files (FB_STORE_LORAS, path);
  g_assert_cmpuint (g_strv_length (files), ==, 1);
  g_assert_null (fb_hashes_lookup (before, (const char * const *) files));
  hash = fb_hash_files ((const char * const *) files, NULL, &error);
  g_assert_no_error (error);
  after = fb_hashes_load ();
  known = fb_hashes_lookup (after, (const char * const *) files);
  g_assert_cmpstr (known, ==, hash);

  scratch_write (folder, "a.safetensors", "changed", -1);
  g_assert_null (fb_hashes_lookup (after, (const char * const *) files));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
#define ADD(name, function) g_test_add_func ("/core/store/about/" name, function)
  ADD ("the-model-that-comes-along-tells-everything", the_model_that_comes_along_tells_everything);
  ADD ("a-loras-family-is-read-off-its-attention", a_loras_family_is_read_off_its_attention);
  ADD ("a-loras-header-is-read", a_loras_header_is_read);
  ADD ("few-step-loras-are-known-by-name", few_step_loras_are_known_by_name);
  ADD ("strangers-texts-become-one-short-line", strangers_texts_become_one_short_line);
  ADD ("a-model-cards-licence-is-read", a_model_cards_licence_is_read);
  ADD ("kinds-are-found-by-looking-inside", kinds_are_found_by_looking_inside);
  ADD ("known-hashes-are-told-without-computing", known_hashes_are_told_without_computing);
  return g_test_run ();
}
