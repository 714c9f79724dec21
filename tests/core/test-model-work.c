/* tests/core/test-model-work.c: the arithmetic of a call, which times are foretold by. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/model-private.h"
#include "core/models/tiles.h"
#include "kernels/measure.h"
#include "tests/core/recorder.h"

/* by hand, QKᵀ and PV included: convolutions 418 GFLOP, linear layers 259, attention 126 */
static void
test_a_step_of_sd_15_counts_as_known (void)
{
  static const char text[] =
    "{ \"_class_name\": \"UNet2DConditionModel\", \"in_channels\": 4, \"out_channels\": 4, \"sample_size\": 64,"
    " \"block_out_channels\": [320, 640, 1280, 1280], \"layers_per_block\": 2, \"cross_attention_dim\": 768, \"attention_head_dim\": 8,"
    " \"down_block_types\": [\"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\", \"DownBlock2D\"],"
    " \"up_block_types\": [\"UpBlock2D\", \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\"] }";
  g_autoptr(JsonParser) parser = json_parser_new ();
  g_autoptr(FbDevice)   dev    = fb_device_new_measure ();
  FbContext            *ctx    = fb_nn_context_new (dev, FB_DTYPE_F32);
  g_autoptr(FbUnet)     unet   = NULL;
  g_autoptr(GError)     error  = NULL;
  FbUnetConditions      conditions = { 0 };
  FbUnetConfig          config;

  json_parser_load_from_data (parser, text, -1, &error);
  g_assert_no_error (error);
  fb_unet_config_parse (&config, json_node_get_object (json_parser_get_root (parser)), "unet", &error);
  g_assert_no_error (error);
  unet = fb_unet_new (&config);
  fb_params_fill_with_nothing (fb_unet_params (unet), dev, FB_DTYPE_F32);
  conditions.context = fb_nn_upload (ctx, FB_DTYPE_F32, NULL, 3, (int[]) { 1, 77, 768 });
  fb_unet_forward (ctx, unet, fb_nn_upload (ctx, FB_DTYPE_F32, NULL, 4, (int[]) { 1, 64, 64, 4 }), &conditions);

  g_assert_cmpfloat_with_epsilon (fb_device_measured_flop (dev), 803e9, 1e9);
  fb_nn_context_free (ctx);
}

static void
test_work_grows_faster_than_pixels (ModelFixture *f, gconstpointer data)
{
  const double small = fb_model_call_flop (f->model, FB_MODEL_UNET, 1, 256, 256);

  g_assert_cmpfloat (small, >, 0.0);
  g_assert_cmpfloat (fb_model_call_flop (f->model, FB_MODEL_UNET, 2, 256, 256), ==, 2.0 * small);
  g_assert_cmpfloat (fb_model_call_flop (f->model, FB_MODEL_UNET, 1, 512, 512), >, 4.0 * small);    /* attention sees all pairs of pixels */
  g_assert_cmpfloat (fb_model_call_flop (f->model, FB_MODEL_UNET, 1, 256, 256), ==, small);
  g_assert_cmpfloat (fb_model_call_flop (f->model, FB_MODEL_UNET, 1, 800000, 800000), ==, 0.0);
  g_assert_cmpfloat (fb_model_call_flop (f->model, FB_MODEL_TAESD, 1, 256, 256), ==, 0.0);          /* there is none */
}

static void
test_work_of_large_pictures_is_their_tiles (ModelFixture *f, gconstpointer data)
{
  const int    side = fb_model_tile_size (f->model, 400, 500, 0);                                   /* latent pixels */
  const int    n    = fb_tiles_count (400, 500, side);
  const int    scale = fb_model_info (f->model)->scale_factor;
  const double tile = fb_model_call_flop (f->model, FB_MODEL_VAE_DECODER, 1, side * scale, side * scale);

  g_assert_cmpint (n, >, 1);
  g_assert_cmpfloat (fb_model_call_flop (f->model, FB_MODEL_VAE_DECODER, 1, 400 * scale, 500 * scale), ==, n * tile);
}

int
main (int argc, char **argv)
{
  static const ModelTest tests[] =
  {
    { "work-grows-faster-than-pixels",         test_work_grows_faster_than_pixels },
    { "work-of-large-pictures-is-their-tiles", test_work_of_large_pictures_is_their_tiles },
  };

  g_test_init (&argc, &argv, NULL);

  model_add_tests ("/core/models/model-work/", tests, G_N_ELEMENTS (tests), NULL);
  g_test_add_func ("/core/models/model-work/a-step-of-sd-15-counts-as-known", test_a_step_of_sd_15_counts_as_known);

  return g_test_run ();
}
