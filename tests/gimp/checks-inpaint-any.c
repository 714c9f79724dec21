/* tests/gimp/checks-inpaint-any.c: Inpaint in images of any kind, checked from inside GIMP. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "plugins/inpaint/source.h"
#include "tests/gimp/checks.h"
#include "tests/gimp/digest.h"
#include "ui/target.h"

/* --- any image, any mask ------------------------------------------------------------------------------------------------- */

static const GimpPrecision precisions[] =
{
  GIMP_PRECISION_U8_NON_LINEAR, GIMP_PRECISION_U8_LINEAR, GIMP_PRECISION_U8_PERCEPTUAL, GIMP_PRECISION_U16_NON_LINEAR, GIMP_PRECISION_U16_LINEAR,
  GIMP_PRECISION_U32_NON_LINEAR, GIMP_PRECISION_U32_LINEAR, GIMP_PRECISION_HALF_LINEAR, GIMP_PRECISION_FLOAT_LINEAR, GIMP_PRECISION_FLOAT_NON_LINEAR,
};

static const char * const profile_names[] = { "own", "adobe", "wide-linear" };

/* (transfer full) (nullable): NULL for GIMP's own */
static GimpColorProfile *
profile_new (GimpImageBaseType type, int which)
{
  g_autoptr(GimpColorProfile) adobe = gimp_color_profile_new_rgb_adobe ();

  if (which == 0)
    return NULL;
  if (type == GIMP_GRAY)
    return which == 1 ? gimp_color_profile_new_d50_gray_lab_trc () : gimp_color_profile_new_d65_gray_linear ();

  return which == 1 ? g_steal_pointer (&adobe) : gimp_color_profile_new_linear_from_color_profile (adobe);
}

static void
use_profile (GimpImage *image, GimpImageBaseType type, int which)
{
  g_autoptr(GimpColorProfile) profile = profile_new (type, which);

  if (profile != NULL)
    gimp_image_set_color_profile (image, profile);
}

/* pixels without any order, some of them half transparent */
static void
paint_noise (GRand *random, GimpLayer *layer)
{
  g_autoptr(GeglBuffer) buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));
  const int             width  = gegl_buffer_get_width (buffer), height = gegl_buffer_get_height (buffer);
  const gboolean        opaque = g_rand_boolean (random);
  g_autofree float     *pixels = g_new (float, 4 * width * height);

  for (int i = 0; i < 4 * width * height; i++)
    pixels[i] = i % 4 == 3 && (opaque || i % 5 != 0) ? 1.0f : (float) g_rand_double (random);
  gegl_buffer_set (buffer, NULL, 0, babl_format ("R'G'B'A float"), pixels, GEGL_AUTO_ROWSTRIDE);
  gegl_buffer_flush (buffer);
}

static void
select_something (GRand *random, GimpImage *image)
{
  const int x = g_rand_int_range (random, -10, 100), y = g_rand_int_range (random, -10, 70);
  const int width = g_rand_int_range (random, 12, 80), height = g_rand_int_range (random, 12, 60);

  if (g_rand_boolean (random))
    gimp_image_select_ellipse (image, GIMP_CHANNEL_OP_REPLACE, x, y, width, height);
  else
    gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, x, y, width, height);
  if (g_rand_boolean (random))
    gimp_selection_feather (image, g_rand_double_range (random, 1.0, 8.0));
}

/* a new layer over noise: all that its mask leaves alone shows the same bytes */
static void
check_random_image (GRand *random, int k)
{
  const GimpImageBaseType type     = k % 4 == 3 ? GIMP_GRAY : GIMP_RGB;
  const int               which    = k % 3;
  const GimpPrecision     precision = precisions[k % G_N_ELEMENTS (precisions)];
  GimpImage              *image    = gimp_image_new_with_precision (140, 110, type, precision);
  GimpLayer              *below    = add_layer (image, NULL, "Below", 0, 0, 140, 110);
  GimpLayer              *layer    = add_layer (image, NULL, "Layer", g_rand_int_range (random, -20, 20), g_rand_int_range (random, -20, 20), 120, 90);
  g_autofree char        *kind     = g_strdup_printf ("inpaint/any/%d-%s-profile", k, profile_names[which]);
  g_autofree guint8      *before   = NULL;
  g_autofree guint8      *after    = NULL;
  gboolean                inside   = FALSE;
  int                     bytes;

  use_profile (image, type, which);
  paint_noise (random, below);
  paint_noise (random, layer);
  gimp_layer_set_opacity (layer, g_rand_double_range (random, 50.0, 101.0) > 100.0 ? 100.0 : 80.0);
  select_something (random, image);
  before = projection (image, &bytes);
  inpaint (image, GIMP_DRAWABLE (layer), "prompt", "a", "seed", "7", "source", k % 2 == 0 ? "layer" : "visible");
  check (succeeded () && got.n_layers == 1, "%s/takes-a-layer", kind);
  if (got.layer != NULL)
    {
      after = projection (image, &bytes);
      check (count_changed (image, got.layer, before, after, bytes, &inside) == 0 && inside, "%s/changes-what-is-masked-and-no-more", kind);
    }
  gimp_image_delete (image);
}

