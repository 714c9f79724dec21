/* ui/procedure.h: what every procedure of the suite has in common. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimp.h>

#include "ui/args.h"

/**
 * fb_procedure_new:
 * @label: untranslated menu label, @blurb and @help untranslated: one sentence, and a paragraph for the procedure browser
 * @args: the procedure's arguments after run mode, image and drawables
 *
 * Returns: (transfer full): an image procedure in Filters ▸ Flashbrush for every type of image, with return values "image",
 * "seeds" and "layers"
 */
GimpProcedure *  fb_procedure_new    (GimpPlugIn *plug_in, const char *name, const char *label, const char *blurb,
                                      const char *help, const FbArg *args, GimpRunImageFunc run);

/* What the engine refuses is the caller's mistake, unless the engine itself is the trouble: @error becomes one. */
void             fb_procedure_blame_caller (GError *error);

/* @error: (transfer full): what went wrong; a cancel is not a failure, a bad argument is the caller's */
GimpValueArray * fb_procedure_fail   (GimpProcedure *procedure, GError *error);

/**
 * fb_procedure_return:
 * @image: (nullable): the image that has the results
 * @layers: (nullable) (transfer full) (element-type GimpLayer): the results
 * @seeds: (nullable) (transfer full): their seeds
 * @error: (nullable) (transfer full): as for fb_procedure_fail()
 */
GimpValueArray * fb_procedure_return (GimpProcedure *procedure, GimpImage *image, GPtrArray *layers, GStrv seeds,
                                      GError *error);
