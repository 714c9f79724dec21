/* tests/bench/bench-inpaint.c: inpainting in a large picture: first preview, overhead, memory. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Full-size SD 1.5 with random weights and the starter model, a mask in a picture of 24 megapixels, of which only the context is read, as a
 * client does. Figures are ratios measured in this run, or differences; each goes out as a line "BENCH name value unit". */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "core/image/wide.h"
#include "core/store/store.h"
#include "core/tasks/inpaint-private.h"
#include "tests/bench/checkpoint.h"
#include "tests/bench/figures.h"

#define N_TIMES 3
#define N_STEPS 4
#define DRAFT_STEPS 2        /* as plugins/inpaint/dialog-draft.c has it */

static char     *model_path;
static int       n_threads;
static int       megapixels;
static gboolean  stages, starter_only, drafts;

static const GOptionEntry options[] =
{
  { "model",   0, 0, G_OPTION_ARG_FILENAME, &model_path, "Checkpoint to measure, instead of the random one", "FOLDER" },
  { "threads", 0, 0, G_OPTION_ARG_INT,      &n_threads,  "Threads; 0 for all cores", "N" },
  { "starter", 0, 0, G_OPTION_ARG_NONE,     &starter_only, "Measure the starter alone", NULL },
  { "drafts",  0, 0, G_OPTION_ARG_NONE,     &drafts,     "Measure the first preview of a draft alone, with the checkpoint", NULL },
  { "memory",  0, 0, G_OPTION_ARG_INT,      &megapixels, "Print the peak memory beyond the picture, in MB, with a picture of that size", "MEGAPIXELS" },
  { "stages",  0, 0, G_OPTION_ARG_NONE,     &stages,     "Print what each stage around the network takes, in ms, with the starter's size and with 512", NULL },
  { NULL }
};

static FbModel *
open_model (const char *path)
{
  GError             *error = NULL;
  g_autoptr(FbDevice) dev   = fb_device_new ("cpu", n_threads, &error);
  FbModel            *model;

  bench_die_on (error);
  model = fb_model_open (path, NULL, NULL, dev, fb_device_best_dtype (dev), &error);
  bench_die_on (error);

  return model;
}

/* --- a picture in 8 bits, and what a client reads of it ------------------------------------------------------------------- */

typedef struct
{
  int     width, height;
  guint8 *pixels;             /* [height, width, 3] */
} Canvas;

static Canvas
canvas_new (int megapixels)
{
  Canvas canvas = { .width = megapixels == 24 ? 6000 : 3000, .height = megapixels == 24 ? 4000 : 2000 };
  size_t n      = (size_t) canvas.width * canvas.height * 3;

  canvas.pixels = g_malloc (n);
  for (size_t i = 0; i < n; i++)
    canvas.pixels[i] = (guint8) (i / 3 % canvas.width * 200 / canvas.width + i * 2654435761u % 41);
  return canvas;
}

/* large enough that its context does not depend on the canvas */
static FbRect
mask_of (const Canvas *canvas)
{
  return (FbRect) { canvas->width / 2 - 350, canvas->height / 2 - 250, 700, 500 };
}

FB_WIDE static void
to_floats (const guint8 *row, int n, float *out)
{
  for (int i = 0; i < n; i++)
    out[i] = row[i] * (1.0f / 255.0f);
}

/* the sums of @skip rows of @n bytes */
FB_WIDE static void
add_rows (const guint8 *rows, size_t stride, int skip, int n, guint16 *sums)
{
  for (int i = 0; i < n; i++)
    sums[i] = rows[i];
  for (int k = 1; k < skip; k++)
    for (int i = 0; i < n; i++)
      sums[i] += rows[k * stride + i];
}

/* (transfer full): RGB of @r, a pixel for each box of @skip × @skip: its mean */
static FbImage *
read_canvas (const Canvas *canvas, FbRect r, int skip)
{
  const int    width  = r.width / skip, height = r.height / skip;
  const size_t stride = (size_t) canvas->width * 3;
  const float  share  = 1.0f / (255.0f * skip * skip);
  FbImage     *image  = fb_image_new (width, height, 3);

#pragma omp parallel
  {
    g_autofree guint16 *sums = g_new (guint16, width * skip * 3);

#pragma omp for schedule(static)
    for (int y = 0; y < height; y++)
      {
        const guint8 *rows = canvas->pixels + (r.y + y * skip) * stride + r.x * 3;
        float        *out  = image->pixels + (size_t) y * width * 3;

        if (skip == 1)
          {
            to_floats (rows, 3 * width, out);
            continue;
          }
        add_rows (rows, stride, skip, width * skip * 3, sums);
        for (int x = 0; x < width; x++)
          for (int c = 0; c < 3; c++)
            {
              int sum = 0;

              for (int bx = 0; bx < skip; bx++)
                sum += sums[(x * skip + bx) * 3 + c];
              out[3 * x + c] = sum * share;
            }
      }
  }

  return image;
}

