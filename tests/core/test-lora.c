/* tests/core/test-lora.c: LoRA files of each convention against PEFT and diffusers. SPDX-License-Identifier: LGPL-3.0-or-later
 * tests/golden/lora/make.py made the files and what they should do to a small model. */
#include <math.h>
#include <string.h>

#include "core/formats/lora.h"
#include "core/formats/safetensors-writer.h"
#include "tests/core/scratch.h"

typedef struct
{
  GArray       *unet, *text_encoder;    /* of FbLoraModule */
  GStringChunk *names;
} Model;

static void
model_free (Model *model)
{
  g_array_unref (model->unet);
  g_array_unref (model->text_encoder);
  g_string_chunk_free (model->names);
  g_free (model);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Model, model_free)

static char *
golden (const char *name)
{
  return g_test_build_filename (G_TEST_DIST, "golden", "lora", name, NULL);
}

static Model *
load_model (void)
{
  Model            *model = g_new0 (Model, 1);
  g_autofree char  *path  = golden ("modules.txt");
  g_autofree char  *text  = NULL;
  g_auto(GStrv)     rows  = NULL;
  g_autoptr(GError) error = NULL;

  model->unet         = g_array_new (FALSE, FALSE, sizeof (FbLoraModule));
  model->text_encoder = g_array_new (FALSE, FALSE, sizeof (FbLoraModule));
  model->names        = g_string_chunk_new (4096);

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  rows = g_strsplit (text, "\n", -1);
  for (guint i = 0; rows[i] != NULL; i++)
    if (rows[i][0] != '#' && rows[i][0] != '\0')
      {
        g_auto(GStrv) words  = g_strsplit (rows[i], " ", -1);
        FbLoraModule  module = { .path = g_string_chunk_insert (model->names, words[1]), .n_dims = g_strv_length (words) - 2 };

        for (int d = 0; d < module.n_dims; d++)
          module.shape[d] = atoi (words[2 + d]);
        g_array_append_val (strcmp (words[0], "unet") == 0 ? model->unet : model->text_encoder, module);
      }

  return model;
}

static void
match_all (FbLora *lora, const Model *model)
{
  g_autoptr(GError) error = NULL;

  fb_lora_match (lora, "unet", (FbLoraModule *) model->unet->data, model->unet->len, &error);
  g_assert_no_error (error);
  fb_lora_match (lora, "text_encoder", (FbLoraModule *) model->text_encoder->data, model->text_encoder->len, &error);
  g_assert_no_error (error);
  fb_lora_check (lora, &error);
  g_assert_no_error (error);
}

/* ‖a − b‖ / ‖b‖ */
static double
difference (const float *a, const float *b, gsize n)
{
  double diff = 0, norm = 0;

  for (gsize i = 0; i < n; i++)
    {
      diff += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
      norm += (double) b[i] * b[i];
    }
  return sqrt (diff / norm);
}

static const struct { const char *file, *expected; guint n; } cases[] =
{
  { "peft-diffusers.safetensors", "peft-diffusers", 108 },
  { "diffusers.safetensors",      "diffusers",      60 },
  { "processor.safetensors",      "processor",      48 },
  { "kohya.safetensors",          "kohya",          108 },
  { "kohya-ldm.safetensors",      "kohya",          108 },
  { "peft-folder",                "peft-folder",    96 },
  { "tucker.safetensors",         "tucker",         2  },
};

