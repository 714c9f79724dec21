/* tests/gimp/checks-inpaint.c: what Inpaint promises, checked from inside GIMP. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * With the engine of tests/gimp/engine.c: its results are opaque where the mask is, half as much 3 pixels around.
 */
#include <math.h>
#include <string.h>

#include "tests/gimp/checks.h"
#include "tests/gimp/digest.h"

#define resume(image, drawable, ...)   call ("plug-in-flashbrush-continue", image, drawable, __VA_ARGS__, NULL)

/* --- looking ------------------------------------------------------------------------------------------------------------- */

guint8 *
projection (GimpImage *image, int *bytes)
{
  GimpLayer             *visible = gimp_layer_new_from_visible (image, image, "visible");
  g_autoptr(GeglBuffer)  buffer  = gimp_drawable_get_buffer (GIMP_DRAWABLE (visible));
  const Babl            *format  = gegl_buffer_get_format (buffer);
  guint8                *pixels;

  *bytes = babl_format_get_bytes_per_pixel (format);
  pixels = g_malloc ((gsize) gegl_buffer_get_width (buffer) * gegl_buffer_get_height (buffer) * *bytes);
  gegl_buffer_get (buffer, NULL, 1.0, format, pixels, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
  gimp_item_delete (GIMP_ITEM (visible));

  return pixels;
}

static float
mask_at (GimpLayer *layer, int x, int y)
{
  g_autoptr(GeglBuffer) buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (gimp_layer_get_mask (layer)));
  float                 value  = 0.0f;
  int                   left, top;

  gimp_drawable_get_offsets (GIMP_DRAWABLE (layer), &left, &top);
  gegl_buffer_get (buffer, GEGL_RECTANGLE (x - left, y - top, 1, 1), 1.0, babl_format ("Y float"), &value, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);

  return value;
}

int
count_changed (GimpImage *image, GimpLayer *layer, const guint8 *before, const guint8 *after, int bytes, gboolean *inside)
{
  int                   width  = gimp_image_get_width (image);
  int                   height = gimp_image_get_height (image);
  g_autoptr(GeglBuffer) buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (gimp_layer_get_mask (layer)));
  g_autofree float     *mask   = g_new0 (float, width);
  int                   left, top, n = 0;

  *inside = FALSE;
  gimp_drawable_get_offsets (GIMP_DRAWABLE (layer), &left, &top);
  for (int y = 0; y < height; y++)
    {
      gegl_buffer_get (buffer, GEGL_RECTANGLE (-left, y - top, width, 1), 1.0, babl_format ("Y float"), mask, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_BLACK);
      for (int x = 0; x < width; x++)
        {
          gsize    at      = ((gsize) y * width + x) * bytes;
          gboolean differs = memcmp (before + at, after + at, bytes) != 0;

          if (differs && mask[x] == 0.0f)
            n++;
          *inside = *inside || (differs && mask[x] > 0.9f);
        }
    }

  return n;
}

/* the value of a key in the record, as JSON has it */
static gboolean
record_says (GimpLayer *layer, const char *text)
{
  GimpParasite    *parasite = gimp_item_get_parasite (GIMP_ITEM (layer), "flashbrush-parameters");
  guint32          size     = 0;
  gconstpointer    data     = parasite != NULL ? gimp_parasite_get_data (parasite, &size) : NULL;
  g_autofree char *record   = g_strndup (data != NULL ? data : "", size);

  if (parasite != NULL)
    gimp_parasite_free (parasite);

  return strstr (record, text) != NULL;
}

/* (transfer full): of the layer's pixels and of its mask's */
static char *
digest_both (GimpLayer *layer)
{
  g_autofree char *pixels = fb_test_digest_pixels (GIMP_DRAWABLE (layer));
  g_autofree char *mask   = fb_test_digest_pixels (GIMP_DRAWABLE (gimp_layer_get_mask (layer)));

  return g_strconcat (pixels, mask, NULL);
}

/* what continuing from @layer with @seed gives, as digest_both() has it; NULL where it fails */
static char *
continued (GimpImage *image, GimpLayer *layer, const char *seed)
{
  resume (image, GIMP_DRAWABLE (layer), "seed", seed);

  return got.layer != NULL ? digest_both (got.layer) : NULL;
}

