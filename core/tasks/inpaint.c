/* core/tasks/inpaint.c: what lies under a mask, drawn anew: masks → pieces → fill → network → colours → composite.
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <glib/gi18n-lib.h>
#include <math.h>
#include <string.h>

#include "core/tasks/pace.h"

#define MAX_PREVIEW     768       /* pixels of a preview's longer side */
#define SECOND_STRENGTH 0.4       /* of a second pass: as the survey of peers has it */

/**
 * Run: a running job
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
} Run;

static void
run_clear (Run *run)
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
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Run, run_clear)

static gboolean
no_memory (GError **error, const FbImage *image)
{
  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_MEMORY, _("No memory for a picture of %d×%d."), image->width, image->height);
  return FALSE;
}

/* --- masks and pieces ---------------------------------------------------------------------------------------------------- */

static void
plan_second_pass (Run *run, int native)
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

/* @run's request is resolved, with pictures. */
static gboolean
run_prepare (Run *run, int native, GError **error)
{
  const FbInpaint    *r      = run->request;
  const FbRampWishes  wishes = { r->feather, r->grow, r->blend };
  const FbView        view   = fb_inpaint_view (r);
  g_autoptr(FbImage)  mask   = fb_inpaint_mask (r);
  FbRamps             ramps;
  FbRect              bounds;
  double              diagonal;
  int                 longest;

  if (mask == NULL || !fb_mask_bounds (mask, &bounds))
    return no_memory (error, r->image);                         /* an empty mask has been refused */

  longest  = MAX (view.width, view.height);
  diagonal = fb_mask_diagonal (mask, &view, &bounds, native, &longest);
  fb_ramps_init (&ramps, diagonal, fb_inpaint_unit (longest, 2 * native, native), r->generate->strength, &wishes);
  fb_ramps_limit (&ramps, room_around (&view, &bounds));
  fb_mask_grow (mask, &ramps, &run->denoise, &run->composite);
  if (run->denoise == NULL || run->composite == NULL)
    return no_memory (error, r->image);
  run->pieces = fb_pieces_new (run->denoise, &view, native, r->resolution);
  run->pieces->draws_all = run->pieces->n == 1 && r->image->width < view.width && r->generate->strength > 0.0;
  plan_second_pass (run, native);

  return TRUE;
}

static void
use_piece_size (FbInpaint *r, const FbPiece *piece)
{
  r->generate->width  = piece->width;
  r->generate->height = piece->height;
}

/* --- the second pass's request --------------------------------------------------------------------------------------- */

/* @r for @tile, over @generate, which is filled; neither is to be freed */
static FbInpaint
second_request (const FbInpaint *r, const FbPiece *tile, FbGenerate *generate)
{
  FbInpaint second = *r;

  *generate          = *r->generate;
  generate->strength = MIN (r->generate->strength, SECOND_STRENGTH);
  generate->n_steps  = MAX (1, (int) ceil (r->generate->n_steps * generate->strength));
  second.generate    = generate;
  second.fill        = FB_FILL_ORIGINAL;
  use_piece_size (&second, tile);

  return second;
}

/* --- estimate ------------------------------------------------------------------------------------------------------------ */

/* tiles from @first on */
static double
tiles_seconds (const FbInpaint *r, FbModel *model, const FbTiles *tiles, int first)
{
  double seconds = 0.0;

  for (int i = first; i < tiles->n_x * tiles->n_y; i++)
    {
      FbGenerate generate;
      FbInpaint  second = second_request (r, &tiles->pieces[i], &generate);

      seconds += fb_diffusion_picture_seconds (&generate, model, fb_inpaint_n_encodes (&second, fb_model_info (model)));
    }

  return seconds;
}

/* pieces from @first on; @tiles: (nullable): theirs */
static double
pieces_seconds (FbInpaint *r, FbModel *model, const FbPieces *pieces, const FbTiles *tiles, int first)
{
  const int width   = r->generate->width, height = r->generate->height;
  double    seconds = 0.0;

  for (int i = first; i < pieces->n; i++)
    {
      use_piece_size (r, &pieces->pieces[i]);
      seconds += fb_diffusion_picture_seconds (r->generate, model, fb_inpaint_n_encodes (r, fb_model_info (model)));
      if (tiles != NULL)
        seconds += tiles_seconds (r, model, &tiles[i], 0);
    }
  r->generate->width  = width;
  r->generate->height = height;

  return seconds;
}

