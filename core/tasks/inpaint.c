/* core/tasks/inpaint.c: what lies under a mask, drawn anew: masks → pieces → fill → network → colours → composite.
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-run-private.h"

#include <glib/gi18n-lib.h>
#include <math.h>
#include <string.h>

/* --- one piece ----------------------------------------------------------------------------------------------------------- */

/* RGB of @image, RGB or RGBA; what is transparent gets its surroundings' colours. @known: [h, w], 0 there, else 1 */
static FbImage *
known_colours (const FbImage *image, float *known)
{
  const int         C       = image->n_channels;
  const size_t      n       = (size_t) image->width * image->height;
  FbImage          *out     = fb_image_new (image->width, image->height, 3);
  g_autofree float *unknown = g_new (float, n);
  gboolean          all     = TRUE;

  if (out == NULL)
    return NULL;
  for (size_t i = 0; i < n; i++)
    {
      memcpy (out->pixels + 3 * i, image->pixels + C * i, 3 * sizeof (float));
      unknown[i] = C == 4 && image->pixels[4 * i + 3] < 0.5f ? 1.0f : 0.0f;
      known[i]   = 1.0f - unknown[i];
      all        = all && unknown[i] == 0.0f;
    }
  if (!all)
    {
      g_autoptr(FbHole) hole = fb_hole_new (unknown, image->width, image->height);

      fb_spread_inwards (hole, out);
    }

  return out;
}

/* (transfer full): what there is at first of @piece, as the network sees it */
static FbImage *
take_image (const FbInpaintRun *run, const FbPiece *piece)
{
  FbImage       *image  = run->request->image;
  const FbPiece  scaled = fb_piece_scaled (piece, &run->pieces->view, image->width, image->height);

  return fb_piece_take (&scaled, image);
}

FbImage *
fb_inpaint_take_mask (const FbInpaintRun *run, const FbPiece *piece)
{
  FbImage *mask = fb_piece_take_mask (piece, run->denoise, run->pieces->view.shown);

  for (int i = 0; mask != NULL && i < mask->width * mask->height; i++)
    mask->pixels[i] = mask->pixels[i] > 0.99f ? 1.0f : CLAMP (mask->pixels[i], 0.0f, 1.0f);     /* scaling overshoots, and stays below 1 */
  return mask;
}

void
fb_inpaint_weigh (const FbPiece *piece, const FbImage *mask, float *known)
{
  const FbRect *r = &piece->inner;

  for (int y = 0; y < piece->height; y++)
    for (int x = 0; x < piece->width; x++)
      {
        size_t i = (size_t) y * piece->width + x;

        known[i] *= x < r->x || x >= r->x + r->width || y < r->y || y >= r->y + r->height ? 0.0f : mask != NULL ? 1.0f - mask->pixels[i] : 1.0f;
      }
}

/* Where the surroundings go on, what has been filled in from there counts too: @amount of it at the border, and nothing 32 pixels of a 512-pixel
 * picture inside. */
static void
count_rim (const FbPiece *piece, const FbHole *hole, float amount, float *known)
{
  const FbRect *r   = &piece->inner;
  const float   rim = MAX (2.0f, 32.0f * sqrtf ((float) piece->width * piece->height) / 512.0f);

  for (int y = r->y; y < r->y + r->height; y++)
    for (int x = r->x; x < r->x + r->width; x++)
      {
        const size_t i = (size_t) y * piece->width + x;

        if (hole->depth[i] > 0.0f && hole->depth[i] < rim)
          known[i] = MAX (known[i], amount * FB_WHOLLY_KNOWN * (1.0f - hole->depth[i] / rim));
      }
}

/* Brings the colours of @drawn to those of @image. With a low strength, more of @filled is meant to stay; with less than a half, nothing that is
 * new comes up to the border. */
static void
match (const FbInpaint *r, const FbPiece *piece, const FbImage *image, const FbImage *filled, const FbImage *mask, const FbHole *hole, float *known,
       FbImage *drawn)
{
  const gboolean goes_on = r->use == FB_INPAINT_REMOVE || fb_inpaint_goes_on (r);
  const FbHole  *fading  = goes_on || r->use == FB_INPAINT_EXPAND ? NULL : hole;

  fb_inpaint_weigh (piece, mask, known);
  fb_match_colours (drawn, image, known, fading);
  if (goes_on)
    count_rim (piece, hole, 1.0 - r->generate->strength, known);
  fb_match_seam (drawn, goes_on ? filled : image, known, fading, goes_on || r->generate->strength < 0.5);
}

static FbImage *
copy_rgb (const FbImage *image)
{
  FbImage *copy = fb_image_new (image->width, image->height, 3);

  if (copy != NULL)
    memcpy (copy->pixels, image->pixels, fb_image_n_bytes (image));
  return copy;
}

