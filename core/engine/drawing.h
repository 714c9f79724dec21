/* core/engine/drawing.h: what all jobs that make pictures have in common. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/job-kind.h"
#include "core/tasks/generate.h"

/**
 * FbDrawing: a task that makes pictures; its request is a pointer that only the functions here know
 * @task: whose default model is meant where a request names none
 * @from_variant: (transfer full)
 * @to_variant: (transfer full)
 * @generate: (transfer none): the part of a request that all these tasks have; its count and seed change for a second attempt
 * @take_pictures: gives the request the pictures that came with the job
 * @foresee_pictures: for an estimate, to which none come: makes those that a job must have count
 * @add_metadata: (nullable): adds what is to be said of a finished picture
 * @resolve, @estimate, @run: as fb_generate_resolve(), fb_generate_estimate(), fb_generate_run()
 */
typedef struct
{
  const char  *task;
  gpointer     (* from_variant)     (GVariant *variant, GError **error);
  GVariant *   (* to_variant)       (gconstpointer request);
  void         (* free)             (gpointer request);
  FbGenerate * (* generate)         (gpointer request);
  void         (* take_pictures)    (gpointer request, FbTask *task);
  void         (* foresee_pictures) (gpointer request);
  void         (* add_metadata)     (const FbImage *picture, GVariantDict *metadata);
  gboolean     (* resolve)          (gpointer request, FbModel *model, GError **error);
  gboolean     (* estimate)         (gconstpointer request, FbModel *model, FbEstimate *estimate, GError **error);
  gboolean     (* run)              (gconstpointer request, FbModel *model, FbProgressFunc progress, FbPictureFunc picture, gpointer user_data,
                                     GCancellable *cancellable, GError **error);
} FbDrawing;

/* as FbJobKind's functions; the resolved request of an estimate also tells "width" and "height" */
gboolean   fb_drawing_estimate (const FbDrawing *drawing, FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GError **error);
GVariant * fb_drawing_run      (const FbDrawing *drawing, FbTask *task, GError **error);
