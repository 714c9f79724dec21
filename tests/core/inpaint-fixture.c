/* tests/core/inpaint-fixture.c: a small model that inpaints, pictures, and what came of them. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/inpaint-fixture.h"

#include <string.h>
#include <unistd.h>

#include "tests/core/scratch.h"

char *
inpaint_golden_path (const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (g_test_get_dir (G_TEST_DIST), "golden", folder, name, NULL);

  return g_canonicalize_filename (path, NULL);
}

static void
link_into (const char *folder, const char *name, const char *target)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  g_assert_cmpint (symlink (target, path), ==, 0);
}

char *
inpaint_model_folder (gboolean nine)
{
  static const char * const parts[] = { "model_index.json", "scheduler", "text_encoder", "tokenizer", "vae" };
  char            *folder = scratch_new ();
  g_autofree char *unet   = nine ? inpaint_golden_path ("inpaint", "unet-9") : inpaint_golden_path ("pipeline", "model/unet");

  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++)
    {
      g_autofree char *inside = g_build_filename ("model", parts[i], NULL);
      g_autofree char *target = inpaint_golden_path ("pipeline", inside);

      link_into (folder, parts[i], target);
    }
  link_into (folder, "unet", unet);
  return folder;
}

FbModel *
inpaint_open_model (const char *folder)
{
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbDevice) dev   = fb_device_new ("cpu", 0, &error);
  FbModel            *model;

  g_assert_no_error (error);
  model = fb_model_open (folder, NULL, NULL, dev, FB_DTYPE_F32, &error);
  g_assert_no_error (error);

  return model;
}

void
inpaint_set_up (InpaintFixture *f, gconstpointer data)
{
  f->folder = inpaint_model_folder (FALSE);
  f->model  = inpaint_open_model (f->folder);
}

void
inpaint_tear_down (InpaintFixture *f, gconstpointer data)
{
  fb_model_free (f->model);
  scratch_free (f->folder);
}

void
inpaint_add_tests (const InpaintTest *tests, gsize n)
{
  for (gsize i = 0; i < n; i++)
    {
      g_autofree char *path = g_strdup_printf ("/core/tasks/inpaint/%s", tests[i].name);

      g_test_add (path, InpaintFixture, NULL, inpaint_set_up, tests[i].func, inpaint_tear_down);
    }
}

/* --- pictures ------------------------------------------------------------------------------------------------------------ */

FbImage *
inpaint_picture (int width, int height, int n_channels)
{
  FbImage *image = fb_image_new (width, height, n_channels);

  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < n_channels; c++)
        image->pixels[((size_t) y * width + x) * n_channels + c] = c == 3 ? 1.0f : (7 * x + 13 * y + 50 * c + 5 * ((x * y) % 17)) % 256 / 255.0f;
  return image;
}

FbImage *
inpaint_box_mask (int width, int height, FbRect r, float value)
{
  FbImage *mask = fb_image_new (width, height, 1);

  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      mask->pixels[(size_t) y * width + x] = x >= r.x && x < r.x + r.width && y >= r.y && y < r.y + r.height ? value : 0.0f;
  return mask;
}

void
inpaint_result_clear (InpaintResult *result)
{
  g_clear_pointer (&result->picture, fb_image_unref);
  g_clear_pointer (&result->preview, fb_image_unref);
}

void
inpaint_on_picture (FbImage *picture, gint64 seed, gpointer user_data)
{
  InpaintResult *result = user_data;

  g_clear_pointer (&result->picture, fb_image_unref);
  result->picture = fb_image_ref (picture);
  result->n_pictures++;
}

void
inpaint_on_progress (const FbProgress *progress, gpointer user_data)
{
  InpaintResult *result = user_data;

  g_assert_cmpfloat (progress->fraction, >=, result->fraction);
  g_assert_cmpfloat (progress->fraction, <=, 1.0);
  result->fraction = progress->fraction;
  result->n_steps += progress->stage == FB_STAGE_STEP && progress->step > 0;
  if (progress->preview != NULL)
    {
      g_clear_pointer (&result->preview, fb_image_unref);
      result->preview = fb_image_ref (progress->preview);
      result->n_previews++;
    }
  if (++result->n_reports == result->cancel_at && result->cancel != NULL)
    g_cancellable_cancel (result->cancel);
}

void
inpaint_run (const FbInpaint *request, FbModel *model, InpaintResult *result)
{
  g_autoptr(GError) error = NULL;

  fb_inpaint_run (request, model, inpaint_on_progress, inpaint_on_picture, result, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (result->picture);
  g_assert_cmpint (result->picture->n_channels, ==, 4);
  g_assert_cmpint (result->picture->width, ==, request->image->width);
  g_assert_cmpint (result->picture->height, ==, request->image->height);
}

int
inpaint_assert_untouched (const FbInpaint *request, const FbImage *picture)
{
  const FbImage     *image   = request->image;
  const int          C       = image->n_channels;
  g_autoptr(FbImage) out     = fb_inpaint_blend (image, picture);
  int                changed = 0;

  for (int i = 0; i < image->width * image->height; i++)
    if (picture->pixels[4 * i + 3] == 0.0f)
      {
        g_assert_cmpmem (picture->pixels + 4 * i, 3 * sizeof (float), image->pixels + C * i, 3 * sizeof (float));
        g_assert_cmpmem (out->pixels + C * i, C * sizeof (float), image->pixels + C * i, C * sizeof (float));
      }
    else
      changed += memcmp (out->pixels + C * i, image->pixels + C * i, 3 * sizeof (float)) != 0;
  return changed;
}
