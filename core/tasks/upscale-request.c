/* core/tasks/upscale-request.c: the request of a super-resolution job, its a{sv} form, and its checks. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/upscale-private.h"

#include <glib/gi18n-lib.h>
#include <math.h>
#include <stddef.h>

#include "core/models/unet.h"
#include "core/tasks/diffusion-private.h"
#include "core/tasks/fields-private.h"

#define MAX_SIDE (1 << 16)      /* of a result; memory ends earlier */

FbUpscale *
fb_upscale_new (void)
{
  FbUpscale *request = g_new0 (FbUpscale, 1);

  request->generate    = fb_generate_new ();
  request->noise_level = -1;

  return request;
}

FbUpscale *
fb_upscale_copy (const FbUpscale *request)
{
  FbUpscale *copy = g_memdup2 (request, sizeof *request);

  copy->generate = fb_generate_copy (request->generate);
  copy->image    = request->image != NULL ? fb_image_ref (request->image) : NULL;

  return copy;
}

void
fb_upscale_free (FbUpscale *request)
{
  fb_generate_free (request->generate);
  g_clear_pointer (&request->image, fb_image_unref);
  g_free (request);
}

/* --- the a{sv} form ------------------------------------------------------------------------------------------------------ */

static const char * const faithful_names[] = { "pixels", "tones", "none", NULL };

static const FbField fields[] =
{
  { "scale",         FB_FIELD_DOUBLE, offsetof (FbUpscale, scale) },
  { "target-width",  FB_FIELD_INT,    offsetof (FbUpscale, target_width) },
  { "target-height", FB_FIELD_INT,    offsetof (FbUpscale, target_height) },
  { "source-width",  FB_FIELD_INT,    offsetof (FbUpscale, source_width) },
  { "source-height", FB_FIELD_INT,    offsetof (FbUpscale, source_height) },
  { "noise-level",   FB_FIELD_INT,    offsetof (FbUpscale, noise_level) },
  { "faithful",      FB_FIELD_CHOICE, offsetof (FbUpscale, faithful), faithful_names },
};

GVariant *
fb_upscale_to_variant (const FbUpscale *request)
{
  g_autoptr(GVariant) base = fb_generate_to_variant (request->generate);
  GVariantDict        dict;

  g_variant_dict_init (&dict, base);
  g_variant_dict_remove (&dict, "width");
  g_variant_dict_remove (&dict, "height");
  g_variant_dict_remove (&dict, "strength");
  fb_fields_to_dict (fields, G_N_ELEMENTS (fields), request, &dict);

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

FbUpscale *
fb_upscale_from_variant (GVariant *variant, GError **error)
{
  g_autoptr(FbUpscale)  request = fb_upscale_new ();
  g_autoptr(FbGenerate) base    = fb_generate_from_variant (variant, error);

  if (base == NULL || !fb_fields_from_variant (fields, G_N_ELEMENTS (fields), request, variant, error))
    return NULL;

  base->strength = 1.0;
  fb_generate_free (request->generate);
  request->generate = g_steal_pointer (&base);

  return g_steal_pointer (&request);
}

/* --- sizes --------------------------------------------------------------------------------------------------------------- */

/* latent pixels: what the UNet halves evenly */
static int
unit_of (FbModel *model)
{
  return 1 << (fb_unet_config (fb_model_unet (model))->n_levels - 1);
}

/* latent pixels per side of what the model learned from */
static int
tile_of (FbModel *model)
{
  const FbModelInfo *info = fb_model_info (model);
  const int          unit = unit_of (model);

  return MAX (unit, MIN (info->width, info->height) / info->scale_factor / unit * unit);
}

void
fb_upscale_target (const FbUpscale *request, int *width, int *height)
{
  *width  = request->target_width > 0 ? request->target_width : MAX (1, (int) floor (request->source_width * request->scale + 0.5));
  *height = request->target_height > 0 ? request->target_height : MAX (1, (int) floor (request->source_height * request->scale + 0.5));
}

static int
padded (int side, int tile, int unit)
{
  return side < tile ? (side + unit - 1) / unit * unit : side;
}

/* The size that the network draws; before anybody knows the picture's, one tile's */
static void
set_size (FbUpscale *request, FbModel *model)
{
  const int factor = fb_model_info (model)->scale_factor, unit = unit_of (model), tile = tile_of (model);

  if (request->source_width == 0)
    request->source_width = request->source_height = tile;
  request->generate->width  = factor * padded (request->source_width, tile, unit);
  request->generate->height = factor * padded (request->source_height, tile, unit);
  request->generate->tile   = factor * tile;
}

/* --- checks -------------------------------------------------------------------------------------------------------------- */

static gboolean
refuse (GError **error, const char *sentence)
{
  g_set_error_literal (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, sentence);
  return FALSE;
}

static gboolean
check_model (FbModel *model, GError **error)
{
  if (fb_model_low_res_schedule (model) != NULL)
    return TRUE;

  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD,
               _("“%s” cannot make pictures larger: super-resolution needs a model like the Stable Diffusion x4 Upscaler, as a diffusers "
                 "folder. Add one in Models and Distillation, or choose another model."), fb_model_path (model));
  return FALSE;
}