static void
test_convention (gconstpointer data)
{
  gsize                    c       = GPOINTER_TO_SIZE (data);
  g_autofree char         *path    = golden (cases[c].file);
  g_autofree char         *name    = g_strconcat (cases[c].expected, ".expected.safetensors", NULL);
  g_autofree char         *results = golden (name);
  g_autoptr(GError)        error   = NULL;
  g_autoptr(Model)         model   = load_model ();
  g_autoptr(FbLora)        lora    = fb_lora_open (path, &error);
  g_autoptr(FbSafetensors) truth   = NULL;
  g_auto(GStrv)            left    = NULL;
  double                   worst   = 0;

  g_assert_no_error (error);
  truth = fb_safetensors_open (results, &error);
  g_assert_no_error (error);
  match_all (lora, model);

  left = fb_lora_unmatched (lora);
  g_assert_cmpuint (g_strv_length (left), ==, 0);
  g_assert_cmpuint (fb_lora_n_matched (lora), ==, cases[c].n);
  g_assert_cmpuint (fb_safetensors_n_tensors (truth), ==, cases[c].n);

  for (guint i = 0; i < fb_safetensors_n_tensors (truth); i++)
    {
      const FbTensorInfo *info     = fb_safetensors_tensor (truth, i);
      gsize               n        = fb_tensor_info_n_elements (info);
      g_auto(GStrv)       place    = g_strsplit (info->name, " ", 2);
      g_autofree float   *expected = g_new (float, n);
      g_autofree float   *weight   = g_new0 (float, n);
      double              d;

      g_assert_true (fb_lora_changes (lora, place[0], place[1]));
      g_assert_true (fb_safetensors_read_f32 (truth, info, 0, n, expected, NULL, &error));
      fb_lora_add_delta (lora, place[0], place[1], 1.0f, weight, NULL, &error);
      g_assert_no_error (error);
      d = difference (weight, expected, n);
      if (!(d <= 1e-6))
        g_test_message ("%s: %g", info->name, d);
      g_assert_cmpfloat (d, <=, 1e-6);
      worst = MAX (worst, d);

      for (gsize k = 0; k < n; k++)                         /* strength scales, and adds to what is there */
        weight[k] = 1.0f;
      fb_lora_add_delta (lora, place[0], place[1], -2.0f, weight, NULL, &error);
      g_assert_no_error (error);
      for (gsize k = 0; k < n; k++)
        g_assert_cmpfloat_with_epsilon (weight[k], 1.0f - 2.0f * expected[k], 1e-5f * (1 + fabsf (expected[k])));
    }

  g_test_message ("worst ‖a − b‖ / ‖b‖: %.2g", worst);
}

static void
test_other_layers_are_left_alone (void)
{
  g_autofree char  *path   = golden ("processor.safetensors");
  g_autoptr(Model)  model  = load_model ();
  g_autoptr(FbLora) lora   = fb_lora_open (path, NULL);
  g_autoptr(GError) error  = NULL;
  float             weight = 5;

  match_all (lora, model);
  g_assert_false (fb_lora_changes (lora, "unet", "conv_in"));
  g_assert_true (fb_lora_add_delta (lora, "unet", "conv_in", 1, &weight, NULL, &error));
  g_assert_true (fb_lora_add_delta (lora, "text_encoder", "no.such.layer", 1, &weight, NULL, &error));
  g_assert_cmpfloat (weight, ==, 5);
}

/* Writes a file of small tensors: "name:2x3 name:1 …", all elements @value; returns its path. */
static char *
write_file (const char *folder, const char *file, const char *tensors, float value)
{
  char                           *path   = g_build_filename (folder, file, NULL);
  g_autoptr(FbSafetensorsWriter)  writer = fb_safetensors_writer_new (path);
  g_auto(GStrv)                   words  = g_strsplit (tensors, " ", -1);
  g_autoptr(GError)               error  = NULL;
  gint64                          total  = 0;

  for (guint i = 0; words[i] != NULL; i++)
    {
      g_auto(GStrv) parts    = g_strsplit (words[i], ":", 2);
      g_auto(GStrv) sizes    = g_strsplit (parts[1], "x", -1);
      gint64        shape[4] = { 1, 1, 1, 1 }, n = 1;
      int           n_dims   = parts[1][0] != '\0' ? g_strv_length (sizes) : 0;

      for (int d = 0; d < n_dims; d++)
        n *= shape[d] = atoi (sizes[d]);
      total += n;
      fb_safetensors_writer_add (writer, parts[0], FB_DTYPE_F32, n_dims, shape);
    }
  for (gint64 i = 0; i < total; i++)
    g_assert_true (fb_safetensors_writer_write (writer, &value, 4, &error));
  g_assert_true (fb_safetensors_writer_finish (writer, &error));
  return path;
}