/* --- colours ------------------------------------------------------------------------------------------------------------- */

/* to the engine and back: at a strength near 0 it gives what it got */
static void
check_colours_of (GimpImageBaseType type, GimpPrecision precision, int which, const char *name)
{
  GimpImage *image = gimp_image_new_with_precision (160, 120, type, precision);
  GimpLayer *layer = add_layer (image, NULL, "Layer", 0, 0, 160, 120);
  GimpLayer *copy;
  int        x, y;

  use_profile (image, type, which);
  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 60, 40, 30, 30);
  inpaint (image, GIMP_DRAWABLE (layer), "prompt", "a", "strength", 1e-6);
  if (!succeeded ())
    {
      check (FALSE, "inpaint/colours/%s", name);
      return;
    }
  gimp_drawable_get_offsets (GIMP_DRAWABLE (got.layer), &x, &y);
  copy = gimp_layer_copy (layer);
  gimp_image_insert_layer (image, copy, NULL, 0);
  gimp_layer_resize (copy, gimp_drawable_get_width (GIMP_DRAWABLE (got.layer)), gimp_drawable_get_height (GIMP_DRAWABLE (got.layer)), -x, -y);
  check (difference (copy, got.layer) < 1.1 / 255.0, "inpaint/colours/%s", name);
  gimp_image_delete (image);
}

/* --- a group, and a layer that ends -------------------------------------------------------------------------------------- */

static void
check_group (void)
{
  GimpImage             *image = gimp_image_new (200, 150, GIMP_RGB);
  GimpLayer             *below = add_layer (image, NULL, "Below", 0, 0, 200, 150);
  GimpLayer             *group = GIMP_LAYER (gimp_group_layer_new (image, "Group"));
  g_autofree guint8     *before = NULL, *after = NULL;
  gboolean               inside = FALSE;
  int                    bytes;

  gimp_image_insert_layer (image, group, NULL, 0);
  add_layer (image, group, "In it", 30, 20, 100, 90);
  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 60, 50, 30, 30);
  before = projection (image, &bytes);
  inpaint (image, GIMP_DRAWABLE (group), "prompt", "a");
  check (succeeded () && gimp_item_get_parent (GIMP_ITEM (got.layer)) == NULL && gimp_image_get_item_position (image, GIMP_ITEM (got.layer)) == 0 &&
         gimp_image_get_item_position (image, GIMP_ITEM (below)) == 2, "inpaint/group/lies-above-it");
  if (got.layer != NULL)
    {
      after = projection (image, &bytes);
      check (count_changed (image, got.layer, before, after, bytes, &inside) == 0 && inside, "inpaint/group/changes-what-is-masked-and-no-more");
    }
  inpaint (image, GIMP_DRAWABLE (group), "prompt", "fail, if it is not refused before that", "destination", "in-place");
  check_refused (GIMP_PDB_CALLING_ERROR, "no group", "a-group-in-place");
  gimp_image_delete (image);
}

