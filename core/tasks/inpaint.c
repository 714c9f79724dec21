/* core/tasks/inpaint.c: what lies under a mask, drawn anew: masks → pieces → fill → network → colours → composite.
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <glib/gi18n-lib.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/tasks/pace.h"

#define MAX_PREVIEW 768      /* pixels of a preview's longer side */

/**
 * Run: a running job
 * @request: resolved; its generate has the size of the piece in work
 * @denoise, @composite: [h, w] of the whole context
 * @bounds: of what is not 0 in them, or a little more
 * @result: [h, w] RGBA, what is to be handed over
 * @small: (nullable): the context as the network has it, where that is all of it in one piece
 * @preview: (nullable): the result, smaller, with pieces as far as they are
 * @piece: index of the one in work
 */
typedef struct
{
  FbInpaint  *request;
  FbDiffusion job;
  FbImage    *denoise, *composite;
  FbRect      bounds;
  FbPieces   *pieces;
  FbImage    *result, *small, *preview;
  int         piece;
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
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Run, run_clear)

static gboolean
no_memory (GError **error, const FbImage *image)
{
  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_MEMORY, _("No memory for a picture of %d×%d."), image->width, image->height);
  return FALSE;
}

/* --- masks and pieces ---------------------------------------------------------------------------------------------------- */

/* @run's request is resolved, with pictures. */
static gboolean
run_prepare (Run *run, int native, GError **error)
{
  const FbInpaint    *r      = run->request;
  const FbRampWishes  wishes = { r->feather, r->grow, r->blend };
  g_autoptr(FbImage)  mask   = fb_inpaint_mask (r);
  FbRamps             ramps;
  FbRect              bounds;
  double              diagonal;
  int                 longest;

  if (mask == NULL || !fb_mask_bounds (mask, &bounds))
    return no_memory (error, r->image);                         /* an empty mask has been refused */

  longest  = MAX (mask->width, mask->height);
  diagonal = fb_mask_diagonal (mask, &bounds, native, &longest);
  fb_ramps_init (&ramps, diagonal, fb_inpaint_unit (longest, 2 * native, native), r->generate->strength, &wishes);
  fb_mask_grow (mask, &ramps, &run->denoise, &run->composite);
  if (run->denoise == NULL || run->composite == NULL)
    return no_memory (error, r->image);
  run->bounds = fb_rect_grown (bounds, ramps.outer, mask->width, mask->height);
  run->pieces = fb_pieces_new (run->denoise, native, r->resolution);

  return TRUE;
}

static void
use_piece_size (FbInpaint *r, const FbPiece *piece)
{
  r->generate->width  = piece->width;
  r->generate->height = piece->height;
}

/* --- estimate ------------------------------------------------------------------------------------------------------------ */

/* pieces from @first on */
static double
pieces_seconds (FbInpaint *r, FbModel *model, const FbPieces *pieces, int first)
{
  const int width   = r->generate->width, height = r->generate->height;
  double    seconds = 0.0;

  for (int i = first; i < pieces->n; i++)
    {
      use_piece_size (r, &pieces->pieces[i]);
      seconds += fb_diffusion_picture_seconds (r->generate, model, fb_inpaint_n_encodes (r, fb_model_info (model)));
    }
  r->generate->width  = width;
  r->generate->height = height;

  return seconds;
}

/* Leaves the request at the size of the largest piece. */
static void
estimate_resolved (FbInpaint *r, FbModel *model, const FbPieces *pieces, FbEstimate *estimate)
{
  const FbPiece *largest = &pieces->pieces[0];

  for (int i = 1; i < pieces->n; i++)
    if (pieces->pieces[i].width * pieces->pieces[i].height > largest->width * largest->height)
      largest = &pieces->pieces[i];
  use_piece_size (r, largest);
  fb_diffusion_memory (r->generate, model, TRUE, estimate);
  if (r->image != NULL)                                         /* masks, result, what is cut and scaled: measured, 60 bytes a pixel */
    estimate->peak_bytes += 60 * (guint64) r->image->width * r->image->height;
  estimate->seconds = fb_pace_known () ? fb_diffusion_load_seconds (r->generate, model, TRUE) +
                                         r->generate->count * pieces_seconds (r, model, pieces, 0) : -1.0;
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
  estimate_resolved (run.request, model, run.pieces != NULL ? run.pieces : &one, estimate);

  return TRUE;
}

