/* tests/core/test-linear-preview.c: latents to colours by one small matrix. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>

#include "core/models/linear-preview.h"
#include "tests/core/model-fixture.h"

/* A decoder that paints each latent pixel in a colour linear in it is found out, and the ridge costs little. */
static void
test_linear_preview_finds_the_map (ModelFixture *f, gconstpointer data)
{
  static const float map[3][4] = { { 0.15f, 0.06f, -0.1f, 0.0f }, { -0.12f, 0.2f, 0.03f, 0.0f }, { 0.03f, 0.1f, 0.22f, 0.0f } };
  const int          side      = FB_LINEAR_PREVIEW_SIZE;
  g_autofree float  *latents   = g_new (float, side * side * 4);
  g_autofree float  *decoded   = g_new (float, 8 * side * 8 * side * 3);
  g_autofree float  *want      = g_new (float, side * side * 3);
  g_autofree float  *got       = g_new (float, side * side * 3);
  double             squares   = 0.0;
  FbLinearPreview    preview;

  fb_linear_preview_probe (latents, 4);
  for (int i = 0; i < side * side * 4; i++)
    squares += latents[i] * latents[i];
  g_assert_cmpfloat_with_epsilon (squares / (side * side * 4), 1.0, 1e-4);

  for (int i = 0; i < side * side; i++)
    for (int c = 0; c < 3; c++)
      {
        float value = 0.1f;

        for (int k = 0; k < 4; k++)
          value += map[c][k] * latents[i * 4 + k];
        want[i * 3 + c] = value;
      }
  for (int y = 0; y < 8 * side; y++)
    for (int x = 0; x < 8 * side; x++)
      for (int c = 0; c < 3; c++)
        decoded[(y * 8 * side + x) * 3 + c] = want[(y / 8 * side + x / 8) * 3 + c] + (x % 2 ? 0.05f : -0.05f);

  fb_linear_preview_fit (&preview, latents, 4, decoded, 8);
  fb_linear_preview_apply (&preview, latents, side * side, got);
  g_assert_cmpfloat (model_distance (got, want, side * side * 3), <, 0.03);
}

static void
test_linear_preview_stays_in_range (ModelFixture *f, gconstpointer data)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *latents = g_new (float, 5 * 7 * 4);
  g_autofree float *pixels  = g_new (float, 5 * 7 * 3);

  for (int i = 0; i < 5 * 7 * 4; i++)
    latents[i] = 100.0f * sinf (i);
  g_assert_true (fb_model_preview_linear (f->model, latents, 5, 7, pixels, NULL, &error));
  g_assert_false (fb_model_is_loaded (f->model, FB_MODEL_VAE_ENCODER));
  for (int i = 0; i < 5 * 7 * 3; i++)
    g_assert_true (pixels[i] >= -1.0f && pixels[i] <= 1.0f);
}

int
main (int argc, char **argv)
{
  static const ModelTest tests[] =
  {
    { "linear-preview-finds-the-map",  test_linear_preview_finds_the_map },
    { "linear-preview-stays-in-range", test_linear_preview_stays_in_range },
  };

  g_test_init (&argc, &argv, NULL);

  model_add_tests ("/core/models/linear-preview/", tests, G_N_ELEMENTS (tests), NULL);

  return g_test_run ();
}