/* read smaller than it is, what lies beside the layer doesn't darken it */
static void
check_layers_end (void)
{
  GimpImage          *image  = gimp_image_new (400, 400, GIMP_RGB);
  GimpLayer          *layer  = gimp_layer_new (image, "White", 151, 133, GIMP_RGBA_IMAGE, 100.0, GIMP_LAYER_MODE_NORMAL);
  g_autoptr(FbTarget) target = NULL;
  g_autoptr(FbImage)  read   = NULL;
  float               least  = 1.0f;
  int                 n      = 0;

  gimp_image_insert_layer (image, layer, NULL, 0);
  gimp_layer_set_offsets (layer, 101, 97);
  gimp_drawable_fill (GIMP_DRAWABLE (layer), GIMP_FILL_WHITE);
  target           = fb_target_new (image, (GimpDrawable *[]) { GIMP_DRAWABLE (layer), NULL });
  target->input_id = gimp_item_get_id (GIMP_ITEM (layer));
  read             = fb_target_read (target, 150, 150, NULL);
  for (int i = 0; read != NULL && i < 150 * 150; i++)
    if (read->pixels[4 * i + 3] > 0.3f)
      {
        least = MIN (least, MIN (read->pixels[4 * i], MIN (read->pixels[4 * i + 1], read->pixels[4 * i + 2])));
        n++;
      }
  check (n > 54 * 47 && n < 59 * 52 && least > 0.9f, "inpaint/reads/a-layer-that-ends-without-a-dark-rim");
  gimp_image_delete (image);
}

/* (transfer full): what @seen of @layer's image gives as a whole, read at @scale */
static FbImage *
read_whole (GimpLayer *layer, FbRect seen, double scale, int width, int height)
{
  g_autoptr(GeglBuffer) buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));
  g_autoptr(FbImage)    whole  = NULL;
  GeglRectangle         rect;
  int                   x, y;

  gimp_drawable_get_offsets (GIMP_DRAWABLE (layer), &x, &y);
  rect  = (GeglRectangle) { (int) round ((seen.x - x) * scale), (int) round ((seen.y - y) * scale), (int) round (seen.width * scale), (int) round (seen.height * scale) };
  whole = fb_image_new (rect.width, rect.height, 4);
  gegl_buffer_get (buffer, &rect, scale, babl_format ("R'G'B'A float"), whole->pixels, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);

  return fb_image_resize (whole, width, height);
}

static void
check_read_at (GimpLayer *layer, const FbTarget *target, int smaller, double scale, const char *name)
{
  const int          width = target->seen.width / smaller, height = target->seen.height / smaller;
  g_autoptr(FbImage) read  = fb_target_read (target, width, height, NULL);
  g_autoptr(FbImage) whole = read_whole (layer, target->seen, scale, width, height);
  float              most  = read != NULL ? 0.0f : 1.0f;

  for (int i = 0; read != NULL && i < 4 * width * height; i++)
    most = MAX (most, fabsf (read->pixels[i] - whole->pixels[i]));
  check (most <= (smaller == 1 ? 0.0f : 1e-5f), "inpaint/reads/%s", name);      /* scaled, it has been divided by an alpha of almost 1 */
}

/* Reading goes in slices, and these must not be seen; nor may the layer change between them. */
static void
check_steps (void)
{
  GimpImage                *image  = gimp_image_new (1600, 1400, GIMP_RGB);
  GimpLayer                *layer  = gimp_layer_new (image, "Noise", 1301, 1103, GIMP_RGB_IMAGE, 100.0, GIMP_LAYER_MODE_NORMAL);
  g_autoptr(GRand)          random = g_rand_new_with_seed (7);
  g_autoptr(FbEngineClient) client = fb_engine_client_new ();
  g_autoptr(FbJob)          job    = fb_job_new (client, "inpaint", g_variant_new_parsed ("{'use': <'fill'>}"));
  g_autoptr(FbTarget)       target = NULL;
  g_autoptr(GError)         error  = NULL;

  gimp_image_insert_layer (image, layer, NULL, 0);
  gimp_layer_set_offsets (layer, 137, -25);
  paint_noise (random, layer);
  target           = fb_target_new (image, (GimpDrawable *[]) { GIMP_DRAWABLE (layer), NULL });
  target->input_id = gimp_item_get_id (GIMP_ITEM (layer));
  target->seen     = (FbRect) { 145, 3, 1260, 1008 };      /* within the layer */
  check_read_at (layer, target, 1, 1.0, "step-by-step");
  check_read_at (layer, target, 3, 1.0, "step-by-step-smaller");
  check_read_at (layer, target, 12, 0.25, "step-by-step-much-smaller");
  check_read_at (layer, target, 28, 0.125, "step-by-step-in-two-rounds");

  check (fb_target_read_for (target, job, "image", 1260, 1008, &error), "inpaint/reads/begins");
  gimp_layer_resize (layer, 700, 600, 0, 0);
  check (!fb_job_run (job, NULL, NULL, NULL, &error) && g_error_matches (error, FB_TARGET_ERROR, FB_TARGET_ERROR_CHANGED), "inpaint/reads/a-layer-that-changes-meanwhile-is-refused");
  gimp_image_delete (image);
}

