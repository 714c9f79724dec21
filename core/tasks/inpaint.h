/* core/tasks/inpaint.h: what lies under a mask, drawn anew. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Of what the survey of peers describes, left out on purpose: words of our own where something is removed without any, because the words on a record are
 * the user's; the context as a picture reference where there is no prompt, because no family here takes one yet; a use that follows from the
 * selection's shape, because the user chooses it.
 */
#pragma once

#include "core/tasks/generate.h"
#include "core/tasks/inpaint-place.h"

typedef enum
{
  FB_ROUTE_AUTO,              /* an inpainting model's own, or what measured best for the model and its number of steps */
  FB_ROUTE_INPAINT_MODEL,     /* a UNet of 9 input channels is shown mask and surroundings; an error for other models */
  FB_ROUTE_MASKED_LATENTS,    /* an ordinary model; what is known is put back after every step */
  FB_ROUTE_DIFFERENTIAL,      /* the same, and the mask's value is a pixel's own strength: the lower, the later it is let go; automatic for ordinary models */
} FbInpaintRoute;

typedef enum
{
  FB_FILL_AUTO,               /* by the use; below strength 0.8 the original, but to remove something */
  FB_FILL_ORIGINAL,           /* what is there */
  FB_FILL_NEUTRAL,            /* mid grey */
  FB_FILL_BLUR,               /* the colours around and in the mask, blurred */
  FB_FILL_BORDER,             /* the surroundings' colours, spread inwards, and blurred away from the border */
  FB_FILL_NOISE,              /* nothing: at strength 1 pure noise */
} FbInpaintFill;

typedef enum
{
  FB_PASSES_AUTO,             /* a second one by a model of 256 pixels or more, at strength 0.7 or more, where a single tile shows the mask in more detail */
  FB_PASSES_ONE,
  FB_PASSES_TWO,              /* with any model, and as many tiles as there may be */
} FbInpaintPasses;

/**
 * FbInpaint: a request. Strings are never %NULL.
 * @generate: prompt, sampler, steps, seed, count, preview … as for a picture, with these differences: the prompt may be empty; @width and
 *   @height are not looked at; @strength is negative for the use's own, 0 keeps the picture; @init stays %NULL; @decoder FB_DECODER_TAESD drafts
 *   both ways, where the tiny autoencoder can encode
 * @image: [h, w] RGB or RGBA, the context that fb_inpaint_context() said; transparent pixels are not known
 * @mask: [h, w], 1 channel, 0 … 1: 1 is drawn anew, 0 is kept; what lies in between is kept as soft as it is
 * @around: where @mask covers a part of the context only: that whole context in the mask's pixels, counted from its first one; @image may then have any
 *   size of that shape, see fb_inpaint_detail(). With a width of 0, @mask covers the context and @image is as large
 * @resolution: the network works on about @resolution² pixels; 0 for the model's own size, 256 for a draft
 * @feather: the one slider for edges: width of the ramp around the mask as a share of its bounds' diagonal, 0 … 0.5; 0 takes the mask as it is;
 *   to replace the background, 0.01 at most, as the ramp lies on what is kept
 * @grow: how far around the mask all is drawn anew before the ramp begins, 0 … 0.5 of the diagonal; negative follows @feather
 * @blend: width of the ramp of the composite mask, which ends where the wider one does, 0 … 0.5 of the diagonal; negative follows @feather
 * @passes: whether what was drawn much smaller than it is, is then drawn over at a low strength, in up to FB_MAX_TILES tiles of the model's own size;
 *   never with @resolution
 * @match_colours: whether the result's colours are brought to the surroundings', as a whole and along the mask's edge
 */
typedef struct
{
  FbGenerate     *generate;
  FbImage        *image;
  FbImage        *mask;
  FbRect          around;
  FbInpaintUse    use;
  FbInpaintRoute  route;
  FbInpaintFill   fill;
  FbInpaintPasses passes;
  int             resolution;
  double          feather;
  double          grow, blend;
  gboolean        match_colours;
} FbInpaint;

FbInpaint * fb_inpaint_new  (void);      /* defaults: fill, all automatic, a feather of 0.1, colours matched */
FbInpaint * fb_inpaint_copy (const FbInpaint *request);
void        fb_inpaint_free (FbInpaint *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbInpaint, fb_inpaint_free)

/**
 * fb_inpaint_to_variant, fb_inpaint_from_variant:
 *
 * As fb_generate_to_variant(): the keys of generate without "width" and "height", and "use", "route", "fill", "passes", "resolution", "feather", "grow",
 * "blend", "match-colours"; without the pictures and @around, which may come as "around" (iiii).
 */
GVariant *  fb_inpaint_to_variant   (const FbInpaint *request);
FbInpaint * fb_inpaint_from_variant (GVariant *variant, GError **error);

/**
 * fb_inpaint_resolve:
 *
 * Fills the request's open places (0, "", negative, auto) from the model and the use, and checks every field and both pictures;
 * %FB_TASK_ERROR_FIELD names the one that is wrong. Without pictures (an estimate asked early) the rest is checked.
 */
gboolean    fb_inpaint_resolve  (FbInpaint *request, FbModel *model, GError **error);

/* What the job will take; as fb_generate_estimate(). Without pictures, for a square context of one piece. */
gboolean    fb_inpaint_estimate (const FbInpaint *request, FbModel *model, FbEstimate *estimate, GError **error);

/**
 * fb_inpaint_run:
 * @picture: called with each finished picture: [h, w] RGBA, as large as @mask. Its colours are the result, its straight alpha is the composite
 *   mask: where that is 0, nothing is to change, and the colours are @image's own, or what the network made of it if @image has not all its detail
 *
 * As fb_generate_run(). Previews are RGBA too, of the mask's shape at a lower resolution, with the composite mask as alpha.
 */
gboolean    fb_inpaint_run (const FbInpaint *request, FbModel *model,
                            FbProgressFunc progress, FbPictureFunc picture, gpointer user_data,
                            GCancellable *cancellable, GError **error);
