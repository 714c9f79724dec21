/* plugins/upscale/dialog.c: the window. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/upscale/dialog.h"

#include <glib/gi18n-lib.h>

#include "plugins/upscale/args.h"
#include "plugins/upscale/request.h"
#include "ui/dialog-class.h"

#define SHOWN_MAX 512      /* pixels of the longer side */

typedef struct { FbDialog      parent_instance; } UpscaleDialog;
typedef struct { FbDialogClass parent_class; }    UpscaleDialogClass;

static GType upscale_dialog_get_type (void);
G_DEFINE_TYPE (UpscaleDialog, upscale_dialog, FB_TYPE_DIALOG)

static const char * const rows[] =
{
  "prompt", "negative-prompt", "model", "loras", "scale|noise-level", "faithful", "steps|guidance-scale", "seed|count", "destination",
  ">", "sampler", "timestep-spacing", "clip-skip", "vae", "preview", NULL
};

static const FbDialogLayout layout = { "upscale", N_("Super-Resolution"), upscale_args, rows, N_("Enlarged") };

static FbTarget *
measure (FbDialog *dialog)
{
  GimpImage                *image     = fb_dialog_get_image (dialog);
  g_autofree GimpDrawable **drawables = image != NULL ? gimp_image_get_selected_drawables (image) : NULL;
  FbTarget                 *target    = upscale_target_new (image, drawables);

  upscale_use_input (target, NULL);              /* what stands against it is said when the job starts */

  return target;
}

static FbJob *
job_new (FbDialog *dialog, GVariant *request, FbTarget *target, GError **error)
{
  return upscale_use_input (target, error) ? upscale_job_new (dialog->client, request, fb_estimator_get_resolved (dialog->estimator), target, error) : NULL;
}

static gboolean
is_ready (FbDialog *dialog)
{
  return fb_dialog_get_image (dialog) != NULL;
}

static void
upscale_dialog_class_init (UpscaleDialogClass *class)
{
  FbDialogClass *dialog_class = &class->parent_class;

  dialog_class->measure  = measure;
  dialog_class->job_new  = job_new;
  dialog_class->is_ready = is_ready;
}

static void
upscale_dialog_init (UpscaleDialog *self)
{
}

/* what is to be made larger, until there is something better to see */
static void
show_input (FbDialog *dialog)
{
  g_autoptr(FbTarget) target  = measure (dialog);
  const double        scale   = MIN (1.0, (double) SHOWN_MAX / MAX (target->width, target->height));
  g_autoptr(FbImage)  picture = NULL;

  if (target->input_id != 0)
    picture = fb_target_glance (target, MAX (1, (int) (target->width * scale)), MAX (1, (int) (target->height * scale)), NULL);
  if (picture != NULL)
    fb_preview_area_set_image (dialog->preview, picture, _("The layer as it is"));
}

GimpValueArray *
upscale_dialog_run (GimpProcedure *procedure, GimpProcedureConfig *config, GimpImage *image)
{
  FbDialog *dialog = fb_dialog_new (upscale_dialog_get_type (), procedure, config, &layout, image);

  fb_estimator_tell_source (dialog->estimator);
  show_input (dialog);

  return fb_dialog_loop (dialog, procedure);
}
