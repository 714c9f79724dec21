/* tests/core/test-model-memory.c: the bytes a model takes, and what it does where there are few. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "tests/core/recorder.h"

static void
test_weights_take_the_bytes_told (ModelFixture *f, gconstpointer data)
{
  g_autoptr(GError) error = NULL;

  for (int part = FB_MODEL_TEXT_ENCODER; part <= FB_MODEL_VAE_DECODER; part++)
    {
      const guint64 told   = fb_model_weight_bytes (f->model, part);
      const size_t  before = fb_device_bytes_in_use (f->dev);

      g_assert_true (fb_model_load (f->model, part, NULL, NULL, NULL, &error));
      if (part == FB_MODEL_TEXT_ENCODER)                    /* its embeddings stay with the host */
        g_assert_cmpuint (fb_device_bytes_in_use (f->dev) - before, <=, told);
      else
        g_assert_cmpfloat (fabs ((double) (fb_device_bytes_in_use (f->dev) - before) / told - 1.0), <, 0.35);    /* packing pads */
    }
  g_assert_cmpuint (fb_model_weight_bytes (f->model, FB_MODEL_TAESD), ==, 0);
}

static void
test_activations_take_the_bytes_told (ModelFixture *f, gconstpointer data)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *latents = g_new0 (float, 16 * 24 * 4);
  g_autofree float *pixels  = g_new (float, 128 * 192 * 3);
  size_t            before;

  g_free (model_denoise_well (f));
  fb_model_load (f->model, FB_MODEL_VAE_DECODER, NULL, NULL, NULL, &error);
  g_assert_no_error (error);

  before = fb_device_bytes_in_use (f->dev);
  fb_device_reset_peak (f->dev);
  g_assert_true (fb_model_decode (f->model, latents, 16, 24, 0, pixels, NULL, &error));
  g_assert_cmpfloat ((double) (fb_device_bytes_peak (f->dev) - before) /
                     fb_model_activation_bytes (f->model, FB_MODEL_VAE_DECODER, 1, 128, 192), <=, 1.0);
  g_assert_cmpfloat ((double) (fb_device_bytes_peak (f->dev) - before) /
                     fb_model_activation_bytes (f->model, FB_MODEL_VAE_DECODER, 1, 128, 192), >=, 0.95);

  g_assert_cmpuint (fb_model_activation_bytes (f->model, FB_MODEL_UNET, 2, 512, 512), >,
                    fb_model_activation_bytes (f->model, FB_MODEL_UNET, 1, 512, 512));
  g_assert_cmpuint (fb_model_activation_bytes (f->model, FB_MODEL_UNET, 4, 800000, 800000), >, (guint64) 1 << 45);
}

enum { TEXT, STEP, PICTURE, N_CALLS };

static const FbModelPart parts_of_calls[N_CALLS] = { FB_MODEL_TEXT_ENCODER, FB_MODEL_UNET, FB_MODEL_VAE_DECODER };
static const gsize       sizes_of_calls[N_CALLS] = { 2 * 77 * 64, 2 * H * W * 4, 64 * 64 * 3 };

/* (transfer full): what the call gives; NULL with @error set */
static float *
do_call (ModelFixture *f, int call, GError **error)
{
  g_autofree float *latents = NULL;
  g_autofree float *out     = NULL;

  if (call == STEP)
    return model_denoise (f, NULL, error);
  if (call == TEXT)
    return model_encode_text (f, error);

  latents = g_new (float, 8 * 8 * 4);
  out     = g_new0 (float, sizes_of_calls[PICTURE]);
  for (int i = 0; i < 8 * 8 * 4; i++)
    latents[i] = sinf (i);
  return fb_model_decode (f->model, latents, 8, 8, 0, out, NULL, error) ? g_steal_pointer (&out) : NULL;
}

