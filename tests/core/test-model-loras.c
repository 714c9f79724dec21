/* tests/core/test-model-loras.c: LoRAs in a model. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/model-fixture.h"

static void
test_lora_gives_what_peft_gives_and_leaves_no_trace (ModelFixture *f, gconstpointer data)
{
  g_autofree char    *path      = g_test_build_filename (G_TEST_DIST, "golden", "models", "single", "lora.safetensors", NULL);
  const FbLoraUse     one[]     = { { path, 0.7 } };
  const FbLoraUse     halves[]  = { { path, 0.3 }, { path, 0.4 } };
  const FbLoraUse     off[]     = { { path, 0.0 } };
  g_autofree float   *want      = model_expected (f, "lora.unet", NULL);
  g_autofree float   *want_text = model_expected (f, "lora.text", NULL);
  g_autofree float   *plain     = model_denoise_well (f);
  g_autofree float   *text      = model_encode_text_well (f);
  g_autofree float   *with      = NULL;
  g_autofree float   *with_text = NULL;
  const FbLoraReport *reports;
  int                 n;

  model_set_loras (f, 1, one);                                   /* into loaded weights */
  with = model_denoise_well (f);
  with_text = model_encode_text_well (f);
  g_assert_cmpfloat (model_distance (with, want, 2 * H * W * 4), <, 1e-4);
  g_assert_cmpfloat (model_distance (with, plain, 2 * H * W * 4), >, 1e-3);
  g_assert_cmpfloat (model_distance (with_text, want_text, 2 * 77 * 64), <, 1e-4);
  g_assert_cmpfloat (model_distance (with_text, text, 2 * 77 * 64), >, 1e-3);
  reports = fb_model_lora_reports (f->model, &n);
  g_assert_cmpint (n, ==, 1);
  g_assert_cmpint (reports[0].n_matched, >, 100);
  g_assert_cmpuint (g_strv_length (reports[0].unmatched), ==, 0);

  model_set_loras (f, 2, halves);                                /* several add up */
  g_free (with);
  with = model_denoise_well (f);
  g_assert_cmpfloat (model_distance (with, want, 2 * H * W * 4), <, 1e-4);

  for (int i = 0; i < 2; i++)                              /* strength 0, then none at all: the very bytes from before */
    {
      g_autofree float *again      = NULL;
      g_autofree float *text_again = NULL;

      model_set_loras (f, 1, one);
      model_set_loras (f, i == 0 ? 1 : 0, off);
      again = model_denoise_well (f);
      text_again = model_encode_text_well (f);
      g_assert_cmpmem (again, 2 * H * W * 16, plain, 2 * H * W * 16);
      g_assert_cmpmem (text_again, 2 * 77 * 64 * 4, text, 2 * 77 * 64 * 4);
    }

  fb_model_unload (f->model);
  model_set_loras (f, 1, one);                                   /* before anything is loaded */
  g_free (with);
  with = model_denoise_well (f);
  g_assert_cmpfloat (model_distance (with, want, 2 * H * W * 4), <, 1e-4);
}

static void
test_failed_lora_leaves_the_earlier_ones (ModelFixture *f, gconstpointer data)
{
  g_autofree char         *path      = g_test_build_filename (G_TEST_DIST, "golden", "models", "single", "lora.safetensors", NULL);
  const FbLoraUse          one[]     = { { path, 0.7 } };
  const FbLoraUse          missing[] = { { path, 0.1 }, { (char *) "/nowhere/lora.safetensors", 1.0 } };
  g_autoptr(GCancellable)  cancelled = g_cancellable_new ();
  g_autoptr(GError)        error     = NULL;
  g_autofree float        *first     = NULL;
  g_autofree float        *second    = NULL;
  int                      n;

  model_set_loras (f, 1, one);
  first = model_denoise_well (f);

  g_assert_false (fb_model_set_loras (f->model, missing, 2, NULL, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_clear_error (&error);

  g_cancellable_cancel (cancelled);
  g_assert_false (fb_model_set_loras (f->model, missing, 1, cancelled, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);

  fb_model_lora_reports (f->model, &n);
  g_assert_cmpint (n, ==, 1);
  second = model_denoise_well (f);
  g_assert_cmpmem (first, 2 * H * W * 16, second, 2 * H * W * 16);
}

int
main (int argc, char **argv)
{
  static const ModelTest tests[] =
  {
    { "lora-gives-what-peft-gives-and-leaves-no-trace", test_lora_gives_what_peft_gives_and_leaves_no_trace },
    { "failed-lora-leaves-the-earlier-ones",            test_failed_lora_leaves_the_earlier_ones },
  };
  static const ModelTest half_tests[] =
  {
    { "lora-gives-what-peft-gives-and-leaves-no-trace", test_lora_gives_what_peft_gives_and_leaves_no_trace },
  };

  g_test_init (&argc, &argv, NULL);

  model_add_tests ("/core/models/model-loras/", tests, G_N_ELEMENTS (tests), NULL);
  model_add_tests ("/core/models/model-loras/kept-in-16-bits/", half_tests, G_N_ELEMENTS (half_tests), "half");

  return g_test_run ();
}
