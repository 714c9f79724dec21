/* tests/kernels/test-devices.c: which device is chosen, and what is said where the card's device cannot be.
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * FB_FAKE_DRIVER: a driver that answers; FB_FAKE_MODULES and FB_REAL_MODULES: folders of the module that runs on the processor, and of the
 * true one, absent in a build without CUDA. */

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include "kernels/device-private.h"

/* NULL unsets */
static void
set_environment (const char *driver, const char *n_cards, const char *modules, const char *device)
{
  const struct { const char *name, *value; } settings[] =
  {
    { "FLASHBRUSH_CUDA_DRIVER", driver }, { "FB_FAKE_CARDS", n_cards }, { "FLASHBRUSH_MODULES", modules }, { "FLASHBRUSH_DEVICE", device },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (settings); i++)
    if (settings[i].value != NULL)
      g_setenv (settings[i].name, settings[i].value, TRUE);
    else
      g_unsetenv (settings[i].name);
}

/* That "cuda" is refused with @word in the reason, and that the automatic choice goes on without it */
static void
assert_no_card (const char *word)
{
  g_autoptr(GError)   error  = NULL;
  g_autoptr(FbDevice) chosen = NULL;

  g_assert_null (fb_device_new ("cuda", 1, &error));
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_UNKNOWN);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, word));

  g_clear_error (&error);
  chosen = fb_device_new_chosen (1, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (fb_device_name (chosen), ==, "cpu");

  g_setenv ("FLASHBRUSH_DEVICE", "cuda", TRUE);
  g_assert_null (fb_device_new_chosen (1, &error));              /* who asks for the card is told */
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_UNKNOWN);
}

static void
test_no_driver (void)
{
  set_environment ("/nowhere/libcuda.so.1", NULL, NULL, NULL);
  assert_no_card ("driver is not installed");
}

static void
test_no_card (void)
{
  set_environment (g_getenv ("FB_FAKE_DRIVER"), "0", NULL, NULL);
  assert_no_card ("finds no card");
}

static void
test_no_module (void)
{
  set_environment (g_getenv ("FB_FAKE_DRIVER"), "1", "/nowhere", NULL);
  assert_no_card ("module could not be loaded");
}

static void
test_module_of_another_version (void)
{
  g_autofree char *folder = g_dir_make_tmp ("flashbrush-XXXXXX", NULL);
  g_autofree char *module = g_build_filename (folder, "flashbrush-cuda.so", NULL);

  g_assert_cmpint (symlink (g_getenv ("FB_FAKE_DRIVER"), module), ==, 0);      /* a library, but none of ours */
  set_environment (g_getenv ("FB_FAKE_DRIVER"), "1", folder, NULL);
  assert_no_card ("another version");
  g_assert_cmpint (unlink (module), ==, 0);
  g_assert_cmpint (rmdir (folder), ==, 0);
}