#define Q "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"

/* Each spelling of one layer, for the unet (a linear layer of 16 × 16) and for the text encoder (12 × 12). */
static void
test_every_spelling_is_known (void)
{
  static const struct { const char *component, *key, *down, *up; } spellings[] =
  {
    { "unet", "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q", ".lora_down.weight", ".lora_up.weight" },
    { "unet", "lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q",         ".lora_down.weight", ".lora_up.weight" },
    { "unet", "lycoris_mid_block_attentions_0_transformer_blocks_0_attn1_to_q",   ".lora_down.weight", ".lora_up.weight" },
    { "unet", Q,                                                                  ".lora_A.weight",    ".lora_B.weight"  },
    { "unet", "unet." Q,                                                          ".lora_A.weight",    ".lora_B.weight"  },
    { "unet", "unet." Q,                                                          ".lora_A.default.weight", ".lora_B.default.weight" },
    { "unet", "unet." Q,                                                          ".lora.down.weight", ".lora.up.weight" },
    { "unet", "base_model.model." Q,                                              ".lora_A.weight",    ".lora_B.weight"  },
    { "unet", "unet.base_model.model." Q,                                         ".lora_A.weight",    ".lora_B.weight"  },
    { "unet", "diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q",   ".lora_A.weight",    ".lora_B.weight"  },
    { "unet", "unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_q", "_lora.down.weight", "_lora.up.weight" },
    { "unet", "mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_q", "_lora.down.weight", "_lora.up.weight" },
    { "text_encoder", "lora_te_text_model_encoder_layers_1_self_attn_q_proj",     ".lora_down.weight", ".lora_up.weight" },
    { "text_encoder", "lora_te1_text_model_encoder_layers_1_self_attn_q_proj",    ".lora_down.weight", ".lora_up.weight" },
    { "text_encoder", "text_encoder.text_model.encoder.layers.1.self_attn.q_proj", ".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight" },
    { "text_encoder", "text_encoder.text_model.encoder.layers.1.self_attn.to_q",  "_lora.down.weight", "_lora.up.weight" },
    { "text_encoder", "text_encoder.text_model.encoder.layers.1.self_attn.q_proj", ".lora_A.weight",   ".lora_B.weight"  },
    { "text_encoder", "text_encoder.encoder.layers.1.self_attn.q_proj",           ".lora_A.weight",    ".lora_B.weight"  },
    { "text_encoder", "base_model.model.text_model.encoder.layers.1.self_attn.q_proj", ".lora_A.weight", ".lora_B.weight" },
  };
  g_autoptr(Scratch) folder = scratch_new ();
  g_autoptr(Model)   model  = load_model ();

  for (guint i = 0; i < G_N_ELEMENTS (spellings); i++)
    {
      const gboolean    unet    = strcmp (spellings[i].component, "unet") == 0;
      const int         n       = unet ? 16 : 12;
      g_autofree char  *tensors = g_strdup_printf ("%s%s:2x%d %s%s:%dx2 %s.alpha:", spellings[i].key, spellings[i].down, n,
                                                   spellings[i].key, spellings[i].up, n, spellings[i].key);
      g_autofree char  *path    = write_file (folder, "a.safetensors", tensors, 0.5f);
      g_autoptr(GError) error   = NULL;
      g_autoptr(FbLora) lora    = fb_lora_open (path, &error);
      float             weight[256] = { 0 };

      g_assert_no_error (error);
      match_all (lora, model);
      g_assert_true (fb_lora_add_delta (lora, spellings[i].component, unet ? Q : "text_model.encoder.layers.1.self_attn.q_proj", 1, weight,
                                        NULL, &error));
      g_assert_cmpfloat (weight[n * n - 1], ==, 0.5f * 0.5f * 2 * 0.5f / 2);      /* rank 2, alpha 0.5 */
    }
}