/* Leaves the request at the size of the largest piece. */
static void
estimate_resolved (FbInpaint *r, FbModel *model, const FbPieces *pieces, const FbTiles *tiles, FbEstimate *estimate)
{
  const FbPiece *largest = &pieces->pieces[0];

  for (int i = 1; i < pieces->n; i++)
    if (pieces->pieces[i].width * pieces->pieces[i].height > largest->width * largest->height)
      largest = &pieces->pieces[i];
  use_piece_size (r, largest);
  fb_diffusion_memory (r->generate, model, TRUE, estimate);
  if (r->image != NULL)                                         /* masks, result, what is cut and scaled: measured, 60 bytes a pixel; a tile's part */
    estimate->peak_bytes += 44 * (guint64) r->mask->width * r->mask->height + 28 * (guint64) r->image->width * r->image->height;
  estimate->seconds = fb_pace_known () ? fb_diffusion_load_seconds (r->generate, model, TRUE) +
                                         r->generate->count * pieces_seconds (r, model, pieces, tiles, 0) : -1.0;
}

gboolean
fb_inpaint_estimate (const FbInpaint *request, FbModel *model, FbEstimate *estimate, GError **error)
{
  g_auto(Run) run    = { .request = fb_inpaint_copy (request) };
  int         native = fb_inpaint_native (model);
  FbPiece     whole  = { .crop = { 0, 0, native, native } };
  FbPieces    one    = { .pieces = &whole, .n = 1 };

  if (!fb_inpaint_resolve (run.request, model, error))
    return FALSE;
  if (run.request->image == NULL)
    fb_piece_fit (&whole, native, run.request->resolution);
  else if (!run_prepare (&run, native, error))
    return FALSE;
  estimate_resolved (run.request, model, run.pieces != NULL ? run.pieces : &one, run.tiles, estimate);

  return TRUE;
}

/* --- putting back -------------------------------------------------------------------------------------------------------- */

/* (transfer full) (nullable): what @r is of @image's context at @width × @height */
static FbImage *
own_colours (FbImage *image, int width, int height, FbRect r)
{
  return image->width == width && image->height == height ? fb_image_cut (image, r.x, r.y, r.width, r.height)
                                                          : fb_image_resize_part (image, width, height, r.x, r.y, r.width, r.height);
}

/* the result as it is before anything has been drawn: the context's own colours, the composite mask as alpha */
static FbImage *
undrawn (const FbImage *image, const FbImage *composite)
{
  FbImage     *out = fb_image_new (image->width, image->height, 4);
  const size_t n   = (size_t) image->width * image->height;

  if (out == NULL)
    return NULL;
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < n; i++)
    {
      memcpy (out->pixels + 4 * i, image->pixels + image->n_channels * i, 3 * sizeof (float));
      out->pixels[4 * i + 3] = composite->pixels[i];
    }
  return out;
}

/* nothing but the composite mask as alpha */
static FbImage *
bare_result (const FbImage *composite)
{
  FbImage     *out = fb_image_new (composite->width, composite->height, 4);
  const size_t n   = (size_t) composite->width * composite->height;

#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < (out != NULL ? n : 0); i++)
    {
      memset (out->pixels + 4 * i, 0, 3 * sizeof (float));
      out->pixels[4 * i + 3] = composite->pixels[i];
    }
  return out;
}

static FbImage *
undrawn_result (const Run *run)
{
  const FbView       *view = &run->pieces->view;
  g_autoptr(FbImage)  own  = NULL;

  if (run->pieces->draws_all)
    return bare_result (run->composite);
  own = own_colours (run->request->image, view->width, view->height, view->shown);

  return own != NULL ? undrawn (own, run->composite) : NULL;
}

