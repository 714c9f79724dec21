/* tests/bench/bench-unet.c: full-size SD 1.5 at 512×512 on the CPU: steps, decoding, memory, cancel. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Figures are ratios measured in this run, or differences; each goes out as a line "BENCH name value unit". */
#include <stdio.h>
#include <stdlib.h>

#include "core/tasks/generate.h"
#include "tests/bench/checkpoint.h"
#include "tests/bench/figures.h"
#include "tests/bench/roofline.h"

/* multiply-adds × 2 at 512×512, batch 1, QKᵀ and PV included */
#define STEP_FLOP   803e9
#define DECODE_FLOP 2515e9

#define LATENT   64
#define N_TIMES  5
#define N_TOKENS 77

static char    *model_path;
static char    *serve_dtype;
static char    *memory_dtype;
static gboolean make_model;
static int      n_threads;
static int      n_cancels = 200;

static const GOptionEntry options[] =
{
  { "model",      0, 0, G_OPTION_ARG_FILENAME, &model_path,   "Checkpoint to measure, instead of the random one", "FOLDER" },
  { "threads",    0, 0, G_OPTION_ARG_INT,      &n_threads,    "Threads; 0 for all cores", "N" },
  { "cancels",    0, 0, G_OPTION_ARG_INT,      &n_cancels,    "Random moments to cancel at; 0 leaves that out", "N" },
  { "serve",      0, 0, G_OPTION_ARG_STRING,   &serve_dtype,  "Make one UNet step for every line read, and print its seconds", "f32|bf16" },
  { "memory",     0, 0, G_OPTION_ARG_STRING,   &memory_dtype, "Print the peak memory beyond the weights, in GB", "f32|bf16" },
  { "make-model", 0, 0, G_OPTION_ARG_NONE,     &make_model,   "Print the random checkpoint's path, making it if need be", NULL },
  { NULL }
};

static FbModel *
open_model (FbDtype dtype)
{
  GError             *error = NULL;
  g_autoptr(FbDevice) dev   = fb_device_new ("cpu", n_threads, &error);
  FbModel            *model;

  bench_die_on (error);
  model = fb_model_open (model_path, NULL, NULL, dev, dtype, &error);
  bench_die_on (error);

  return model;
}

static double
time_step (FbModel *model, const float *latents, const float *context)
{
  g_autofree float *out   = g_new (float, LATENT * LATENT * 4);
  FbDenoise         call  = { .latents = latents, .n = 1, .height = LATENT, .width = LATENT, .timestep = 499,
                              .context = context, .n_tokens = N_TOKENS };
  GError           *error = NULL;
  double            start = bench_seconds ();

  fb_model_denoise (model, &call, out, NULL, &error);
  bench_die_on (error);

  return bench_seconds () - start;
}

static double
time_decode (FbModel *model, const float *latents)
{
  g_autofree float *pixels = g_new (float, LATENT * 8 * LATENT * 8 * 3);
  GError           *error  = NULL;
  double            start  = bench_seconds ();

  fb_model_decode (model, latents, LATENT, LATENT, 0, pixels, NULL, &error);
  bench_die_on (error);

  return bench_seconds () - start;
}

static double
median_step (FbModel *model)
{
  g_autofree float *latents = bench_random (LATENT * LATENT * 4);
  g_autofree float *context = bench_random (N_TOKENS * fb_model_info (model)->context_width);
  double            times[N_TIMES];

  time_step (model, latents, context);
  for (int i = 0; i < N_TIMES; i++)
    times[i] = time_step (model, latents, context);

  return bench_percentile (times, N_TIMES, 0.5);
}

static double
median_decode (FbModel *model)
{
  g_autofree float *latents = bench_random (LATENT * LATENT * 4);
  double            times[N_TIMES];

  time_decode (model, latents);
  for (int i = 0; i < N_TIMES; i++)
    times[i] = time_decode (model, latents);

  return bench_percentile (times, N_TIMES, 0.5);
}

/* --- whole jobs ------------------------------------------------------------------------------------------------------------ */

static FbGenerate *
four_steps (FbDecoder decoder)
{
  FbGenerate *request = fb_generate_new ();

  g_free (request->prompt);
  request->prompt = g_strdup ("a lighthouse on a cliff above the sea, evening light");
  g_free (request->sampler);
  request->sampler        = g_strdup ("flash");
  request->n_steps        = 4;
  request->guidance_scale = 1.0;
  request->width          = LATENT * 8;
  request->height         = LATENT * 8;
  request->decoder        = decoder;

  return request;
}

static void
ignore_progress (const FbProgress *progress, gpointer user_data)
{
}

static void
ignore_picture (FbImage *picture, gint64 seed, gpointer user_data)
{
}

static double
time_job (FbModel *model, FbDecoder decoder)
{
  g_autoptr(FbGenerate) request = four_steps (decoder);
  GError               *error   = NULL;
  double                start   = bench_seconds ();

  fb_generate_run (request, model, ignore_progress, ignore_picture, NULL, NULL, &error);
  bench_die_on (error);

  return bench_seconds () - start;
}

static double
median_four_steps (FbModel *model)
{
  double times[N_TIMES];

  time_job (model, FB_DECODER_TAESD);
  for (int i = 0; i < N_TIMES; i++)
    times[i] = time_job (model, FB_DECODER_TAESD);

  return bench_percentile (times, N_TIMES, 0.5);
}