static void
test_second_text_encoder_is_told_apart (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *path   = write_file (folder, "a.safetensors",
                                          "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight:2x12 "
                                          "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight:20x2 "
                                          "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight:2x12 "
                                          "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_up.weight:20x2", 1);
  g_autoptr(GError)  error  = NULL;
  g_autoptr(Model)   model  = load_model ();
  g_autoptr(FbLora)  lora   = fb_lora_open (path, &error);
  g_auto(GStrv)      left   = NULL;

  match_all (lora, model);
  left = fb_lora_unmatched (lora);
  g_assert_cmpuint (fb_lora_n_matched (lora), ==, 1);
  g_assert_cmpstr (left[0], ==, "lora_te2_text_model_encoder_layers_0_mlp_fc1");

  g_assert_true (fb_lora_match (lora, "text_encoder_2", (FbLoraModule *) model->text_encoder->data, model->text_encoder->len, &error));
  g_assert_cmpuint (fb_lora_n_matched (lora), ==, 2);
}

static void
test_unmatched_layers_are_reported (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *path   = write_file (folder, "a.safetensors",
                                          Q ".lora_A.weight:1x16 " Q ".lora_B.weight:16x1 stranger.lora_A.weight:1x2 "
                                          "stranger.lora_B.weight:2x1 something.else:3", 1);
  g_autoptr(GError)  error  = NULL;
  g_autoptr(Model)   model  = load_model ();
  g_autoptr(FbLora)  lora   = fb_lora_open (path, &error);
  g_auto(GStrv)      left   = NULL;

  g_assert_no_error (error);
  match_all (lora, model);
  g_assert_cmpuint (fb_lora_n_layers (lora), ==, 2);
  g_assert_cmpuint (fb_lora_n_matched (lora), ==, 1);
  left = fb_lora_unmatched (lora);
  g_assert_cmpuint (g_strv_length (left), ==, 2);
  g_assert_cmpstr (left[0], ==, "something.else");
  g_assert_cmpstr (left[1], ==, "stranger");
}

/* Opening fails with @code, and the sentence holds @word. */
static void
assert_open_fails (const char *path, FbModelError code, const char *word)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (fb_lora_open (path, &error));
  g_assert_error (error, FB_MODEL_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, word));
}

static void
test_other_kinds_are_refused_by_name (void)
{
  static const struct { const char *tensor, *kind; } kinds[] =
  {
    { "lora_unet_x.hada_w1_a:2x2",            "LoHa"                        },
    { "lora_unet_x.lokr_w1:2x2",              "LoKr"                        },
    { "lora_unet_x.lokr_w2_b:2x2",            "LoKr"                        },
    { "lora_unet_x.oft_blocks:2x2x2",         "OFT"                         },
    { "unet.x.oft_R.weight:2x2",              "OFT"                         },
    { "lora_unet_x.dora_scale:2x1",           "DoRA"                        },
    { "unet.x.lora_magnitude_vector:2",       "DoRA"                        },
    { "unet.x.lora_magnitude_vector.weight:2", "DoRA"                       },
    { "lora_unet_x.a1.weight:2x2",            "GLoRA"                       },
    { "lora_unet_x.diff:2x2",                 "set of full weight changes"  },
    { "lora_unet_x.diff_b:2",                 "set of full weight changes"  },
    { "lora_unet_x.set_weight:2x2",           "set of replaced weights"     },
    { "lora_unet_x.w_norm:2",                 "LoRA with trained norms"     },
    { "unet.x.lora_B.bias:2",                 "LoRA with biases"            },
    { "unet.x.lora_embedding_A:2x2",          "LoRA with changed embeddings" },
    { "lora_unet_x.on_input:",                "IA³"                         },
  };
  g_autoptr(Scratch) folder = scratch_new ();

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autofree char *tensors = g_strconcat (Q ".lora_A.weight:1x16 " Q ".lora_B.weight:16x1 ", kinds[i].tensor, NULL);
      g_autofree char *path    = write_file (folder, "a.safetensors", tensors, 1);

      assert_open_fails (path, FB_MODEL_ERROR_UNSUPPORTED, kinds[i].kind);
      assert_open_fails (path, FB_MODEL_ERROR_UNSUPPORTED, path);
    }
}