static float *
do_call_well (ModelFixture *f, int call)
{
  g_autoptr(GError)  error = NULL;
  float             *out   = do_call (f, call, &error);

  g_assert_no_error (error);
  return out;
}

/* @wanted: what the calls give without a limit; @alone: the most bytes of each with its own part only; returns the most of all parts at once */
static size_t
measure_calls (ModelFixture *f, float **wanted, size_t *alone)
{
  size_t all;

  for (int i = 0; i < N_CALLS; i++)
    {
      fb_model_unload (f->model);
      fb_device_reset_peak (f->dev);
      wanted[i] = do_call_well (f, i);
      alone[i]  = fb_device_bytes_peak (f->dev);
    }
  fb_model_unload (f->model);
  fb_device_reset_peak (f->dev);
  for (int i = 0; i < N_CALLS; i++)
    g_free (do_call_well (f, i));
  all = fb_device_bytes_peak (f->dev);
  fb_model_unload (f->model);

  return all;
}

static void
assert_call_gives (ModelFixture *f, int call, const float *wanted)
{
  g_autofree float *out = do_call_well (f, call);

  g_assert_cmpmem (out, sizes_of_calls[call] * sizeof (float), wanted, sizes_of_calls[call] * sizeof (float));
}

static void
test_parts_take_turns_where_memory_is_short (ModelFixture *f, gconstpointer data)
{
  float  *wanted[N_CALLS];
  size_t  alone[N_CALLS];
  size_t  all   = measure_calls (f, wanted, alone);
  size_t  limit = MAX (MAX (alone[TEXT], alone[STEP]), alone[PICTURE]);

  g_assert_cmpuint (limit, <, all);
  fb_device_set_limit (f->dev, limit);
  fb_device_reset_peak (f->dev);
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < N_CALLS; i++)
      {
        assert_call_gives (f, i, wanted[i]);
        g_assert_true (fb_model_is_loaded (f->model, parts_of_calls[i]));
      }
  g_assert_cmpuint (fb_device_bytes_peak (f->dev), <=, limit);
  g_assert_false (fb_model_is_loaded (f->model, FB_MODEL_TEXT_ENCODER) && fb_model_is_loaded (f->model, FB_MODEL_UNET));

  fb_device_set_limit (f->dev, all);                     /* as much as all need: nothing goes any more */
  for (int i = 0; i < N_CALLS; i++)
    assert_call_gives (f, i, wanted[i]);
  for (int i = 0; i < N_CALLS; i++)
    g_assert_true (fb_model_is_loaded (f->model, parts_of_calls[i]));
  for (int i = 0; i < N_CALLS; i++)
    g_free (wanted[i]);
}

/* Wherever in a call the memory ends: an error that says so, or the same values; and nothing of it stays in the way. */
static void
test_any_lack_of_memory_is_survived (ModelFixture *f, gconstpointer data)
{
  const int n_limits = 9;
  float    *wanted[N_CALLS];
  size_t    alone[N_CALLS];
  size_t    all      = measure_calls (f, wanted, alone);
  int       n_failed = 0;

  for (int k = 0; k < n_limits; k++)
    {
      fb_device_set_limit (f->dev, all / n_limits * (k + 1));
      for (int i = 0; i < N_CALLS; i++)
        {
          g_autoptr(GError) error = NULL;
          g_autofree float *out   = do_call (f, i, &error);

          if (out != NULL)
            g_assert_cmpmem (out, sizes_of_calls[i] * sizeof (float), wanted[i], sizes_of_calls[i] * sizeof (float));
          else
            {
              g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_NO_MEMORY);
              g_assert_cmpuint (fb_device_limit (f->dev), <, alone[i]);
              n_failed++;
            }
        }
      if (k % 4 == 0)                                    /* in between, as if other programs had gone */
        {
          fb_device_set_limit (f->dev, G_MAXSIZE);
          assert_call_gives (f, STEP, wanted[STEP]);
        }
    }
  g_assert_cmpint (n_failed, >, 0);
  for (int i = 0; i < N_CALLS; i++)
    g_free (wanted[i]);
}