/* --- the checks ---------------------------------------------------------------------------------------------------------- */

/* in each kind of image: a layer with a mask, and every byte that the mask does not cover is as it was */
static void
check_kind (GimpImageBaseType type, const char *type_name, GimpPrecision precision, const char *precision_name)
{
  GimpLayer          *chosen;
  GimpImage          *image  = users_image (type, precision, &chosen);
  g_autofree char    *kind   = g_strdup_printf ("inpaint/%s-%s", type_name, precision_name);
  g_autofree char    *before = NULL;
  g_autofree char    *after  = NULL;
  g_autofree guint8  *seen   = NULL;
  g_autofree guint8  *shown  = NULL;
  gboolean            inside = FALSE;
  int                 bytes;

  gimp_selection_feather (image, 8.0);
  before = fb_test_digest (image, NULL);
  seen   = projection (image, &bytes);
  inpaint (image, GIMP_DRAWABLE (chosen), "prompt", "a red apple", "seed", "7");
  check (succeeded () && got.image == image && got.n_layers == 1, "%s/takes-a-layer", kind);
  if (got.layer == NULL)
    return;
  after = fb_test_digest (image, got.layer);
  check (g_str_equal (before, after), "%s/leaves-everything-else-as-it-was", kind);
  check (gimp_layer_get_mask (got.layer) != NULL && mask_at (got.layer, 90, 60) == 1.0f && mask_at (got.layer, 4, 190) == 0.0f, "%s/masks-what-was-selected", kind);
  check (gimp_item_get_parent (GIMP_ITEM (got.layer)) == gimp_item_get_parent (GIMP_ITEM (chosen)) &&
         gimp_image_get_item_position (image, GIMP_ITEM (got.layer)) == 0, "%s/lies-above-the-layer", kind);
  shown = projection (image, &bytes);
  check (count_changed (image, got.layer, seen, shown, bytes, &inside) == 0, "%s/what-is-not-masked-shows-the-same-bytes", kind);
  check (inside, "%s/what-is-masked-changes", kind);
  gimp_image_delete (image);
}

static void
check_kinds (void)
{
  check_kind (GIMP_RGB,     "rgb",     GIMP_PRECISION_U8_NON_LINEAR,     "u8");
  check_kind (GIMP_RGB,     "rgb",     GIMP_PRECISION_U8_LINEAR,         "u8-linear");
  check_kind (GIMP_RGB,     "rgb",     GIMP_PRECISION_U16_NON_LINEAR,    "u16");
  check_kind (GIMP_RGB,     "rgb",     GIMP_PRECISION_U16_LINEAR,        "u16-linear");
  check_kind (GIMP_RGB,     "rgb",     GIMP_PRECISION_U32_NON_LINEAR,    "u32");
  check_kind (GIMP_RGB,     "rgb",     GIMP_PRECISION_HALF_NON_LINEAR,   "half");
  check_kind (GIMP_RGB,     "rgb",     GIMP_PRECISION_FLOAT_LINEAR,      "float-linear");
  check_kind (GIMP_RGB,     "rgb",     GIMP_PRECISION_FLOAT_NON_LINEAR,  "float");
  check_kind (GIMP_GRAY,    "gray",    GIMP_PRECISION_U8_NON_LINEAR,     "u8");
  check_kind (GIMP_GRAY,    "gray",    GIMP_PRECISION_U16_NON_LINEAR,    "u16");
  check_kind (GIMP_GRAY,    "gray",    GIMP_PRECISION_FLOAT_NON_LINEAR,  "float");
  check_kind (GIMP_INDEXED, "indexed", GIMP_PRECISION_U8_NON_LINEAR,     "u8");
}