static void
test_true_module (void)
{
  void *driver = dlopen ("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);

  if (g_getenv ("FB_REAL_MODULES") == NULL || driver != NULL)
    {
      g_test_skip (driver != NULL ? "this machine has a driver" : "this build has no CUDA module");
      return;
    }
  set_environment (g_getenv ("FB_FAKE_DRIVER"), "1", g_getenv ("FB_REAL_MODULES"), NULL);
  assert_no_card ("compute capability 7.5");
}

static void
test_override (void)
{
  g_autoptr(GError)   error     = NULL;
  g_autoptr(FbDevice) reference = NULL;
  g_autoptr(FbDevice) automatic = NULL;

  set_environment ("/nowhere/libcuda.so.1", NULL, NULL, "reference");
  reference = fb_device_new_chosen (1, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (fb_device_name (reference), ==, "reference");

  set_environment ("/nowhere/libcuda.so.1", NULL, NULL, "auto");
  automatic = fb_device_new_chosen (1, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (fb_device_name (automatic), ==, "cpu");

  set_environment ("/nowhere/libcuda.so.1", NULL, NULL, "abacus");
  g_assert_null (fb_device_new_chosen (1, &error));
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_UNKNOWN);
  g_assert_nonnull (strstr (error->message, "abacus"));
}

static gboolean
have_fake_card (void)
{
  if (g_getenv ("FB_FAKE_MODULES") == NULL)
    {
      g_test_skip ("this build has no CUDA module");
      return FALSE;
    }
  set_environment (g_getenv ("FB_FAKE_DRIVER"), "1", g_getenv ("FB_FAKE_MODULES"), NULL);
  return TRUE;
}

static void
test_card_is_first_choice (void)
{
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbDevice) dev   = NULL;

  if (!have_fake_card ())
    return;
  g_setenv ("FLASHBRUSH_DEVICE", "auto", TRUE);
  dev = fb_device_new_chosen (1, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (fb_device_name (dev), ==, "cuda");
  g_assert_cmpint (fb_device_best_dtype (dev), ==, FB_DTYPE_F16);
  g_assert_cmpstr (fb_device_card (dev), ==, "Fake");
}

/* The made-up cards are told apart by their capability: 8.0, 8.1 … */
static void
assert_card (int place, const char *capability)
{
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbDevice) dev   = fb_device_new_in_place (place, 1, &error);
  g_autofree char    *text  = NULL;

  g_assert_no_error (error);
  text = fb_device_describe (dev);
  g_assert_nonnull (strstr (text, capability));
}

static void
test_places (void)
{
  if (!have_fake_card ())
    return;
  g_setenv ("FLASHBRUSH_DEVICE", "auto", TRUE);
  g_setenv ("FB_FAKE_CARDS", "3", TRUE);
  assert_card (-1, "capability 8.2");                            /* by itself: the one with the most memory */
  assert_card (0, "capability 8.0");
  assert_card (1, "capability 8.1");
  assert_card (2, "capability 8.2");
  assert_card (3, "capability 8.0");
}

static void
test_budget (void)
{
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbDevice) dev   = NULL;
  g_autoptr(FbTensor) fits  = NULL;
  g_autoptr(FbTensor) more  = NULL;
  g_autoptr(FbTensor) less  = NULL;

  if (!have_fake_card ())
    return;
  g_setenv ("FLASHBRUSH_DEVICE_MEMORY", "64", TRUE);               /* MiB */
  dev = fb_device_new ("cuda", 1, &error);
  g_unsetenv ("FLASHBRUSH_DEVICE_MEMORY");
  g_assert_no_error (error);

  fits = fb_tensor_new_1d (dev, FB_DTYPE_F32, 12 << 20);         /* 48 MiB */
  g_assert_true (fb_device_check (dev, NULL));
  more = fb_tensor_new_1d (dev, FB_DTYPE_F32, 5 << 20);          /* 20 MiB more are too many */
  g_assert_null (more->data);
  g_assert_false (fb_device_check (dev, &error));
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_NO_MEMORY);
  less = fb_tensor_new_1d (dev, FB_DTYPE_F32, 4 << 20);          /* 16 MiB are not: the device lives on */
  g_assert_true (fb_device_check (dev, NULL));
  g_assert_nonnull (less->data);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/devices/without-a-driver-there-is-no-card", test_no_driver);
  g_test_add_func ("/kernels/devices/a-driver-without-a-card-is-no-card", test_no_card);
  g_test_add_func ("/kernels/devices/a-missing-module-is-said", test_no_module);
  g_test_add_func ("/kernels/devices/a-module-of-another-version-is-refused", test_module_of_another_version);
  g_test_add_func ("/kernels/devices/the-module-loads-and-says-why-it-has-no-card", test_true_module);
  g_test_add_func ("/kernels/devices/the-environment-chooses", test_override);
  g_test_add_func ("/kernels/devices/a-card-is-the-first-choice", test_card_is_first_choice);
  g_test_add_func ("/kernels/devices/each-place-has-a-card-of-its-own", test_places);
  g_test_add_func ("/kernels/devices/a-memory-budget-is-kept-and-survived", test_budget);
  return g_test_run ();
}
