/* tests/core/test-png.c: PNG files that others wrote, and our own. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/image/png.h"
#include "tests/core/scratch.h"

#include <string.h>
#include <sys/stat.h>

/* 2 × 1, red and half-transparent blue, 8 bits, as Pillow 13.0.0 writes it */
static const guint8 from_pillow[] =
{
  0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
  0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06, 0x00, 0x00, 0x00, 0xf4, 0x22, 0x7f,
  0x8a, 0x00, 0x00, 0x00, 0x11, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0xf8, 0xcf, 0xc0, 0xf0,
  0x9f, 0x81, 0xe1, 0x7f, 0x03, 0x00, 0x0f, 0x7a, 0x03, 0x7e, 0x0b, 0xcb, 0x2e, 0xb1, 0x00, 0x00,
  0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
};

static char *
file_in (const char *folder)
{
  return g_build_filename (folder, "picture.png", NULL);
}

static void
test_a_file_from_pillow_is_read (void)
{
  static const float  expected[] = { 1.0f, 0.0f, 0.0f, 1.0f,  0.0f, 0.0f, 1.0f, 128.0f / 255.0f };
  g_autoptr(Scratch)  folder = scratch_new ();
  g_autofree char    *path   = file_in (folder);
  g_autoptr(GError)   error  = NULL;
  g_autoptr(FbImage)  image  = NULL;

  scratch_write (folder, "picture.png", from_pillow, sizeof from_pillow);
  image = fb_image_load_png (path, &error);
  g_assert_no_error (error);
  g_assert_cmpint (image->width, ==, 2);
  g_assert_cmpint (image->height, ==, 1);
  g_assert_cmpint (image->n_channels, ==, 4);
  g_assert_cmpmem (image->pixels, fb_image_n_bytes (image), expected, sizeof expected);
}

static void
test_every_prefix_is_refused (void)
{
  g_autoptr(Scratch)  folder = scratch_new ();
  g_autofree char    *path   = file_in (folder);

  for (gsize n = 0; n < sizeof from_pillow - 12; n++)            /* the last chunk only says that it is the last */
    {
      g_autoptr(GError) error = NULL;

      scratch_write (folder, "picture.png", from_pillow, n);
      g_assert_null (fb_image_load_png (path, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
      g_assert_nonnull (strstr (error->message, path));
    }
}

static void
test_what_was_saved_is_read_again (void)
{
  for (int n_channels = 3; n_channels <= 4; n_channels++)
    {
      g_autoptr(Scratch)  folder = scratch_new ();
      g_autofree char    *path   = file_in (folder);
      g_autoptr(GError)   error  = NULL;
      g_autoptr(FbImage)  image  = fb_image_new (7, 5, n_channels);
      g_autoptr(FbImage)  again  = NULL;

      for (int i = 0; i < 7 * 5 * n_channels; i++)
        image->pixels[i] = (i * 37 % 256) / 255.0f;
      g_assert_true (fb_image_save_png (image, path, &error));
      again = fb_image_load_png (path, &error);
      g_assert_no_error (error);
      g_assert_cmpmem (again->pixels, fb_image_n_bytes (again), image->pixels, fb_image_n_bytes (image));
    }
}

static void
test_what_is_no_picture_is_said_to_be_none (void)
{
  static const char * const texts[] = { "", "hello", "\x89PNG\r\n\x1a\n" };

  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr(Scratch)  folder = scratch_new ();
      g_autofree char    *path   = file_in (folder);
      g_autoptr(GError)   error  = NULL;

      g_assert_true (g_file_set_contents (path, texts[i], -1, NULL));
      g_assert_null (fb_image_load_png (path, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
      g_assert_nonnull (strstr (error->message, path));
      g_assert_nonnull (strstr (error->message, "no PNG file"));
    }
}

static void
test_saving_replaces_files_only (void)
{
  g_autoptr(Scratch)  folder = scratch_new ();
  g_autofree char    *path   = file_in (folder);
  g_autoptr(GError)   error  = NULL;
  g_autoptr(FbImage)  image  = fb_image_new (1, 1, 3);
  struct stat         st;

  memset (image->pixels, 0, fb_image_n_bytes (image));
  g_assert_cmpint (mkfifo (path, 0600), ==, 0);
  g_assert_false (fb_image_save_png (image, path, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, path));
  g_assert_cmpint (stat (path, &st), ==, 0);
  g_assert_true (S_ISFIFO (st.st_mode));
  g_assert_cmpint (scratch_count (folder), ==, 1);
}

static void
test_a_failure_to_save_names_the_file (void)
{
  g_autoptr(Scratch)  folder = scratch_new ();
  g_autofree char    *path   = g_build_filename (folder, "gone", "picture.png", NULL);
  g_autofree char    *start  = g_strdup_printf ("“%s” could not be written: ", path);      /* and no temporary file beside it */
  g_autoptr(GError)   error  = NULL;
  g_autoptr(FbImage)  image  = fb_image_new (1, 1, 3);

  memset (image->pixels, 0, fb_image_n_bytes (image));
  g_assert_false (fb_image_save_png (image, path, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_assert_true (g_str_has_prefix (error->message, start));
  g_assert_nonnull (strstr (error->message, "the folder does not exist"));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/core/image/png/a-file-from-pillow-is-read", test_a_file_from_pillow_is_read);
  g_test_add_func ("/core/image/png/every-prefix-is-refused", test_every_prefix_is_refused);
  g_test_add_func ("/core/image/png/what-was-saved-is-read-again", test_what_was_saved_is_read_again);
  g_test_add_func ("/core/image/png/what-is-no-picture-is-said-to-be-none", test_what_is_no_picture_is_said_to_be_none);
  g_test_add_func ("/core/image/png/saving-replaces-files-only", test_saving_replaces_files_only);
  g_test_add_func ("/core/image/png/a-failure-to-save-names-the-file", test_a_failure_to_save_names_the_file);

  return g_test_run ();
}
