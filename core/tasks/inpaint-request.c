/* core/tasks/inpaint-request.c: the request of an inpaint job, its a{sv} form, and its checks. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <glib/gi18n-lib.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/tasks/diffusion-private.h"
#include "core/tasks/fields-private.h"

#define MAX_RESOLUTION 4096
#define MAX_SIDE       (1 << 19)                       /* of a context: GIMP's own limit */
#define MAX_CONTEXT    (G_GINT64_CONSTANT (1) << 32)   /* pixels */

FbInpaint *
fb_inpaint_new (void)
{
  FbInpaint *request = g_new0 (FbInpaint, 1);

  request->generate           = fb_generate_new ();
  request->generate->strength = -1.0;
  request->feather            = 0.1;
  request->grow               = -1.0;
  request->blend              = -1.0;
  request->match_colours      = TRUE;

  return request;
}

FbInpaint *
fb_inpaint_copy (const FbInpaint *request)
{
  FbInpaint *copy = g_memdup2 (request, sizeof *request);

  copy->generate = fb_generate_copy (request->generate);
  copy->image    = request->image != NULL ? fb_image_ref (request->image) : NULL;
  copy->mask     = request->mask != NULL ? fb_image_ref (request->mask) : NULL;

  return copy;
}

void
fb_inpaint_free (FbInpaint *request)
{
  fb_generate_free (request->generate);
  g_clear_pointer (&request->image, fb_image_unref);
  g_clear_pointer (&request->mask, fb_image_unref);
  g_free (request);
}

/* --- the a{sv} form ------------------------------------------------------------------------------------------------------ */

static const char * const route_names[] = { "auto", "inpaint-model", "masked-latents", "differential", NULL };
static const char * const fill_names[]  = { "auto", "original", "neutral", "blur", "border", "noise", NULL };

static const char * const passes_names[] = { "auto", "one", "two", NULL };

static const FbField fields[] =
{
  { "use",           FB_FIELD_CHOICE,  offsetof (FbInpaint, use), fb_inpaint_use_names },
  { "route",         FB_FIELD_CHOICE,  offsetof (FbInpaint, route), route_names },
  { "fill",          FB_FIELD_CHOICE,  offsetof (FbInpaint, fill), fill_names },
  { "passes",        FB_FIELD_CHOICE,  offsetof (FbInpaint, passes), passes_names },
  { "resolution",    FB_FIELD_INT,     offsetof (FbInpaint, resolution) },
  { "feather",       FB_FIELD_DOUBLE,  offsetof (FbInpaint, feather) },
  { "grow",          FB_FIELD_DOUBLE,  offsetof (FbInpaint, grow) },
  { "blend",         FB_FIELD_DOUBLE,  offsetof (FbInpaint, blend) },
  { "match-colours", FB_FIELD_BOOLEAN, offsetof (FbInpaint, match_colours) },
};

GVariant *
fb_inpaint_to_variant (const FbInpaint *request)
{
  g_autoptr(GVariant) base = fb_generate_to_variant (request->generate);
  GVariantDict        dict;

  g_variant_dict_init (&dict, base);
  g_variant_dict_remove (&dict, "width");
  g_variant_dict_remove (&dict, "height");
  fb_fields_to_dict (fields, G_N_ELEMENTS (fields), request, &dict);

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static gboolean
refuse (GError **error, const char *sentence)
{
  g_set_error_literal (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, sentence);
  return FALSE;
}

static gboolean
take_around (FbInpaint *request, GVariant *variant, GError **error)
{
  g_autoptr(GVariant)  value  = g_variant_lookup_value (variant, "around", NULL);
  FbRect              *around = &request->around;

  if (value == NULL)
    return TRUE;
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE ("(iiii)")))
    return refuse (error, _("“around” must be four whole numbers: where the context of the mask begins and how large it is."));
  g_variant_get (value, "(iiii)", &around->x, &around->y, &around->width, &around->height);

  return TRUE;
}

FbInpaint *
fb_inpaint_from_variant (GVariant *variant, GError **error)
{
  g_autoptr(FbInpaint)  request = fb_inpaint_new ();
  g_autoptr(FbGenerate) base    = fb_generate_from_variant (variant, error);

  if (base == NULL || !fb_fields_from_variant (fields, G_N_ELEMENTS (fields), request, variant, error) || !take_around (request, variant, error))
    return NULL;

  if (!g_variant_lookup (variant, "strength", "d", NULL))
    base->strength = -1.0;
  fb_generate_free (request->generate);
  request->generate = g_steal_pointer (&base);

  return g_steal_pointer (&request);
}

/* --- checks -------------------------------------------------------------------------------------------------------------- */

static gboolean
is_inpaint_model (const FbModelInfo *info)
{
  return info->unet_channels == 2 * info->latent_channels + 1;
}

