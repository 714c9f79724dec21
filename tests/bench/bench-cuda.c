/* tests/bench/bench-cuda.c: full-size SD 1.5 at 512×512 on an NVIDIA card. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The first picture of a cold process, the card's two ceilings, then what the models take of them. Each figure goes out as a line "BENCH name value
 * unit"; names without a precision are f16's. With --serve our side of peers_cuda.py: for a line "step" on standard input it draws a picture and answers with the seconds; for "peak", with the most bytes so far. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tasks/generate.h"
#include "kernels/conv2d.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "tests/bench/checkpoint.h"
#include "tests/bench/figures.h"

/* multiply-adds × 2 at 512×512, per picture, QKᵀ and PV included; as in bench-unet.c */
#define STEP_FLOP   803e9
#define DECODE_FLOP 2515e9

#define LATENT    64
#define N_TOKENS  77
#define N_TIMES   7
#define N_CANCELS 60
#define BATCH     8

static char    *model_path;
static char    *device_name;
static char    *dtype_name;
static gboolean serves;
static gboolean make_model;
static int      size = LATENT * 8;

static const GOptionEntry options[] =
{
  { "model",      0, 0, G_OPTION_ARG_FILENAME, &model_path,  "Checkpoint to measure, instead of the random one", "FOLDER" },
  { "serve",      0, 0, G_OPTION_ARG_NONE,     &serves,      "Draw a picture in four steps for every line read, and print its seconds", NULL },
  { "device",     0, 0, G_OPTION_ARG_STRING,   &device_name, "With --serve: the device, instead of the card", "cpu|cuda" },
  { "dtype",      0, 0, G_OPTION_ARG_STRING,   &dtype_name,  "With --serve: the precision, f16 if not told", "f32|bf16|f16" },
  { "size",       0, 0, G_OPTION_ARG_INT,      &size,        "With --serve: pixels of a side", "PIXELS" },
  { "make-model", 0, 0, G_OPTION_ARG_NONE,     &make_model,  "Print the random checkpoint's path, making it if need be", NULL },
  { NULL }
};

static void
check (FbDevice *dev)
{
  GError *error = NULL;

  fb_device_check (dev, &error);
  bench_die_on (error);
}

/* --- ceilings ------------------------------------------------------------------------------------------------------------- */

/* Bytes read and written per second by copies of 512 MiB */
static double
copy_rate (FbDevice *dev)
{
  g_autoptr(FbTensor) from = fb_tensor_new_1d (dev, FB_DTYPE_F32, 128 << 20);
  g_autoptr(FbTensor) to   = fb_tensor_new_1d (dev, FB_DTYPE_F32, 128 << 20);
  double              start;

  fb_op_cast (dev, to, from);
  check (dev);
  start = bench_seconds ();
  for (int i = 0; i < 20; i++)
    fb_op_cast (dev, to, from);
  check (dev);
  return 20.0 * 2 * from->n_bytes / (bench_seconds () - start);
}

/* FLOP per second of x [n_rows, depth] · weightᵀ [depth, n_columns] on random data */
static double
product_rate (FbDevice *dev, FbDtype dtype, int n_rows, int depth, int n_columns)
{
  g_autofree float   *values = bench_random ((size_t) MAX (n_rows, n_columns) * depth);
  g_autoptr(FbWeight) weight = fb_weight_new (dev, FB_WEIGHT_LINEAR, dtype, (int[]) { n_columns, depth }, values, FB_DTYPE_F32);
  g_autoptr(FbTensor) x      = fb_tensor_new_2d (dev, dtype, n_rows, depth);
  g_autoptr(FbTensor) out    = fb_tensor_new_2d (dev, dtype, n_rows, n_columns);
  double              flop   = 2.0 * n_rows * depth * n_columns, best = 0.0;

  fb_tensor_upload (x, values, FB_DTYPE_F32);
  fb_op_linear (dev, out, x, weight, NULL, NULL, FB_ACT_NONE);
  check (dev);
  for (int turn = 0; turn < 3; turn++)
    {
      double start = bench_seconds ();

      for (int i = 0; i < 10; i++)
        fb_op_linear (dev, out, x, weight, NULL, NULL, FB_ACT_NONE);
      check (dev);
      best = MAX (best, 10.0 * flop / (bench_seconds () - start));
    }
  return best;
}