/* where the pixels come from: the engine gives them back at strength near 0 */
static void
check_reading (void)
{
  GimpImage *image = gimp_image_new (300, 260, GIMP_RGB);
  GimpLayer *below = add_layer (image, NULL, "Below", 0, 0, 300, 260);
  GimpLayer *input = add_layer (image, NULL, "Input", 30, 40, 200, 190);
  GimpLayer *copy  = NULL;
  int        x, y;

  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 90, 100, 40, 40);
  inpaint (image, GIMP_DRAWABLE (input), "prompt", "a", "strength", 1e-6);
  check (succeeded (), "inpaint/reads/a-layer");
  if (got.layer != NULL)
    {
      gimp_drawable_get_offsets (GIMP_DRAWABLE (got.layer), &x, &y);
      copy = gimp_layer_copy (input);
      gimp_image_insert_layer (image, copy, NULL, 0);
      gimp_layer_resize (copy, gimp_drawable_get_width (GIMP_DRAWABLE (got.layer)), gimp_drawable_get_height (GIMP_DRAWABLE (got.layer)),
                         30 - x, 40 - y);
      check (difference (copy, got.layer) < 0.6 / 255.0, "inpaint/reads/the-layer-where-it-is");
      gimp_image_remove_layer (image, copy);
      gimp_image_remove_layer (image, got.layer);
    }
  gimp_item_set_visible (GIMP_ITEM (input), FALSE);
  inpaint (image, GIMP_DRAWABLE (input), "prompt", "a", "strength", 1e-6, "source", "visible");
  check (succeeded (), "inpaint/reads/what-is-visible");
  if (got.layer != NULL)
    {
      gimp_drawable_get_offsets (GIMP_DRAWABLE (got.layer), &x, &y);
      copy = gimp_layer_copy (below);
      gimp_image_insert_layer (image, copy, NULL, 0);
      gimp_layer_resize (copy, gimp_drawable_get_width (GIMP_DRAWABLE (got.layer)), gimp_drawable_get_height (GIMP_DRAWABLE (got.layer)), -x, -y);
      check (difference (copy, got.layer) < 0.6 / 255.0, "inpaint/reads/and-not-the-hidden-layer");
    }
  gimp_image_delete (image);
}

static void
check_mask_from (GimpImage *image, GimpLayer *layer, const char *from, const char *name, int x, int y, const char *test)
{
  inpaint (image, GIMP_DRAWABLE (layer), "prompt", "a", "mask-from", from, "mask-name", name);
  check (succeeded () && mask_at (got.layer, x, y) == 1.0f && mask_at (got.layer, x + 30, y) == 0.0f, "inpaint/mask/%s", test);
  if (got.layer != NULL)
    gimp_image_remove_layer (image, got.layer);
}