static gboolean
check_route (const FbInpaint *request, FbModel *model, GError **error)
{
  const FbModelInfo *info = fb_model_info (model);

  if (info->unet_channels != info->latent_channels && !is_inpaint_model (info))
    {
      g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD,
                   _("“%s” cannot inpaint: its network expects %d channels. Choose a model for pictures or for inpainting."),
                   fb_model_path (model), info->unet_channels);
      return FALSE;
    }
  if (request->route == FB_ROUTE_INPAINT_MODEL && !is_inpaint_model (info))
    {
      g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD,
                   _("“route” asks for an inpainting model, and “%s” is an ordinary one; use “auto” or choose another model."), fb_model_path (model));
      return FALSE;
    }

  return TRUE;
}

/* whether @mask lies within @around, and @image has its shape, to a pixel of either */
static gboolean
fits_around (const FbRect *around, const FbImage *image, const FbImage *mask)
{
  const gint64 w = around->width, h = around->height;

  return around->x <= 0 && around->y <= 0 && w >= 1 && h >= 1 && w <= MAX_SIDE && h <= MAX_SIDE && w * h <= MAX_CONTEXT &&
         around->x + w >= mask->width && around->y + h >= mask->height &&
         image->width <= w && image->height <= h && ABS (image->width * h - image->height * w) <= w + h;
}

/* NULL, or a sentence */
static const char *
picture_problem (const FbRect *around, const FbImage *image, const FbImage *mask)
{
  if (image == NULL)
    return _("The job has no picture “image” to inpaint.");
  if (mask == NULL)
    return _("The job has no picture “mask” that says where to inpaint.");
  if (image->n_channels < 3)
    return _("The picture “image” must have 3 or 4 channels.");
  if (mask->n_channels != 1)
    return _("The picture “mask” must have 1 channel.");
  if (around->width == 0 && (image->width != mask->width || image->height != mask->height))
    return _("The pictures “image” and “mask” differ in size.");
  if (around->width != 0 && !fits_around (around, image, mask))
    return _("The rectangle “around” must hold the whole “mask” and have the shape of “image”.");

  return NULL;
}

gboolean
fb_inpaint_goes_on (const FbInpaint *request)
{
  return (request->use == FB_INPAINT_REMOVE || request->use == FB_INPAINT_EXPAND) && request->generate->strength < 0.5;
}

FbView
fb_inpaint_view (const FbInpaint *request)
{
  const FbRect *a = &request->around;
  const int     w = request->mask->width, h = request->mask->height;

  return a->width == 0 ? (FbView) { w, h, { 0, 0, w, h } } : (FbView) { a->width, a->height, { -a->x, -a->y, w, h } };
}

/* how transparent the picture is at pixel @i of the mask */
static float
openness (const FbInpaint *request, size_t i)
{
  const FbImage *image = request->image;
  const FbView   view  = fb_inpaint_view (request);
  const size_t   x     = (view.shown.x + i % view.shown.width) * image->width / view.width;
  const size_t   y     = (view.shown.y + i / view.shown.width) * image->height / view.height;

  return 1.0f - CLAMP (image->pixels[4 * (y * image->width + x) + 3], 0.0f, 1.0f);
}

/* what @request's mask means at one pixel of it */
static inline float
meant (const FbInpaint *request, gboolean open, size_t i)
{
  float m = request->mask->pixels[i];

  m = m > 0.0f ? MIN (m, 1.0f) : 0.0f;
  if (request->use == FB_INPAINT_BACKGROUND)
    m = 1.0f - m;
  if (open)
    m = MAX (m, openness (request, i));

  return m;
}

/* whether what is transparent counts as masked */
static gboolean
fills_what_is_open (const FbInpaint *request)
{
  return request->use == FB_INPAINT_EXPAND && request->image->n_channels == 4;
}

static gboolean
is_clean (const float *values, size_t n)
{
  size_t n_odd = 0;

#pragma omp parallel for simd schedule(static) reduction(+ : n_odd)
  for (size_t i = 0; i < n; i++)
    n_odd += !(values[i] >= 0.0f && values[i] <= 1.0f);

  return n_odd == 0;
}

FbImage *
fb_inpaint_mask (const FbInpaint *request)
{
  const gboolean open = fills_what_is_open (request);
  const size_t   n    = (size_t) request->mask->width * request->mask->height;
  FbImage       *mask;

  if (!open && request->use != FB_INPAINT_BACKGROUND && is_clean (request->mask->pixels, n))
    return fb_image_ref (request->mask);
  mask = fb_image_new (request->mask->width, request->mask->height, 1);
  if (mask == NULL)
    return NULL;
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < n; i++)
    mask->pixels[i] = meant (request, open, i);

  return mask;
}

static gboolean
is_masked (const FbInpaint *request)
{
  const gboolean open = fills_what_is_open (request);
  const size_t   n    = (size_t) request->mask->width * request->mask->height;

  for (size_t i = 0; i < n; i++)
    if (meant (request, open, i) > 0.0f)
      return TRUE;
  return FALSE;
}