/* (transfer full): what @r has of the rectangle @marked, a pixel for @skip of them */
static FbImage *
read_mask (FbRect marked, FbRect r, int skip)
{
  const int left  = CLAMP ((marked.x - r.x) / skip, 0, r.width / skip), top = CLAMP ((marked.y - r.y) / skip, 0, r.height / skip);
  const int right = MIN (left + marked.width / skip, r.width / skip), bottom = MIN (top + marked.height / skip, r.height / skip);
  FbImage  *mask  = fb_image_new (r.width / skip, r.height / skip, 1);

  memset (mask->pixels, 0, fb_image_n_bytes (mask));
  for (int y = top; y < bottom; y++)
    for (int x = left; x < right; x++)
      mask->pixels[(size_t) y * mask->width + x] = 1.0f;
  return mask;
}

/* (transfer full): what is seen around @place of @canvas, read as plugins/inpaint/request.c does it: for a draft of @resolution, only so many pixels as
 * make sense for that; for one pass, at least twice as many to a side as the model sees; @shown (out): where the mask lies */
static FbInpaint *
cut_request (const Canvas *canvas, const FbInpaintPlace *place, int resolution, FbRect *shown)
{
  FbInpaint *request = fb_inpaint_new ();
  double     detail  = 1.0;
  FbRect     r;

  g_assert_true (fb_inpaint_context (place, &r));
  request->resolution = resolution;
  *shown              = resolution > 0 ? r : fb_inpaint_shown (place, request->grow, r);
  if (resolution > 0)
    {
      const int skip = MAX (1, MIN (r.width, r.height) / resolution);

      request->image = read_canvas (canvas, r, skip);
      request->mask  = read_mask (place->mask, r, skip);
      return request;
    }

  request->mask   = read_mask (place->mask, *shown, 1);
  request->around = (FbRect) { r.x - shown->x, r.y - shown->y, r.width, r.height };
  if (place->native < 256)
    {
      g_autoptr(FbImage) cells = read_mask (place->mask, r, FB_PIECE_CELL);

      detail = fb_inpaint_detail (cells, r.width, r.height, place->native);
    }
  request->image = read_canvas (canvas, r, (int) (1.0 / detail));

  return request;
}

/* (transfer full): the request for what lies in the middle of @canvas, read as far as its context goes */
static FbInpaint *
read_request (const Canvas *canvas, FbModel *model, int resolution, FbDecoder decoder, int n_steps, FbRect *shown)
{
  const FbModelInfo *info    = fb_model_info (model);
  FbInpaintPlace     place   = { .canvas_width = canvas->width, .canvas_height = canvas->height, .mask = mask_of (canvas),
                                 .strength = 1.0, .feather = 0.1, .native = (info->width + info->height) / 2 };
  FbInpaint         *request = cut_request (canvas, &place, resolution, shown);

  request->generate->decoder        = decoder;
  request->generate->n_steps        = n_steps;
  request->generate->guidance_scale = 1.0;
  request->generate->strength       = 1.0;
  g_free (request->generate->sampler);
  request->generate->sampler = g_strdup ("lcm");
  g_free (request->generate->prompt);
  request->generate->prompt = g_strdup ("a cat");

  return request;
}

/* --- times ---------------------------------------------------------------------------------------------------------------- */

/* when the first preview or picture came; @shown of @canvas is what pictures are laid over */
typedef struct
{
  double        first;
  const Canvas *canvas;
  FbRect        shown;
} Watch;

static void
on_progress (const FbProgress *progress, gpointer user_data)
{
  Watch *watch = user_data;

  if (progress->preview != NULL && watch->first == 0.0)
    watch->first = bench_seconds ();
}

static void
on_picture (FbImage *picture, gint64 seed, gpointer user_data)
{
  Watch             *watch = user_data;
  g_autoptr(FbImage) below = read_canvas (watch->canvas, watch->shown, watch->shown.width / picture->width);
  g_autoptr(FbImage) mixed = fb_inpaint_blend (below, picture);

  if (watch->first == 0.0)
    watch->first = bench_seconds ();
}