static void
check_masks (void)
{
  GimpImage    *image   = gimp_image_new (300, 200, GIMP_RGB);
  GimpLayer    *base    = add_layer (image, NULL, "Base", 0, 0, 300, 200);
  GeglColor    *white   = gegl_color_new ("white");
  GimpChannel  *channel = gimp_channel_new (image, "Marked", 300, 200, 50.0, white);
  GimpLayer    *paint   = gimp_layer_new (image, "Paint", 100, 80, GIMP_RGBA_IMAGE, 100.0, GIMP_LAYER_MODE_NORMAL);
  GimpLayer    *other   = add_layer (image, NULL, "Other", 0, 0, 300, 200);

  gimp_context_set_foreground (white);
  gimp_image_insert_channel (image, channel, NULL, 0);
  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 40, 40, 20, 20);
  gimp_drawable_edit_fill (GIMP_DRAWABLE (channel), GIMP_FILL_FOREGROUND);
  gimp_image_insert_layer (image, paint, NULL, 0);
  gimp_layer_set_offsets (paint, 150, 90);
  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 160, 100, 20, 20);
  gimp_drawable_edit_fill (GIMP_DRAWABLE (paint), GIMP_FILL_FOREGROUND);
  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 200, 30, 20, 20);
  gimp_layer_add_mask (other, gimp_layer_create_mask (other, GIMP_ADD_MASK_SELECTION));
  gimp_selection_none (image);

  check_mask_from (image, base, "channel", "Marked", 50, 50, "a-channel-by-name");
  check_mask_from (image, base, "layer", "Paint", 170, 110, "a-painted-layer-by-name");
  check_mask_from (image, base, "layer-mask", "Other", 210, 40, "a-layer-mask-by-name");
  check_mask_from (image, other, "layer-mask", "", 210, 40, "the-layers-own-mask");
  inpaint (image, GIMP_DRAWABLE (base), "prompt", "a", "mask-from", "channel", "mask-name", "Marke");
  check_refused (GIMP_PDB_CALLING_ERROR, "Marke", "inpaint-without-the-channel");
  inpaint (image, GIMP_DRAWABLE (base), "prompt", "a", "mask-from", "layer-mask");
  check_refused (GIMP_PDB_CALLING_ERROR, "Base", "inpaint-without-the-layer-mask");
  inpaint (image, GIMP_DRAWABLE (base), "prompt", "a");
  check_refused (GIMP_PDB_CALLING_ERROR, "Nothing is masked", "inpaint-without-a-selection");
  inpaint (image, GIMP_DRAWABLE (base), "prompt", "a", "use", "expand");
  check_refused (GIMP_PDB_CALLING_ERROR, "transparent", "expanding-what-is-full");
  inpaint (image, GIMP_DRAWABLE (paint), "prompt", "a", "use", "expand");
  check (succeeded () && mask_at (got.layer, 5, 5) == 1.0f && mask_at (got.layer, 155, 95) == 1.0f && mask_at (got.layer, 170, 110) == 0.0f,
         "inpaint/mask/expands-into-what-is-transparent");
  if (got.layer != NULL)
    gimp_image_remove_layer (image, got.layer);

  gimp_selection_all (image);
  inpaint (image, GIMP_DRAWABLE (base), "prompt", "a");
  check (succeeded () && is_at (got.layer, 0, 0, 300, 200) && mask_at (got.layer, 299, 199) == 1.0f, "inpaint/mask/all-of-it");
  inpaint (image, GIMP_DRAWABLE (base), "prompt", "a", "use", "background");
  check_refused (GIMP_PDB_CALLING_ERROR, "no background", "a-background-behind-all");
  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 100, 50, 80, 80);
  inpaint (image, GIMP_DRAWABLE (base), "prompt", "a", "use", "background");
  check (succeeded () && is_at (got.layer, 0, 0, 300, 200) && mask_at (got.layer, 140, 90) == 0.0f && mask_at (got.layer, 10, 10) == 1.0f,
         "inpaint/mask/background-is-all-the-rest");
  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 0, 60, 1, 1);
  inpaint (image, GIMP_DRAWABLE (base), "prompt", "a");
  check (succeeded () && mask_at (got.layer, 0, 60) == 1.0f && mask_at (got.layer, 9, 60) == 0.0f, "inpaint/mask/one-pixel-at-the-border");
  gimp_image_delete (image);
  g_object_unref (white);
}

/* the canvas grows by so many pixels, with the result, and the picture stays where it was on it */
static void
check_expanding (void)
{
  GimpImage          *image = gimp_image_new (120, 90, GIMP_RGB);
  GimpLayer          *base  = add_layer (image, NULL, "Base", 0, 0, 120, 90);
  g_autofree char    *pixels = fb_test_digest_pixels (GIMP_DRAWABLE (base));
  g_autofree char    *after  = NULL, *first = NULL, *same = NULL;
  int                 x, y;

  inpaint (image, GIMP_DRAWABLE (base), "prompt", "a", "use", "fill", "expand-left", 40);
  check_refused (GIMP_PDB_CALLING_ERROR, "Nothing is masked", "margins-for-another-use");
  inpaint (image, GIMP_DRAWABLE (base), "prompt", "a", "use", "expand", "expand-left", 40, "destination", "in-place");
  check_refused (GIMP_PDB_CALLING_ERROR, "outside the layer", "margins-in-place");
  check (gimp_image_get_width (image) == 120, "inpaint/expand/a-refusal-leaves-the-canvas");

  inpaint (image, GIMP_DRAWABLE (base), "prompt", "a", "seed", "4", "use", "expand", "expand-left", 40, "expand-bottom", 24, "count", 2);
  check (succeeded () && gimp_image_get_width (image) == 160 && gimp_image_get_height (image) == 114, "inpaint/expand/enlarges-the-canvas");
  if (got.layer == NULL)
    return;
  gimp_drawable_get_offsets (GIMP_DRAWABLE (base), &x, &y);
  after = fb_test_digest_pixels (GIMP_DRAWABLE (base));
  check (x == 40 && y == 0 && g_str_equal (pixels, after), "inpaint/expand/keeps-the-layer-in-its-place");
  check (got.n_layers == 2 && mask_at (got.layer, 2, 2) == 1.0f && mask_at (got.layer, 100, 110) == 1.0f && mask_at (got.layer, 130, 20) == 0.0f,
         "inpaint/expand/repaints-what-was-added");
  first = digest_both (got.layer);
  same  = continued (image, got.layer, "4");
  check (g_strcmp0 (first, same) == 0 && gimp_image_get_width (image) == 160, "inpaint/expand/continues-without-growing-again");
  gimp_image_delete (image);
}