/* FLOP per second of 3×3 convolutions with as many channels out as in */
static double
convolution_rate (FbDevice *dev, FbDtype dtype, int n, int side, int channels)
{
  const FbConv2dParams params = { 1, 1, 1, 1, 1, 1 };
  size_t               size   = MAX ((size_t) n * side * side, (size_t) 9 * channels) * channels;
  g_autofree float    *values = bench_random (size);
  g_autoptr(FbWeight)  weight = fb_weight_new (dev, FB_WEIGHT_CONV2D, dtype, (int[]) { channels, channels, 3, 3 }, values, FB_DTYPE_F32);
  g_autoptr(FbTensor)  x      = fb_tensor_new_4d (dev, dtype, n, side, side, channels);
  g_autoptr(FbTensor)  out    = fb_tensor_new_4d (dev, dtype, n, side, side, channels);
  double               flop   = 18.0 * n * side * side * channels * channels, best = 0.0;

  fb_tensor_upload (x, values, FB_DTYPE_F32);
  fb_op_conv2d (dev, out, x, weight, NULL, NULL, &params, FB_ACT_NONE);
  check (dev);
  for (int turn = 0; turn < 3; turn++)
    {
      double start = bench_seconds ();

      for (int i = 0; i < 10; i++)
        fb_op_conv2d (dev, out, x, weight, NULL, NULL, &params, FB_ACT_NONE);
      check (dev);
      best = MAX (best, 10.0 * flop / (bench_seconds () - start));
    }
  return best;
}

/* The best rate of a fixed list of cuBLASLt products and cuDNN convolutions */
static double
roofline (FbDevice *dev, FbDtype dtype)
{
  double rates[] =
  {
    product_rate (dev, dtype, 8192, 8192, 8192),
    product_rate (dev, dtype, 32768, 1280, 1280),
    convolution_rate (dev, dtype, BATCH, 64, 320),
    convolution_rate (dev, dtype, BATCH, 32, 640),
    convolution_rate (dev, dtype, 1, 256, 512),
  };
  double best = 0.0;

  for (size_t i = 0; i < G_N_ELEMENTS (rates); i++)
    {
      g_printerr ("%s: rate %zu is %.1f TFLOP/s\n", fb_dtype_name (dtype), i, rates[i] * 1e-12);
      best = MAX (best, rates[i]);
    }
  return best;
}

/* --- one step and one decode ------------------------------------------------------------------------------------------------- */

static double
median_step (FbModel *model, int n)
{
  g_autofree float *latents = bench_random ((size_t) n * LATENT * LATENT * 4);
  g_autofree float *context = bench_random ((size_t) n * N_TOKENS * fb_model_info (model)->context_width);
  g_autofree float *out     = g_new (float, (size_t) n * LATENT * LATENT * 4);
  FbDenoise         call    = { .latents = latents, .n = n, .height = LATENT, .width = LATENT, .timestep = 499,
                                .context = context, .n_tokens = N_TOKENS };
  double            times[N_TIMES];
  GError           *error   = NULL;

  for (int i = -2; i < N_TIMES; i++)                             /* two that find algorithms and fill the pool */
    {
      double start = bench_seconds ();

      fb_model_denoise (model, &call, out, NULL, &error);
      bench_die_on (error);
      if (i >= 0)
        times[i] = bench_seconds () - start;
    }
  return bench_percentile (times, N_TIMES, 0.5);
}

static double
median_decode (FbModel *model)
{
  g_autofree float *latents = bench_random (LATENT * LATENT * 4);
  g_autofree float *pixels  = g_new (float, LATENT * 8 * LATENT * 8 * 3);
  double            times[N_TIMES];
  GError           *error   = NULL;

  for (int i = -2; i < N_TIMES; i++)
    {
      double start = bench_seconds ();

      fb_model_decode (model, latents, LATENT, LATENT, 0, pixels, NULL, &error);
      bench_die_on (error);
      if (i >= 0)
        times[i] = bench_seconds () - start;
    }
  return bench_percentile (times, N_TIMES, 0.5);
}

/* --- whole jobs ---------------------------------------------------------------------------------------------------------------- */

static FbGenerate *
four_steps (void)
{
  FbGenerate *request = fb_generate_new ();

  g_free (request->prompt);
  request->prompt = g_strdup ("a lighthouse on a cliff above the sea, evening light");
  g_free (request->sampler);
  request->sampler        = g_strdup ("flash");
  request->n_steps        = 4;
  request->guidance_scale = 1.0;
  request->width          = size;
  request->height         = size;
  request->preview        = FB_PREVIEW_NONE;
  request->decoder        = FB_DECODER_FULL;
  return request;
}

static void
ignore_picture (FbImage *picture, gint64 seed, gpointer user_data)
{
}

static double
time_job (FbModel *model)
{
  g_autoptr(FbGenerate) request = four_steps ();
  GError               *error   = NULL;
  double                start   = bench_seconds ();

  fb_generate_run (request, model, NULL, ignore_picture, NULL, NULL, &error);
  bench_die_on (error);
  return bench_seconds () - start;
}