/* --- putting back -------------------------------------------------------------------------------------------------------- */

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

/* Where the pixels of a picture of the context's shape lie among the pieces' cells
 * @columns: [width]
 * @rows: [height]: index of the first cell
 */
typedef struct
{
  int *columns, *rows;
} Cells;

static void
cells_init (Cells *cells, const Run *run, const FbImage *onto)
{
  const double fx = (double) onto->width / run->denoise->width, fy = (double) onto->height / run->denoise->height;

  cells->columns = g_new (int, onto->width);
  cells->rows    = g_new (int, onto->height);
  for (int x = 0; x < onto->width; x++)
    cells->columns[x] = (int) (x / fx) / FB_PIECE_CELL;
  for (int y = 0; y < onto->height; y++)
    cells->rows[y] = (int) (y / fy) / FB_PIECE_CELL * run->pieces->cells_x;
}

static void
cells_clear (Cells *cells)
{
  g_free (cells->columns);
  g_free (cells->rows);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Cells, cells_clear)

/* whether the piece in work draws the pixel (x, y) of @onto */
static inline gboolean
draws (const Run *run, const FbImage *onto, const Cells *cells, int x, int y)
{
  return onto->pixels[((size_t) y * onto->width + x) * 4 + 3] > 0.0f &&
         run->pieces->owners[cells->rows[y] + cells->columns[x]] == run->piece;
}

/* Bounds of what there is to draw of @area of @onto; FALSE for nothing */
static gboolean
drawn_bounds (const Run *run, const FbImage *onto, const Cells *cells, FbRect area, FbRect *bounds)
{
  int left = area.x + area.width, right = -1, top = area.y + area.height, bottom = -1;

#pragma omp parallel for schedule(static) reduction(min : left, top) reduction(max : right, bottom)
  for (int y = area.y; y < area.y + area.height; y++)
    {
      int first = area.x, last = area.x + area.width - 1;

      while (first <= last && !draws (run, onto, cells, first, y))
        first++;
      if (first > last)
        continue;
      while (!draws (run, onto, cells, last, y))
        last--;
      left   = MIN (left, first);
      right  = MAX (right, last);
      top    = MIN (top, y);
      bottom = MAX (bottom, y);
    }
  *bounds = (FbRect) { left, top, right + 1 - left, bottom + 1 - top };

  return right >= 0;
}

/* where @r lies in a picture of the context's shape, @width wide and @height high */
static FbRect
scaled (FbRect r, double fx, double fy, int width, int height)
{
  int x = (int) rint (r.x * fx), y = (int) rint (r.y * fy);

  return (FbRect) { x, y, MIN ((int) rint ((r.x + r.width) * fx), width) - x, MIN ((int) rint ((r.y + r.height) * fy), height) - y };
}

/* Draws @picture, of the network's shape, into @run's result or preview, @onto: only where its piece owns what the mask lets through.
 * FALSE when memory runs out. */
static gboolean
put (const Run *run, const FbPiece *piece, FbImage *picture, FbImage *onto)
{
  double             fx    = (double) onto->width / run->denoise->width, fy = (double) onto->height / run->denoise->height;
  FbRect             area  = scaled (piece->crop, fx, fy, onto->width, onto->height);
  FbRect             most  = scaled (fb_rect_grown (run->bounds, (int) ceil (3.0 / MIN (fx, fy)), run->denoise->width, run->denoise->height),
                                     fx, fy, onto->width, onto->height);      /* scaling a mask widens it by 3 pixels */
  g_auto(Cells)      cells = { NULL };
  FbRect             r, part;
  g_autoptr(FbImage) given = NULL;

  cells_init (&cells, run, onto);
  if (!fb_rect_intersect (area, most, &most) || !drawn_bounds (run, onto, &cells, most, &r))
    return TRUE;
  part  = (FbRect) { r.x - area.x, r.y - area.y, r.width, r.height };
  given = fb_piece_give (piece, picture, area.width, area.height, part);
  if (given == NULL)
    return FALSE;

#pragma omp parallel for schedule(static)
  for (int y = 0; y < r.height; y++)
    for (int x = 0; x < r.width; x++)
      {
        float       *to   = onto->pixels + ((size_t) (r.y + y) * onto->width + r.x + x) * 4;
        const float *from = given->pixels + ((size_t) y * r.width + x) * 3;

        if (draws (run, onto, &cells, r.x + x, r.y + y))
          for (int c = 0; c < 3; c++)
            to[c] = CLAMP (from[c], 0.0f, 1.0f);                /* scaling overshoots at edges */
      }

  return TRUE;
}