static void
test_broken_files_are_refused (void)
{
  static const struct { const char *tensors; FbModelError code; const char *word; } files[] =
  {
    { "conv_in.weight:2x2",                                             FB_MODEL_ERROR_NOT_FOUND,  "no LoRA"   },
    { Q ".lora_A.weight:1x16",                                          FB_MODEL_ERROR_BAD_HEADER, Q           },
    { Q ".lora_B.weight:16x1",                                          FB_MODEL_ERROR_BAD_HEADER, Q           },
    { Q ".alpha:",                                                      FB_MODEL_ERROR_BAD_HEADER, Q           },
    { Q ".lora_A.weight:2x16 " Q ".lora_B.weight:16x1",                 FB_MODEL_ERROR_SHAPE,      "[2, 16]"   },
    { Q ".lora_A.weight:0x16 " Q ".lora_B.weight:16x0",                 FB_MODEL_ERROR_SHAPE,      "[0, 16]"   },
    { Q ".lora_A.weight:16 " Q ".lora_B.weight:16x16",                  FB_MODEL_ERROR_SHAPE,      "[16]"      },
    { Q ".lora_A.weight:1x16 " Q ".lora_B.weight:16x1 " Q ".lora.down.weight:1x16", FB_MODEL_ERROR_BAD_HEADER, Q },
  };
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *pickle = g_build_filename (folder, "a.pt", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      g_autofree char *path = write_file (folder, "a.safetensors", files[i].tensors, 1);

      assert_open_fails (path, files[i].code, files[i].word);
    }

  scratch_write (folder, "a.pt", "PK\003\004....", -1);
  assert_open_fails (pickle, FB_MODEL_ERROR_PICKLE, "pickle");
  assert_open_fails (folder, FB_MODEL_ERROR_NOT_FOUND, "adapter_model.safetensors");
}

static void
test_same_layer_twice_is_refused (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *path   = write_file (folder, "a.safetensors",
                                          Q ".lora_A.weight:1x16 " Q ".lora_B.weight:16x1 unet." Q ".lora_A.weight:1x16 unet." Q
                                          ".lora_B.weight:16x1", 1);
  g_autoptr(GError)  error  = NULL;
  g_autoptr(Model)   model  = load_model ();
  g_autoptr(FbLora)  lora   = fb_lora_open (path, &error);

  g_assert_false (fb_lora_match (lora, "unet", (FbLoraModule *) model->unet->data, model->unet->len, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_HEADER);
}

/* A name for the layer that SDXL has, too, with other sizes; only names of SDXL; a Flux LoRA. */
static void
test_other_families_are_named (void)
{
  static const struct { const char *tensors, *word; } files[] =
  {
    { Q ".lora_A.weight:1x1280 " Q ".lora_B.weight:1280x1 unet.add_embedding.linear_1.lora_A.weight:1x2 "
      "unet.add_embedding.linear_1.lora_B.weight:2x1", "“SDXL”" },
    { "lora_te2_x.lora_down.weight:1x2 lora_te2_x.lora_up.weight:2x1", "“SDXL”" },
    { "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight:1x2 lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight:2x1", "“Flux”" },
    { Q ".lora_A.weight:1x1280 " Q ".lora_B.weight:1280x1", "[1, 1280]" },
    { Q ".lora_A.weight:1x16 " Q ".lora_B.weight:16x1 a.lora_A.weight:1x1 a.lora_B.weight:1x1 b.lora_A.weight:1x1 b.lora_B.weight:1x1 "
      "c.lora_A.weight:1x1 c.lora_B.weight:1x1", "1 of its 4 layers" },
  };
  g_autoptr(Scratch) folder = scratch_new ();
  g_autoptr(Model)   model  = load_model ();

  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      g_autofree char  *path  = write_file (folder, "a.safetensors", files[i].tensors, 1);
      g_autoptr(GError) error = NULL;
      g_autoptr(FbLora) lora  = fb_lora_open (path, &error);

      g_assert_no_error (error);
      g_assert_false (fb_lora_match (lora, "unet", (FbLoraModule *) model->unet->data, model->unet->len, &error) &&
                      fb_lora_check (lora, &error));
      g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_FAMILY);
      g_assert_nonnull (strstr (error->message, files[i].word));
    }
}

