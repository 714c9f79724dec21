/* tests/core/test-model-steps.c: denoising steps one after another. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "tests/core/recorder.h"

static void
test_later_steps_are_the_same_and_keep_nothing (ModelFixture *f, gconstpointer data)
{
  g_autofree float *first  = model_denoise_well (f);
  g_autofree float *second = model_denoise_well (f);            /* a device that records keeps the recording's block from now on */
  const size_t      bytes  = fb_device_bytes_in_use (f->dev);
  g_autofree float *third  = model_denoise_well (f);

  g_assert_cmpmem (first, 2 * H * W * 16, second, 2 * H * W * 16);
  g_assert_cmpmem (first, 2 * H * W * 16, third, 2 * H * W * 16);
  g_assert_cmpuint (fb_device_bytes_in_use (f->dev), ==, bytes);
}

/* A changed prompt at the same address must not be taken for the old one. */
static void
test_changed_context_is_seen (ModelFixture *f, gconstpointer data)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *latents = model_expected (f, "unet.latents", NULL);
  g_autofree float *context = model_expected (f, "unet.context", NULL);
  g_autofree float *a       = g_new (float, 2 * H * W * 4);
  g_autofree float *b       = g_new (float, 2 * H * W * 4);
  const FbDenoise   call    = { .latents = latents, .n = 2, .height = H, .width = W, .timestep = 999.0f, .context = context, .n_tokens = 77 };

  g_assert_true (fb_model_denoise (f->model, &call, a, NULL, &error));
  context[2 * 77 * 64 - 1] += 5.0f;
  g_assert_true (fb_model_denoise (f->model, &call, b, NULL, &error));
  g_assert_cmpint (memcmp (a, b, H * W * 16), ==, 0);                           /* the first picture's prompt is untouched */
  g_assert_cmpint (memcmp (a + H * W * 4, b + H * W * 4, H * W * 16), !=, 0);
}

/* For a card's libraries a batch of one is another size, and they may add up in another order. */
static void
assert_same_picture (ModelFixture *f, const float *a, const float *b)
{
  if (fb_device_has_memory (f->dev))
    g_assert_cmpfloat (model_distance (a, b, H * W * 4), <, 1e-5);
  else
    g_assert_cmpint (memcmp (a, b, H * W * 16), ==, 0);
}

/* A training step's samples stand at timesteps of their own. */
static void
test_each_picture_may_have_its_timestep (ModelFixture *f, gconstpointer data)
{
  const float       timesteps[2] = { 999.0f, 249.0f };
  g_autofree float *latents      = model_expected (f, "unet.latents", NULL);
  g_autofree float *context      = model_expected (f, "unet.context", NULL);
  g_autofree float *both         = g_new (float, 2 * H * W * 4);
  g_autofree float *shared       = model_denoise_well (f);
  g_autofree float *second       = g_new (float, H * W * 4);
  const FbDenoise   call = { .latents = latents, .n = 2, .height = H, .width = W, .timesteps = timesteps, .context = context, .n_tokens = 77 };
  const FbDenoise   one  = { .latents = latents + H * W * 4, .n = 1, .height = H, .width = W, .timestep = 249.0f,
                             .context = context + 77 * 64, .n_tokens = 77 };

  g_assert_true (fb_model_denoise (f->model, &call, both, NULL, NULL));
  g_assert_true (fb_model_denoise (f->model, &one, second, NULL, NULL));
  assert_same_picture (f, both, shared);
  assert_same_picture (f, both + H * W * 4, second);
  g_assert_cmpint (memcmp (second, shared + H * W * 4, H * W * 16), !=, 0);
}

#define SMALL 8     /* latent pixels per side: the UNet's coarsest level has one */

/* (transfer full): a step of @n small pictures at @timestep, with prompts that are the fixture's times @factor */
static float *
denoise_at (ModelFixture *f, FbModel *model, int n, float timestep, float factor)
{
  g_autoptr(GError)  error   = NULL;
  g_autofree float  *latents = model_expected (f, "unet.latents", NULL);
  g_autofree float  *context = model_expected (f, "unet.context", NULL);
  float             *out     = g_new0 (float, 2 * SMALL * SMALL * 4);
  const FbDenoise    call    = { .latents = latents, .n = n, .height = SMALL, .width = SMALL, .timestep = timestep, .context = context, .n_tokens = 77 };

  for (int i = 0; i < 2 * 77 * 64; i++)
    context[i] *= factor;
  fb_model_denoise (model, &call, out, NULL, &error);
  g_assert_no_error (error);
  return out;
}