/* (transfer full) (nullable): @run's context as a preview before anything has been drawn, as large as its first piece would need it */
static FbImage *
undrawn_preview (const Run *run)
{
  const FbPiece     *piece  = &run->pieces->pieces[0];
  double             scale  = MIN (1.0, (double) piece->inner.width / piece->crop.width);
  int                longer = MAX (run->denoise->width, run->denoise->height);
  g_autoptr(FbImage) small  = NULL;
  g_autoptr(FbImage) mask   = NULL;
  int                width, height;

  scale = MIN (scale, (double) MAX_PREVIEW / longer);
  width  = MAX (1, (int) rint (run->denoise->width * scale));
  height = MAX (1, (int) rint (run->denoise->height * scale));
  small  = run->small != NULL && run->small->width == width && run->small->height == height
           ? fb_image_ref (run->small) : fb_image_resize (run->request->image, width, height);
  mask  = small != NULL ? fb_image_resize (run->composite, small->width, small->height) : NULL;
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
  if (run->preview == NULL || !put (run, &run->pieces->pieces[run->piece], owned, run->preview))
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

/* (transfer full): the denoise mask as the network sees it */
static FbImage *
take_mask (const Run *run, const FbPiece *piece)
{
  FbImage *mask = fb_piece_take (piece, run->denoise);

  for (int i = 0; mask != NULL && i < mask->width * mask->height; i++)
    mask->pixels[i] = mask->pixels[i] > 0.99f ? 1.0f : CLAMP (mask->pixels[i], 0.0f, 1.0f);     /* scaling overshoots, and stays below 1 */
  return mask;
}

/* how much each pixel counts for the colours: known, not drawn anew, and not mirrored */
static void
weigh (const FbPiece *piece, const FbImage *mask, float *known)
{
  const FbRect *r = &piece->inner;

  for (int y = 0; y < piece->height; y++)
    for (int x = 0; x < piece->width; x++)
      {
        size_t i = (size_t) y * piece->width + x;

        known[i] *= x < r->x || x >= r->x + r->width || y < r->y || y >= r->y + r->height ? 0.0f : 1.0f - mask->pixels[i];
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
  g_autoptr(FbImage) given  = fb_piece_take (piece, r->image);
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
    put (run, piece, drawn, run->preview);                      /* later pieces' previews show this one finished */

  return put (run, piece, drawn, run->result) || no_memory (error, r->image);
}

static gboolean
draw_pieces (Run *run, gint64 seed, double after, GError **error)
{
  FbInpaint    *r = run->request;
  FbTorchRandom random;

  fb_torch_random_init (&random, seed);
  for (run->piece = 0; run->piece < run->pieces->n; run->piece++)
    {
      use_piece_size (r, &run->pieces->pieces[run->piece]);
      fb_diffusion_set_size (&run->job);
      run->job.seconds_after = after + pieces_seconds (r, run->job.model, run->pieces, run->piece + 1);
      if (!draw_piece (run, &run->pieces->pieces[run->piece], &random, error))
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

  estimate_resolved (r, model, run->pieces, &estimate);
  if (!fb_diffusion_check_memory (&estimate, r->generate->width, r->generate->height, error))
    return FALSE;
  fb_diffusion_set_size (&run->job);
  run->job.seconds_after = r->generate->count * pieces_seconds (r, model, run->pieces, 0);

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
  omp_set_num_threads (fb_model_n_threads (model));             /* this thread's: another number than the network's would make threads anew each time */
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
      double after = (g->count - 1 - run.job.picture) * pieces_seconds (run.request, model, run.pieces, 0);

      g_clear_pointer (&run.result, fb_image_unref);
      run.result = undrawn (run.request->image, run.composite);
      if (run.result == NULL)
        return no_memory (error, run.request->image);
      if (!keeps && !draw_pieces (&run, seed, after, error))
        return FALSE;
      picture (run.result, seed, user_data);
    }

  return TRUE;
}
