/* tests/gimp/checks.c: what the procedures promise, checked from inside GIMP. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A plug-in that calls ours as any script would and writes TAP to $FB_TEST_TAP. It runs with the engine without models
 * (tests/gimp/engine.c) when $FB_TEST_STRIPES is set, and then knows what pictures to expect; else with the real one.
 * plug-in-flashbrush-digest tells the dialog's test what an image holds.
 */
#include <libgimp/gimp.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gimp/checks.h"
#include "tests/gimp/digest.h"

#define CHECKS "plug-in-flashbrush-checks"
#define DIGEST "plug-in-flashbrush-digest"

static FILE *tap;
static int   n_checks;

void
check (gboolean holds, const char *format, ...)
{
  g_autofree char *name = NULL;
  va_list          args;

  va_start (args, format);
  name = g_strdup_vprintf (format, args);
  va_end (args);
  fprintf (tap, "%s %d /gimp/%s\n", holds ? "ok" : "not ok", ++n_checks, name);
  fflush (tap);
}

/* --- calling ------------------------------------------------------------------------------------------------------------ */

Got got;

static void
take_values (GimpValueArray *values)
{
  GObject **layers = NULL;

  g_clear_pointer (&got.message, g_free);
  g_clear_pointer (&got.seeds, g_strfreev);
  got.status   = GIMP_VALUES_GET_ENUM (values, 0);
  got.image    = NULL;
  got.layer    = NULL;
  got.n_layers = 0;

  if (got.status == GIMP_PDB_SUCCESS)
    {
      got.image = g_value_get_object (gimp_value_array_index (values, 1));
      got.seeds = GIMP_VALUES_DUP_STRV (values, 2);
      layers    = GIMP_VALUES_GET_CORE_OBJECT_ARRAY (values, 3);
      while (layers != NULL && layers[got.n_layers] != NULL)
        got.n_layers++;
      got.layer = got.n_layers > 0 ? GIMP_LAYER (layers[0]) : NULL;
    }
  else if (gimp_value_array_length (values) > 1 && G_VALUE_HOLDS_STRING (gimp_value_array_index (values, 1)))
    got.message = GIMP_VALUES_DUP_STRING (values, 1);
  gimp_value_array_unref (values);
}

/* call (PROCEDURE, image, drawable, "prompt", "…", "seed", "7", NULL): image and drawable may be NULL */
void
call (const char *name, GimpImage *image, GimpDrawable *drawable, const char *first, ...)
{
  GimpProcedure       *procedure   = gimp_pdb_lookup_procedure (gimp_get_pdb (), name);
  GimpProcedureConfig *config      = gimp_procedure_create_config (procedure);
  GObject             *drawables[] = { G_OBJECT (drawable), NULL };
  va_list              args;

  if (image != NULL)
    g_object_set (config, "image", image, NULL);
  gimp_procedure_config_set_core_object_array (config, "drawables", drawables, drawable != NULL ? 1 : 0);
  va_start (args, first);
  g_object_set_valist (G_OBJECT (config), first, args);
  va_end (args);
  take_values (gimp_procedure_run_config (procedure, config));
  g_object_unref (config);
}

gboolean
succeeded (void)
{
  if (got.status != GIMP_PDB_SUCCESS)
    fprintf (tap, "# %s\n", got.message != NULL ? got.message : "no message");

  return got.status == GIMP_PDB_SUCCESS;
}

/* @word: what the sentence must name */
void
check_refused (GimpPDBStatusType status, const char *word, const char *name)
{
  gboolean is_sentence = got.message != NULL && strstr (got.message, word) != NULL && strchr (got.message, '\n') == NULL &&
                         (g_str_has_suffix (got.message, ".") || g_str_has_suffix (got.message, "?"));

  if (got.message != NULL)
    fprintf (tap, "# %s\n", got.message);
  check (got.status == status && is_sentence, "refuses/%s", name);
}