/* slow waves of colour, which any scaling shows alike; the layer ends within the image */
static GimpLayer *
paint_waves (GimpImage *image, GimpImageBaseType type)
{
  GimpLayer             *layer  = gimp_layer_new (image, "Waves", 1200, 900, type == GIMP_GRAY ? GIMP_GRAYA_IMAGE : GIMP_RGBA_IMAGE, 100.0,
                                                  GIMP_LAYER_MODE_NORMAL);
  g_autoptr(GeglBuffer)  buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));
  g_autofree float      *row    = g_new (float, 4 * 1200);

  gimp_image_insert_layer (image, layer, NULL, 0);
  gimp_layer_set_offsets (layer, 200, 100);
  for (int y = 0; y < 900; y++)
    {
      for (int i = 0; i < 4 * 1200; i++)
        row[i] = i % 4 == 3 ? 1.0f : 0.5f + 0.3f * sinf (i / 4 * 0.01f + i % 4) * cosf (y * 0.008f - i % 4);
      gegl_buffer_set (buffer, GEGL_RECTANGLE (0, y, 1200, 1), 0, babl_format ("R'G'B'A float"), row, GEGL_AUTO_ROWSTRIDE);
    }
  gegl_buffer_flush (buffer);
  gimp_drawable_update (GIMP_DRAWABLE (layer), 0, 0, 1200, 900);

  return layer;
}

/* What the canvas shows and a draft is made from is what reading the layer gives, and neither is black. An indexed layer's palette has few of the colours,
 * and scaling takes one or another of them. */
static void
check_glance (GimpImageBaseType type, GimpPrecision precision, int which, const char *name)
{
  GimpImage          *image  = gimp_image_new_with_precision (1600, 1200, type == GIMP_INDEXED ? GIMP_RGB : type, precision);
  GimpLayer          *layer  = NULL;
  g_autoptr(FbTarget) target = NULL;
  g_autoptr(FbImage)  read   = NULL, glance = NULL;
  double              off    = 0.0, sum = 0.0;
  int                 n      = 0, n_known = 0;

  use_profile (image, type, which);
  layer = paint_waves (image, type);
  if (type == GIMP_INDEXED)
    gimp_image_convert_indexed (image, GIMP_CONVERT_DITHER_NONE, GIMP_CONVERT_PALETTE_GENERATE, 255, FALSE, FALSE, "");
  target           = fb_target_new (image, (GimpDrawable *[]) { GIMP_DRAWABLE (layer), NULL });
  target->input_id = gimp_item_get_id (GIMP_ITEM (layer));
  target->seen     = (FbRect) { 100, -40, 1000, 800 };
  read             = fb_target_read (target, 125, 100, NULL);
  glance           = fb_target_glance (target, 125, 100, NULL);
  for (int i = 0; read != NULL && glance != NULL && i < 125 * 100; i++)
    {
      const float *a = read->pixels + 4 * i, *b = glance->pixels + 4 * i;

      n += (a[3] > 0.5f) != (b[3] > 0.5f);
      if (a[3] < 0.99f || b[3] < 0.99f)
        continue;
      n_known++;
      for (int c = 0; c < 3; c++)
        {
          off += fabsf (a[c] - b[c]) / 3.0;
          sum += a[c] / 3.0;
        }
    }
  check (n < 250 && n_known > 8000 && off / n_known < (type == GIMP_INDEXED ? 0.2 : 0.01) && fabs (sum / n_known - 0.5) < 0.25, "inpaint/glance/%s", name);
  gimp_image_delete (image);
}

