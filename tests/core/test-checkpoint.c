/* tests/core/test-checkpoint.c: components of models under canonical names. SPDX-License-Identifier: LGPL-3.0-or-later
 * The names are those of real models (tests/golden/formats/names-*.txt); the files with them are made here, with one number per tensor. */
#include <string.h>

#include "core/formats/checkpoint.h"
#include "core/formats/json-file.h"
#include "core/formats/safetensors-writer.h"
#include "tests/core/scratch.h"

typedef struct { char *theirs, *ours; } Pair;

static void
pair_clear (gpointer data)
{
  Pair *pair = data;

  g_free (pair->theirs);
  g_free (pair->ours);
}

static GArray *
load_pairs (const char *list)
{
  g_autofree char  *file  = g_strdup_printf ("names-%s.txt", list);
  g_autofree char  *path  = g_test_build_filename (G_TEST_DIST, "golden", "formats", file, NULL);
  g_autofree char  *text  = NULL;
  g_auto(GStrv)     rows  = NULL;
  g_autoptr(GError) error = NULL;
  GArray           *pairs = g_array_new (FALSE, FALSE, sizeof (Pair));

  g_array_set_clear_func (pairs, pair_clear);
  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  rows = g_strsplit (text, "\n", -1);
  for (guint i = 0; rows[i] != NULL; i++)
    if (rows[i][0] != '#' && rows[i][0] != '\0')
      {
        g_auto(GStrv) words = g_strsplit (rows[i], " ", 2);
        Pair          pair  = { g_strdup (words[0]), g_strdup (words[1]) };

        g_array_append_val (pairs, pair);
      }

  return pairs;
}

/* Adds a tensor for each of @names: shape [1], value its place in the list plus @first. */
static void
write_numbers (const char *folder, const char *file, GPtrArray *names, int first)
{
  g_autofree char                *path   = g_build_filename (folder, file, NULL);
  g_autofree char                *parent = g_path_get_dirname (path);
  g_autoptr(FbSafetensorsWriter)  writer = fb_safetensors_writer_new (path);
  g_autoptr(GError)               error  = NULL;

  g_assert_cmpint (g_mkdir_with_parents (parent, 0700), ==, 0);
  for (guint i = 0; i < names->len; i++)
    fb_safetensors_writer_add (writer, names->pdata[i], FB_DTYPE_F32, 1, (gint64[]) { 1 });
  for (guint i = 0; i < names->len; i++)
    {
      float value = first + (int) i;

      g_assert_true (fb_safetensors_writer_write (writer, &value, 4, &error));
    }
  g_assert_true (fb_safetensors_writer_finish (writer, &error));
}

static void
write_words (const char *folder, const char *file, const char *words)
{
  g_auto(GStrv)        names = g_strsplit (words, " ", -1);
  g_autoptr(GPtrArray) list  = g_ptr_array_new ();

  for (guint i = 0; names[i] != NULL; i++)
    g_ptr_array_add (list, names[i]);
  write_numbers (folder, file, list, 0);
}

static float
read_number (FbCheckpoint *ckpt, const char *name)
{
  g_autoptr(GError) error = NULL;
  float             value = -1;

  fb_checkpoint_read_f32 (ckpt, name, 1, (int[]) { 1 }, &value, NULL, &error);
  g_assert_no_error (error);
  return value;
}

static void
assert_unclaimed (FbCheckpoint *ckpt, const char *expected)
{
  g_auto(GStrv)    names  = fb_checkpoint_unclaimed (ckpt);
  g_autofree char *joined = g_strjoinv (" ", names);

  g_assert_cmpstr (joined, ==, expected);
}