/* A device may replay what it has done for calls of the same shape: whatever changes between them has to be seen. */
static void
check_each_step (ModelFixture *f)
{
  static const struct { int n; float timestep, factor; gboolean unload_unet, unload; } calls[] =
  {
    { 1, 999.0f, 1.0f }, { 1, 749.0f, 1.0f }, { 1, 499.0f, 0.5f }, { 1, 249.5f, 0.5f, .unload_unet = TRUE }, { 1, 99.0f, 0.5f },
    { 2, 999.0f, 1.0f }, { 2, 499.0f, 1.0f }, { 2, 19.0f, 1.0f, .unload = TRUE }, { 2, 9.0f, 1.0f },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_autoptr(GError)  error = NULL;
      g_autoptr(FbModel) fresh = fb_model_open (f->path, NULL, NULL, f->dev, FB_DTYPE_F32, &error);
      g_autofree float  *again = denoise_at (f, f->model, calls[i].n, calls[i].timestep, calls[i].factor);
      g_autofree float  *first = denoise_at (f, fresh, calls[i].n, calls[i].timestep, calls[i].factor);

      g_assert_cmpmem (again, 2 * SMALL * SMALL * 16, first, 2 * SMALL * SMALL * 16);
      if (calls[i].unload_unet)
        fb_model_unload_part (f->model, FB_MODEL_UNET);
      if (calls[i].unload)
        fb_model_unload (f->model);
    }
}

static void
test_each_step_is_as_a_first_one (ModelFixture *f, gconstpointer data)
{
  check_each_step (f);
}

static void
test_each_recorded_step_is_as_a_plain_one (ModelFixture *f, gconstpointer data)
{
  if (!check_recording (f, check_each_step))
    return;
  g_assert_cmpint (recorder.n_recorded, >=, 3);
  g_assert_cmpint (recorder.n_replayed, ==, recorder.n_recorded);
  g_assert_cmpint (recorder.n_declined, >=, 1);
}

/* None, one that comes, another strength, none again, and back: the next steps have to see it, whatever the device has kept of those before. */
static void
check_lora_steps (ModelFixture *f)
{
  static const float  strengths[] = { 0.0f, 0.7f, 0.3f, 0.0f, 0.7f };
  g_autofree char    *path        = g_test_build_filename (G_TEST_DIST, "golden", "models", "single", "lora.safetensors", NULL);
  const gsize         n_bytes     = 2 * SMALL * SMALL * 16;
  g_autofree float   *before      = g_malloc0 (n_bytes);

  for (gsize i = 0; i < G_N_ELEMENTS (strengths); i++)
    {
      const FbLoraUse    use   = { path, strengths[i] };
      g_autoptr(GError)  error = NULL;
      g_autoptr(FbModel) fresh = fb_model_open (f->path, NULL, NULL, f->dev, FB_DTYPE_F32, &error);
      g_autofree float  *first = NULL;

      fb_model_set_loras (fresh, &use, strengths[i] != 0.0f, NULL, &error);
      g_assert_no_error (error);
      first = denoise_at (f, fresh, 1, 999.0f, 1.0f);
      g_assert_cmpint (memcmp (first, before, n_bytes), !=, 0);
      memcpy (before, first, n_bytes);

      model_set_loras (f, strengths[i] != 0.0f, &use);
      for (int turn = 0; turn < 3; turn++)                 /* on a device that records: plain, recorded, replayed */
        {
          g_autofree float *again = denoise_at (f, f->model, 1, 999.0f, 1.0f);

          g_assert_cmpmem (again, n_bytes, first, n_bytes);
        }
    }
}

static void
test_a_lora_between_steps_is_seen (ModelFixture *f, gconstpointer data)
{
  check_lora_steps (f);
}

static void
test_a_lora_between_recorded_steps_is_seen (ModelFixture *f, gconstpointer data)
{
  if (!check_recording (f, check_lora_steps))
    return;
  g_assert_cmpint (recorder.n_recorded, ==, 5);
  g_assert_cmpint (recorder.n_replayed, ==, 5);
}

int
main (int argc, char **argv)
{
  static const ModelTest tests[] =
  {
    { "later-steps-are-the-same-and-keep-nothing", test_later_steps_are_the_same_and_keep_nothing },
    { "changed-context-is-seen",                   test_changed_context_is_seen },
    { "each-picture-may-have-its-timestep",        test_each_picture_may_have_its_timestep },
    { "each-step-is-as-a-first-one",               test_each_step_is_as_a_first_one },
    { "each-recorded-step-is-as-a-plain-one",      test_each_recorded_step_is_as_a_plain_one },
    { "a-lora-between-steps-is-seen",              test_a_lora_between_steps_is_seen },
    { "a-lora-between-recorded-steps-is-seen",     test_a_lora_between_recorded_steps_is_seen },
  };

  g_test_init (&argc, &argv, NULL);

  model_add_tests ("/core/models/model-steps/", tests, G_N_ELEMENTS (tests), NULL);

  return g_test_run ();
}
