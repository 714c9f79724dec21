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
  gboolean     is_masked;
  gboolean     is_stale;            /* the chosen result is not what the canvas shows */
} InpaintDialog;

typedef FbDialogClass InpaintDialogClass;

/* (transfer full): the argument @name */
char *   inpaint_dialog_text          (InpaintDialog *self, const char *name);

/* Reads anew what may have changed in GIMP meanwhile; the mask stays. */
gboolean inpaint_dialog_refresh       (InpaintDialog *self, GError **error);
void     inpaint_dialog_forget_source (InpaintDialog *self);

/* Makes @request one for a draft: few pixels, few steps, and the tiny autoencoder where the model has one. */
void     inpaint_dialog_make_draft    (InpaintDialog *self, GVariantDict *request);