static void
test_nan_is_refused (void)
{
  g_autoptr(Scratch) folder      = scratch_new ();
  g_autofree char   *path        = write_file (folder, "a.safetensors", Q ".lora_A.weight:1x16 " Q ".lora_B.weight:16x1", NAN);
  g_autofree char   *alpha       = write_file (folder, "b.safetensors", Q ".lora_A.weight:1x16 " Q ".lora_B.weight:16x1 " Q ".alpha:", NAN);
  g_autoptr(GError)  error       = NULL, error_alpha = NULL;
  g_autoptr(Model)   model       = load_model ();
  g_autoptr(FbLora)  lora        = fb_lora_open (path, &error);
  g_autoptr(FbLora)  other       = fb_lora_open (alpha, &error);
  float              weight[256] = { 0 };

  match_all (lora, model);
  g_assert_false (fb_lora_add_delta (lora, "unet", Q, 1, weight, NULL, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FINITE);
  g_assert_false (fb_lora_match (other, "unet", (FbLoraModule *) model->unet->data, model->unet->len, &error_alpha));
  g_assert_error (error_alpha, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FINITE);
}

static void
test_wrong_configurations_are_refused (void)
{
  static const struct { const char *json; FbModelError code; const char *word; } configs[] =
  {
    { "{\"peft_type\": \"LOHA\"}",                      FB_MODEL_ERROR_UNSUPPORTED, "LOHA"                },
    { "{\"use_dora\": true}",                           FB_MODEL_ERROR_UNSUPPORTED, "DoRA"                },
    { "{\"init_lora_weights\": \"pissa_niter_4\"}",     FB_MODEL_ERROR_UNSUPPORTED, "pissa"               },
    { "{\"alpha_pattern\": {\"(a+)+$\": 1}}",           FB_MODEL_ERROR_UNSUPPORTED, "(a+)+$"              },
    { "{",                                              FB_MODEL_ERROR_BAD_CONFIG,  "adapter_config.json" },
  };
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *path   = write_file (folder, "adapter_model.safetensors", Q ".lora_A.weight:1x16 " Q ".lora_B.weight:16x1", 1);

  for (guint i = 0; i < G_N_ELEMENTS (configs); i++)
    {
      scratch_write (folder, "adapter_config.json", configs[i].json, -1);
      assert_open_fails (folder, configs[i].code, configs[i].word);
      assert_open_fails (path, configs[i].code, configs[i].word);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add_func ("/core/formats/lora/" name, function)
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/core/formats/lora/changes-weights-as-peft-does/", cases[i].file, NULL);
      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_convention);
    }
  ADD ("other-layers-are-left-alone", test_other_layers_are_left_alone);
  ADD ("every-spelling-is-known", test_every_spelling_is_known);
  ADD ("second-text-encoder-is-told-apart", test_second_text_encoder_is_told_apart);
  ADD ("unmatched-layers-are-reported", test_unmatched_layers_are_reported);
  ADD ("other-kinds-are-refused-by-name", test_other_kinds_are_refused_by_name);
  ADD ("broken-files-are-refused", test_broken_files_are_refused);
  ADD ("same-layer-twice-is-refused", test_same_layer_twice_is_refused);
  ADD ("other-families-are-named", test_other_families_are_named);
  ADD ("nan-is-refused", test_nan_is_refused);
  ADD ("wrong-configurations-are-refused", test_wrong_configurations_are_refused);
  return g_test_run ();
}