/* (transfer full) (nullable): what is shown as a preview before anything has been drawn, as large as the first piece would need it */
static FbImage *
undrawn_preview (const Run *run)
{
  const FbPiece     *piece  = &run->pieces->pieces[0];
  const FbView      *view   = &run->pieces->view;
  const FbRect      *s      = &view->shown;
  double             scale  = MIN (1.0, (double) piece->inner.width / piece->crop.width);
  FbRect             r;
  g_autoptr(FbImage) small  = NULL;
  g_autoptr(FbImage) mask   = NULL;
  int                width, height;

  scale  = MIN (scale, (double) MAX_PREVIEW / MAX (s->width, s->height));
  width  = MAX (1, (int) rint (view->width * scale));
  height = MAX (1, (int) rint (view->height * scale));
  r      = (FbRect) { MIN ((int) rint (s->x * scale), width - 1), MIN ((int) rint (s->y * scale), height - 1) };
  r.width  = CLAMP ((int) rint (s->width * scale), 1, width - r.x);
  r.height = CLAMP ((int) rint (s->height * scale), 1, height - r.y);
  small  = own_colours (run->small != NULL && run->small->width == width && run->small->height == height ? run->small : run->request->image,
                        width, height, r);
  mask   = small != NULL ? fb_image_resize (run->composite, small->width, small->height) : NULL;
  if (mask == NULL)
    return NULL;
  for (int i = 0; i < mask->width * mask->height; i++)
    mask->pixels[i] = CLAMP (mask->pixels[i], 0.0f, 1.0f);

  return undrawn (small, mask);
}

/* takes @picture, a step's preview; gives what is to be shown */
static FbImage *
dress_preview (FbImage *picture, gpointer user_data)
{
  Run               *run   = user_data;
  g_autoptr(FbImage) owned = picture;
  FbImage           *shown;

  if (run->preview == NULL)
    run->preview = undrawn_preview (run);
  if (run->preview == NULL || !fb_pieces_put (run->pieces, run->piece, run->tile != NULL ? run->tile : &run->pieces->pieces[run->piece], owned, NULL, run->preview))
    return NULL;

  shown = fb_image_new (run->preview->width, run->preview->height, 4);
  if (shown != NULL)
    memcpy (shown->pixels, run->preview->pixels, fb_image_n_bytes (run->preview));
  return shown;
}

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
take_image (const Run *run, const FbPiece *piece)
{
  FbImage       *image  = run->request->image;
  const FbPiece  scaled = fb_piece_scaled (piece, &run->pieces->view, image->width, image->height);

  return fb_piece_take (&scaled, image);
}

/* (transfer full): the denoise mask as the network sees it */
static FbImage *
take_mask (const Run *run, const FbPiece *piece)
{
  FbImage *mask = fb_piece_take_mask (piece, run->denoise, run->pieces->view.shown);

  for (int i = 0; mask != NULL && i < mask->width * mask->height; i++)
    mask->pixels[i] = mask->pixels[i] > 0.99f ? 1.0f : CLAMP (mask->pixels[i], 0.0f, 1.0f);     /* scaling overshoots, and stays below 1 */
  return mask;
}