static gboolean
draw_piece (FbInpaintRun *run, const FbPiece *piece, FbTorchRandom *random, GError **error)
{
  const FbInpaint   *r      = run->request;
  g_autoptr(FbImage) given  = take_image (run, piece);
  g_autoptr(FbImage) mask   = fb_inpaint_take_mask (run, piece);
  g_autofree float  *known  = g_new (float, (size_t) piece->width * piece->height);
  g_autoptr(FbImage) image  = given != NULL ? known_colours (given, known) : NULL;
  g_autoptr(FbImage) filled = image != NULL ? copy_rgb (image) : NULL;
  g_autoptr(FbImage) drawn  = NULL;
  g_autoptr(FbHole)  hole   = NULL;

  if (mask == NULL || filled == NULL)
    return fb_inpaint_no_memory (error, r->image);

  if (run->pieces->n == 1 && run->small == NULL)
    run->small = fb_image_cut (given, piece->inner.x, piece->inner.y, piece->inner.width, piece->inner.height);
  hole = fb_hole_new (mask->pixels, piece->width, piece->height);
  fb_hole_fill (hole, r->fill, fb_inpaint_whole (r->use, r->generate->strength), r->use == FB_INPAINT_BACKGROUND, filled);
  drawn = fb_inpaint_draw (&run->job, r, image, filled, mask->pixels, random, error);
  if (drawn == NULL)
    return FALSE;
  if (r->match_colours)
    match (r, piece, image, filled, mask, hole, known, drawn);
  if (run->preview != NULL)
    fb_pieces_put (run->pieces, run->piece, piece, drawn, NULL, run->preview);      /* later pieces' previews show this one finished */

  return fb_pieces_put (run->pieces, run->piece, piece, drawn, NULL, run->result) || fb_inpaint_no_memory (error, r->image);
}

/* --- all pieces ---------------------------------------------------------------------------------------------------------- */

static gboolean
draw_pieces (FbInpaintRun *run, gint64 seed, double after, GError **error)
{
  FbInpaint    *r = run->request;
  FbTorchRandom random;

  fb_torch_random_init (&random, seed);
  for (run->piece = 0; run->piece < run->pieces->n; run->piece++)
    {
      FbTiles *tiles = &run->tiles[run->piece];
      double   later = after + fb_inpaint_pieces_seconds (r, run->job.model, run->pieces, run->tiles, run->piece + 1);

      fb_inpaint_use_size (r, &run->pieces->pieces[run->piece]);
      fb_diffusion_set_size (&run->job);
      run->job.seconds_after = later + fb_inpaint_tiles_seconds (r, run->job.model, tiles, 0);
      if (!draw_piece (run, &run->pieces->pieces[run->piece], &random, error) || !fb_inpaint_draw_tiles (run, tiles, &random, later, error))
        return FALSE;
    }

  return TRUE;
}

/* --- the job ------------------------------------------------------------------------------------------------------------- */

static gboolean
run_start (FbInpaintRun *run, FbModel *model, GError **error)
{
  FbInpaint *r = run->request;
  FbEstimate estimate;

  fb_inpaint_estimate_planned (r, model, run->pieces, run->tiles, &estimate);
  if (!fb_diffusion_check_memory (&run->job, &estimate, TRUE, error))
    return FALSE;
  fb_diffusion_set_size (&run->job);
  run->job.seconds_after = r->generate->count * fb_inpaint_pieces_seconds (r, model, run->pieces, run->tiles, 0);

  return fb_diffusion_load (&run->job, TRUE, error) && fb_diffusion_encode_prompts (&run->job, error);
}

gboolean
fb_inpaint_run (const FbInpaint *request, FbModel *model, FbProgressFunc progress, FbPictureFunc picture, gpointer user_data,
                GCancellable *cancellable, GError **error)
{
  g_auto(FbInpaintRun)  run = { .request = fb_inpaint_copy (request) };
  FbGenerate           *g   = run.request->generate;
  gboolean              keeps;

  run.job = (FbDiffusion) { .request = g, .model = model, .info = fb_model_info (model), .progress = progress, .user_data = user_data,
                            .dress = fb_inpaint_dress, .dress_data = &run, .cancellable = cancellable };
  fb_model_share_threads (model);
  if (!fb_inpaint_resolve (run.request, model, error))
    return FALSE;
  if (run.request->image == NULL)
    {
      g_set_error_literal (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("The job has no picture “image” to inpaint."));
      return FALSE;
    }
  keeps = g->strength == 0.0;
  if (!fb_inpaint_run_plan (&run, fb_inpaint_native (model), error) || (!keeps && !run_start (&run, model, error)))
    return FALSE;

  for (run.job.picture = 0; run.job.picture < g->count; run.job.picture++)
    {
      gint64 seed  = (gint64) ((guint64) g->seed + run.job.picture);
      double after = (g->count - 1 - run.job.picture) * fb_inpaint_pieces_seconds (run.request, model, run.pieces, run.tiles, 0);

      g_clear_pointer (&run.result, fb_image_unref);
      run.result = fb_inpaint_undrawn (&run);
      if (run.result == NULL)
        return fb_inpaint_no_memory (error, run.request->image);
      if ((!keeps && !draw_pieces (&run, seed, after, error)) || g_cancellable_set_error_if_cancelled (cancellable, error))
        return FALSE;
      picture (run.result, seed, user_data);
    }

  return TRUE;
}