/* A recording's block makes way before any part does. */
static void
check_recording_makes_way (ModelFixture *f)
{
  float  *wanted[N_CALLS];
  size_t  alone[N_CALLS];
  size_t  all, with_block;

  all = measure_calls (f, wanted, alone);
  for (int i = 0; i < 2; i++)
    assert_call_gives (f, STEP, wanted[STEP]);
  assert_call_gives (f, TEXT, wanted[TEXT]);
  with_block = fb_device_bytes_in_use (f->dev);
  g_assert_cmpint (recorder.n_recorded, ==, 1);

  fb_device_set_limit (f->dev, all + 100000);            /* what plain steps leave is enough for the picture, the block besides is too much */
  g_assert_cmpuint (with_block + alone[PICTURE], >, all + 100000);
  assert_call_gives (f, PICTURE, wanted[PICTURE]);
  g_assert_true (fb_model_is_loaded (f->model, FB_MODEL_UNET));
  g_assert_true (fb_model_is_loaded (f->model, FB_MODEL_TEXT_ENCODER));
  assert_call_gives (f, STEP, wanted[STEP]);
  fb_device_set_limit (f->dev, G_MAXSIZE);
  for (int i = 0; i < N_CALLS; i++)
    g_free (wanted[i]);
}

static void
test_a_recording_makes_way_first (ModelFixture *f, gconstpointer data)
{
  check_recording (f, check_recording_makes_way);
}

static void
test_a_held_part_stays (ModelFixture *f, gconstpointer data)
{
  g_autoptr(GError) error = NULL;
  float            *wanted[N_CALLS];
  size_t            alone[N_CALLS];
  g_autofree float *out   = NULL;

  measure_calls (f, wanted, alone);
  fb_device_set_limit (f->dev, MAX (alone[STEP], alone[PICTURE]));
  assert_call_gives (f, STEP, wanted[STEP]);
  fb_model_hold (f->model, FB_MODEL_UNET, TRUE);
  out = do_call (f, PICTURE, &error);
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_NO_MEMORY);
  g_assert_true (fb_model_is_loaded (f->model, FB_MODEL_UNET));
  fb_model_hold (f->model, FB_MODEL_UNET, FALSE);
  assert_call_gives (f, PICTURE, wanted[PICTURE]);
  g_assert_false (fb_model_is_loaded (f->model, FB_MODEL_UNET));
  for (int i = 0; i < N_CALLS; i++)
    g_free (wanted[i]);
}

/* what each part gives, without LoRAs or with: (transfer full): UNet, text encoder, autoencoder there and back */
#define N_ALL (2 * H * W * 4 + 2 * 77 * 64 + 8 * 12 * 4 + 64 * 96 * 3)

static float *
compute_all (ModelFixture *f, int n_loras, const FbLoraUse *loras)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *picture = model_expected (f, "vae.picture", NULL);
  g_autofree float *noise   = NULL;
  g_autofree float *text    = NULL;
  float            *out     = g_new (float, N_ALL), *latents = out + 2 * H * W * 4 + 2 * 77 * 64;

  model_set_loras (f, n_loras, loras);
  noise = model_denoise_well (f);
  text  = model_encode_text_well (f);
  memcpy (out, noise, 2 * H * W * 16);
  memcpy (out + 2 * H * W * 4, text, 2 * 77 * 64 * 4);
  fb_model_encode_image (f->model, picture, 64, 96, NULL, latents, NULL, &error);
  g_assert_no_error (error);
  fb_model_decode (f->model, latents, 8, 12, 0, latents + 8 * 12 * 4, NULL, &error);
  g_assert_no_error (error);

  return out;
}

