/* core/tasks/inpaint-plan.c: what a job of inpainting draws, and what that takes. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-run-private.h"

#include <math.h>

#include "core/tasks/pace.h"

#define SECOND_STRENGTH 0.4       /* of a second pass: as the survey of peers has it */

void
fb_inpaint_run_clear (FbInpaintRun *run)
{
  g_clear_pointer (&run->request, fb_inpaint_free);
  fb_diffusion_clear (&run->job);
  g_clear_pointer (&run->denoise, fb_image_unref);
  g_clear_pointer (&run->composite, fb_image_unref);
  g_clear_pointer (&run->result, fb_image_unref);
  g_clear_pointer (&run->small, fb_image_unref);
  g_clear_pointer (&run->preview, fb_image_unref);
  g_clear_pointer (&run->pieces, fb_pieces_free);
  g_clear_pointer (&run->tiles, g_free);
}

gboolean
fb_inpaint_no_memory (GError **error, const FbImage *image)
{
  return fb_task_no_memory (image->width, image->height, error);
}

/* --- masks and pieces ---------------------------------------------------------------------------------------------------- */

static void
plan_second_pass (FbInpaintRun *run, int native)
{
  const int width = run->pieces->view.width, height = run->pieces->view.height;
  const int most  = run->request->passes == FB_PASSES_TWO ? FB_MAX_TILES : 1;

  run->tiles = g_new0 (FbTiles, run->pieces->n);
  for (int i = 0; i < run->pieces->n && run->request->passes != FB_PASSES_ONE; i++)
    {
      FbRect shown = fb_pieces_bounds (run->pieces, i);
      int    pad   = MAX (shown.width, shown.height) / 16;      /* so that the surroundings are seen */

      fb_tiles_init (&run->tiles[i], &run->pieces->pieces[i], fb_rect_grown (shown, pad, width, height), width, height, native, most);
    }
}

/* how many pixels around @bounds the context goes on, but what is shown doesn't; many where both end */
static int
room_around (const FbView *view, const FbRect *bounds)
{
  const FbRect *s    = &view->shown;
  const int     many = view->width + view->height;
  const int     left = s->x > 0 ? bounds->x : many, right  = s->x + s->width < view->width ? s->width - bounds->x - bounds->width : many;
  const int     top  = s->y > 0 ? bounds->y : many, bottom = s->y + s->height < view->height ? s->height - bounds->y - bounds->height : many;

  return MIN (MIN (left, right), MIN (top, bottom));
}

/* Whether a hole that goes up to the picture's border sees what is there mirrored beyond it. The starter's autoencoder knows pictures on white: at its own
 * border it drew a white frame. Measured on fifteen coloured grounds, in the outer 8 pixels of what was removed or made wider: 31 code values of 8 bits
 * from the ground without, 8 with margins of an eighth. Not for a new thing, which was coarser then and cut off by the border, nor for larger models, of
 * which none was there to measure. */
static gboolean
mirrors_margins (const FbInpaint *r, int native)
{
  return native < 256 && fb_inpaint_goes_on (r);
}

gboolean
fb_inpaint_run_plan (FbInpaintRun *run, int native, GError **error)
{
  const FbInpaint    *r      = run->request;
  const FbRampWishes  wishes = { r->feather, r->grow, r->blend, r->use };
  const FbView        view   = fb_inpaint_view (r);
  g_autoptr(FbImage)  mask   = fb_inpaint_mask (r);
  FbRamps             ramps;
  FbRect              bounds;
  double              diagonal;
  int                 longest;

  if (mask == NULL || !fb_mask_bounds (mask, &bounds))
    return fb_inpaint_no_memory (error, r->image);                         /* an empty mask has been refused */

  longest  = MAX (view.width, view.height);
  diagonal = fb_mask_diagonal (mask, &view, &bounds, native, &longest);
  fb_ramps_init (&ramps, diagonal, fb_inpaint_unit (longest, 2 * native, native), r->generate->strength, &wishes);
  fb_ramps_limit (&ramps, room_around (&view, &bounds));
  fb_mask_grow (mask, &ramps, &run->denoise, &run->composite);
  if (run->denoise == NULL || run->composite == NULL)
    return fb_inpaint_no_memory (error, r->image);
  run->pieces = fb_pieces_new (run->denoise, &view, native, r->resolution, mirrors_margins (r, native));
  run->pieces->draws_all = run->pieces->n == 1 && r->image->width < view.width && r->generate->strength > 0.0;
  plan_second_pass (run, native);

  return TRUE;
}