/* Each list of real names: as a file, the component under canonical names, each with its own number. */
static const struct { const char *list, *component, *file, *prefix; } sources[] =
{
  { "unet-sd15",     "unet",           "model.safetensors",         ""                                     },
  { "unet-sdxl",     "unet",           "model.safetensors",         ""                                     },
  { "unet-x4",       "unet",           "model.safetensors",         ""                                     },
  { "vae-sd15",      "vae",            "model.safetensors",         ""                                     },
  { "vae-x4",        "vae",            "model.safetensors",         ""                                     },
  { "vae-legacy",    "vae",            "vae.safetensors",           ""                                     },
  { "text-encoder",  "text_encoder",   "model.safetensors",         ""                                     },
  { "text-encoder",  "text_encoder",   "model.safetensors",         "text_model."                          },
  { "text-encoder",  "text_encoder",   "model.safetensors",         "cond_stage_model.transformer."        },
  { "text-encoder",  "text_encoder",   "model.safetensors",         "cond_stage_model.transformer.text_model." },
  { "text-encoder",  "text_encoder",   "model.safetensors",         "conditioner.embedders.0.transformer.text_model." },
  { "taesd-encoder", "taesd",          "taesd_encoder.safetensors", ""                                     },
  { "taesd-decoder", "taesd",          "taesd_decoder.safetensors", ""                                     },
};

static void
test_source (gconstpointer data)
{
  gsize                   s      = GPOINTER_TO_SIZE (data);
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autofree char        *path   = g_build_filename (folder, sources[s].file, NULL);
  g_autoptr(GArray)       pairs  = load_pairs (sources[s].list);
  g_autoptr(GPtrArray)    names  = g_ptr_array_new_with_free_func (g_free);
  g_autoptr(GError)       error  = NULL;
  g_autoptr(FbCheckpoint) ckpt   = NULL;

  for (guint i = 0; i < pairs->len; i++)
    g_ptr_array_add (names, g_strconcat (sources[s].prefix, g_array_index (pairs, Pair, i).theirs, NULL));
  write_numbers (folder, sources[s].file, names, 1);

  ckpt = fb_checkpoint_open (path, sources[s].component, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length ((char **) fb_checkpoint_names (ckpt)), ==, pairs->len);
  for (guint i = 0; i < pairs->len; i++)
    g_assert_cmpfloat (read_number (ckpt, g_array_index (pairs, Pair, i).ours), ==, i + 1);
  assert_unclaimed (ckpt, "");
}

static void
test_one_file_holds_all_components (void)
{
  static const char * const lists[] = { "unet-sd15", "vae-sd15", "text-encoder" };
  g_autoptr(Scratch)        folder  = scratch_new ();
  g_autofree char          *path    = g_build_filename (folder, "sd.safetensors", NULL);
  g_autoptr(GPtrArray)      names   = g_ptr_array_new_with_free_func (g_free);
  g_autoptr(GError)         error   = NULL;
  g_autoptr(FbCheckpoint)   unet    = NULL, vae = NULL, text = NULL;

  for (guint l = 0; l < G_N_ELEMENTS (lists); l++)
    {
      g_autoptr(GArray) pairs = load_pairs (lists[l]);

      for (guint i = 0; i < pairs->len; i++)
        g_ptr_array_add (names, g_strconcat (l == 2 ? "cond_stage_model.transformer.text_model." : "", g_array_index (pairs, Pair, i).theirs,
                                             NULL));
    }
  g_ptr_array_add (names, g_strdup ("model_ema.decay"));
  g_ptr_array_add (names, g_strdup ("model_ema.diffusion_modelinput_blocks00weight"));
  g_ptr_array_add (names, g_strdup ("alphas_cumprod"));
  g_ptr_array_add (names, g_strdup ("cond_stage_model.transformer.text_model.embeddings.position_ids"));
  g_ptr_array_add (names, g_strdup ("model.diffusion_model.stranger.weight"));
  g_ptr_array_add (names, g_strdup ("first_stage_model.stranger.weight"));
  g_ptr_array_add (names, g_strdup ("cond_stage_model.transformer.stranger"));
  g_ptr_array_add (names, g_strdup ("stranger"));
  write_numbers (folder, "sd.safetensors", names, 0);

  unet = fb_checkpoint_open (path, "unet", &error);
  g_assert_no_error (error);
  vae = fb_checkpoint_open (path, "vae", &error);
  g_assert_no_error (error);
  text = fb_checkpoint_open (path, "text_encoder", &error);
  g_assert_no_error (error);

  g_assert_cmpuint (g_strv_length ((char **) fb_checkpoint_names (unet)), ==, 686);
  g_assert_cmpuint (g_strv_length ((char **) fb_checkpoint_names (vae)), ==, 248);
  for (int i = 0; fb_checkpoint_names (unet)[i] != NULL; i++)
    if (strcmp (fb_checkpoint_names (unet)[i], "conv_out.bias") != 0)
      read_number (unet, fb_checkpoint_names (unet)[i]);
  for (int i = 0; fb_checkpoint_names (vae)[i] != NULL; i++)
    read_number (vae, fb_checkpoint_names (vae)[i]);
  for (int i = 0; fb_checkpoint_names (text)[i] != NULL; i++)
    if (strcmp (fb_checkpoint_names (text)[i], "stranger") != 0)
      read_number (text, fb_checkpoint_names (text)[i]);

  assert_unclaimed (unet, "model.diffusion_model.out.2.bias model.diffusion_model.stranger.weight stranger");
  assert_unclaimed (vae, "first_stage_model.stranger.weight");
  assert_unclaimed (text, "cond_stage_model.transformer.stranger");
}