/* --- images to work on -------------------------------------------------------------------------------------------------- */

/* every pixel different from its neighbours */
static void
paint_ramp (GimpLayer *layer)
{
  g_autoptr(GeglBuffer) buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));
  int                   width  = gegl_buffer_get_width (buffer);
  int                   height = gegl_buffer_get_height (buffer);
  g_autofree float     *row    = g_new (float, 4 * width);

  for (int y = 0; y < height; y++)
    {
      for (int x = 0; x < width; x++)
        {
          row[4 * x]     = x / 255.0f;
          row[4 * x + 1] = y / 255.0f;
          row[4 * x + 2] = ((x * 7 + y * 3) % 256) / 255.0f;
          row[4 * x + 3] = 1.0f;
        }
      gegl_buffer_set (buffer, GEGL_RECTANGLE (0, y, width, 1), 0, babl_format ("R'G'B'A float"), row, GEGL_AUTO_ROWSTRIDE);
    }
  gegl_buffer_flush (buffer);
}

GimpLayer *
add_layer (GimpImage *image, GimpLayer *parent, const char *name, int x, int y, int width, int height)
{
  static const GimpImageType types[] = { GIMP_RGBA_IMAGE, GIMP_GRAYA_IMAGE };
  GimpLayer                 *layer   = gimp_layer_new (image, name, width, height, types[gimp_image_get_base_type (image)],
                                                       100.0, GIMP_LAYER_MODE_NORMAL);

  gimp_image_insert_layer (image, layer, parent, 0);
  gimp_layer_set_offsets (layer, x, y);
  paint_ramp (layer);

  return layer;
}

/* a user's image: layers that stick out, a group, a mask, a channel, a feathered selection of 100 × 60 at 40, 30 */
GimpImage *
users_image (GimpImageBaseType type, GimpPrecision precision, GimpLayer **chosen)
{
  GimpImage *image  = gimp_image_new_with_precision (250, 200, type == GIMP_INDEXED ? GIMP_RGB : type, precision);
  GimpLayer *group  = GIMP_LAYER (gimp_group_layer_new (image, "Group"));
  GeglColor *colour = gegl_color_new ("red");

  add_layer (image, NULL, "Bottom", 0, 0, 250, 200);
  gimp_image_insert_layer (image, group, NULL, 0);
  *chosen = add_layer (image, group, "In the group", -20, 15, 180, 150);
  add_layer (image, NULL, "Top", 60, -10, 100, 90);
  gimp_layer_add_mask (*chosen, gimp_layer_create_mask (*chosen, GIMP_ADD_MASK_COPY));
  gimp_image_insert_channel (image, gimp_channel_new (image, "Channel", 250, 200, 50.0, colour), NULL, 0);
  g_object_unref (colour);
  if (type == GIMP_INDEXED)
    gimp_image_convert_indexed (image, GIMP_CONVERT_DITHER_NONE, GIMP_CONVERT_PALETTE_GENERATE, 64, FALSE, FALSE, "");
  gimp_image_select_ellipse (image, GIMP_CHANNEL_OP_REPLACE, 40, 30, 100, 60);

  return image;
}

static void
read_pixels (GimpLayer *layer, float *pixels)
{
  g_autoptr(GeglBuffer) buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));

  gegl_buffer_get (buffer, NULL, 1.0, babl_format ("R'G'B' float"), pixels, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
}

/* the largest difference of two layers of the same size, as people see them */
double
difference (GimpLayer *a, GimpLayer *b)
{
  int               n    = gimp_drawable_get_width (GIMP_DRAWABLE (a)) * gimp_drawable_get_height (GIMP_DRAWABLE (a)) * 3;
  g_autofree float *pa   = g_new (float, n);
  g_autofree float *pb   = g_new (float, n);
  double            most = 0.0;

  read_pixels (a, pa);
  read_pixels (b, pb);
  for (int i = 0; i < n; i++)
    most = MAX (most, fabs (pa[i] - pb[i]));

  return most;
}

