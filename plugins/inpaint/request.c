/* plugins/inpaint/request.c: from a mask and arguments to the engine's job. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/inpaint/request.h"

#include <math.h>

#include <glib/gi18n-lib.h>

#include "plugins/inpaint/args.h"
#include "plugins/inpaint/source.h"
#include "ui/drawable-surface.h"
#include "ui/mask-source.h"

static gboolean
refuse (GError **error, const char *sentence)
{
  g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT, sentence);

  return FALSE;
}

static int
index_of (const char * const *names, const char *name)
{
  for (int i = 0; names[i] != NULL; i++)
    if (g_strcmp0 (names[i], name) == 0)
      return i;

  return 0;
}

static FbInpaintUse
use_of (const char *name)
{
  return (FbInpaintUse) index_of (fb_inpaint_use_names, name);
}

/* --- the mask ------------------------------------------------------------------------------------------------------------ */

static FbMask *
mask_of_what_is_open (const FbTarget *target, GimpImage *image)
{
  GimpDrawable *input = GIMP_DRAWABLE (gimp_item_get_by_id (target->input_id));

  return fb_mask_of_what_is_open (image, input);
}

gboolean
inpaint_use_margins (FbTarget *target, GimpProcedureConfig *config, GError **error)
{
  GimpImage       *image = gimp_image_get_by_id (target->image_id);
  g_autofree char *use   = NULL;
  FbMargins        m     = { 0 };

  g_object_get (config, "use", &use, "expand-left", &m.left, "expand-right", &m.right, "expand-top", &m.top, "expand-bottom", &m.bottom, NULL);
  target->margins = (FbMargins) { 0 };
  if (use_of (use) != FB_INPAINT_EXPAND || image == NULL)
    return TRUE;
  if (gimp_image_get_width (image) + m.left + m.right > GIMP_MAX_IMAGE_SIZE || gimp_image_get_height (image) + m.top + m.bottom > GIMP_MAX_IMAGE_SIZE)
    return refuse (error, _("The image would become larger than GIMP allows; expand it by fewer pixels."));
  target->margins       = m;
  target->canvas_width  = gimp_image_get_width (image);
  target->canvas_height = gimp_image_get_height (image);

  return TRUE;
}

FbMask *
inpaint_enlarge_mask (const FbMask *mask, const FbTarget *target)
{
  const FbMargins *m = &target->margins;

  return fb_target_has_margins (target) ? fb_mask_enlarged (mask, m->left, m->top, m->right, m->bottom) : fb_mask_copy (mask);
}

FbMask *
inpaint_find_mask (FbTarget *target, GimpProcedureConfig *config, GError **error)
{
  GimpImage         *image    = gimp_image_get_by_id (target->image_id);
  g_autofree char   *from     = NULL;
  g_autofree char   *name     = NULL;
  g_autofree char   *use      = NULL;
  g_autoptr(FbMask)  mask     = NULL;
  GimpDrawable      *drawable = NULL;
  GdkRectangle       bounds;

  g_object_get (config, "mask-from", &from, "mask-name", &name, "use", &use, NULL);
  drawable = fb_mask_find (image, inpaint_layer_of (target), fb_mask_from_name (from), name, error);
  if (drawable == NULL)
    return NULL;
  mask = fb_mask_read_drawable (image, drawable);
  if (use_of (use) == FB_INPAINT_EXPAND && !fb_mask_get_bounds (mask, &bounds))
    return mask_of_what_is_open (target, image);

  return g_steal_pointer (&mask);
}

gboolean
inpaint_check_mask (const FbMask *mask, const char *use, GError **error)
{
  GdkRectangle bounds;
  gboolean     is_empty = !fb_mask_get_bounds (mask, &bounds);

  switch (use_of (use))
    {
    case FB_INPAINT_BACKGROUND:
      if (is_empty)
        return refuse (error, _("Nothing is masked, so nothing would stay; mask or select what is to be kept."));
      if (fb_mask_is_full (mask))
        return refuse (error, _("All is masked, so there is no background to replace; mask only what is to be kept."));
      return TRUE;
    case FB_INPAINT_EXPAND:
      return !is_empty || refuse (error, _("Nothing is transparent, so there is nothing to fill; give the pixels to expand by, or enlarge the canvas first (Image ▸ Canvas Size)."));
    default:
      return !is_empty || refuse (error, _("Nothing is masked; paint over what is to be changed, or select it."));
    }
}

/* --- what the model sees ------------------------------------------------------------------------------------------------- */

static FbRect
moved (FbRect r, int dx, int dy)
{
  return (FbRect) { r.x + dx, r.y + dy, r.width, r.height };
}

/* @seen, @shown: on the canvas with the margins */
static void
set_place (FbTarget *target, const char *context, FbRect seen, FbRect shown)
{
  target->context    = fb_context_names[index_of (fb_context_names, context)];
  target->is_bounded = TRUE;
  target->is_fixed   = TRUE;
  target->seen       = moved (seen, -target->margins.left, -target->margins.top);
  target->x          = shown.x - target->margins.left;
  target->y          = shown.y - target->margins.top;
  target->width      = shown.width;
  target->height     = shown.height;
}

/* whether @earlier is on the canvas of @place and holds all that is marked there */
static gboolean
fits_again (const FbInpaintPlace *place, const GdkRectangle *earlier)
{
  GdkRectangle canvas = { 0, 0, place->canvas_width, place->canvas_height };
  GdkRectangle marked = { place->mask.x, place->mask.y, place->mask.width, place->mask.height };
  GdkRectangle inside;

  if (place->use == FB_INPAINT_BACKGROUND)
    marked = canvas;
  return marked.width > 0 && gdk_rectangle_intersect (earlier, &canvas, &inside) && gdk_rectangle_equal (earlier, &inside) &&
         gdk_rectangle_intersect (&marked, earlier, &inside) && gdk_rectangle_equal (&marked, &inside);
}

