/* tests/core/inpaint-fixture.h: a small model that inpaints, pictures, and what came of them. SPDX-License-Identifier: LGPL-3.0-or-later
 * Model and picture are those of tests/golden/pipeline and tests/golden/inpaint. */
#pragma once

#include "core/tasks/inpaint-private.h"

typedef struct
{
  char    *folder;
  FbModel *model;
} InpaintFixture;

typedef struct
{
  const char *name;
  void     (* func) (InpaintFixture *f, gconstpointer data);
} InpaintTest;

void      inpaint_set_up       (InpaintFixture *f, gconstpointer data);
void      inpaint_tear_down    (InpaintFixture *f, gconstpointer data);
/* Adds them behind "/core/tasks/inpaint/". */
void      inpaint_add_tests    (const InpaintTest *tests, gsize n);

/* (transfer full): a file of tests/golden */
char *    inpaint_golden_path  (const char *folder, const char *name);

/* (transfer full): a model folder of links: the golden pipeline's, with the inpainting UNet if @nine; scratch_free() takes it */
char *    inpaint_model_folder (gboolean nine);
FbModel * inpaint_open_model   (const char *folder);

/* the picture of make.py, at any size, with alpha 1 if it has 4 channels */
FbImage * inpaint_picture      (int width, int height, int n_channels);
FbImage * inpaint_box_mask     (int width, int height, FbRect r, float value);

/* what has come of a job so far; @cancel (nullable) is cancelled at report @cancel_at, counted from 1 */
typedef struct
{
  FbImage      *picture;
  int           n_pictures, n_steps, n_previews, n_reports;
  FbImage      *preview;
  double        fraction;
  GCancellable *cancel;
  int           cancel_at;
} InpaintResult;

void      inpaint_result_clear (InpaintResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (InpaintResult, inpaint_result_clear)

/* for fb_inpaint_run(), with the result as user data */
void      inpaint_on_picture   (FbImage *picture, gint64 seed, gpointer user_data);
void      inpaint_on_progress  (const FbProgress *progress, gpointer user_data);

/* Runs the job, which must succeed with a picture of the request's size. */
void      inpaint_run          (const FbInpaint *request, FbModel *model, InpaintResult *result);

/* Where the composite mask is 0 the colours are the input's, and blending gives the input's bytes; returns how many pixels are changed. */
int       inpaint_assert_untouched (const FbInpaint *request, const FbImage *picture);