static void
check_in_place_kind (GimpPrecision precision, const char *name)
{
  GimpLayer          *chosen;
  GimpImage          *image = users_image (GIMP_RGB, precision, &chosen);
  g_autofree char    *selected_before = NULL, *selected_after = NULL, *before = NULL, *after = NULL;
  g_autofree GimpLayer **layers = NULL;
  GimpLayer          *was = NULL;
  int                 bytes, n_outside = 0, n_inside = 0;
  g_autoptr(GeglBuffer) buffer = NULL, old = NULL;
  g_autofree guint8    *a = NULL, *b = NULL;
  const Babl           *format;

  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 40, 30, 60, 40);
  gimp_selection_feather (image, 6.0);
  selected_before = fb_test_digest_pixels (GIMP_DRAWABLE (gimp_image_get_selection (image)));
  gimp_image_set_selected_layers (image, (const GimpLayer *[]) { chosen, NULL });
  was    = gimp_layer_copy (chosen);
  before = fb_test_digest (image, chosen);
  inpaint (image, GIMP_DRAWABLE (chosen), "prompt", "a", "seed", "3", "destination", "in-place");
  check (succeeded () && got.layer == chosen, "inpaint/in-place-%s/gives-the-layer-back", name);
  after          = fb_test_digest (image, chosen);
  selected_after = fb_test_digest_pixels (GIMP_DRAWABLE (gimp_image_get_selection (image)));
  check (g_str_equal (before, after) && g_str_equal (selected_before, selected_after), "inpaint/in-place-%s/leaves-the-rest-and-the-selection", name);
  layers = gimp_image_get_selected_layers (image);
  check (layers[0] == chosen && layers[1] == NULL, "inpaint/in-place-%s/keeps-the-layer-chosen", name);

  buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (chosen));
  old    = gimp_drawable_get_buffer (GIMP_DRAWABLE (was));
  format = gegl_buffer_get_format (buffer);
  bytes  = babl_format_get_bytes_per_pixel (format);
  a      = g_malloc (180 * 150 * bytes);
  b      = g_malloc (180 * 150 * bytes);
  gegl_buffer_get (old, NULL, 1.0, format, a, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
  gegl_buffer_get (buffer, NULL, 1.0, format, b, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
  for (int i = 0; i < 180 * 150; i++)
    {
      int      x       = i % 180 - 20;
      int      y       = i / 180 + 15;
      gboolean differs = memcmp (a + i * bytes, b + i * bytes, bytes) != 0;

      if (x < 25 || x >= 115 || y < 15 || y >= 85)
        n_outside += differs;
      else if (x > 55 && x < 85 && y > 42 && y < 58)
        n_inside += differs;
    }
  check (n_outside == 0, "inpaint/in-place-%s/keeps-the-bytes-around", name);
  check (n_inside > 100, "inpaint/in-place-%s/changes-the-pixels", name);
  gimp_image_delete (image);
}

static void
check_in_place (void)
{
  GimpImage *image = gimp_image_new (200, 200, GIMP_RGB);
  GimpLayer *layer = add_layer (image, NULL, "Layer", 0, 0, 200, 200);

  check_in_place_kind (GIMP_PRECISION_U8_NON_LINEAR, "u8");
  check_in_place_kind (GIMP_PRECISION_U16_NON_LINEAR, "u16");
  check_in_place_kind (GIMP_PRECISION_FLOAT_NON_LINEAR, "float");
  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 10, 10, 50, 50);
  inpaint (image, GIMP_DRAWABLE (layer), "prompt", "a", "count", 2, "destination", "in-place");
  check_refused (GIMP_PDB_CALLING_ERROR, "one picture", "two-pictures-in-one-place");
  gimp_item_set_lock_content (GIMP_ITEM (layer), TRUE);
  inpaint (image, GIMP_DRAWABLE (layer), "prompt", "fail, if it is not refused before that", "destination", "in-place");
  check_refused (GIMP_PDB_CALLING_ERROR, "locked", "a-locked-layer-in-place");
  gimp_image_delete (image);
}

