/* plugins/inpaint/dialog-private.h: the window, for the files that share it. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "plugins/inpaint/dialog.h"
#include "plugins/inpaint/live.h"
#include "ui/canvas.h"
#include "ui/dialog-class.h"

#define INPAINT_TYPE_DIALOG (inpaint_dialog_get_type ())
GType inpaint_dialog_get_type (void);

typedef struct
{
  FbDialog     parent_instance;
  FbCanvas    *canvas;
  GtkWidget   *live_switch;
  GtkWidget   *from_selection;
  InpaintLive *live;
  gboolean     was_live;            /* the stroke in work has interrupted something */
  gint64       live_seed;           /* the same for every draft, so that they do not flicker */

  FbTarget    *source;              /* with its input */
  int          input_id;            /* given by the caller; 0 follows the selected layer */
  int          continued_id;        /* the layer that is continued, which is not looked at; 0 for none */
  char        *seen;                /* the image's thumbnail as a checksum, while a copy of it is the source */
  guint        refresh_later;       /* GIMP may have been used since that copy was made */
  gboolean     is_masked;
  gboolean     is_stale;            /* the chosen result is not what the canvas shows */
} InpaintDialog;

typedef FbDialogClass InpaintDialogClass;

/* (transfer full): the argument @name */
char *   inpaint_dialog_text          (InpaintDialog *self, const char *name);

/* Reads anew what may have changed in GIMP meanwhile; the mask stays. */
gboolean inpaint_dialog_refresh       (InpaintDialog *self, GError **error);
/* The same when the hand is at rest where that takes a look at all that is visible: of 24 megapixels, of which GIMP has to compose them first, a second. */
void     inpaint_dialog_refresh_later (InpaintDialog *self);
/* Whether a draft need not wait for that. */
gboolean inpaint_dialog_can_draft     (InpaintDialog *self);
/* Gives @target (with its place) a picture for a draft: where the copy may be old, a new one of what is seen only. Afterwards the copy is its input again. */
FbJob *  inpaint_dialog_draft_job     (InpaintDialog *self, GVariant *request, FbTarget *target, const FbMask *mask, int native, GError **error);
void     inpaint_dialog_forget_source (InpaintDialog *self);

/* Makes @request one for a draft: few pixels, few steps, and the tiny autoencoder where the model has one. */
void     inpaint_dialog_make_draft    (InpaintDialog *self, GVariantDict *request);