gboolean
is_at (GimpLayer *layer, int x, int y, int width, int height)
{
  int layer_x, layer_y;

  gimp_drawable_get_offsets (GIMP_DRAWABLE (layer), &layer_x, &layer_y);

  return layer_x == x && layer_y == y && gimp_drawable_get_width (GIMP_DRAWABLE (layer)) == width &&
         gimp_drawable_get_height (GIMP_DRAWABLE (layer)) == height;
}

/* --- the checks --------------------------------------------------------------------------------------------------------- */

static void
check_no_image (void)
{
  g_autofree char *first = NULL, *again = NULL, *other_seed = NULL, *other_prompt = NULL, *name = NULL;

  generate (NULL, NULL, "prompt", "a red apple", "seed", "7");
  check (succeeded () && got.image != NULL, "without-an-image/makes-one");
  if (got.image == NULL)
    return;
  check (gimp_image_get_width (got.image) == 128 && gimp_image_get_height (got.image) == 128 && got.n_layers == 1,
         "without-an-image/has-the-models-size");
  check (g_strv_length (got.seeds) == 1 && g_str_equal (got.seeds[0], "7"), "without-an-image/reports-the-seed");
  name  = gimp_item_get_name (GIMP_ITEM (got.layer));
  check (g_str_equal (name, "a red apple"), "without-an-image/names-the-layer-after-the-prompt");

  first = fb_test_digest_pixels (GIMP_DRAWABLE (got.layer));
  generate (NULL, NULL, "prompt", "a red apple", "seed", "7");
  again = fb_test_digest_pixels (GIMP_DRAWABLE (got.layer));
  generate (NULL, NULL, "prompt", "a red apple", "seed", "8");
  other_seed = fb_test_digest_pixels (GIMP_DRAWABLE (got.layer));
  generate (NULL, NULL, "prompt", "a blue house", "seed", "7");
  other_prompt = fb_test_digest_pixels (GIMP_DRAWABLE (got.layer));
  check (g_str_equal (first, again), "picture/same-seed-same-bytes");
  check (!g_str_equal (first, other_seed), "picture/another-seed-another-picture");
  check (!g_str_equal (first, other_prompt), "picture/another-prompt-another-picture");
}

static void
check_seeds (void)
{
  gint64 seed;

  generate (NULL, NULL, "prompt", "a", "count", 3);
  check (succeeded () && got.n_layers == 3 && g_strv_length (got.seeds) == 3, "seeds/one-for-each-picture");
  if (got.seeds == NULL || g_strv_length (got.seeds) != 3)
    return;
  seed = g_ascii_strtoll (got.seeds[0], NULL, 10);
  check (seed >= 0 && g_ascii_strtoll (got.seeds[1], NULL, 10) == seed + 1 && g_ascii_strtoll (got.seeds[2], NULL, 10) == seed + 2,
         "seeds/follow-each-other");
  generate (NULL, NULL, "prompt", "a");
  check (got.seeds != NULL && g_ascii_strtoll (got.seeds[0], NULL, 10) != seed, "seeds/are-drawn-anew");
  generate (NULL, NULL, "prompt", "a", "seed", "9007199254740993");
  check (got.seeds != NULL && g_str_equal (got.seeds[0], "9007199254740993"), "seeds/of-more-than-53-bits-are-kept");
}

static void
check_size (void)
{
  generate (NULL, NULL, "prompt", "a", "width", 64, "height", 192);
  check (succeeded () && is_at (got.layer, 0, 0, 64, 192), "size/is-what-was-asked-for");
}