static void
check_again (void)
{
  GimpImage       *image = gimp_image_new (300, 300, GIMP_RGB);
  GimpLayer       *base  = add_layer (image, NULL, "Base", 0, 0, 300, 300);
  g_autofree char *first = NULL, *same = NULL, *other = NULL, *path = g_build_filename (g_get_tmp_dir (), "flashbrush-inpainted.xcf", NULL);
  g_autoptr(GFile) file  = g_file_new_for_path (path);
  GimpLayer       *made;
  GimpImage       *loaded;

  gimp_image_select_ellipse (image, GIMP_CHANNEL_OP_REPLACE, 100, 120, 60, 40);
  inpaint (image, GIMP_DRAWABLE (base), "prompt", "a tree", "seed", "42", "count", 2, "feather", 0.2, "use", "remove");
  made = got.layer;
  check (succeeded () && got.n_layers == 2 && g_strv_length (got.seeds) == 2 && g_str_equal (got.seeds[1], "43"), "inpaint/variations/each-has-its-seed");
  if (made == NULL)
    return;
  check (record_says (made, "\"task\"") && record_says (made, "a tree") && record_says (made, "remove") && record_says (made, "model-hash"),
         "inpaint/record/tells-how-it-was-made");
  first = digest_both (made);
  gimp_selection_none (image);
  gimp_file_save (GIMP_RUN_NONINTERACTIVE, image, file, NULL);
  loaded = gimp_file_load (GIMP_RUN_NONINTERACTIVE, file);
  {
    g_autofree GimpLayer **layers = gimp_image_get_layers (loaded);
    GimpLayer             *kept   = layers[1];      /* the second lies above */

    same = continued (loaded, kept, "42");
    check (succeeded (), "inpaint/continue/after-saving-and-loading");
    other = continued (loaded, kept, "5");
    check (g_strcmp0 (first, same) == 0 && other != NULL && !g_str_equal (first, other), "inpaint/continue/from-the-same-pixels-and-mask");
    resume (loaded, GIMP_DRAWABLE (gimp_layer_get_mask (kept)), "seed", "5");
    check (succeeded (), "inpaint/continue/from-the-layers-mask");
    resume (loaded, GIMP_DRAWABLE (layers[2]), "seed", "5");
    check_refused (GIMP_PDB_EXECUTION_ERROR, "Base", "continuing-a-layer-that-others-made");
    repeat (loaded, GIMP_DRAWABLE (kept), "seed", "5");
    check_refused (GIMP_PDB_EXECUTION_ERROR, "Continue from", "repeating-what-was-inpainted");
    gimp_image_delete (loaded);
  }
  g_file_delete (file, NULL, NULL);
  gimp_image_delete (image);
}