/* seconds from the stroke's end: reading, the job, blending; @first (out) (optional): until something can be shown */
static double
time_job (const Canvas *canvas, FbModel *model, int resolution, FbDecoder decoder, int n_steps, double *first)
{
  double               start   = bench_seconds ();
  Watch                watch   = { .canvas = canvas };
  g_autoptr(FbInpaint) request = read_request (canvas, model, resolution, decoder, n_steps, &watch.shown);
  GError              *error   = NULL;

  fb_inpaint_run (request, model, on_progress, on_picture, &watch, NULL, &error);
  bench_die_on (error);
  if (first != NULL)
    *first = watch.first - start;

  return bench_seconds () - start;
}

/* the picture that the network makes in such a job */
static FbPiece
piece_of (const Canvas *canvas, int native)
{
  FbInpaintPlace place = { .canvas_width = canvas->width, .canvas_height = canvas->height, .mask = mask_of (canvas), .strength = 1.0, .feather = 0.1,
                           .native = native };
  FbPiece        piece = { .width = 0 };

  g_assert_true (fb_inpaint_context (&place, &piece.crop));
  fb_piece_fit (&piece, native, 0);

  return piece;
}

/* what the network's calls of such a job take by themselves: prompt, encoding, steps, decoding, all at @width × @height; @step (out): one step */
static double
time_network (FbModel *model, int width, int height, double *step)
{
  const FbModelInfo *info    = fb_model_info (model);
  const int          w       = width / info->scale_factor, h = height / info->scale_factor;
  g_autofree float  *pixels  = bench_random ((size_t) width * height * 3);
  g_autofree float  *latents = bench_random ((size_t) w * h * info->latent_channels);
  g_autofree float  *out     = g_new (float, (size_t) w * h * info->latent_channels);
  g_autofree float  *context = bench_random (FB_MODEL_CHUNK * info->context_width);
  g_autofree int    *ids     = g_new0 (int, FB_MODEL_CHUNK);
  FbDenoise          call    = { .latents = latents, .n = 1, .height = h, .width = w, .timestep = 499, .context = context,
                                 .n_tokens = FB_MODEL_CHUNK };
  GError            *error   = NULL;
  double             start   = bench_seconds (), before;

  fb_model_encode_text (model, ids, 1, 0, context, NULL, &error);
  bench_die_on (error);
  fb_model_encode_image (model, pixels, height, width, NULL, latents, NULL, &error);
  bench_die_on (error);
  before = bench_seconds ();
  for (int i = 0; i < N_STEPS; i++)
    fb_model_denoise (model, &call, out, NULL, &error);
  bench_die_on (error);
  *step = (bench_seconds () - before) / N_STEPS;
  fb_model_decode (model, latents, h, w, 0, pixels, NULL, &error);
  bench_die_on (error);

  return bench_seconds () - start;
}

/* Job and bare network in turns, so that a machine that others slow down slows down both. */
static void
measure_overhead (const char *path, const char *suffix)
{
  g_autoptr(FbModel) model  = open_model (path);
  const int          size   = fb_model_info (model)->width;
  Canvas             canvas = canvas_new (24);
  const FbPiece      piece  = piece_of (&canvas, size);
  double             totals[N_TIMES], networks[N_TIMES], firsts[N_TIMES], steps[N_TIMES], ignored;

  time_job (&canvas, model, 0, FB_DECODER_FULL, N_STEPS, NULL);
  time_network (model, piece.width, piece.height, &ignored);
  if (fb_model_has_taesd_encoder (model))
    time_job (&canvas, model, size / 2, FB_DECODER_TAESD, DRAFT_STEPS, NULL);
  for (int i = 0; i < N_TIMES; i++)
    {
      totals[i]   = time_job (&canvas, model, 0, FB_DECODER_FULL, N_STEPS, NULL);
      networks[i] = time_network (model, piece.width, piece.height, &ignored);
      time_network (model, size, size, &steps[i]);
      if (fb_model_has_taesd_encoder (model))
        time_job (&canvas, model, size / 2, FB_DECODER_TAESD, DRAFT_STEPS, &firsts[i]);
    }
  g_free (canvas.pixels);

  printf ("BENCH inpaint_overhead_fraction%s %.3f ratio\n", suffix, 1.0 - bench_percentile (networks, N_TIMES, 0.5) / bench_percentile (totals, N_TIMES, 0.5));
  printf ("BENCH inpaint_final_over_step%s %.2f ratio\n", suffix, totals[N_TIMES / 2] / bench_percentile (steps, N_TIMES, 0.5));
  if (fb_model_has_taesd_encoder (model))
    printf ("BENCH inpaint_first_preview_over_step%s %.3f ratio\n", suffix, bench_percentile (firsts, N_TIMES, 0.5) / steps[N_TIMES / 2]);
  fflush (stdout);
}

