/* tests/gimp/checks-upscale.c: Super-Resolution, checked from inside GIMP with a tiny random model. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "tests/gimp/checks.h"
#include "tests/gimp/digest.h"

#define upscale(image, drawable, ...) call ("plug-in-flashbrush-upscale", image, drawable, "steps", 1, "seed", "7", __VA_ARGS__, NULL)

static gboolean
has_format_of (GimpLayer *layer, GimpLayer *other)
{
  return strcmp (babl_format_get_encoding (gimp_drawable_get_format (GIMP_DRAWABLE (layer))),
                 babl_format_get_encoding (gimp_drawable_get_format (GIMP_DRAWABLE (other)))) == 0;
}

/* (transfer full): RGBA, as people see it, scaled to @width × @height by means of squares */
static float *
means (GimpLayer *layer, int width, int height)
{
  g_autoptr(GeglBuffer) buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));
  const int             w      = gegl_buffer_get_width (buffer), side = w / width;
  g_autofree float     *pixels = g_new (float, 4 * (gsize) w * gegl_buffer_get_height (buffer));
  float                *out    = g_new0 (float, 4 * (gsize) width * height);

  gegl_buffer_get (buffer, NULL, 1.0, babl_format ("R'G'B'A float"), pixels, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
  for (int y = 0; y < height * side; y++)
    for (int i = 0; i < 4 * width * side; i++)
      out[4 * ((gsize) (y / side) * width + i / 4 / side) + i % 4] += pixels[4 * (gsize) y * w + i] / (side * side);

  return out;
}

/* the mean difference of @large, made smaller, and @small */
static double
difference_of_means (GimpLayer *large, GimpLayer *small)
{
  const int         width = gimp_drawable_get_width (GIMP_DRAWABLE (small)), height = gimp_drawable_get_height (GIMP_DRAWABLE (small));
  g_autofree float *a = means (large, width, height);
  g_autofree float *b = means (small, width, height);
  double            sum = 0.0;

  for (int i = 0; i < 4 * width * height; i++)
    sum += fabs (a[i] - b[i]);

  return sum / (4 * width * height);
}

/* a picture without the leaps that no result can have */
static GimpImage *
smooth_image (GimpImageBaseType type, GimpPrecision precision, int width, int height, GimpLayer **layer)
{
  GimpImage             *image  = gimp_image_new_with_precision (width, height, type, precision);
  g_autoptr(GeglBuffer)  buffer = NULL;
  g_autofree float      *pixels = g_new (float, 4 * width * height);

  *layer = add_layer (image, NULL, "Layer", 0, 0, width, height);
  for (int i = 0; i < 4 * width * height; i++)
    pixels[i] = i % 4 == 3 ? 1.0f : 0.5f + 0.3f * sinf (0.1f * (i / 4 % width) + 0.07f * (i / 4 / width) + i % 4);
  buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (*layer));
  gegl_buffer_set (buffer, NULL, 0, babl_format ("R'G'B'A float"), pixels, GEGL_AUTO_ROWSTRIDE);
  gegl_buffer_flush (buffer);

  return image;
}

/* of each kind of image: a new one, four times as large, that made smaller is the first; which stays as it was */
static void
check_kind (GimpImageBaseType type, GimpPrecision precision, const char *name)
{
  GimpLayer       *layer;
  GimpImage       *image  = smooth_image (type, precision, 30, 20, &layer);
  g_autofree char *before = fb_test_digest (image, NULL);
  g_autofree char *after  = NULL;

  upscale (image, GIMP_DRAWABLE (layer), "faithful", "pixels");
  check (succeeded () && got.image != NULL && got.image != image && got.n_layers == 1, "upscale/%s/makes-an-image", name);
  if (got.layer == NULL)
    return;
  check (is_at (got.layer, 0, 0, 120, 80) && gimp_image_get_width (got.image) == 120, "upscale/%s/four-times-as-large", name);
  check (gimp_image_get_precision (got.image) == precision, "upscale/%s/as-precise", name);
  check (difference_of_means (got.layer, layer) < (type == GIMP_GRAY ? 0.02 : 0.01), "upscale/%s/shows-the-same", name);
  check (gimp_item_get_parasite (GIMP_ITEM (got.layer), "flashbrush-parameters") != NULL, "upscale/%s/keeps-its-parameters", name);
  after = fb_test_digest (image, NULL);
  check (g_str_equal (before, after), "upscale/%s/leaves-the-image-as-it-was", name);
  gimp_image_delete (got.image);
  gimp_image_delete (image);
}