gboolean
inpaint_place_target (FbTarget *target, GVariant *request, GVariant *resolved, const char *context, const FbMask *mask, int native,
                      const GdkRectangle *earlier, GError **error)
{
  FbInpaintPlace place  = { fb_mask_width (mask), fb_mask_height (mask), .native = native, .strength = -1.0 };
  GdkRectangle   bounds = { 0 };
  const char    *use    = "";
  double         grow   = -1.0;
  FbRect         seen;

  g_variant_lookup (request, "use", "&s", &use);
  if (!g_variant_lookup (request, "strength", "d", &place.strength) && resolved != NULL)
    g_variant_lookup (resolved, "strength", "d", &place.strength);
  g_variant_lookup (request, "feather", "d", &place.feather);
  g_variant_lookup (request, "grow", "d", &grow);
  fb_mask_get_bounds (mask, &bounds);
  place.use     = use_of (use);
  place.mask    = (FbRect) { bounds.x, bounds.y, bounds.width, bounds.height };
  place.context = (FbInpaintContext) index_of (fb_context_names, context);
  if (earlier != NULL && fits_again (&place, earlier))
    seen = (FbRect) { earlier->x, earlier->y, earlier->width, earlier->height };
  else if (!fb_inpaint_context (&place, &seen))
    return refuse (error, _("The mask lies beside the image, so there is nothing to change."));

  set_place (target, context, seen, fb_inpaint_shown (&place, grow, seen));

  return TRUE;
}

/* --- the job ------------------------------------------------------------------------------------------------------------- */

/* at which scale of its own pixels what is seen is worth reading: a second pass needs all of it, and so does what is transparent, or is to stay */
static double
detail_for (GVariant *request, const FbTarget *target, const FbMask *mask, int native)
{
  const FbRect       seen     = fb_target_seen (target);
  const GdkRectangle whole    = { seen.x + target->margins.left, seen.y + target->margins.top,
                                  (seen.width + FB_PIECE_CELL - 1) / FB_PIECE_CELL * FB_PIECE_CELL,
                                  (seen.height + FB_PIECE_CELL - 1) / FB_PIECE_CELL * FB_PIECE_CELL };
  const char        *use      = "", *passes = "auto";
  double             strength = 1.0;
  g_autoptr(FbImage) cells    = NULL;

  g_variant_lookup (request, "use", "&s", &use);
  g_variant_lookup (request, "passes", "&s", &passes);
  g_variant_lookup (request, "strength", "d", &strength);
  if (native <= 0 || native >= INPAINT_TWO_PASSES || g_str_equal (passes, "two") || use_of (use) == FB_INPAINT_EXPAND || strength == 0.0)
    return 1.0;
  cells = fb_mask_to_image (mask, &whole, whole.width / FB_PIECE_CELL, whole.height / FB_PIECE_CELL);

  return cells != NULL ? fb_inpaint_detail (cells, seen.width, seen.height, native) : 1.0;
}

/* Too many pixels: all that is seen becomes what is shown. */
static void
show_all (FbTarget *target)
{
  target->x      = target->seen.x;
  target->y      = target->seen.y;
  target->width  = target->seen.width;
  target->height = target->seen.height;
}

/* Gives @job the picture of what is seen: at once and at a glance for a draft, else in steps while it is on its way. */
static gboolean
read_for (const FbTarget *target, FbJob *job, int width, int height, gboolean is_draft, GError **error)
{
  g_autoptr(FbImage) picture = NULL;

  if (!is_draft)
    return fb_target_read_for (target, job, "image", width, height, error);
  picture = fb_target_glance (target, width, height, error);
  if (picture != NULL)
    fb_job_add_picture (job, "image", picture);

  return picture != NULL;
}

FbJob *
inpaint_job_new (FbEngineClient *client, GVariant *request, FbTarget *target, const FbMask *mask, int native, int pixels_max, GError **error)
{
  const FbRect         seen     = fb_target_seen (target);
  const gboolean       is_draft = pixels_max <= INPAINT_DRAFT_MAX;
  double               scale    = MIN (1.0, sqrt ((double) pixels_max / ((double) seen.width * seen.height)));
  double               detail   = 1.0;
  g_auto(GVariantDict) dict     = G_VARIANT_DICT_INIT (request);
  g_autoptr(FbJob)     job      = NULL;
  GdkRectangle         area;
  FbRect               around;
  int                  width, height;

  if (is_draft)
    scale = MIN (scale, (double) FB_THUMBNAIL_MAX / MAX (seen.width, seen.height));     /* a strip, too, is to be had at a glance */
  if (scale < 1.0)
    show_all (target);
  area   = (GdkRectangle) { target->x + target->margins.left, target->y + target->margins.top, target->width, target->height };
  around = moved (seen, -target->x, -target->y);
  if (scale >= 1.0)
    {
      detail = detail_for (request, target, mask, native);
      g_variant_dict_insert (&dict, "around", "(iiii)", around.x, around.y, around.width, around.height);
    }
  width  = MAX (1, scale < 1.0 ? (int) (seen.width * scale) : (int) round (seen.width * detail));
  height = MAX (1, scale < 1.0 ? (int) (seen.height * scale) : (int) round (seen.height * detail));
  job    = fb_job_new (client, "inpaint", g_variant_dict_end (&dict));
  fb_mask_add_to_job (mask, &area, MAX (1, (int) (area.width * scale)), MAX (1, (int) (area.height * scale)), job, "mask");
  if (!read_for (target, job, width, height, is_draft, error))
    return NULL;

  return g_steal_pointer (&job);
}