void
fb_inpaint_use_size (FbInpaint *r, const FbPiece *piece)
{
  r->generate->width  = piece->width;
  r->generate->height = piece->height;
}

/* --- the second pass's request --------------------------------------------------------------------------------------- */

FbInpaint
fb_inpaint_second_request (const FbInpaint *r, const FbPiece *tile, FbGenerate *generate)
{
  FbInpaint second = *r;

  *generate          = *r->generate;
  generate->strength = MIN (r->generate->strength, SECOND_STRENGTH);
  generate->n_steps  = MAX (1, (int) ceil (r->generate->n_steps * generate->strength));
  second.generate    = generate;
  second.fill        = FB_FILL_ORIGINAL;
  fb_inpaint_use_size (&second, tile);

  return second;
}

/* --- estimate ------------------------------------------------------------------------------------------------------------ */

double
fb_inpaint_tiles_seconds (const FbInpaint *r, FbModel *model, const FbTiles *tiles, int first)
{
  double seconds = 0.0;

  for (int i = first; i < tiles->n_x * tiles->n_y; i++)
    {
      FbGenerate generate;
      FbInpaint  second = fb_inpaint_second_request (r, &tiles->pieces[i], &generate);

      seconds += fb_diffusion_picture_seconds (&generate, model, fb_inpaint_n_encodes (&second, fb_model_info (model)));
    }

  return seconds;
}

double
fb_inpaint_pieces_seconds (FbInpaint *r, FbModel *model, const FbPieces *pieces, const FbTiles *tiles, int first)
{
  const int width   = r->generate->width, height = r->generate->height;
  double    seconds = 0.0;

  for (int i = first; i < pieces->n; i++)
    {
      fb_inpaint_use_size (r, &pieces->pieces[i]);
      seconds += fb_diffusion_picture_seconds (r->generate, model, fb_inpaint_n_encodes (r, fb_model_info (model)));
      if (tiles != NULL)
        seconds += fb_inpaint_tiles_seconds (r, model, &tiles[i], 0);
    }
  r->generate->width  = width;
  r->generate->height = height;

  return seconds;
}

void
fb_inpaint_estimate_planned (FbInpaint *r, FbModel *model, const FbPieces *pieces, const FbTiles *tiles, FbEstimate *estimate)
{
  const FbPiece *largest = &pieces->pieces[0];

  for (int i = 1; i < pieces->n; i++)
    if (pieces->pieces[i].width * pieces->pieces[i].height > largest->width * largest->height)
      largest = &pieces->pieces[i];
  fb_inpaint_use_size (r, largest);
  fb_diffusion_memory (r->generate, model, TRUE, estimate);
  if (r->image != NULL)                                         /* masks, result, what is cut and scaled: measured, 60 bytes a pixel; a tile's part */
    {
      const guint64 pictures = 44 * (guint64) r->mask->width * r->mask->height + 28 * (guint64) r->image->width * r->image->height;

      estimate->peak_bytes  += pictures;
      estimate->least_bytes += pictures;
    }
  estimate->seconds = fb_pace_known () ? fb_diffusion_load_seconds (r->generate, model, TRUE) +
                                         r->generate->count * fb_inpaint_pieces_seconds (r, model, pieces, tiles, 0) +
                                         fb_diffusion_turns_seconds (r->generate, model, TRUE, estimate) : -1.0;
}

gboolean
fb_inpaint_estimate (const FbInpaint *request, FbModel *model, FbEstimate *estimate, GError **error)
{
  g_auto(FbInpaintRun) run    = { .request = fb_inpaint_copy (request) };
  int         native = fb_inpaint_native (model);
  FbPiece     whole  = { .crop = { 0, 0, native, native } };
  FbPieces    one    = { .pieces = &whole, .n = 1 };

  if (!fb_inpaint_resolve (run.request, model, error))
    return FALSE;
  if (run.request->image == NULL)
    fb_piece_fit (&whole, native, run.request->resolution);
  else if (!fb_inpaint_run_plan (&run, native, error))
    return FALSE;
  fb_inpaint_estimate_planned (run.request, model, run.pieces != NULL ? run.pieces : &one, run.tiles, estimate);

  return TRUE;
}
