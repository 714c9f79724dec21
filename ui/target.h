/* ui/target.h: where a picture comes from and goes to in GIMP. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The one place where pixels enter and leave. The user's layers, masks, channels and selection are only read; results are
 * new layers, added in one undo step.
 */
#pragma once

#include <libgimp/gimp.h>

#include "core/engine/client.h"
#include "ui/result.h"

typedef enum
{
  FB_TARGET_ERROR_CLOSED,     /* the image is not there any more */
  FB_TARGET_ERROR_CHANGED,    /* its type changed, or the layer was deleted, since the target was measured */
  FB_TARGET_ERROR_FLOATING,   /* a floating selection is in the way */
  FB_TARGET_ERROR_INPUT,      /* no picture to start from: no image, not one layer, nothing selected of it */
  FB_TARGET_ERROR_SIZE,       /* too many pixels */
  FB_TARGET_ERROR_INSERT,     /* GIMP refused the new layer */
} FbTargetError;

#define FB_TARGET_ERROR (fb_target_error_quark ())
GQuark fb_target_error_quark (void);

typedef enum
{
  FB_DESTINATION_NEW_LAYER,
  FB_DESTINATION_NEW_IMAGE,
  FB_DESTINATION_IN_PLACE,    /* the layer's own pixels */
} FbDestination;

/* "new-layer", "new-image" or "in-place"; anything else is the first */
FbDestination fb_destination_from_name (const char *name);

/* pixels on each side of a canvas */
typedef struct
{
  int left, top, right, bottom;
} FbMargins;

/**
 * FbTarget: an image and a place in it, as they were when the target was made. Holds ids, not objects: what they name may
 * disappear at any time while a dialog is open.
 * @image_id, @drawable_id: 0 where there is none; the drawable is the first of the selected ones
 * @display_id: of the window the plug-in was started from, 0 where there was none; while a plug-in runs, libgimp's image lives on
 *   when the user closes it, and only its window is gone
 * @n_drawables: how many were selected
 * @input_id: the drawable to start from; 0 until fb_target_use_input()
 * @input_is_copy: that drawable is ours and not in the image, so a record cannot name it
 * @task: (nullable): static: what the results' records say made them; %NULL for generate
 * @context: (nullable): static: and how the place was chosen, by its name; the place itself is recorded with it, on the canvas as it is then
 * @is_enlarged: results are the input made larger: their alpha is the layer's own instead of a mask, and a new image has the input's precision and, of RGB, profile
 * @is_fixed: the place was given and doesn't follow the selection
 * @base_type: the image's at that time
 * @is_bounded: the place is the selection's bounds; else it is as large as the picture, in the middle of the canvas
 * @x, @y, @width, @height: the place, or the canvas when not @is_bounded, in the image's pixels
 * @seen: where more is read and recorded than the place: all of it; without a width, it is the place
 * @margins: by which the image's canvas is enlarged when a result becomes a layer; the place may lie there, and @x and @y be negative
 * @canvas_width, @canvas_height: with margins: the image's size before that
 */
typedef struct
{
  int               image_id;
  int               drawable_id;
  int               display_id;
  int               n_drawables;
  int               input_id;
  gboolean          input_is_copy;
  const char       *task;
  const char       *context;
  GimpImageBaseType base_type;
  gboolean          is_bounded;
  gboolean          is_fixed;
  gboolean          is_enlarged;
  int               x, y, width, height;
  FbRect            seen;
  FbMargins         margins;
  int               canvas_width, canvas_height;
} FbTarget;

/* @image may be %NULL or gone. Never fails: a target without an image takes new images only. */
FbTarget *  fb_target_new       (GimpImage *image, GimpDrawable **drawables);
/* The place is where @drawable lies, whatever is selected. */
FbTarget *  fb_target_new_over  (GimpImage *image, GimpDrawable *drawable);
FbTarget *  fb_target_copy      (const FbTarget *target);
void        fb_target_free      (FbTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbTarget, fb_target_free)

/* (transfer none) (nullable): @image, unless it has gone, or the window has that the plug-in was started from */
GimpImage * fb_image_if_open    (int image_id, int display_id);

/* the id of the window the plug-in was started from, or 0 */
int         fb_display_id       (void);

/**
 * fb_target_choose_size:
 * @model_width, @model_height: the model's own size
 * @width, @height: (inout): what the user asked for; zeros are filled, from the place or from the model
 */
void        fb_target_choose_size (const FbTarget *target, int model_width, int model_height, int *width, int *height);

/* what is read */
FbRect      fb_target_seen        (const FbTarget *target);

/* whether a result enlarges the canvas */
gboolean    fb_target_has_margins (const FbTarget *target);

/**
 * fb_target_check:
 *
 * Whether @target could take a result now; a sentence says what has changed or is in the way. Changes that only cost quality
 * are %FB_TARGET_ERROR_CHANGED, after which fb_target_insert() still works.
 */
gboolean    fb_target_check  (const FbTarget *target, FbDestination destination, GError **error);

/**
 * fb_target_use_input, fb_target_read, fb_target_read_for, fb_target_glance:
 * @width, @height: the size wanted
 *
 * The first makes the drawable the input, and the selected part of it, or all of it, the place. The second reads the input
 * there, and around it as far as @seen goes: f32 RGBA in sRGB whatever the image's type, precision and profile; transparent where the drawable ends.
 * The third does so while @job is on its way, as its picture @name: in steps of some milliseconds, between which a window lives on; the layer must stay as
 * large as it is until then, or the job fails with %FB_TARGET_ERROR_CHANGED.
 * The last does so in 8 bits, from what GIMP keeps for its own views, where that is much smaller than the drawable: of 12 megapixels in a twentieth of
 * the time, so that a pen that goes on need not wait.
 *
 * Returns: (transfer full): the picture, or %NULL with %FB_TARGET_ERROR
 */
gboolean    fb_target_use_input (FbTarget *target, GError **error);
FbImage *   fb_target_read      (const FbTarget *target, int width, int height, GError **error);
gboolean    fb_target_read_for  (const FbTarget *target, FbJob *job, const char *name, int width, int height, GError **error);
FbImage *   fb_target_glance    (const FbTarget *target, int width, int height, GError **error);

/**
 * fb_target_insert:
 * @results: (element-type FbResult): at least one
 * @name: of the layers; a prompt is shortened
 * @show: open a window for a new image
 * @layers: (out) (optional) (transfer container) (element-type GimpLayer): the new layers
 *
 * Adds each result as a layer above the drawable, in the image's own type, precision and profile (babl converts; an indexed
 * image's layer takes the nearest colours of its palette), scaled to the place. Where the selection is not a plain rectangle
 * the layer gets a mask of its shape. A new image is RGB, 8 bit, sRGB, of the picture's size; see @is_enlarged.
 *
 * A result with alpha becomes an opaque layer whose mask is the alpha; where that is 0, GIMP shows the very bytes it showed before. In place, it is mixed
 * into the layer's pixels in linear light instead, and every pixel it leaves alone keeps its bytes.
 *
 * Returns: (transfer none): the image, or %NULL with @error and the image as it was
 */
GimpImage * fb_target_insert (const FbTarget *target, FbDestination destination, GPtrArray *results, const char *name,
                              gboolean show, GPtrArray **layers, GError **error);

/* (transfer full): the first words of @prompt, at most 40 characters */
char *      fb_target_layer_name (const char *prompt);
