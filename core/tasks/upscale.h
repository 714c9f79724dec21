/* core/tasks/upscale.h: super-resolution: a picture at up to 4× its size, with detail that fits. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/tasks/generate.h"

typedef enum
{
  FB_FAITHFUL_PIXELS,         /* made smaller again, the result is the picture that was given: for a clean one */
  FB_FAITHFUL_TONES,          /* only tones and colours of larger areas are: for a picture whose noise or compression is to go */
  FB_FAITHFUL_NONE,           /* as the network drew it */
} FbFaithful;

/**
 * FbUpscale: a request. Strings are never %NULL.
 * @generate: prompt, sampler, steps, guidance, seed, count, preview as for a picture, with these differences: the prompt may be empty; @width, @height,
 *   @tile, @init and @strength are not looked at
 * @image: [h, w] RGB or RGBA. Where it is transparent, colours do not count
 * @source_width, @source_height: pixels: @image's, or of the one that will come where an estimate is asked before; 0: not known
 * @scale: output pixels per input pixel and side: 1 … the model's own factor, 4; 0 for that
 * @target_width, @target_height: pixels, instead of @scale: each 1 … the model's factor times the picture's; 0 for neither
 * @noise_level: how much noise hides the picture from the network: 0 trusts it, the model's most repaints it; −1 for the model's own
 * @faithful: what of the picture that was given the result keeps to
 */
typedef struct
{
  FbGenerate *generate;
  FbImage    *image;
  int         source_width, source_height;
  double      scale;
  int         target_width, target_height;
  int         noise_level;
  FbFaithful  faithful;
} FbUpscale;

FbUpscale * fb_upscale_new  (void);      /* defaults: the model's own of everything, faithful to the pixels */
FbUpscale * fb_upscale_copy (const FbUpscale *request);
void        fb_upscale_free (FbUpscale *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbUpscale, fb_upscale_free)

/**
 * fb_upscale_to_variant, fb_upscale_from_variant:
 *
 * As fb_generate_to_variant(): the keys of generate without "width", "height" and "strength", and "scale", "target-width", "target-height",
 * "source-width", "source-height", "noise-level", "faithful"; without the picture.
 */
GVariant *  fb_upscale_to_variant   (const FbUpscale *request);
FbUpscale * fb_upscale_from_variant (GVariant *variant, GError **error);

/**
 * fb_upscale_resolve:
 *
 * Fills the request's open places (0, "", negative) from the model, and checks every field and the picture; %FB_TASK_ERROR_FIELD names the one that
 * is wrong. Without a picture (an estimate asked early) the rest is checked.
 */
gboolean    fb_upscale_resolve  (FbUpscale *request, FbModel *model, GError **error);

/* What the job will take; as fb_generate_estimate(). Without a picture or its size, for one that is a single tile. */
gboolean    fb_upscale_estimate (const FbUpscale *request, FbModel *model, FbEstimate *estimate, GError **error);

/**
 * fb_upscale_run:
 * @picture: called with each finished picture: RGB or RGBA as the one that was given, at the target's size
 *
 * As fb_generate_run(). The picture goes through the network in tiles of the model's own size that overlap by a quarter or more and are blended in
 * each step, so that none has an edge of its own; the noise belongs to places of the picture, whatever tile shows them.
 * Previews are what the network would make of it as yet, as large as the picture that was given.
 */
gboolean    fb_upscale_run (const FbUpscale *request, FbModel *model, FbProgressFunc progress, FbPictureFunc picture, gpointer user_data,
                            GCancellable *cancellable, GError **error);