static void
test_folder_of_diffusers (void)
{
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autofree char        *unet   = g_build_filename (folder, "unet", NULL);
  g_autoptr(GError)       error  = NULL;
  g_autoptr(FbCheckpoint) ckpt   = NULL, direct = NULL;

  write_words (folder, "unet/diffusion_pytorch_model.safetensors", "conv_in.weight time_embedding.linear_1.weight");
  scratch_write (folder, "unet/config.json", "{\"in_channels\": 4}", -1);
  scratch_write (folder, "scheduler/scheduler_config.json", "{\"prediction_type\": \"v_prediction\"}", -1);

  ckpt = fb_checkpoint_open (folder, "unet", &error);
  g_assert_no_error (error);
  g_assert_cmpint (json_object_get_int_member (fb_checkpoint_config (ckpt), "in_channels"), ==, 4);
  g_assert_cmpstr (fb_json_get_string (fb_checkpoint_scheduler_config (ckpt), "prediction_type", ""), ==, "v_prediction");
  g_assert_cmpuint (g_strv_length ((char **) fb_checkpoint_files (ckpt)), ==, 3);
  g_assert_cmpfloat (read_number (ckpt, "time_embedding.linear_1.weight"), ==, 1);

  direct = fb_checkpoint_open (unet, "unet", &error);               /* the component's own folder */
  g_assert_no_error (error);
  g_assert_nonnull (fb_checkpoint_config (direct));
  g_assert_null (fb_checkpoint_scheduler_config (direct));
}

static void
test_fp16_variant_is_found (void)
{
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autoptr(GError)       error  = NULL;
  g_autoptr(FbCheckpoint) half   = NULL, full = NULL;

  write_words (folder, "unet/diffusion_pytorch_model.fp16.safetensors", "time_embedding.linear_1.weight");
  half = fb_checkpoint_open (folder, "unet", &error);
  g_assert_no_error (error);
  g_assert_true (g_str_has_suffix (fb_checkpoint_files (half)[0], ".fp16.safetensors"));

  write_words (folder, "unet/diffusion_pytorch_model.safetensors", "time_embedding.linear_1.weight");
  full = fb_checkpoint_open (folder, "unet", &error);               /* full precision goes first */
  g_assert_no_error (error);
  g_assert_false (g_str_has_suffix (fb_checkpoint_files (full)[0], ".fp16.safetensors"));
}

#define INDEX "unet/diffusion_pytorch_model.safetensors.index.json"