/* a new layer in each kind of image: the rest stays, the place and the format are right */
static void
check_kind (GimpImageBaseType type, const char *type_name, GimpPrecision precision, const char *precision_name)
{
  GimpLayer       *chosen;
  GimpImage       *image  = users_image (type, precision, &chosen);
  g_autofree char *before = fb_test_digest (image, NULL);
  g_autofree char *after  = NULL;
  GimpLayer       *made   = NULL;

  generate (image, GIMP_DRAWABLE (chosen), "prompt", "a red apple", "seed", "7");
  made = got.layer;
  check (succeeded () && got.image == image && made != NULL, "%s-%s/takes-a-layer", type_name, precision_name);
  if (made == NULL)
    return;
  after = fb_test_digest (image, made);
  check (g_str_equal (before, after), "%s-%s/leaves-everything-else-as-it-was", type_name, precision_name);
  check (is_at (made, 40, 30, 100, 60), "%s-%s/puts-it-in-the-selections-bounds", type_name, precision_name);
  check (gimp_drawable_get_format (GIMP_DRAWABLE (made)) == gimp_drawable_get_format (GIMP_DRAWABLE (chosen)),
         "%s-%s/keeps-the-images-format", type_name, precision_name);
  check (gimp_item_get_parent (GIMP_ITEM (made)) == gimp_item_get_parent (GIMP_ITEM (chosen)) &&
         gimp_image_get_item_position (image, GIMP_ITEM (made)) == 0, "%s-%s/puts-it-above-the-layer", type_name, precision_name);
  check (gimp_layer_get_mask (made) != NULL, "%s-%s/masks-it-with-the-selections-shape", type_name, precision_name);
  gimp_image_delete (image);
}

static void
check_kinds (void)
{
  check_kind (GIMP_RGB,     "rgb",     GIMP_PRECISION_U8_NON_LINEAR,    "u8");
  check_kind (GIMP_RGB,     "rgb",     GIMP_PRECISION_U16_LINEAR,       "u16-linear");
  check_kind (GIMP_RGB,     "rgb",     GIMP_PRECISION_FLOAT_LINEAR,     "float-linear");
  check_kind (GIMP_GRAY,    "gray",    GIMP_PRECISION_U8_NON_LINEAR,    "u8");
  check_kind (GIMP_GRAY,    "gray",    GIMP_PRECISION_FLOAT_NON_LINEAR, "float");
  check_kind (GIMP_INDEXED, "indexed", GIMP_PRECISION_U8_NON_LINEAR,    "u8");
}

static void
check_colours (void)
{
  GimpImage *plain  = gimp_image_new (128, 128, GIMP_RGB);
  GimpImage *linear = gimp_image_new_with_precision (128, 128, GIMP_RGB, GIMP_PRECISION_FLOAT_LINEAR);
  GimpLayer *a, *b;

  generate (plain, NULL, "prompt", "a red apple", "seed", "7");
  a = got.layer;
  generate (linear, NULL, "prompt", "a red apple", "seed", "7");
  b = got.layer;
  check (a != NULL && b != NULL && difference (a, b) < 0.6 / 255.0, "colours/look-the-same-in-8-bit-and-in-linear-float");
  check (a != NULL && gimp_layer_get_mask (a) == NULL, "place/no-mask-without-a-selection");
  gimp_image_delete (plain);
  gimp_image_delete (linear);
}

static void
check_place (void)
{
  GimpImage *image = gimp_image_new (400, 300, GIMP_RGB);

  generate (image, NULL, "prompt", "a");
  check (succeeded () && is_at (got.layer, 136, 86, 128, 128), "place/without-a-selection-the-middle");
  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 10, 20, 333, 77);
  generate (image, NULL, "prompt", "a");
  check (succeeded () && is_at (got.layer, 10, 20, 333, 77), "place/odd-bounds-are-met-exactly");
  check (got.layer != NULL && gimp_layer_get_mask (got.layer) == NULL, "place/no-mask-for-a-rectangle");
  generate (image, NULL, "prompt", "a", "destination", "new-image", "width", 64, "height", 64);
  check (succeeded () && got.image != image && gimp_image_get_width (got.image) == 64, "place/a-new-image-when-asked");
  gimp_image_delete (image);
}