/* Draft and step in turns, for the first preview alone. */
static void
measure_drafts (const char *path)
{
  g_autoptr(FbModel) model  = open_model (path);
  const int          size   = fb_model_info (model)->width;
  Canvas             canvas = canvas_new (24);
  double             firsts[N_TIMES], steps[N_TIMES];

  time_job (&canvas, model, size / 2, FB_DECODER_TAESD, DRAFT_STEPS, NULL);
  for (int i = 0; i < N_TIMES; i++)
    {
      time_network (model, size, size, &steps[i]);
      time_job (&canvas, model, size / 2, FB_DECODER_TAESD, DRAFT_STEPS, &firsts[i]);
    }
  g_free (canvas.pixels);
  printf ("BENCH inpaint_first_preview_over_step %.3f ratio\n", bench_percentile (firsts, N_TIMES, 0.5) / bench_percentile (steps, N_TIMES, 0.5));
}

/* --- stages: what is not the network -------------------------------------------------------------------------------------- */

/* Prints the best of some calls of @call, in ms, and adds it to "all"; @undo takes back what all but the last call made. */
#define STAGE(name, call, undo)                                                  \
  G_STMT_START                                                                   \
    {                                                                            \
      double best = G_MAXDOUBLE;                                                 \
                                                                                 \
      for (int time = 0; time < N_STAGE_TIMES; time++)                           \
        {                                                                        \
          double start;                                                          \
                                                                                 \
          if (time > 0)                                                          \
            undo;                                                                \
          start = bench_seconds ();                                                \
          call;                                                                  \
          best = MIN (best, bench_seconds () - start);                             \
        }                                                                        \
      all += best;                                                               \
      printf ("BENCH inpaint_stage_%s_%d %.2f ms\n", name, native, best * 1000); \
    }                                                                            \
  G_STMT_END
#define N_STAGE_TIMES 9

/* a job's way around the network of @native pixels, with the fill that takes longest, as core/tasks/inpaint.c goes it */
static void
measure_stages (int native)
{
  Canvas               canvas  = canvas_new (24);
  FbInpaintPlace       place   = { .canvas_width = canvas.width, .canvas_height = canvas.height, .mask = mask_of (&canvas),
                                   .strength = 1.0, .feather = 0.1, .native = native };
  const FbRampWishes   wishes  = { 0.1, -1.0, -1.0 };
  g_autoptr(FbInpaint) request = NULL;
  FbImage             *mask, *denoise, *composite, *taken, *taken_mask, *given, *result, *below, *blended;
  FbPieces            *pieces;
  FbHole              *hole;
  g_autofree float    *known   = NULL;
  FbRamps              ramps;
  FbPiece              seen;
  FbView               view;
  FbRect               shown, bounds = { 0 };
  double               diagonal = 0.0, all = 0.0;
  int                  longest;

  STAGE ("read", request = cut_request (&canvas, &place, 0, &shown), fb_inpaint_free (request));
  view    = fb_inpaint_view (request);
  longest = MAX (view.width, view.height);
  STAGE ("mask", mask = fb_inpaint_mask (request), fb_image_unref (mask));
  STAGE ("bounds", { fb_mask_bounds (mask, &bounds); diagonal = fb_mask_diagonal (mask, &view, &bounds, native, &longest); }, {});
  fb_ramps_init (&ramps, diagonal, fb_inpaint_unit (longest, 2 * native, native), 1.0, &wishes);
  STAGE ("grow", fb_mask_grow (mask, &ramps, &denoise, &composite), { fb_image_unref (denoise); fb_image_unref (composite); });
  STAGE ("pieces", pieces = fb_pieces_new (denoise, &view, native, 0, FALSE), fb_pieces_free (pieces));
  seen = fb_piece_scaled (&pieces->pieces[0], &view, request->image->width, request->image->height);
  STAGE ("take", taken = fb_piece_take (&seen, request->image), fb_image_unref (taken));
  STAGE ("take_mask", taken_mask = fb_piece_take_mask (&pieces->pieces[0], denoise, view.shown), fb_image_unref (taken_mask));
  STAGE ("hole", hole = fb_hole_new (taken_mask->pixels, taken->width, taken->height), fb_hole_free (hole));
  STAGE ("fill_blur", fb_hole_fill (hole, FB_FILL_BLUR, 1.0, FALSE, taken), {});
  STAGE ("fill_border", fb_hole_fill (hole, FB_FILL_BORDER, 1.0, FALSE, taken), {});
  known = g_new (float, (size_t) taken->width * taken->height);
  for (int i = 0; i < taken->width * taken->height; i++)
    known[i] = 1.0f - taken_mask->pixels[i];
  STAGE ("match_colours", fb_match_colours (taken, taken, known, hole), {});
  STAGE ("match_seam", fb_match_seam (taken, taken, known, hole, FALSE), {});
  STAGE ("give", given = fb_piece_give (&pieces->pieces[0], taken, view.width, view.height, view.shown), fb_image_unref (given));
  result = fb_image_new (shown.width, shown.height, 4);
  for (int i = 0; i < shown.width * shown.height; i++)
    {
      for (int c = 0; c < 3; c++)
        result->pixels[4 * i + c] = 0.5f;
      result->pixels[4 * i + 3] = composite->pixels[i];
    }
  STAGE ("read_below", below = read_canvas (&canvas, shown, 1), fb_image_unref (below));
  STAGE ("blend", blended = fb_inpaint_blend (below, result), fb_image_unref (blended));
  printf ("BENCH inpaint_stages_%d %.2f ms\n", native, all * 1000);

  for (int i = 0; i < 9; i++)
    fb_image_unref (((FbImage *[]) { mask, denoise, composite, taken, taken_mask, given, result, below, blended })[i]);
  fb_pieces_free (pieces);
  fb_hole_free (hole);
  g_free (canvas.pixels);
}

