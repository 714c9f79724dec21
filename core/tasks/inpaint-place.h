/* core/tasks/inpaint-place.h: what is read around a mask, and how the result goes back. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Pure functions of a few numbers, for the engine and for its clients alike: a client reads the context's pixels and no others.
 */
#pragma once

#include <glib.h>

#include "core/image/image.h"

/* pixels; right and below, it ends before x + width and y + height */
typedef struct
{
  int x, y, width, height;
} FbRect;

typedef enum
{
  FB_INPAINT_FILL,            /* something new by prompt */
  FB_INPAINT_REMOVE,          /* what surrounds the mask goes on; no prompt needed */
  FB_INPAINT_BACKGROUND,      /* all that is not in the mask is replaced */
  FB_INPAINT_EXPAND,          /* what is transparent is replaced too: the picture goes on beyond its border */
  FB_INPAINT_REFINE,          /* what is there is drawn anew, at a low strength */
} FbInpaintUse;
#define FB_INPAINT_N_USES (FB_INPAINT_REFINE + 1)

/* "fill", "remove", "background", "expand", "refine": the interface for scripts; %NULL-terminated, in the order of FbInpaintUse */
extern const char * const fb_inpaint_use_names[];

typedef enum
{
  FB_CONTEXT_AUTO,            /* as much as helps: the less, the lower the strength */
  FB_CONTEXT_MASK,            /* the mask with its soft edges, and little more */
  FB_CONTEXT_ALL,             /* the whole canvas */
} FbInpaintContext;

/* "auto", "mask", "all" */
extern const char * const fb_context_names[];

/**
 * FbInpaintPlace: a mask on a canvas
 * @canvas_width, @canvas_height: pixels; for FB_INPAINT_EXPAND of the canvas as it will be
 * @mask: bounds of the mask's pixels above 0, on the canvas or beyond; for FB_INPAINT_BACKGROUND it is not looked at
 * @strength: as in FbInpaint; negative for the use's own
 * @feather: as in FbInpaint
 * @native: the model's own size, its sides' mean in pixels; 0 for 512
 */
typedef struct
{
  int              canvas_width, canvas_height;
  FbRect           mask;
  FbInpaintUse     use;
  FbInpaintContext context;
  double           strength;
  double           feather;
  int              native;
} FbInpaintPlace;

/**
 * fb_inpaint_context:
 * @context: (out): the part of the canvas that "image" of the job shows. It holds the mask, its soft edges and, towards a square, what the model
 *   should see of the surroundings. Never larger than the canvas.
 *
 * Returns: %FALSE, @context left alone, where no pixel of the mask lies on the canvas
 *
 * Source: the sizes of section 4.2 and 4.4 of the survey of peers: a margin of 6 % of the mask's diagonal and its soft edge, half the
 * mask's mean side around that at strength 1, nothing around that below 0.8, and in between in between. To fill, models of less than 512 pixels get
 * less around, and one of 128 nothing.
 */
gboolean fb_inpaint_context  (const FbInpaintPlace *place, FbRect *context);

/**
 * fb_inpaint_shown:
 * @grow: as in FbInpaint
 * @context: what fb_inpaint_context() said
 *
 * What of the context may change, on the canvas: the mask with its soft edges. It is all that "mask" of the job has to cover, and its result does.
 */
FbRect   fb_inpaint_shown    (const FbInpaintPlace *place, double grow, FbRect context);

#define FB_PIECE_CELL 16      /* pixels to a side of the squares that a mask's islands are told apart by */

/**
 * fb_inpaint_detail:
 * @cells: [h, w], 1 channel: above 0 where one of the context's cells, from its first pixel on, holds some of the mask
 * @width, @height: the context's, in the mask's pixels
 * @native: as in FbInpaintPlace
 *
 * At which scale of the mask's pixels the context is worth reading for a single pass: at twice the detail that the model sees or up to four times, halved
 * as often as that allows, so that who has the pixels only takes means; 1 at most, and 1 where the mask's islands may be drawn each for itself.
 */
double   fb_inpaint_detail   (const FbImage *cells, int width, int height, int native);

/* what a negative strength stands for here: 1, and 0.4 for FB_INPAINT_REFINE; the job itself knows the model, and takes 0.4 for FB_INPAINT_REMOVE with
 * an ordinary one, 0.05 with one below 256 pixels and then without words for FB_INPAINT_EXPAND too, after the hole has been filled from its border */
double   fb_inpaint_strength (FbInpaintUse use);

/**
 * fb_inpaint_blend:
 * @image: [h, w] RGB or RGBA
 * @result: [h, w] RGBA: a job's picture, whose alpha is the composite mask
 *
 * For who wants the pixels replaced in place rather than a layer with a mask: @result over @image, mixed in linear light. Where the mask is 0
 * the pixel of @image is kept, bit for bit. Transparent pixels of @image become opaque as the mask says.
 *
 * Returns: (transfer full): as many channels as @image; %NULL when memory runs out
 */
FbImage * fb_inpaint_blend   (const FbImage *image, const FbImage *result);