static gboolean
check_mask (const FbInpaint *request, GError **error)
{
  if (is_masked (request))
    return TRUE;

  switch (request->use)
    {
    case FB_INPAINT_BACKGROUND:
      return refuse (error, _("The mask covers everything, so there is no background to replace; select the thing to keep."));
    case FB_INPAINT_EXPAND:
      return refuse (error, _("There is nothing to expand into: no pixel is transparent, and the mask is empty."));
    default:
      return refuse (error, _("The mask is empty; select or paint over what is to be drawn anew."));
    }
}

static FbInpaintFill
fill_for (const FbInpaint *request, const FbModelInfo *info)
{
  if (fb_inpaint_whole (request->use, request->generate->strength) <= 0.0)
    return FB_FILL_ORIGINAL;
  if (is_inpaint_model (info))
    return FB_FILL_NOISE;                                       /* it is shown the surroundings, and has been trained to start from nothing */

  switch (request->use)
    {
    case FB_INPAINT_BACKGROUND: return FB_FILL_NEUTRAL;
    case FB_INPAINT_REMOVE:
    case FB_INPAINT_EXPAND:     return FB_FILL_BORDER;
    case FB_INPAINT_REFINE:     return FB_FILL_ORIGINAL;
    case FB_INPAINT_FILL:       return FB_FILL_BLUR;
    }
  g_return_val_if_reached (FB_FILL_BLUR);
}

/* An ordinary model without words draws whatever it likes best: it may only work on what has been spread inwards, a small one least of all. Looked at
 * with the starter: at 0.8 it put new things in the place of the old one, at 0.2 it still left streaks on a plain sky, at 0.05 hardly any. */
static double
own_strength (const FbInpaint *request, const FbModelInfo *info)
{
  const gboolean is_small = MIN (info->width, info->height) < 256;
  const gboolean goes_on  = request->use == FB_INPAINT_REMOVE || (request->use == FB_INPAINT_EXPAND && *request->generate->prompt == '\0');

  if (is_inpaint_model (info) || !goes_on || (request->use == FB_INPAINT_EXPAND && !is_small))
    return fb_inpaint_strength (request->use);
  return is_small ? 0.05 : 0.4;
}

/* Measured for an ordinary model with the starter and its few-step LoRA, something new by prompt in four pictures with two seeds: how much steeper the
 * picture gets along the mask's edge, in code values of 8 bits a pixel. In 1, 2, 4 and 8 steps 2.1, 4.3, 5.0 and 5.4 by differential, and 3.5, 6.3, 6.3
 * and 6.5 by masked latents; within the mask both draw the same. An inpainting model has been trained for its own route; there was none of few steps
 * to measure. */
static FbInpaintRoute
route_for (const FbModelInfo *info)
{
  return is_inpaint_model (info) ? FB_ROUTE_INPAINT_MODEL : FB_ROUTE_DIFFERENTIAL;
}

int
fb_inpaint_native (FbModel *model)
{
  const FbModelInfo *info = fb_model_info (model);

  return MAX (64, (int) rint (sqrt ((double) info->width * info->height) / 64.0) * 64);
}

gboolean
fb_inpaint_resolve (FbInpaint *request, FbModel *model, GError **error)
{
  const FbModelInfo *info = fb_model_info (model);
  const char        *problem;

  request->generate->width  = info->width;                      /* for an estimate without pictures */
  request->generate->height = info->height;
  if (request->generate->strength < 0.0)
    request->generate->strength = own_strength (request, info);
  if (!fb_diffusion_resolve (request->generate, model, error) ||
      !check_route (request, model, error) ||
      !fb_field_check_range ("resolution", request->resolution, 0, MAX_RESOLUTION, error) ||
      !fb_field_check_range ("feather", request->feather, 0.0, 0.5, error) ||
      !fb_field_check_range ("grow", request->grow, -1.0, 0.5, error) ||
      !fb_field_check_range ("blend", request->blend, -1.0, 0.5, error))
    return FALSE;
  if (request->resolution > 0 && request->resolution < 64)
    return refuse (error, _("“resolution” must be 0 for the model's own, or at least 64."));

  if (*request->generate->prompt == '\0' && *request->generate->negative_prompt == '\0')
    request->generate->guidance_scale = 1.0;                    /* both branches would be the same */
  if (request->route == FB_ROUTE_AUTO)
    request->route = route_for (info);
  if (request->fill == FB_FILL_AUTO)
    request->fill = fill_for (request, info);
  if (request->resolution > 0 ||
      (request->passes == FB_PASSES_AUTO && (fb_inpaint_native (model) < 256 || request->generate->strength < 0.7)))
    request->passes = FB_PASSES_ONE;

  if (request->image == NULL && request->mask == NULL)
    return TRUE;
  problem = picture_problem (&request->around, request->image, request->mask);

  return problem != NULL ? refuse (error, problem) : check_mask (request, error);
}
