/* core/engine/kind-inpaint.c: the job "inpaint". SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/drawing.h"
#include "core/engine/trade.h"
#include "core/tasks/inpaint.h"

static gpointer   from_variant (GVariant *variant, GError **error) { return fb_inpaint_from_variant (variant, error); }
static GVariant * to_variant   (gconstpointer request)             { return fb_inpaint_to_variant (request); }
static void       free_request (gpointer request)                  { fb_inpaint_free (request); }
static FbGenerate * generate   (gpointer request)                  { return ((FbInpaint *) request)->generate; }

static void
take_pictures (gpointer request, FbTask *task)
{
  FbInpaint *wanted = request;
  FbImage   *image  = fb_task_picture (task, "image");
  FbImage   *mask   = fb_task_picture (task, "mask");

  if (image != NULL)
    wanted->image = fb_image_ref (image);
  if (mask != NULL)
    wanted->mask = fb_image_ref (mask);
}

/* the task itself knows what to assume */
static void
foresee_pictures (gpointer request)
{
}

/* where the composite mask lets something through */
static void
add_metadata (const FbImage *picture, GVariantDict *metadata)
{
  int left = picture->width, right = 0, top = picture->height, bottom = 0;

  for (int y = 0; y < picture->height; y++)
    for (int x = 0; x < picture->width; x++)
      if (picture->pixels[((size_t) y * picture->width + x) * 4 + 3] > 0.0f)
        {
          left   = MIN (left, x);
          right  = MAX (right, x + 1);
          top    = MIN (top, y);
          bottom = MAX (bottom, y + 1);
        }
  g_variant_dict_insert (metadata, "bounds", "(iiii)", left, top, right - left, bottom - top);
}

static gboolean
resolve (gpointer request, FbModel *model, GError **error)
{
  return fb_inpaint_resolve (request, model, error);
}

static gboolean
estimate (gconstpointer request, FbModel *model, FbEstimate *result, GError **error)
{
  return fb_inpaint_estimate (request, model, result, error);
}

static gboolean
run (gconstpointer request, FbModel *model, FbProgressFunc progress, FbPictureFunc picture, gpointer user_data,
     GCancellable *cancellable, GError **error)
{
  return fb_inpaint_run (request, model, progress, picture, user_data, cancellable, error);
}

static const FbDrawing drawing =
{
  "inpaint", from_variant, to_variant, free_request, generate, take_pictures, foresee_pictures, add_metadata, resolve, estimate, run,
};

gboolean
fb_kind_inpaint_estimate (FbWorkshop *workshop, GVariant *request, FbJobEstimate *result, GCancellable *cancellable, GError **error)
{
  return fb_drawing_estimate (&drawing, workshop, request, result, error);
}

GVariant *
fb_kind_inpaint_run (FbTask *task, GError **error)
{
  return fb_drawing_run (&drawing, task, error);
}
