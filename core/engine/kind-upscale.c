/* core/engine/kind-upscale.c: the job "upscale". SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/drawing.h"
#include "core/engine/trade.h"
#include "core/tasks/upscale.h"

static gpointer   from_variant (GVariant *variant, GError **error) { return fb_upscale_from_variant (variant, error); }
static GVariant * to_variant   (gconstpointer request)             { return fb_upscale_to_variant (request); }
static void       free_request (gpointer request)                  { fb_upscale_free (request); }
static FbGenerate * generate   (gpointer request)                  { return ((FbUpscale *) request)->generate; }

static void
take_pictures (gpointer request, FbTask *task)
{
  FbImage *image = fb_task_picture (task, "image");

  if (image != NULL)
    ((FbUpscale *) request)->image = fb_image_ref (image);
}

/* the request says how large the picture will be */
static void
foresee_pictures (gpointer request)
{
}

static gboolean
resolve (gpointer request, FbModel *model, GError **error)
{
  return fb_upscale_resolve (request, model, error);
}

static gboolean
estimate (gconstpointer request, FbModel *model, FbEstimate *result, GError **error)
{
  return fb_upscale_estimate (request, model, result, error);
}

static gboolean
run (gconstpointer request, FbModel *model, FbProgressFunc progress, FbPictureFunc picture, gpointer user_data,
     GCancellable *cancellable, GError **error)
{
  return fb_upscale_run (request, model, progress, picture, user_data, cancellable, error);
}

static const FbDrawing drawing =
{
  "upscale", from_variant, to_variant, free_request, generate, take_pictures, foresee_pictures, NULL, resolve, estimate, run,
};

gboolean
fb_kind_upscale_estimate (FbWorkshop *workshop, GVariant *request, FbJobEstimate *result, GCancellable *cancellable, GError **error)
{
  return fb_drawing_estimate (&drawing, workshop, request, result, error);
}

GVariant *
fb_kind_upscale_run (FbTask *task, GError **error)
{
  return fb_drawing_run (&drawing, task, error);
}