/* the results themselves are visible, and a soft selection and unusual numbers have to come back exactly, too */
static void
check_again_from_what_is_visible (void)
{
  GimpImage       *image = gimp_image_new (400, 300, GIMP_RGB);
  GimpLayer       *base  = add_layer (image, NULL, "Base", 0, 0, 400, 300);
  g_autofree char *first = NULL, *same = NULL, *path = g_build_filename (g_get_tmp_dir (), "flashbrush-inpainted-visible.xcf", NULL);
  g_autoptr(GFile) file  = g_file_new_for_path (path);
  GimpImage       *loaded;

  gimp_layer_set_opacity (add_layer (image, NULL, "Above", 150, 20, 200, 200), 60.0);
  gimp_image_select_ellipse (image, GIMP_CHANNEL_OP_REPLACE, 100, 120, 60, 40);
  gimp_selection_feather (image, 10.0);
  inpaint (image, GIMP_DRAWABLE (base), "prompt", "a tree", "seed", "42", "count", 2, "source", "visible", "context", "mask",
           "strength", 1.0 / 1.3, "feather", 0.1 / 0.7);
  check (succeeded (), "inpaint/continue/what-is-visible-is-inpainted");
  if (got.layer == NULL)
    return;
  first = digest_both (got.layer);
  gimp_selection_none (image);
  gimp_file_save (GIMP_RUN_NONINTERACTIVE, image, file, NULL);
  loaded = gimp_file_load (GIMP_RUN_NONINTERACTIVE, file);
  {
    g_autofree GimpLayer **layers = gimp_image_get_layers (loaded);
    g_autofree char       *before = fb_test_digest (loaded, NULL);
    g_autofree char       *after  = NULL;

    GimpLayer             *kept   = layers[2];      /* above the chosen layer, below the second result and “Above” */

    same  = continued (loaded, kept, "42");
    after = fb_test_digest (loaded, got.layer);
    check (g_strcmp0 (first, same) == 0, "inpaint/continue/looks-through-the-earlier-results");
    check (g_str_equal (before, after), "inpaint/continue/leaves-the-earlier-results-visible");
  }
  gimp_image_delete (loaded);
  g_file_delete (file, NULL, NULL);
  gimp_image_delete (image);
}

static void
check_huge (void)
{
  GimpImage *image = gimp_image_new (12000, 9000, GIMP_RGB);
  GimpLayer *layer = gimp_layer_new (image, "Huge", 12000, 9000, GIMP_RGB_IMAGE, 100.0, GIMP_LAYER_MODE_NORMAL);
  int        width;

  gimp_image_undo_disable (image);
  gimp_image_insert_layer (image, layer, NULL, 0);
  gimp_image_select_ellipse (image, GIMP_CHANNEL_OP_REPLACE, 11800, 8700, 200, 300);
  inpaint (image, GIMP_DRAWABLE (layer), "prompt", "a");
  width = got.layer != NULL ? gimp_drawable_get_width (GIMP_DRAWABLE (got.layer)) : 0;
  check (succeeded () && width > 200 && width < 2500 && mask_at (got.layer, 11900, 8850) == 1.0f, "inpaint/huge/reads-only-around-the-mask");
  gimp_image_delete (image);
}

static void
check_inpaint_failures (void)
{
  GimpLayer       *chosen;
  GimpImage       *image  = users_image (GIMP_RGB, GIMP_PRECISION_U8_NON_LINEAR, &chosen);
  g_autofree char *before = fb_test_digest (image, NULL);
  g_autofree char *after  = NULL;

  inpaint (image, GIMP_DRAWABLE (chosen), "prompt", "fail after the first step");
  check (got.status != GIMP_PDB_SUCCESS && got.message != NULL && strstr (got.message, "no numbers") != NULL, "inpaint/failure/is-told");
  inpaint (image, GIMP_DRAWABLE (chosen), "prompt", "a", "source", "visible", "model", "tset");
  check_refused (GIMP_PDB_CALLING_ERROR, "model", "inpaint-with-an-unknown-model");
  after = fb_test_digest (image, NULL);
  check (g_str_equal (before, after), "inpaint/failure/leaves-the-image-as-it-was");
  gimp_image_delete (image);
}

void
check_inpaint_model (void)
{
  check_kind (GIMP_RGB,  "rgb",  GIMP_PRECISION_U8_NON_LINEAR,    "model-u8");
  check_kind (GIMP_GRAY, "gray", GIMP_PRECISION_FLOAT_NON_LINEAR, "model-float");
  check_again ();
  check_again_from_what_is_visible ();
  check_expanding ();
}

void
check_inpaint (void)
{
  check_kinds ();
  check_reading ();
  check_masks ();
  check_expanding ();
  check_in_place ();
  check_again ();
  check_again_from_what_is_visible ();
  check_huge ();
  check_inpaint_any ();
  check_inpaint_failures ();
}