static void
check_glances (void)
{
  check_glance (GIMP_RGB,     GIMP_PRECISION_U8_NON_LINEAR,    0, "rgb-u8");
  check_glance (GIMP_RGB,     GIMP_PRECISION_U8_LINEAR,        0, "rgb-u8-linear");
  check_glance (GIMP_RGB,     GIMP_PRECISION_U16_NON_LINEAR,   1, "rgb-u16-adobe");
  check_glance (GIMP_RGB,     GIMP_PRECISION_FLOAT_LINEAR,     2, "rgb-float-wide-linear");
  check_glance (GIMP_GRAY,    GIMP_PRECISION_U8_NON_LINEAR,    0, "gray-u8");
  check_glance (GIMP_GRAY,    GIMP_PRECISION_FLOAT_NON_LINEAR, 1, "gray-float-lab");
  check_glance (GIMP_INDEXED, GIMP_PRECISION_U8_NON_LINEAR,    0, "indexed");
}

/* A draft of all that is visible sees just what a copy of the whole picture shows there, composed of no more than it needs: with a layer that sticks out, one
 * that is hidden, a group, and a filter that takes what lies around. */
static void
check_look_at_part (void)
{
  const FbRect        seen   = { 20, -10, 80, 70 };
  GimpLayer          *chosen = NULL;
  GimpImage          *image  = users_image (GIMP_RGB, GIMP_PRECISION_U8_NON_LINEAR, &chosen);
  GimpLayer          *hidden = add_layer (image, NULL, "hidden", 0, 0, 120, 90);
  GimpLayer          *above  = add_layer (image, NULL, "above", 70, 30, 300, 20);
  GimpDrawableFilter *blur   = gimp_drawable_append_new_filter (GIMP_DRAWABLE (above), "gegl:gaussian-blur", "blur", GIMP_LAYER_MODE_REPLACE, 1.0,
                                                                "std-dev-x", 6.0, "std-dev-y", 6.0, NULL);
  g_autoptr(FbTarget) target = fb_target_new (image, (GimpDrawable *[]) { GIMP_DRAWABLE (chosen), NULL });
  g_autoptr(FbImage)  all    = NULL, part = NULL;
  g_autofree char    *before = NULL, *after = NULL;
  float               most   = 0.0f;

  gimp_item_set_visible (GIMP_ITEM (hidden), FALSE);
  gimp_layer_set_opacity (above, 60.0);
  before       = fb_test_digest (image, NULL);
  target->seen = seen;
  inpaint_use_source (target, "visible", NULL, NULL);
  all = fb_target_read (target, seen.width, seen.height, NULL);
  inpaint_forget_source (target);

  check (blur != NULL && inpaint_look_at_part (target, NULL), "inpaint/look-at-part/works");
  check (is_at (GIMP_LAYER (gimp_item_get_by_id (target->input_id)), 20, 0, 80, 60), "inpaint/look-at-part/takes-no-more-than-is-seen");
  part = fb_target_read (target, seen.width, seen.height, NULL);
  inpaint_forget_source (target);
  for (int i = 0; all != NULL && part != NULL && i < 4 * seen.width * seen.height; i++)
    most = fmaxf (most, fabsf (all->pixels[i] - part->pixels[i]));
  check (all != NULL && part != NULL && most < 1.1f / 255.0f, "inpaint/look-at-part/shows-what-the-whole-shows (%g)", most);

  target->seen = (FbRect) { -200, -200, 100, 100 };
  check (!inpaint_look_at_part (target, NULL), "inpaint/look-at-part/is-nothing-beside-the-canvas");
  after = fb_test_digest (image, NULL);
  check (g_str_equal (before, after), "inpaint/look-at-part/leaves-the-image-as-it-was");
  gimp_image_delete (image);
}

void
check_inpaint_any (void)
{
  g_autoptr(GRand) random = g_rand_new_with_seed (20261128);

  for (int k = 0; k < 10; k++)
    check_random_image (random, k);
  check_colours_of (GIMP_RGB,  GIMP_PRECISION_U8_NON_LINEAR,    1, "rgb-u8-adobe");
  check_colours_of (GIMP_RGB,  GIMP_PRECISION_FLOAT_LINEAR,     2, "rgb-float-wide-linear");
  check_colours_of (GIMP_GRAY, GIMP_PRECISION_U16_NON_LINEAR,   1, "gray-u16-lab");
  check_group ();
  check_layers_end ();
  check_steps ();
  check_glances ();
  check_look_at_part ();
}