/* whether @layer has a mask that hides the picture at its left border and shows it in the middle of the right half */
static gboolean
is_cut_out (GimpLayer *layer)
{
  GimpLayerMask         *mask   = layer != NULL ? gimp_layer_get_mask (layer) : NULL;
  g_autoptr(GeglBuffer)  buffer = mask != NULL ? gimp_drawable_get_buffer (GIMP_DRAWABLE (mask)) : NULL;
  float                  row[128];

  if (buffer == NULL || gegl_buffer_get_width (buffer) != 128)
    return FALSE;
  gegl_buffer_get (buffer, GEGL_RECTANGLE (0, 60, 128, 1), 1.0, babl_format ("Y float"), row, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
  return row[0] == 0.0f && row[80] == 1.0f;
}

static void
check_stickers (void)
{
  GimpImage *image = gimp_image_new (400, 300, GIMP_RGB);

  generate (image, NULL, "prompt", "blue heart, 3d", "seed", "7", "background", "transparent", "width", 128, "height", 128);
  check (succeeded () && is_cut_out (got.layer), "stickers/are-a-layer-with-a-mask");
  generate (NULL, NULL, "prompt", "blue heart, 3d", "seed", "7", "background", "transparent", "width", 128, "height", 128);
  check (succeeded () && is_cut_out (got.layer) && gimp_drawable_has_alpha (GIMP_DRAWABLE (got.layer)), "stickers/in-a-new-image-too");
  gimp_image_delete (got.image);
  gimp_image_delete (image);
}

static void
check_input (void)
{
  GimpImage *image = gimp_image_new (256, 256, GIMP_RGB);
  GimpLayer *input = add_layer (image, NULL, "Input", 30, 40, 200, 190);
  GimpLayer *copy  = NULL;

  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 50, 60, 128, 128);
  generate (image, GIMP_DRAWABLE (input), "prompt", "a", "strength", 0.0);
  check (succeeded () && is_at (got.layer, 50, 60, 128, 128), "input/the-result-lies-on-it");
  if (got.layer != NULL)
    {
      /* the same part of the input, cut out by GIMP itself */
      copy = gimp_layer_copy (input);
      gimp_image_insert_layer (image, copy, NULL, 0);
      gimp_layer_resize (copy, 128, 128, -20, -20);
      check (difference (copy, got.layer) < 0.6 / 255.0, "input/is-read-exactly-where-it-is");
      repeat (image, GIMP_DRAWABLE (got.layer), "seed", "5");
      check (succeeded () && difference (copy, got.layer) < 0.6 / 255.0, "repeat/starts-from-the-same-input");
    }

  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 0, 0, 20, 20);
  generate (image, GIMP_DRAWABLE (input), "prompt", "a", "strength", 0.5);
  check_refused (GIMP_PDB_CALLING_ERROR, "Input", "a-selection-beside-the-input");
  gimp_image_delete (image);
}

/* whether the parameters on @layer say so */
static gboolean
records (GimpLayer *layer, const char *text)
{
  GimpParasite    *parasite = gimp_item_get_parasite (GIMP_ITEM (layer), "flashbrush-parameters");
  guint32          size     = 0;
  const char      *data     = parasite != NULL ? gimp_parasite_get_data (parasite, &size) : NULL;
  g_autofree char *whole    = data != NULL ? g_strndup (data, size) : g_strdup ("");

  if (parasite != NULL)
    gimp_parasite_free (parasite);

  return strstr (whole, text) != NULL;
}