typedef struct
{
  GCancellable *cancellable;
  gulong        after;               /* microseconds */
  double        set_at;
} Canceller;

static gpointer
cancel_after_a_while (gpointer data)
{
  Canceller *canceller = data;

  g_usleep (canceller->after);
  canceller->set_at = bench_seconds ();
  g_cancellable_cancel (canceller->cancellable);
  return NULL;
}

/* Milliseconds from a cancel at a random moment of a job of 50 steps to the end of the call, 95th percentile */
static double
cancel_milliseconds (FbModel *model)
{
  g_autoptr(FbGenerate) request = four_steps ();
  g_autoptr(GRand)      rand    = g_rand_new_with_seed (1);
  double                times[N_CANCELS];
  int                   n       = 0;

  request->n_steps = 50;
  for (int i = 0; i < N_CANCELS; i++)
    {
      g_autoptr(GCancellable) cancellable = g_cancellable_new ();
      g_autoptr(GError)       error       = NULL;
      Canceller               canceller   = { cancellable, (gulong) g_rand_int_range (rand, 1000, 200000), 0.0 };
      GThread                *thread      = g_thread_new ("cancel", cancel_after_a_while, &canceller);
      double                  end;

      fb_generate_run (request, model, NULL, ignore_picture, NULL, cancellable, &error);
      end = bench_seconds ();
      g_thread_join (thread);
      if (error != NULL)                                         /* else it was done before */
        times[n++] = (end - canceller.set_at) * 1e3;
    }
  return n > 0 ? bench_percentile (times, n, 0.95) : 0.0;
}

/* --- small cards ---------------------------------------------------------------------------------------------------------------- */

static void
keep_picture (FbImage *picture, gint64 seed, gpointer user_data)
{
  *(FbImage **) user_data = fb_image_ref (picture);
}

/* (transfer full): of a job that the card could do */
static FbImage *
draw (FbModel *model)
{
  g_autoptr(FbGenerate) request = four_steps ();
  FbImage              *picture = NULL;
  GError               *error   = NULL;

  request->seed = 1;
  fb_generate_run (request, model, NULL, keep_picture, &picture, NULL, &error);
  bench_die_on (error);
  return picture;
}

/* The same job with a limit on the card's memory: the picture has to be the same, and the second job's time is told */
static void
measure_small_cards (FbDevice *dev, FbModel *model, const char *suffix)
{
  static const int   gigabytes[] = { 8, 6, 4 };
  g_autoptr(FbImage) wanted      = draw (model);

  for (gsize i = 0; i < G_N_ELEMENTS (gigabytes); i++)
    for (int turn = 0; turn < 2; turn++)
      {
        g_autoptr(FbImage) picture = NULL;
        double             start;

        if (turn == 0)
          fb_model_unload (model);
        fb_device_set_limit (dev, (size_t) gigabytes[i] << 30);
        start   = bench_seconds ();
        picture = draw (model);
        if (memcmp (picture->pixels, wanted->pixels, fb_image_n_bytes (wanted)) != 0)
          g_error ("with %d GB the picture is another", gigabytes[i]);
        if (turn == 1)
          printf ("BENCH cuda_sd15_4step_in_%dgb%s_ms %.1f ms\n", gigabytes[i], suffix, (bench_seconds () - start) * 1e3);
      }
  fb_device_set_limit (dev, G_MAXSIZE);
  fflush (stdout);
}

/* What a step takes when its kernels are launched one by one */
static double
median_step_without_graph (FbModel *model)
{
  double step;

  fb_model_unload (model);                                       /* with it goes the recording */
  g_setenv ("FLASHBRUSH_CUDA_GRAPHS", "0", TRUE);
  step = median_step (model, 1);
  g_unsetenv ("FLASHBRUSH_CUDA_GRAPHS");
  fb_model_unload (model);
  return step;
}

/* ------------------------------------------------------------------------------------------------------------------------------ */

/* "" for f16, "_bf16" and "_f32" for the others */
static const char *
suffix_of (FbDtype dtype)
{
  return dtype == FB_DTYPE_F32 ? "_f32" : dtype == FB_DTYPE_BF16 ? "_bf16" : "";
}

/* From nothing to the first picture, in a process that has not spoken to the card yet */
static void
measure_cold_start (const char *path, FbDtype dtype)
{
  GError             *error = NULL;
  double              start = bench_seconds ();
  g_autoptr(FbDevice) dev   = fb_device_new ("cuda", 0, &error);
  g_autoptr(FbModel)  model = NULL;

  bench_die_on (error);
  model = fb_model_open (path, NULL, NULL, dev, dtype, &error);
  bench_die_on (error);
  time_job (model);
  printf ("BENCH cuda_cold_start%s_s %.2f s\n", suffix_of (dtype), bench_seconds () - start);
  fflush (stdout);
}

