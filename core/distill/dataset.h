/* core/distill/dataset.h: what a job learns from. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/job.h"
#include "core/image/image.h"

/**
 * FbExample: a picture and what it may be called
 * @path: (nullable): of the picture; %NULL for one that the teacher makes from @captions[0]
 * @number: which of the teacher's pictures for that prompt
 * @captions: (array length=n_captions): at least one; "" where a picture has none
 * @width, @height: pixels it is brought to
 */
typedef struct
{
  char  *path;
  int    number;
  char **captions;
  int    n_captions;
  int    width, height;
} FbExample;

/**
 * FbDataset:
 * @examples: (element-type FbExample), in an order that does not depend on the file system
 */
typedef struct
{
  GPtrArray *examples;
} FbDataset;

/**
 * fb_dataset_new:
 * @width, @height: pixels of pictures, or their area with aspect buckets
 * @multiple: what the sides of buckets are multiples of
 *
 * Lists the job's pictures and captions, and looks at the size of each where it sorts them into buckets. A picture that cannot be read is
 * named in a warning and left out.
 * Errors: DATA when nothing is left, a line is not "picture TAB caption" or a text is not UTF-8; NOT_FOUND, IO.
 */
FbDataset * fb_dataset_new  (const FbDistillJob *job, int width, int height, int multiple, GError **error);
void        fb_dataset_free (FbDataset *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbDataset, fb_dataset_free)

/* Leaves out example @i, whose picture could not be used, with a warning. */
void        fb_dataset_leave_out (FbDataset *self, guint i, const GError *reason);

/**
 * fb_bucket_size:
 * @width, @height: of a picture
 * @area_width, @area_height: of the size trained
 * @multiple: of the sides
 *
 * The bucket for a picture: sides that are multiples of @multiple, at most the area and near it, and the aspect nearest to the picture's
 * (1 : 2 … 2 : 1).
 */
void        fb_bucket_size  (int width, int height, int area_width, int area_height, int multiple, int *bucket_width, int *bucket_height);

/* (transfer full): the picture scaled to cover @width × @height, its middle; NULL when memory runs out */
FbImage *   fb_crop_to_size (const FbImage *image, int width, int height);
