/* tests/core/distill/test-memory.c: what training Stable Diffusion 1.5 takes, counted on the measuring device. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/lora-set.h"
#include "core/distill/perceptual.h"
#include "core/models/unet.h"
#include "core/nn/tape.h"
#include "kernels/measure.h"

#define GB ((gsize) 1000 * 1000 * 1000)

static const FbUnetConfig sd15 =
{
  .in_channels = 4, .out_channels = 4, .n_levels = 4,
  .block_channels = { 320, 640, 1280, 1280 }, .layers_per_block = { 2, 2, 2, 2 }, .transformer_depth = { 1, 1, 1, 1 }, .n_heads = { 8, 8, 8, 8 },
  .down_attention = { TRUE, TRUE, TRUE, FALSE }, .up_attention = { TRUE, TRUE, TRUE, FALSE },
  .context_width = 768, .n_groups = 32, .eps = 1e-5f, .flip_sin_to_cos = TRUE,
};

typedef struct
{
  FbDevice  *dev;
  FbContext *ctx;
  FbUnet    *unet;
  FbLoraSet *lora;
} Training;

static void
training_init (Training *t)
{
  const FbLoraSettings settings = { .rank = 64, .alpha = 64.0, .targets = fb_lora_default_targets };
  g_autoptr(GError)    error    = NULL;
  FbParams            *params;

  t->dev = fb_device_new_measure ();
  t->ctx = fb_nn_context_new (t->dev, FB_DTYPE_F32);
  t->unet = fb_unet_new (&sd15);
  params = fb_unet_params (t->unet);
  fb_params_set_odd_sizes (params, TRUE);
  fb_params_fill_with_nothing (params, t->dev, FB_DTYPE_F32);
  t->lora = fb_lora_set_new (params, t->dev, FB_DTYPE_F32, &settings, &error);
  g_assert_no_error (error);
}

static void
training_clear (Training *t)
{
  g_autoptr(GError) error = NULL;

  fb_device_check (t->dev, &error);
  g_assert_no_error (error);
  fb_lora_set_free (t->lora);
  fb_unet_free (t->unet);
  fb_nn_context_free (t->ctx);
  fb_device_unref (t->dev);
}

static FbTensor *
zeros (Training *t, int n_dims, const int *shape)
{
  gsize             n = 1;
  g_autofree float *values = NULL;

  for (int i = 0; i < n_dims; i++)
    n *= shape[i];
  values = g_new0 (float, n);

  return fb_nn_upload (t->ctx, FB_DTYPE_F32, values, n_dims, shape);
}

/* The most bytes of tensors during the student's forward and backward at 512×512, one picture, f32 */
static gsize
peak (Training *t, gsize memory_budget)
{
  const gsize       before     = fb_device_bytes_in_use (t->dev);
  g_autoptr(FbTape) tape       = fb_tape_new (t->dev, memory_budget);
  FbUnetConditions  conditions = { .timestep = 999.0f, .context = zeros (t, 3, (int[]) { 1, 77, 768 }) };
  FbTensor         *y;

  fb_device_reset_peak (t->dev);
  fb_nn_set_lora_enabled (t->ctx, TRUE);
  fb_nn_set_tape (t->ctx, tape);
  y = fb_unet_forward (t->ctx, t->unet, zeros (t, 4, (int[]) { 1, 64, 64, 4 }), &conditions);
  fb_nn_set_tape (t->ctx, NULL);
  fb_tape_backward (tape, y, zeros (t, y->n_dims, y->shape));
  fb_nn_reset (t->ctx);

  return fb_device_bytes_peak (t->dev) - before;
}

static void
test_fits (void)
{
  Training t;
  gsize    all, some, none, weights, trained = 0;

  training_init (&t);
  weights = fb_params_bytes (fb_unet_params (t.unet), FB_DTYPE_F32);
  for (guint i = 0; i < fb_lora_set_trainables (t.lora)->len; i++)
    trained += 7 * sizeof (float) * ((FbTrainable *) g_ptr_array_index (fb_lora_set_trainables (t.lora), i))->n;   /* packed, slot, values,
                                                                                                          gradient, two moments, average */
  all = peak (&t, G_MAXSIZE);
  some = peak (&t, GB / 2);
  none = peak (&t, 0);
  g_test_message ("weights %.2f GB, LoRA %.2f GB; activations %.2f GB, with a budget of 0.5 GB %.2f GB, with all blocks checkpointed %.2f GB",
                  1e-9 * weights, 1e-9 * trained, 1e-9 * all, 1e-9 * some, 1e-9 * none);
  g_assert_cmpuint (weights + trained + all, <, 24 * GB);
  g_assert_cmpuint (none, <, all / 3);
  g_assert_cmpuint (some, <, GB);
  g_assert_cmpuint (some, >, none);
  training_clear (&t);
}

/* Its autoencoder and the whole VGG16, at 512×512 and beyond: the middle alone is decoded */
static void
test_looking_fits (void)
{
  const FbVaeConfig   vae    = { .picture_channels = 3, .latent_channels = 4, .n_levels = 4, .block_channels = { 128, 256, 512, 512 }, .n_layers = 2,
                                 .n_groups = 32, .mid_attention = TRUE, .quant_conv = TRUE, .post_quant_conv = TRUE, .scaling_factor = 0.18215f };
  const FbLpipsConfig lpips  = { { 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512 } };
  const guint64       small  = fb_perceptual_measure (&vae, &lpips, 64, 64), large = fb_perceptual_measure (&vae, &lpips, 128, 96);

  g_test_message ("LPIPS with gradient, 512×512: %.2f GB", 1e-9 * small);
  g_assert_cmpuint (small, ==, large);
  g_assert_cmpuint (small, >, GB);
  g_assert_cmpuint (small, <, 4 * GB);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/core/distill/memory/sd15-trains-in-24-gb", test_fits);
  g_test_add_func ("/core/distill/memory/sd15-is-looked-at-in-4-gb", test_looking_fits);

  return g_test_run ();
}
