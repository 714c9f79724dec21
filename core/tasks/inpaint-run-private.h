/* core/tasks/inpaint-run-private.h: a job of inpainting that runs, for the files that share it. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/tasks/inpaint-private.h"

/**
 * FbInpaintRun: a running job
 * @request: resolved; its generate has the size of the piece in work
 * @denoise, @composite: [h, w] of what is shown
 * @result: [h, w] RGBA, what is to be handed over
 * @small: (nullable): the context as the network has it, where that is all of it in one piece
 * @preview: (nullable): the result, smaller, with pieces as far as they are
 * @tiles: [pieces->n]: of the second pass
 * @piece: index of the one in work
 * @tile: (nullable): the one in work, of the second pass
 */
typedef struct
{
  FbInpaint  *request;
  FbDiffusion job;
  FbImage    *denoise, *composite;
  FbPieces   *pieces;
  FbTiles    *tiles;
  FbImage    *result, *small, *preview;
  int         piece;
  FbPiece    *tile;
} FbInpaintRun;

void      fb_inpaint_run_clear (FbInpaintRun *run);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (FbInpaintRun, fb_inpaint_run_clear)

/* FALSE, with an error that says so of @image */
gboolean  fb_inpaint_no_memory (GError **error, const FbImage *image);

/* --- the plan: core/tasks/inpaint-plan.c ------------------------------------------------------------------------------ */

/* Makes the masks, the pieces and the second pass's tiles. @run's request is resolved, with pictures. */
gboolean  fb_inpaint_run_plan  (FbInpaintRun *run, int native, GError **error);

/* Makes @piece's size the request's. */
void      fb_inpaint_use_size  (FbInpaint *r, const FbPiece *piece);

/* @r for @tile of the second pass, over @generate, which is filled; neither is to be freed */
FbInpaint fb_inpaint_second_request (const FbInpaint *r, const FbPiece *tile, FbGenerate *generate);

/* what tiles from @first on will take; pieces from @first on, with their @tiles (nullable) */
double    fb_inpaint_tiles_seconds  (const FbInpaint *r, FbModel *model, const FbTiles *tiles, int first);
double    fb_inpaint_pieces_seconds (FbInpaint *r, FbModel *model, const FbPieces *pieces, const FbTiles *tiles, int first);

/* what the job will take; leaves the request at the size of the largest piece */
void      fb_inpaint_estimate_planned (FbInpaint *r, FbModel *model, const FbPieces *pieces, const FbTiles *tiles, FbEstimate *estimate);

/* --- the result: core/tasks/inpaint-result.c -------------------------------------------------------------------------- */

/* (transfer full) (nullable): what @r is of @image's context at @width × @height */
FbImage * fb_inpaint_own_colours (FbImage *image, int width, int height, FbRect r);

/* (transfer full) (nullable): the result as it is before anything has been drawn */
FbImage * fb_inpaint_undrawn     (const FbInpaintRun *run);

/* Takes @picture, a step's preview; gives what is to be shown. @user_data: the run */
FbImage * fb_inpaint_dress       (FbImage *picture, gpointer user_data);

/* --- one piece: core/tasks/inpaint.c ---------------------------------------------------------------------------------- */

/* (transfer full): the denoise mask as the network sees it */
FbImage * fb_inpaint_take_mask   (const FbInpaintRun *run, const FbPiece *piece);

/* how much each pixel counts for the colours: known, not mirrored, and, where a mask is given, not drawn anew */
void      fb_inpaint_weigh       (const FbPiece *piece, const FbImage *mask, float *known);

/* --- the second pass: core/tasks/inpaint-second.c --------------------------------------------------------------------- */

/* Draws over the piece in work in @tiles; @after: seconds that follow them. */
gboolean  fb_inpaint_draw_tiles  (FbInpaintRun *run, FbTiles *tiles, FbTorchRandom *random, double after, GError **error);