/* --- memory: in a process of its own, because the peak never falls ---------------------------------------------------------- */

static void
print_memory (FbDtype dtype)
{
  g_autoptr(FbModel) model   = open_model (dtype);
  double             weights = 0.0;

  time_job (model, FB_DECODER_FULL);
  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    if (fb_model_is_loaded (model, part))
      weights += fb_model_weight_bytes (model, part);
  printf ("%.3f\n", ((double) bench_peak_bytes () - weights) / 1e9);
}

static double
measure_memory (const char *self, const char *dtype)
{
  const char      *argv[] = { self, "--memory", dtype, "--model", model_path, NULL };
  g_autofree char *output = NULL;
  GError          *error  = NULL;
  int              status;

  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, NULL, &status, &error);
  bench_die_on (error);
  g_spawn_check_wait_status (status, &error);
  bench_die_on (error);

  return g_ascii_strtod (output, NULL);
}

/* --- the engine's own figures: its start, and cancelling this model's jobs through it ------------------------------------------ */

static void
measure_engine (const char *self)
{
  g_autofree char *folder  = g_path_get_dirname (self);
  g_autofree char *program = g_build_filename (folder, "bench-engine", NULL);
  g_autofree char *cancels = g_strdup_printf ("%d", n_cancels);
  const char      *argv[]  = { program, model_path, cancels, NULL };
  GError          *error   = NULL;
  int              status;

  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL, NULL, &status, &error);
  bench_die_on (error);
  g_spawn_check_wait_status (status, &error);
  bench_die_on (error);
}

/* ------------------------------------------------------------------------------------------------------------------------------ */

static void
serve (FbDtype dtype)
{
  g_autoptr(FbModel) model   = open_model (dtype);
  g_autofree float  *latents = bench_random (LATENT * LATENT * 4);
  g_autofree float  *context = bench_random (N_TOKENS * fb_model_info (model)->context_width);
  char               line[64];

  time_step (model, latents, context);
  printf ("ready\n");
  fflush (stdout);
  while (fgets (line, sizeof line, stdin) != NULL)
    {
      printf ("%.6f\n", time_step (model, latents, context));
      fflush (stdout);
    }
}

static FbDtype
dtype_from_name (const char *name)
{
  if (g_strcmp0 (name, "f32") != 0 && g_strcmp0 (name, "bf16") != 0)
    {
      g_printerr ("bench-unet: “%s” is no precision; use f32 or bf16\n", name);
      exit (2);
    }
  return g_str_equal (name, "f32") ? FB_DTYPE_F32 : FB_DTYPE_BF16;
}

/* The roofline is measured before and after, and the better one counts: a machine that others slow down for a while must not flatter us. */
static void
measure (FbDtype dtype)
{
  const char        *name     = fb_dtype_name (dtype);
  double             roofline = fb_roofline (dtype);
  g_autoptr(FbModel) model    = open_model (dtype);
  double             step     = median_step (model);
  double             decode   = dtype == FB_DTYPE_BF16 ? median_decode (model) : 0.0;

  roofline = MAX (roofline, fb_roofline (dtype));
  g_printerr ("%s: roofline %.0f GFLOP/s, step %.2f s, decode %.2f s\n", name, roofline * 1e-9, step, decode);
  printf ("BENCH unet_step_%s_over_roofline %.3f x\n", name, step * roofline / STEP_FLOP);
  if (dtype == FB_DTYPE_BF16)
    {
      printf ("BENCH vae_decode_bf16_over_roofline %.3f x\n", decode * roofline / DECODE_FLOP);
      printf ("BENCH four_steps_over_one %.3f x\n", median_four_steps (model) / median_step (model));
    }
  fflush (stdout);
}

int
main (int argc, char *argv[])
{
  g_autoptr(GOptionContext) context = g_option_context_new ("– full-size SD 1.5 at 512×512");
  GError                   *error   = NULL;
  g_autoptr(FbDevice)       dev     = NULL;

  g_option_context_add_main_entries (context, options, NULL);
  g_option_context_parse (context, &argc, &argv, &error);
  bench_die_on (error);
  if (model_path == NULL)
    model_path = bench_checkpoint (&error);
  bench_die_on (error);

  if (make_model)
    printf ("%s\n", model_path);
  else if (serve_dtype != NULL)
    serve (dtype_from_name (serve_dtype));
  else if (memory_dtype != NULL)
    print_memory (dtype_from_name (memory_dtype));
  else
    {
      dev = fb_device_new ("cpu", n_threads, &error);
      bench_die_on (error);
      measure (FB_DTYPE_F32);
      printf ("BENCH peak_memory_minus_weights_f32_gb %.2f GB\n", measure_memory (argv[0], "f32"));
      if (fb_device_supports (dev, FB_DTYPE_BF16))
        {
          measure (FB_DTYPE_BF16);
          printf ("BENCH peak_memory_minus_weights_gb %.2f GB\n", measure_memory (argv[0], "bf16"));
        }
      else
        g_printerr ("bf16 is left out: this processor does not multiply it\n");
      fflush (stdout);
      measure_engine (argv[0]);
    }

  return 0;
}
