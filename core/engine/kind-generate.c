/* core/engine/kind-generate.c: the job "generate". SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/drawing.h"
#include "core/engine/trade.h"

static gpointer   from_variant (GVariant *variant, GError **error) { return fb_generate_from_variant (variant, error); }
static GVariant * to_variant   (gconstpointer request)             { return fb_generate_to_variant (request); }
static void       free_request (gpointer request)                  { fb_generate_free (request); }
static FbGenerate * generate   (gpointer request)                  { return request; }

static void
take_pictures (gpointer request, FbTask *task)
{
  FbImage *init = fb_task_picture (task, "init");

  if (init != NULL)
    ((FbGenerate *) request)->init = fb_image_ref (init);
}

/* below strength 1 there will be one, and it will be encoded */
static void
foresee_pictures (gpointer request)
{
  FbGenerate *wanted = request;

  if (wanted->strength < 1.0)
    wanted->init = fb_image_new (1, 1, 3);
}

static gboolean
resolve (gpointer request, FbModel *model, GError **error)
{
  return fb_generate_resolve (request, model, error);
}

static gboolean
estimate (gconstpointer request, FbModel *model, FbEstimate *result, GError **error)
{
  return fb_generate_estimate (request, model, result, error);
}

static gboolean
run (gconstpointer request, FbModel *model, FbProgressFunc progress, FbPictureFunc picture, gpointer user_data,
     GCancellable *cancellable, GError **error)
{
  return fb_generate_run (request, model, progress, picture, user_data, cancellable, error);
}

static const FbDrawing drawing =
{
  "generate", from_variant, to_variant, free_request, generate, take_pictures, foresee_pictures, NULL, resolve, estimate, run,
};

gboolean
fb_kind_generate_estimate (FbWorkshop *workshop, GVariant *request, FbJobEstimate *result, GCancellable *cancellable, GError **error)
{
  return fb_drawing_estimate (&drawing, workshop, request, result, error);
}

GVariant *
fb_kind_generate_run (FbTask *task, GError **error)
{
  return fb_drawing_run (&drawing, task, error);
}