static void
measure (const char *path, FbDtype dtype)
{
  const char         *suffix = suffix_of (dtype);
  GError             *error  = NULL;
  g_autoptr(FbDevice) dev    = fb_device_new ("cuda", 0, &error);
  g_autoptr(FbModel)  model  = NULL;
  double              times[N_TIMES], best, step;

  bench_die_on (error);
  model = fb_model_open (path, NULL, NULL, dev, dtype, &error);
  bench_die_on (error);
  for (int i = 0; i < 2; i++)                                    /* that find algorithms, and record */
    time_job (model);
  for (int i = 0; i < N_TIMES; i++)
    times[i] = time_job (model);
  printf ("BENCH cuda_sd15_4step%s_ms %.1f ms\n", suffix, bench_percentile (times, N_TIMES, 0.5) * 1e3);
  fflush (stdout);

  best = roofline (dev, dtype);
  step = median_step (model, 1);
  printf ("BENCH cuda_unet_step%s_ms %.2f ms\n", suffix, step * 1e3);
  step = median_step (model, BATCH);
  printf ("BENCH cuda_unet_step_batch_%d%s_ms %.2f ms\n", BATCH, suffix, step * 1e3);
  printf ("BENCH cuda_unet_over_roofline%s %.2f x\n", suffix, step * best / (BATCH * STEP_FLOP));
  step = median_decode (model);
  printf ("BENCH cuda_vae_decode%s_ms %.2f ms\n", suffix, step * 1e3);
  printf ("BENCH cuda_vae_over_roofline%s %.2f x\n", suffix, step * best / DECODE_FLOP);
  printf ("BENCH cuda_cancel%s_ms_p95 %.1f ms\n", suffix, cancel_milliseconds (model));
  printf ("BENCH cuda_peak_memory%s_gb %.2f GB\n", suffix, fb_device_bytes_peak (dev) * 1e-9);
  printf ("BENCH cuda_unet_step_without_graph%s_ms %.2f ms\n", suffix, median_step_without_graph (model) * 1e3);
  fflush (stdout);
  measure_small_cards (dev, model, suffix);
}

static FbDtype
dtype_from_name (const char *name)
{
  for (FbDtype dtype = FB_DTYPE_F32; dtype <= FB_DTYPE_F16; dtype++)
    if (g_str_equal (name, fb_dtype_name (dtype)))
      return dtype;
  g_printerr ("bench-cuda: “%s” is no precision\n", name);
  exit (2);
}

static void
serve (void)
{
  GError             *error = NULL;
  g_autoptr(FbDevice) dev   = fb_device_new (device_name != NULL ? device_name : "cuda", 0, &error);
  g_autoptr(FbModel)  model = NULL;
  char                line[64];

  bench_die_on (error);
  model = fb_model_open (model_path, NULL, NULL, dev, dtype_from_name (dtype_name != NULL ? dtype_name : "f16"), &error);
  bench_die_on (error);
  for (int i = 0; i < 2; i++)                                    /* that find algorithms, and record */
    time_job (model);
  printf ("ready\n");
  fflush (stdout);
  while (fgets (line, sizeof line, stdin) != NULL)
    {
      printf ("%.6f\n", g_str_has_prefix (line, "peak") ? (double) fb_device_bytes_peak (dev) : time_job (model));
      fflush (stdout);
    }
}

static void
measure_ceilings (void)
{
  GError             *error = NULL;
  g_autoptr(FbDevice) dev   = fb_device_new ("cuda", 0, &error);

  bench_die_on (error);
  printf ("BENCH cuda_copy_gb_per_s %.0f GB/s\n", copy_rate (dev) * 1e-9);
  if (fb_device_supports (dev, FB_DTYPE_BF16))
    printf ("BENCH cuda_product_8192_bf16_tflops %.0f TFLOP/s\n", product_rate (dev, FB_DTYPE_BF16, 8192, 8192, 8192) * 1e-12);
  fflush (stdout);
}

int
main (int argc, char *argv[])
{
  g_autoptr(GOptionContext) context = g_option_context_new ("– SD 1.5 on a card");
  GError                   *error   = NULL;

  g_option_context_add_main_entries (context, options, NULL);
  g_option_context_parse (context, &argc, &argv, &error);
  bench_die_on (error);
  if (model_path == NULL)
    model_path = bench_checkpoint (&error);
  bench_die_on (error);

  if (make_model)
    printf ("%s\n", model_path);
  else if (serves)
    serve ();
  else
    {
      measure_cold_start (model_path, FB_DTYPE_F16);             /* before anything has loaded the card's libraries */
      measure_ceilings ();
      measure (model_path, FB_DTYPE_F16);
    }
  return 0;
}