static gboolean
check_scale (const FbUpscale *request, FbModel *model, GError **error)
{
  const int factor = fb_model_info (model)->scale_factor;

  if (request->scale >= 1.0 && request->scale <= factor)
    return TRUE;

  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD,
               _("“scale” is %g; it must lie between 1 and %d, the most this model can do at once. Run it again on the result for more."),
               request->scale, factor);
  return FALSE;
}

static gboolean
check_target (const FbUpscale *r, FbModel *model, GError **error)
{
  const int factor = fb_model_info (model)->scale_factor;

  if ((r->target_width > 0) != (r->target_height > 0))
    return refuse (error, _("“target-width” and “target-height” must both be given, or neither."));
  if (!fb_field_check_range ("target-width", r->target_width, 0, MAX_SIDE, error) ||
      !fb_field_check_range ("target-height", r->target_height, 0, MAX_SIDE, error))
    return FALSE;
  if (r->source_width == 0 || (r->target_width <= factor * r->source_width && r->target_height <= factor * r->source_height))
    return TRUE;

  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD,
               _("The model makes at most %d×%d pixels of this picture, and %d×%d are wanted; run it again on the result for more."),
               factor * r->source_width, factor * r->source_height, r->target_width, r->target_height);
  return FALSE;
}

/* Takes the picture's size, or checks the one that was told. */
static gboolean
check_source (FbUpscale *r, FbModel *model, GError **error)
{
  const int most = MAX_SIDE / fb_model_info (model)->scale_factor;

  if (r->image != NULL && r->image->n_channels < 3)
    return refuse (error, _("The picture “image” must have 3 or 4 channels."));
  if (r->image != NULL)
    {
      r->source_width  = r->image->width;
      r->source_height = r->image->height;
    }
  if ((r->source_width > 0) != (r->source_height > 0))
    return refuse (error, _("“source-width” and “source-height” must both be given, or neither."));

  return fb_field_check_range ("source-width", r->source_width, 0, most, error) &&
         fb_field_check_range ("source-height", r->source_height, 0, most, error);
}

gboolean
fb_upscale_resolve (FbUpscale *request, FbModel *model, GError **error)
{
  FbGenerate        *g    = request->generate;
  const FbModelInfo *info = fb_model_info (model);

  g->strength = 1.0;
  if (!check_model (model, error) || !fb_diffusion_resolve (g, model, error))
    return FALSE;
  if (*g->prompt == '\0' && *g->negative_prompt == '\0')
    g->guidance_scale = 1.0;                                    /* both branches would be the same */
  if (request->noise_level < 0)
    request->noise_level = info->noise_level;
  if (request->scale == 0.0)
    request->scale = info->scale_factor;

  if (!fb_field_check_range ("noise-level", request->noise_level, 0, info->max_noise_level, error) || !check_scale (request, model, error) ||
      !check_source (request, model, error) || !check_target (request, model, error))
    return FALSE;
  set_size (request, model);

  return TRUE;
}