static void
test_half_saves_memory_and_changes_no_byte (ModelFixture *f, gconstpointer data)
{
  g_autofree char  *path   = g_test_build_filename (G_TEST_DIST, "golden", "models", "single", "lora.safetensors", NULL);
  const FbLoraUse   one[]  = { { path, 0.7 } };
  g_autofree float *with   = compute_all (f, 1, one);
  g_autofree float *plain  = compute_all (f, 0, NULL);
  size_t            full   = fb_device_bytes_in_use (f->dev);
  guint64           told   = 0, saved = 0, left = 0;

  if (!fb_model_can_be_half (f->model, f->dev))
    {
      g_test_skip ("this device keeps weights in the type it computes in");
      return;
    }
  for (int part = FB_MODEL_TEXT_ENCODER; part <= FB_MODEL_VAE_DECODER; part++)
    {
      told  += fb_model_weight_bytes (f->model, part);
      saved += fb_model_half_saves (f->model, part);
    }
  fb_model_set_half (f->model, TRUE);
  for (int part = FB_MODEL_TEXT_ENCODER; part <= FB_MODEL_VAE_DECODER; part++)
    {
      g_assert_false (fb_model_is_loaded (f->model, part));
      left += fb_model_weight_bytes (f->model, part);
    }
  g_assert_cmpuint (left, ==, told - saved);
  g_assert_cmpuint (left, <, told * 6 / 10);

  for (int i = 0; i < 2; i++)                              /* into loaded weights, and out again */
    {
      g_autofree float *half      = compute_all (f, 0, NULL);
      g_autofree float *half_with = NULL;

      g_assert_cmpmem (half, N_ALL * sizeof (float), plain, N_ALL * sizeof (float));
      g_assert_cmpuint (fb_device_bytes_in_use (f->dev), <, full * 6 / 10);
      half_with = compute_all (f, 1, one);
      g_assert_cmpmem (half_with, N_ALL * sizeof (float), with, N_ALL * sizeof (float));
      g_assert_cmpuint (fb_model_half_saves (f->model, FB_MODEL_UNET), <, saved);
    }
}

static void
test_half_pays_where_f32_does_not_fit (void)
{
  g_unsetenv ("FLASHBRUSH_WEIGHTS");
  g_assert_false (fb_half_pays (100, 40, 100));
  g_assert_true (fb_half_pays (101, 40, 100));
  g_assert_true (fb_half_pays (140, 40, 100));
  g_assert_false (fb_half_pays (141, 40, 100));            /* nothing helps */
  g_assert_false (fb_half_pays (100, 0, 50));
  g_assert_false (fb_half_pays (100, 40, 0));              /* nobody knows */
}

int
main (int argc, char **argv)
{
  static const ModelTest tests[] =
  {
    { "weights-take-the-bytes-told",            test_weights_take_the_bytes_told },
    { "activations-take-the-bytes-told",        test_activations_take_the_bytes_told },
    { "parts-take-turns-where-memory-is-short", test_parts_take_turns_where_memory_is_short },
    { "any-lack-of-memory-is-survived",         test_any_lack_of_memory_is_survived },
    { "a-recording-makes-way-first",            test_a_recording_makes_way_first },
    { "a-held-part-stays",                      test_a_held_part_stays },
    { "half-saves-memory-and-changes-no-byte",  test_half_saves_memory_and_changes_no_byte },
  };
  static const ModelTest half_tests[] =
  {
    { "weights-take-the-bytes-told", test_weights_take_the_bytes_told },
  };

  g_test_init (&argc, &argv, NULL);

  model_add_tests ("/core/models/model-memory/", tests, G_N_ELEMENTS (tests), NULL);
  model_add_tests ("/core/models/model-memory/kept-in-16-bits/", half_tests, G_N_ELEMENTS (half_tests), "half");
  g_test_add_func ("/core/models/model-memory/half-pays-where-f32-does-not-fit", test_half_pays_where_f32_does_not_fit);

  return g_test_run ();
}