static void
check_record (void)
{
  GimpImage          *image   = gimp_image_new (300, 300, GIMP_RGB);
  GimpLayer          *plain   = add_layer (image, NULL, "Plain", 0, 0, 300, 300);
  g_autofree char    *path    = g_build_filename (g_get_tmp_dir (), "flashbrush-checks.xcf", NULL);
  g_autoptr(GFile)    file    = g_file_new_for_path (path);
  static const char   wrong[] = "{\"prompt\": \"a\", \"n-steps\": \"many\"}";
  g_autofree char    *first   = NULL, *same = NULL, *other = NULL;
  GimpParasite       *parasite;
  GimpLayer          *made;
  GimpImage          *loaded;

  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 10, 20, 100, 100);
  generate (image, GIMP_DRAWABLE (plain), "prompt", "a \"quoted\" äpple", "seed", "42");
  made = got.layer;
  check (succeeded (), "record/is-written");
  if (made == NULL)
    return;
  check (records (made, "äpple") && records (made, "\"seed\":42") && records (made, "\"model-hash\":\""), "record/names-prompt-seed-and-the-models-hash");
  first = fb_test_digest_pixels (GIMP_DRAWABLE (made));
  gimp_selection_none (image);

  gimp_file_save (GIMP_RUN_NONINTERACTIVE, image, file, NULL);
  loaded = gimp_file_load (GIMP_RUN_NONINTERACTIVE, file);
  {
    g_autofree GimpLayer **layers = gimp_image_get_layers (loaded);

    repeat (loaded, GIMP_DRAWABLE (layers[0]), "seed", "42");
    check (succeeded () && is_at (got.layer, 10, 20, 100, 100), "repeat/lies-on-the-layer-after-saving-and-loading");
    same = got.layer != NULL ? fb_test_digest_pixels (GIMP_DRAWABLE (got.layer)) : NULL;
    check (g_strcmp0 (first, same) == 0, "repeat/with-the-same-seed-gives-the-same-picture");
    repeat (loaded, GIMP_DRAWABLE (layers[0]), "seed", "-1");
    other = got.layer != NULL ? fb_test_digest_pixels (GIMP_DRAWABLE (got.layer)) : NULL;
    check (other != NULL && !g_str_equal (first, other), "repeat/draws-a-new-seed");
    gimp_image_delete (loaded);
  }
  g_file_delete (file, NULL, NULL);

  repeat (image, GIMP_DRAWABLE (plain), "seed", "-1");
  check_refused (GIMP_PDB_EXECUTION_ERROR, "Plain", "a-layer-that-others-made");
  parasite = gimp_parasite_new ("flashbrush-parameters", GIMP_PARASITE_PERSISTENT, sizeof wrong, wrong);
  gimp_item_attach_parasite (GIMP_ITEM (plain), parasite);
  gimp_parasite_free (parasite);
  repeat (image, GIMP_DRAWABLE (plain), "seed", "-1");
  check_refused (GIMP_PDB_EXECUTION_ERROR, "n-steps", "parameters-that-are-damaged");
  gimp_image_delete (image);
}

/* each refusal leaves the image as it was */
static void
check_refusals (void)
{
  GimpLayer       *chosen;
  GimpImage       *image    = users_image (GIMP_RGB, GIMP_PRECISION_U8_NON_LINEAR, &chosen);
  GimpDrawable    *drawable = GIMP_DRAWABLE (chosen);
  const char      *loras[]  = { "ink=loud", NULL };
  g_autofree char *before   = fb_test_digest (image, NULL);
  g_autofree char *after    = NULL;

  generate (image, drawable, "prompt", "a", "width", 100);
  check_refused (GIMP_PDB_CALLING_ERROR, "multiple of 8", "a-size-that-is-no-multiple-of-8");
  generate (image, drawable, "prompt", "a", "model", "tset");
  check_refused (GIMP_PDB_CALLING_ERROR, "model", "an-unknown-model");
  generate (image, drawable, "prompt", "a", "sampler", "lmc");
  check_refused (GIMP_PDB_CALLING_ERROR, "lcm", "an-unknown-sampler");
  generate (image, drawable, "prompt", "a", "seed", "seven");
  check_refused (GIMP_PDB_CALLING_ERROR, "seven", "a-seed-that-is-no-number");
  generate (image, drawable, "prompt", "a", "loras", loras);
  check_refused (GIMP_PDB_CALLING_ERROR, "ink=loud", "a-lora-without-strength");
  generate (image, drawable, "prompt", "");
  check_refused (GIMP_PDB_CALLING_ERROR, "prompt", "an-empty-prompt");
  generate (NULL, NULL, "prompt", "a", "strength", 0.5);
  check_refused (GIMP_PDB_CALLING_ERROR, "strength", "a-strength-without-a-picture");

  after = fb_test_digest (image, NULL);
  check (g_str_equal (before, after), "refuses/and-leaves-the-image-as-it-was");
  gimp_image_delete (image);
}

