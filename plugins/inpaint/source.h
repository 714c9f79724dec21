/* plugins/inpaint/source.h: the picture that the model is shown a part of. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "ui/target.h"

/* (transfer none) (nullable): the layer of @target's drawable, or the one whose mask it is */
GimpLayer * inpaint_layer_of      (const FbTarget *target);

/**
 * inpaint_use_source:
 *
 * Makes the chosen layer, or a copy of all that is visible, the input of @target. The copy is the caller's to delete with inpaint_forget_source().
 * With @without (nullable), that layer counts as hidden, and so do its variations: what the same job made with other seeds.
 */
gboolean    inpaint_use_source    (FbTarget *target, const char *source, GimpLayer *without, GError **error);
void        inpaint_forget_source (FbTarget *target);

/**
 * inpaint_look_at_part:
 * @target: with its place
 *
 * Makes a copy of what is visible where @target sees the input, as it is now, and the caller's to delete as that of inpaint_use_source(). GIMP composes
 * no more of the image than that. %FALSE where nothing of the canvas is seen.
 */
gboolean    inpaint_look_at_part  (FbTarget *target, GimpLayer *without);