static void
test_shards_are_one (void)
{
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autoptr(GError)       error  = NULL;
  g_autoptr(FbCheckpoint) ckpt   = NULL;

  write_words (folder, "unet/a-00001-of-00002.safetensors", "conv_in.weight conv_in.bias");
  write_words (folder, "unet/a-00002-of-00002.safetensors", "conv_out.bias time_embedding.linear_1.weight");
  scratch_write (folder, INDEX,
                 "{\"metadata\": {\"total_size\": 16}, \"weight_map\": {\"conv_in.weight\": \"a-00001-of-00002.safetensors\","
                 "\"conv_in.bias\": \"a-00001-of-00002.safetensors\", \"conv_out.bias\": \"a-00002-of-00002.safetensors\","
                 "\"time_embedding.linear_1.weight\": \"a-00002-of-00002.safetensors\"}}", -1);
  ckpt = fb_checkpoint_open (folder, "unet", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length ((char **) fb_checkpoint_files (ckpt)), ==, 3);
  g_assert_cmpfloat (read_number (ckpt, "conv_in.bias"), ==, 1);
  g_assert_cmpfloat (read_number (ckpt, "time_embedding.linear_1.weight"), ==, 1);
}

static void
assert_open_fails (const char *path, const char *component, FbModelError code, const char *word)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (fb_checkpoint_open (path, component, &error));
  g_assert_error (error, FB_MODEL_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, word));
}

static void
test_wrong_indices_are_refused (void)
{
  static const struct { const char *json; FbModelError code; const char *word; } cases[] =
  {
    { "{\"weight_map\": {\"a\": \"../../secret.safetensors\"}}", FB_MODEL_ERROR_BAD_CONFIG, "secret" },
    { "{\"weight_map\": {\"a\": \"/etc/a.safetensors\"}}",       FB_MODEL_ERROR_BAD_CONFIG, "/etc/a" },
    { "{\"weight_map\": {\"a\": \"a.bin\"}}",                    FB_MODEL_ERROR_BAD_CONFIG, "a.bin"  },
    { "{\"weight_map\": {\"a\": 1}}",                            FB_MODEL_ERROR_BAD_CONFIG, "“a”"    },
    { "{\"weight_map\": {}}",                                    FB_MODEL_ERROR_BAD_CONFIG, INDEX    },
    { "{\"weight_map\": []}",                                    FB_MODEL_ERROR_BAD_CONFIG, INDEX    },
    { "[",                                                       FB_MODEL_ERROR_BAD_CONFIG, INDEX    },
    { "{\"weight_map\": {\"a\": \"absent.safetensors\"}}",       FB_MODEL_ERROR_NOT_FOUND,  "absent" },
  };
  g_autoptr(Scratch) folder = scratch_new ();

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      scratch_write (folder, INDEX, cases[i].json, -1);
      assert_open_fails (folder, "unet", cases[i].code, cases[i].word);
    }
}

static void
test_what_cannot_be_used_says_why (void)
{
  g_autoptr(Scratch)  folder = scratch_new ();
  g_autofree char    *flux   = g_build_filename (folder, "flux.safetensors", NULL);
  g_autofree char    *sd2    = g_build_filename (folder, "sd2.safetensors", NULL);
  g_autofree char    *lora   = g_build_filename (folder, "lora.safetensors", NULL);
  g_autofree char    *twice  = g_build_filename (folder, "twice.safetensors", NULL);
  g_autofree char    *old    = g_build_filename (folder, "old.ckpt", NULL);
  g_autofree char    *absent = g_build_filename (folder, "absent", NULL);

  assert_open_fails (absent, "unet", FB_MODEL_ERROR_NOT_FOUND, absent);
  assert_open_fails (folder, "unet", FB_MODEL_ERROR_NOT_FOUND, "unet");

  scratch_write (folder, "old.ckpt", "PK\003\004 and so on", -1);
  assert_open_fails (old, "unet", FB_MODEL_ERROR_PICKLE, "convert it to safetensors");
  scratch_write (folder, "unet/diffusion_pytorch_model.bin", "PK\003\004 and so on", -1);
  assert_open_fails (folder, "unet", FB_MODEL_ERROR_PICKLE, "diffusion_pytorch_model.bin");

  write_words (folder, "flux.safetensors", "model.diffusion_model.double_blocks.0.img_attn.qkv.weight");
  assert_open_fails (flux, "unet", FB_MODEL_ERROR_UNSUPPORTED, "Flux");
  write_words (folder, "sd2.safetensors", "cond_stage_model.model.token_embedding.weight");
  assert_open_fails (sd2, "text_encoder", FB_MODEL_ERROR_UNSUPPORTED, "OpenCLIP");
  write_words (folder, "lora.safetensors", "lora_unet_conv_in.lora_up.weight");
  assert_open_fails (lora, "unet", FB_MODEL_ERROR_NOT_FOUND, "no unet");
  write_words (folder, "twice.safetensors", "time_embed.0.weight output_blocks.2.1.conv.weight output_blocks.2.2.conv.weight");
  assert_open_fails (twice, "unet", FB_MODEL_ERROR_BAD_HEADER, "second time");

  write_words (folder, "vae/diffusion_pytorch_model.safetensors", "decoder.up_blocks.0.resnets.0.norm1.weight");
  scratch_write (folder, "vae/config.json", "{\"a\":", -1);
  assert_open_fails (folder, "vae", FB_MODEL_ERROR_BAD_CONFIG, "config.json");
}