static void
check_profile (void)
{
  g_autoptr(GimpColorProfile) adobe  = gimp_color_profile_new_rgb_adobe ();
  g_autoptr(GimpColorProfile) kept   = NULL;
  GimpLayer                  *layer;
  GimpImage                  *image  = smooth_image (GIMP_RGB, GIMP_PRECISION_U16_NON_LINEAR, 24, 24, &layer);

  gimp_image_set_color_profile (image, adobe);
  upscale (image, GIMP_DRAWABLE (layer), "scale", 2.0);
  if (succeeded ())
    kept = gimp_image_get_color_profile (got.image);
  check (kept != NULL && gimp_color_profile_is_equal (kept, adobe), "upscale/profile/is-kept");
  check (got.layer != NULL && is_at (got.layer, 0, 0, 48, 48) && difference_of_means (got.layer, layer) < 0.02, "upscale/profile/shows-the-same-colors");
  gimp_image_delete (image);
}

/* what is selected, as a layer in the same image */
static void
check_layer (void)
{
  GimpLayer       *chosen;
  GimpImage       *image  = users_image (GIMP_RGB, GIMP_PRECISION_FLOAT_LINEAR, &chosen);
  g_autofree char *before = fb_test_digest (image, NULL);
  g_autofree char *after  = NULL;

  upscale (image, GIMP_DRAWABLE (chosen), "destination", "new-layer", "scale", 2.0);
  check (succeeded () && got.image == image && got.layer != NULL, "upscale/layer/is-made");
  if (got.layer == NULL)
    return;
  check (is_at (got.layer, -10, 0, 200, 120), "upscale/layer/lies-around-the-same-center");
  check (has_format_of (got.layer, chosen), "upscale/layer/has-the-images-format");
  check (gimp_layer_get_mask (got.layer) == NULL, "upscale/layer/has-no-mask");
  after = fb_test_digest (image, got.layer);
  check (g_str_equal (before, after), "upscale/layer/leaves-everything-else-as-it-was");
  repeat (image, GIMP_DRAWABLE (got.layer), "seed", "-1");
  check_refused (GIMP_PDB_EXECUTION_ERROR, "Super-Resolution", "upscale/to-repeat-an-enlarged-layer");
  gimp_image_delete (image);
}

static void
check_alpha (void)
{
  GimpLayer        *layer;
  GimpImage        *image = smooth_image (GIMP_RGB, GIMP_PRECISION_U8_NON_LINEAR, 32, 32, &layer);
  g_autofree float *pixels = NULL;
  gboolean          holds  = TRUE;

  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 16, 0, 16, 32);
  gimp_drawable_edit_clear (GIMP_DRAWABLE (layer));
  gimp_selection_none (image);
  upscale (image, GIMP_DRAWABLE (layer), "faithful", "pixels");
  check (succeeded () && got.layer != NULL && gimp_drawable_has_alpha (GIMP_DRAWABLE (got.layer)) && gimp_layer_get_mask (got.layer) == NULL,
         "upscale/alpha/is-the-layers-own");
  if (got.layer == NULL)
    return;
  pixels = means (got.layer, 32, 32);
  for (int i = 0; i < 32 * 32; i++)
    holds = holds && (i % 32 >= 15 || pixels[4 * i + 3] > 0.999f) && (i % 32 < 17 || pixels[4 * i + 3] < 0.001f);
  check (holds, "upscale/alpha/is-where-it-was");
  gimp_image_delete (got.image);
  gimp_image_delete (image);
}

static void
check_refusals (void)
{
  GimpLayer       *layer;
  GimpImage       *image  = smooth_image (GIMP_RGB, GIMP_PRECISION_U8_NON_LINEAR, 24, 24, &layer);
  g_autofree char *before = fb_test_digest (image, NULL);
  g_autofree char *after  = NULL;

  upscale (image, GIMP_DRAWABLE (layer), "scale", 6.0);
  check_refused (GIMP_PDB_CALLING_ERROR, "scale", "upscale/more-than-the-model-makes");
  upscale (image, GIMP_DRAWABLE (layer), "noise-level", 500);
  check_refused (GIMP_PDB_CALLING_ERROR, "noise-level", "upscale/too-much-noise");
  upscale (image, GIMP_DRAWABLE (layer), "model", "nothing");
  check_refused (GIMP_PDB_CALLING_ERROR, "nothing", "upscale/an-unknown-model");
  upscale (image, NULL, "scale", 2.0);
  check_refused (GIMP_PDB_CALLING_ERROR, "layer", "upscale/no-layer");
  after = fb_test_digest (image, NULL);
  check (g_strcmp0 (before, after) == 0, "refuses/upscale/and-leaves-the-image-as-it-was");
  gimp_image_delete (image);
}

void
check_upscale (void)
{
  check_kind (GIMP_RGB,  GIMP_PRECISION_U8_NON_LINEAR,    "rgb-u8");
  check_kind (GIMP_RGB,  GIMP_PRECISION_U16_LINEAR,       "rgb-u16-linear");
  check_kind (GIMP_RGB,  GIMP_PRECISION_FLOAT_NON_LINEAR, "rgb-float");
  check_kind (GIMP_GRAY, GIMP_PRECISION_U8_NON_LINEAR,    "gray-u8");
  check_profile ();
  check_layer ();
  check_alpha ();
  check_refusals ();
}