/* --- memory: in processes of their own, because the peak never falls ------------------------------------------------------ */

static void
print_memory (const char *path)
{
  g_autoptr(FbModel) model  = open_model (path);
  Canvas             canvas = canvas_new (megapixels);

  time_job (&canvas, model, 0, FB_DECODER_FULL, 1, NULL);
  printf ("%.1f\n", (bench_peak_bytes () - (double) canvas.width * canvas.height * 3) / 1048576.0);
  g_free (canvas.pixels);
}

static double
measure_memory (const char *self, const char *path, const char *size)
{
  const char      *argv[] = { self, "--memory", size, "--model", path, NULL };
  g_autofree char *output = NULL;
  GError          *error  = NULL;
  int              status;

  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, NULL, &status, &error);
  bench_die_on (error);
  g_spawn_check_wait_status (status, &error);
  bench_die_on (error);

  return g_ascii_strtod (output, NULL);
}

int
main (int argc, char **argv)
{
  g_autoptr(GOptionContext) context = g_option_context_new ("");
  g_autofree char          *self    = g_file_read_link ("/proc/self/exe", NULL);
  g_autoptr(FbStore)        store   = fb_store_new ();
  g_autofree char          *starter = NULL;
  GError                   *error   = NULL;

  g_option_context_add_main_entries (context, options, NULL);
  g_option_context_parse (context, &argc, &argv, &error);
  bench_die_on (error);
  mallopt (M_MMAP_THRESHOLD, 32 << 20);                    /* as core/engine/main.c does */
  mallopt (M_TRIM_THRESHOLD, 64 << 20);
  if (stages)
    {
      measure_stages (128);
      measure_stages (512);
      return 0;
    }
  if (drafts)
    {
      model_path = model_path != NULL ? model_path : bench_checkpoint (&error);
      bench_die_on (error);
      measure_drafts (model_path);
      return 0;
    }
  if (megapixels > 0)
    {
      print_memory (model_path);
      return 0;
    }

  starter = fb_store_resolve (store, FB_STORE_MODELS, "starter", &error);
  bench_die_on (error);
  measure_overhead (starter, "_starter");
  if (starter_only)
    return 0;
  printf ("BENCH inpaint_memory_growth_mb %.1f MB\n", measure_memory (self, starter, "24") - measure_memory (self, starter, "6"));
  fflush (stdout);
  if (model_path == NULL)
    model_path = bench_checkpoint (&error);
  bench_die_on (error);
  measure_overhead (model_path, "");

  return 0;
}