static void
test_taesd_pair_is_one_component (void)
{
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autofree char        *file   = g_build_filename (folder, "taesd_encoder.safetensors", NULL);
  g_autoptr(GError)       error  = NULL;
  g_autoptr(FbCheckpoint) all    = NULL, same = NULL;

  write_words (folder, "taesd_decoder.safetensors", "1.weight 1.bias");
  write_words (folder, "taesd_encoder.safetensors", "14.bias 14.weight 0.bias 0.weight");
  all = fb_checkpoint_open (folder, "taesd", &error);
  g_assert_no_error (error);
  same = fb_checkpoint_open (file, "taesd", &error);
  g_assert_no_error (error);
  g_assert_cmpfloat (read_number (all, "decoder.layers.0.bias"), ==, 1);
  g_assert_cmpfloat (read_number (all, "encoder.layers.0.weight"), ==, 3);
  g_assert_cmpfloat (read_number (same, "decoder.layers.0.bias"), ==, 1);
}

static void
test_shapes_are_checked (void)
{
  g_autoptr(Scratch)             folder = scratch_new ();
  g_autofree char               *path   = g_build_filename (folder, "unet.safetensors", NULL);
  g_autoptr(FbSafetensorsWriter) writer = fb_safetensors_writer_new (path);
  g_autoptr(GError)              error  = NULL, missing = NULL, dtype = NULL;
  g_autoptr(FbCheckpoint)        ckpt   = NULL;
  const float                    data[] = { 1, 2, 3, 4, 5, 6, 7 };
  const guint16                  halves[] = { 0x3c00, 0xc000 };
  float                          x[6];
  guint16                        raw[2];

  fb_safetensors_writer_add (writer, "time_embedding.linear_1.weight", FB_DTYPE_F32, 4, (gint64[]) { 2, 3, 1, 1 });
  fb_safetensors_writer_add (writer, "scalar", FB_DTYPE_F32, 0, NULL);
  fb_safetensors_writer_add (writer, "half", FB_DTYPE_F16, 1, (gint64[]) { 2 });
  fb_safetensors_writer_add (writer, "double", FB_DTYPE_F64, 1, (gint64[]) { 1 });
  g_assert_true (fb_safetensors_writer_write (writer, data, sizeof data, &error));
  g_assert_true (fb_safetensors_writer_write (writer, halves, sizeof halves, &error));
  g_assert_true (fb_safetensors_writer_write (writer, (double[]) { 0.5 }, 8, &error));
  g_assert_true (fb_safetensors_writer_finish (writer, &error));
  ckpt = fb_checkpoint_open (path, "unet", &error);
  g_assert_no_error (error);

  g_assert_true (fb_checkpoint_read_f32 (ckpt, "time_embedding.linear_1.weight", 2, (int[]) { 2, 3 }, x, NULL, &error));
  g_assert_cmpfloat (x[5], ==, 6);
  g_assert_true (fb_checkpoint_read_f32 (ckpt, "time_embedding.linear_1.weight", 4, (int[]) { 2, 3, 1, 1 }, x, NULL, &error));
  g_assert_true (fb_checkpoint_read_f32 (ckpt, "scalar", 1, (int[]) { 1 }, x, NULL, &error));
  g_assert_true (fb_checkpoint_read_f32 (ckpt, "half", 2, (int[]) { 2, 1 }, x, NULL, &error));
  g_assert_cmpfloat (x[1], ==, -2);
  g_assert_true (fb_checkpoint_read_raw (ckpt, "half", 1, (int[]) { 2 }, raw, NULL, &error));
  g_assert_cmpint (raw[1], ==, 0xc000);
  g_assert_true (fb_checkpoint_read_f32 (ckpt, "double", 1, (int[]) { 1 }, x, NULL, &error));
  g_assert_cmpfloat (x[0], ==, 0.5);

  g_assert_false (fb_checkpoint_read_f32 (ckpt, "time_embedding.linear_1.weight", 2, (int[]) { 3, 2 }, x, NULL, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_SHAPE);
  g_assert_nonnull (strstr (error->message, "time_embedding.linear_1.weight"));
  g_assert_nonnull (strstr (error->message, "[2, 3, 1, 1]"));
  g_assert_nonnull (strstr (error->message, "[3, 2]"));
  g_assert_false (fb_checkpoint_read_f32 (ckpt, "conv_in.weight", 1, (int[]) { 1 }, x, NULL, &missing));
  g_assert_error (missing, FB_MODEL_ERROR, FB_MODEL_ERROR_MISSING_TENSOR);
  g_assert_nonnull (strstr (missing->message, "conv_in.weight"));
  g_assert_false (fb_checkpoint_read_raw (ckpt, "double", 1, (int[]) { 1 }, x, NULL, &dtype));
  g_assert_error (dtype, FB_MODEL_ERROR, FB_MODEL_ERROR_DTYPE);
}

static void
test_reads_a_pipeline_of_diffusers (void)
{
  static const struct { const char *component, *name; } cases[] =
  {
    { "unet", "conv_in.weight" }, { "vae", "decoder.conv_out.bias" }, { "text_encoder", "text_model.final_layer_norm.weight" },
  };
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GError)       error = NULL;
      g_autoptr(FbCheckpoint) ckpt  = fb_checkpoint_open (path, cases[i].component, &error);

      g_assert_no_error (error);
      g_assert_nonnull (fb_checkpoint_lookup (ckpt, cases[i].name));
      g_assert_nonnull (fb_checkpoint_config (ckpt));
      g_assert_nonnull (fb_checkpoint_scheduler_config (ckpt));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add_func ("/core/formats/checkpoint/" name, function)
  for (gsize i = 0; i < G_N_ELEMENTS (sources); i++)
    {
      g_autofree char *path = g_strdup_printf ("/core/formats/checkpoint/every-tensor-has-its-canonical-name/%s%s%s", sources[i].list,
                                               sources[i].prefix[0] != '\0' ? "+" : "", sources[i].prefix);
      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_source);
    }
  ADD ("one-file-holds-all-components", test_one_file_holds_all_components);
  ADD ("folder-of-diffusers", test_folder_of_diffusers);
  ADD ("fp16-variant-is-found", test_fp16_variant_is_found);
  ADD ("shards-are-one", test_shards_are_one);
  ADD ("wrong-indices-are-refused", test_wrong_indices_are_refused);
  ADD ("what-cannot-be-used-says-why", test_what_cannot_be_used_says_why);
  ADD ("taesd-pair-is-one-component", test_taesd_pair_is_one_component);
  ADD ("shapes-are-checked", test_shapes_are_checked);
  ADD ("reads-a-pipeline-of-diffusers", test_reads_a_pipeline_of_diffusers);
  return g_test_run ();
}