/* how much each pixel counts for the colours: known, not mirrored, and, where a mask is given, not drawn anew */
static void
weigh (const FbPiece *piece, const FbImage *mask, float *known)
{
  const FbRect *r = &piece->inner;

  for (int y = 0; y < piece->height; y++)
    for (int x = 0; x < piece->width; x++)
      {
        size_t i = (size_t) y * piece->width + x;

        known[i] *= x < r->x || x >= r->x + r->width || y < r->y || y >= r->y + r->height ? 0.0f : mask != NULL ? 1.0f - mask->pixels[i] : 1.0f;
      }
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
draw_piece (Run *run, const FbPiece *piece, FbTorchRandom *random, GError **error)
{
  const FbInpaint   *r       = run->request;
  const gboolean     goes_on = r->use == FB_INPAINT_REMOVE || r->use == FB_INPAINT_EXPAND;
  g_autoptr(FbImage) given  = take_image (run, piece);
  g_autoptr(FbImage) mask   = take_mask (run, piece);
  g_autofree float  *known  = g_new (float, (size_t) piece->width * piece->height);
  g_autoptr(FbImage) image  = given != NULL ? known_colours (given, known) : NULL;
  g_autoptr(FbImage) filled = image != NULL ? copy_rgb (image) : NULL;
  g_autoptr(FbImage) drawn  = NULL;
  g_autoptr(FbHole)  hole   = NULL;

  if (mask == NULL || filled == NULL)
    return no_memory (error, r->image);

  if (run->pieces->n == 1 && run->small == NULL)
    run->small = fb_image_cut (given, piece->inner.x, piece->inner.y, piece->inner.width, piece->inner.height);
  hole = fb_hole_new (mask->pixels, piece->width, piece->height);
  fb_hole_fill (hole, r->fill, fb_inpaint_whole (r->use, r->generate->strength), r->use == FB_INPAINT_BACKGROUND, filled);
  drawn = fb_inpaint_draw (&run->job, r, image, filled, mask->pixels, random, error);
  if (drawn == NULL)
    return FALSE;
  if (r->match_colours)
    {
      weigh (piece, mask, known);
      fb_match_colours (drawn, image, known, goes_on ? NULL : hole);
      fb_match_seam (drawn, image, known, goes_on ? NULL : hole);
    }
  if (run->preview != NULL)
    fb_pieces_put (run->pieces, run->piece, piece, drawn, NULL, run->preview);      /* later pieces' previews show this one finished */

  return fb_pieces_put (run->pieces, run->piece, piece, drawn, NULL, run->result) || no_memory (error, r->image);
}

/* --- the second pass ----------------------------------------------------------------------------------------------------- */

/* RGB of @width × @height pixels of @from, RGB or RGBA, from (@x, @y) on, to @to's from (@to_x, @to_y) on */
static void
copy_colours (const FbImage *from, int x, int y, int width, int height, FbImage *to, int to_x, int to_y)
{
  for (int row = 0; row < height; row++)
    for (int i = 0; i < width; i++)
      memcpy (to->pixels + ((size_t) (to_y + row) * to->width + to_x + i) * 3,
              from->pixels + ((size_t) (y + row) * from->width + x + i) * from->n_channels, 3 * sizeof (float));
}

/* (transfer full): the network's picture of @tile of what has been drawn so far */
static FbImage *
take_drawn (const Run *run, const FbPiece *tile)
{
  const FbView       *view  = &run->pieces->view;
  const FbRect       *c     = &tile->crop, *s = &view->shown;
  FbPiece             whole = *tile;
  g_autoptr(FbImage)  own   = own_colours (run->request->image, view->width, view->height, *c);
  g_autoptr(FbImage)  part  = fb_image_new (c->width, c->height, 3);
  FbRect              r;

  if (own == NULL || part == NULL)
    return NULL;
  copy_colours (own, 0, 0, c->width, c->height, part, 0, 0);
  if (fb_rect_intersect (*c, *s, &r))
    copy_colours (run->result, r.x - s->x, r.y - s->y, r.width, r.height, part, r.x - c->x, r.y - c->y);
  whole.crop.x = whole.crop.y = 0;

  return fb_piece_take (&whole, part);
}

static float *
ones (size_t n)
{
  float *values = g_new (float, n);

  for (size_t i = 0; i < n; i++)
    values[i] = 1.0f;
  return values;
}

/* Draws over @tile what the first pass has left there: its colours stay those of the first pass, and the edge is the mask's. */
static gboolean
draw_tile (Run *run, const FbInpaint *second, const FbPiece *tile, FbImage *given, const FbPart *part, FbTorchRandom *random, GError **error)
{
  const size_t       n     = (size_t) tile->width * tile->height;
  g_autoptr(FbImage) mask  = take_mask (run, tile);
  g_autofree float  *all   = ones (n);
  g_autofree float  *known = ones (n);
  g_autoptr(FbImage) drawn = NULL;

  if (given == NULL || mask == NULL)
    return no_memory (error, run->request->image);
  drawn = fb_inpaint_draw (&run->job, second, given, given, mask->pixels, random, error);
  if (drawn == NULL)
    return FALSE;
  if (second->match_colours)
    {
      weigh (tile, NULL, all);
      weigh (tile, mask, known);
      fb_match_colours (drawn, given, all, NULL);
      fb_match_seam (drawn, given, known, NULL);
    }
  if (run->preview != NULL)
    fb_pieces_put (run->pieces, run->piece, tile, drawn, NULL, run->preview);

  return fb_pieces_put (run->pieces, run->piece, tile, drawn, part, run->result) || no_memory (error, run->request->image);
}

static gboolean
draw_tiles (Run *run, FbTiles *tiles, FbTorchRandom *random, double after, GError **error)
{
  const FbGenerate *first = run->job.request;
  const int         n     = tiles->n_x * tiles->n_y;
  FbImage          *given[FB_MAX_TILES];
  gboolean          done  = TRUE;

  for (int i = 0; i < n; i++)                                   /* of the first pass, all of them: a tile's sides are not to be seen by the next */
    given[i] = take_drawn (run, &tiles->pieces[i]);
  for (int i = 0; i < n && done; i++)
    {
      FbGenerate generate;
      FbInpaint  second;

      run->tile        = &tiles->pieces[i];
      second           = second_request (run->request, run->tile, &generate);
      run->job.request = &generate;
      fb_diffusion_set_size (&run->job);
      run->job.seconds_after = after + tiles_seconds (run->request, run->job.model, tiles, i + 1);
      done = draw_tile (run, &second, run->tile, given[i], &tiles->parts[i], random, error);
    }
  for (int i = 0; i < n; i++)
    g_clear_pointer (&given[i], fb_image_unref);
  run->tile        = NULL;
  run->job.request = first;

  return done;
}

/* --- all pieces ---------------------------------------------------------------------------------------------------------- */

static gboolean
draw_pieces (Run *run, gint64 seed, double after, GError **error)
{
  FbInpaint    *r = run->request;
  FbTorchRandom random;

  fb_torch_random_init (&random, seed);
  for (run->piece = 0; run->piece < run->pieces->n; run->piece++)
    {
      FbTiles *tiles = &run->tiles[run->piece];
      double   later = after + pieces_seconds (r, run->job.model, run->pieces, run->tiles, run->piece + 1);

      use_piece_size (r, &run->pieces->pieces[run->piece]);
      fb_diffusion_set_size (&run->job);
      run->job.seconds_after = later + tiles_seconds (r, run->job.model, tiles, 0);
      if (!draw_piece (run, &run->pieces->pieces[run->piece], &random, error) || !draw_tiles (run, tiles, &random, later, error))
        return FALSE;
    }

  return TRUE;
}

/* --- the job ------------------------------------------------------------------------------------------------------------- */

static gboolean
run_start (Run *run, FbModel *model, GError **error)
{
  FbInpaint *r = run->request;
  FbEstimate estimate;

  estimate_resolved (r, model, run->pieces, run->tiles, &estimate);
  if (!fb_diffusion_check_memory (&estimate, r->generate->width, r->generate->height, error))
    return FALSE;
  fb_diffusion_set_size (&run->job);
  run->job.seconds_after = r->generate->count * pieces_seconds (r, model, run->pieces, run->tiles, 0);

  return fb_diffusion_load (&run->job, TRUE, error) && fb_diffusion_encode_prompts (&run->job, error);
}

gboolean
fb_inpaint_run (const FbInpaint *request, FbModel *model, FbProgressFunc progress, FbPictureFunc picture, gpointer user_data,
                GCancellable *cancellable, GError **error)
{
  g_auto(Run)  run = { .request = fb_inpaint_copy (request) };
  FbGenerate  *g   = run.request->generate;
  gboolean     keeps;

  run.job = (FbDiffusion) { .request = g, .model = model, .info = fb_model_info (model), .progress = progress, .user_data = user_data,
                            .dress = dress_preview, .dress_data = &run, .cancellable = cancellable };
  fb_model_share_threads (model);
  if (!fb_inpaint_resolve (run.request, model, error))
    return FALSE;
  if (run.request->image == NULL)
    {
      g_set_error_literal (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("The job has no picture “image” to inpaint."));
      return FALSE;
    }
  keeps = g->strength == 0.0;
  if (!run_prepare (&run, fb_inpaint_native (model), error) || (!keeps && !run_start (&run, model, error)))
    return FALSE;

  for (run.job.picture = 0; run.job.picture < g->count; run.job.picture++)
    {
      gint64 seed  = (gint64) ((guint64) g->seed + run.job.picture);
      double after = (g->count - 1 - run.job.picture) * pieces_seconds (run.request, model, run.pieces, run.tiles, 0);

      g_clear_pointer (&run.result, fb_image_unref);
      run.result = undrawn_result (&run);
      if (run.result == NULL)
        return no_memory (error, run.request->image);
      if (!keeps && !draw_pieces (&run, seed, after, error))
        return FALSE;
      picture (run.result, seed, user_data);
    }

  return TRUE;
}