static void
check_floating (void)
{
  GimpImage       *image = gimp_image_new (200, 200, GIMP_RGB);
  GimpLayer       *layer = add_layer (image, NULL, "Layer", 0, 0, 200, 200);
  GimpDrawable    *drawables[] = { GIMP_DRAWABLE (layer), NULL };
  g_autofree char *before = NULL, *after = NULL;

  gimp_image_select_rectangle (image, GIMP_CHANNEL_OP_REPLACE, 10, 10, 50, 50);
  gimp_selection_float (image, drawables, 5, 5);
  before = fb_test_digest (image, NULL);
  generate (image, GIMP_DRAWABLE (layer), "prompt", "a");
  check_refused (GIMP_PDB_EXECUTION_ERROR, "floating", "a-floating-selection");
  after = fb_test_digest (image, NULL);
  check (g_str_equal (before, after), "refuses/and-leaves-the-floating-selection");
  generate (image, GIMP_DRAWABLE (layer), "prompt", "a", "destination", "new-image");
  check (succeeded (), "floating-selection/a-new-image-is-possible");
  gimp_image_delete (image);
}

/* a child of GIMP's that runs our plug-in, or 0 */
static int
find_plug_in (void)
{
  g_autoptr(GDir) proc = g_dir_open ("/proc", 0, NULL);
  const char     *pid;

  while ((pid = g_dir_read_name (proc)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc", pid, "stat", NULL);
      g_autofree char *stat = NULL;
      int              parent;

      if (g_ascii_isdigit (*pid) && g_file_get_contents (path, &stat, NULL, NULL) && strstr (stat, "(flashbrush-gene") != NULL &&
          sscanf (strrchr (stat, ')'), ") %*c %d", &parent) == 1 && parent == (int) getppid ())
        return atoi (pid);
    }

  return 0;
}

/* GIMP's Cancel ends the plug-in in the middle of its job */
static gpointer
end_plug_in (gpointer unused)
{
  g_usleep (1500 * 1000);
  if (find_plug_in () != 0)
    kill (find_plug_in (), SIGTERM);

  return NULL;
}

static void
check_failures (void)
{
  GimpLayer       *chosen;
  GimpImage       *image  = users_image (GIMP_RGB, GIMP_PRECISION_U8_NON_LINEAR, &chosen);
  g_autofree char *before = fb_test_digest (image, NULL);
  g_autofree char *after  = NULL;
  GThread         *thread;

  generate (image, GIMP_DRAWABLE (chosen), "prompt", "fail after the first step");
  check (got.status != GIMP_PDB_SUCCESS && got.message != NULL && strstr (got.message, "no numbers") != NULL,
         "failure/of-the-model-is-told-in-its-words");
  generate (image, GIMP_DRAWABLE (chosen), "prompt", "crash after the first step");
  check (got.status == GIMP_PDB_EXECUTION_ERROR && got.message != NULL, "failure/of-the-engine-is-an-error");
  thread = g_thread_new ("cancel", end_plug_in, NULL);
  generate (image, GIMP_DRAWABLE (chosen), "prompt", "slow");
  g_thread_join (thread);
  check (got.status != GIMP_PDB_SUCCESS, "cancel/ends-the-call");
  after = fb_test_digest (image, NULL);
  check (g_str_equal (before, after), "failure/and-cancel-leave-the-image-as-it-was");
  generate (image, GIMP_DRAWABLE (chosen), "prompt", "a");
  check (succeeded (), "failure/the-next-call-works");
  gimp_image_delete (image);
}

static void
check_drawing (void)
{
  check_no_image ();
  check_seeds ();
  check_size ();
  check_kinds ();
  check_colours ();
  check_place ();
  check_stickers ();
  check_record ();
  check_refusals ();
  check_floating ();
  if (g_getenv ("FB_TEST_STRIPES") != NULL)      /* with the engine whose pictures and faults are known */
    {
      check_input ();
      check_failures ();
      check_inpaint ();
    }
  else
    check_inpaint_model ();
}

static GimpValueArray *
run_checks (GimpProcedure *procedure, GimpProcedureConfig *config, gpointer run_data)
{
  tap = fopen (g_getenv ("FB_TEST_TAP"), "w");
  g_assert (tap != NULL);
  gimp_plug_in_set_pdb_error_handler (gimp_get_plug_in (), GIMP_PDB_ERROR_HANDLER_PLUGIN);

  if (g_getenv ("FB_TEST_UPSCALE") != NULL)      /* with a model that can do nothing else */
    check_upscale ();
  else
    check_drawing ();

  fprintf (tap, "1..%d\n", n_checks);
  fclose (tap);

  return gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
}

/* the first image's number of layers and digest, as one line in $FB_TEST_DIGEST */
static GimpValueArray *
run_digest (GimpProcedure *procedure, GimpProcedureConfig *config, gpointer run_data)
{
  g_autofree GimpImage **images = gimp_get_images ();
  g_autofree char       *digest = images[0] != NULL ? fb_test_digest (images[0], NULL) : g_strdup ("none");
  g_autofree GimpLayer **layers = images[0] != NULL ? gimp_image_get_layers (images[0]) : NULL;
  g_autofree char       *line   = NULL;
  int                    n      = 0;

  while (layers != NULL && layers[n] != NULL)
    n++;
  line = g_strdup_printf ("%d %s\n", n, digest);
  g_file_set_contents (g_getenv ("FB_TEST_DIGEST"), line, -1, NULL);

  return gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
}

/* --- what GIMP asks ----------------------------------------------------------------------------------------------------- */

#define CHECKS_TYPE_PLUG_IN (checks_plug_in_get_type ())
G_DECLARE_FINAL_TYPE (ChecksPlugIn, checks_plug_in, CHECKS, PLUG_IN, GimpPlugIn)

struct _ChecksPlugIn
{
  GimpPlugIn parent_instance;
};

G_DEFINE_FINAL_TYPE (ChecksPlugIn, checks_plug_in, GIMP_TYPE_PLUG_IN)

static GList *
query_procedures (GimpPlugIn *plug_in)
{
  return g_list_append (g_list_append (NULL, g_strdup (CHECKS)), g_strdup (DIGEST));
}

static GimpProcedure *
create_procedure (GimpPlugIn *plug_in, const char *name)
{
  return gimp_procedure_new (plug_in, name, GIMP_PDB_PROC_TYPE_PLUGIN,
                             g_str_equal (name, CHECKS) ? run_checks : run_digest, NULL, NULL);
}

static void
checks_plug_in_class_init (ChecksPlugInClass *class)
{
  GIMP_PLUG_IN_CLASS (class)->query_procedures = query_procedures;
  GIMP_PLUG_IN_CLASS (class)->create_procedure = create_procedure;
  GIMP_PLUG_IN_CLASS (class)->set_i18n         = NULL;
}

static void
checks_plug_in_init (ChecksPlugIn *plug_in)
{
}

GIMP_MAIN (CHECKS_TYPE_PLUG_IN)
