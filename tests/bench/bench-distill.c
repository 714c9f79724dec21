/* tests/bench/bench-distill.c: a training iteration against PyTorch's, starter and SD 1.5; memory; two ranks. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Our side of peers_distill.py, which writes the job and asks: a line "step" on standard input makes an iteration and is answered by its seconds,
 * "calls" by the network calls of the last one (as fb_networks_n_calls() counts), "peak" by the most memory the process has had, in bytes; on a card
 * by the most of the card's. */
#include <stdio.h>

#include "core/distill/trainer-private.h"
#include "tests/bench/checkpoint.h"
#include "tests/bench/figures.h"

static gboolean make_model;
static gboolean best_dtype;
static char    *device_name;
static char   **paths;

static const GOptionEntry options[] =
{
  { "make-model",       0, 0, G_OPTION_ARG_NONE,           &make_model, "Print the random checkpoint's path, making it if need be", NULL },
  { "best-dtype",       0, 0, G_OPTION_ARG_NONE,           &best_dtype, "Print what networks compute in here, f32 or bf16", NULL },
  { "device",           0, 0, G_OPTION_ARG_STRING,         &device_name, "The device, the processor if not told", "cpu|cuda" },
  { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &paths,      NULL, "JOB.json" },
  { NULL }
};

static double
time_step (FbTrainer *trainer)
{
  FbDistillLosses losses;
  GError         *error = NULL;
  double          start = bench_seconds ();

  fb_trainer_step (trainer, &losses, NULL, &error);
  bench_die_on (error);

  return bench_seconds () - start;
}

static void
answer (double number)
{
  printf ("%.6f\n", number);
  fflush (stdout);
}

static void
serve (const char *path)
{
  GError                  *error   = NULL;
  g_autoptr(FbDistillJob)  job     = fb_distill_job_load (path, &error);
  g_autoptr(FbDevice)      dev     = job != NULL ? fb_device_new (device_name != NULL ? device_name : "cpu", job->threads, &error) : NULL;
  g_autoptr(FbTrainer)     trainer = dev != NULL ? fb_trainer_new (job, job->teacher, dev, &error) : NULL;
  double                   before  = 0.0;
  char                     line[64];

  bench_die_on (error);
  fb_trainer_prepare (trainer, NULL, NULL, NULL, &error);
  bench_die_on (error);
  time_step (trainer);                                       /* the first one makes kernels and takes memory */
  printf ("ready\n");
  fflush (stdout);

  while (fgets (line, sizeof line, stdin) != NULL)
    {
      if (g_str_has_prefix (line, "peak"))
        answer ((double) (fb_device_has_memory (dev) ? fb_device_bytes_peak (dev) : bench_peak_bytes ()));
      else if (g_str_has_prefix (line, "calls"))
        answer (fb_networks_n_calls (trainer->networks) - before);
      else
        {
          before = fb_networks_n_calls (trainer->networks);
          answer (time_step (trainer));
        }
    }
}

int
main (int argc, char *argv[])
{
  g_autoptr(GOptionContext) context = g_option_context_new ("– iterations of a training job");
  GError                   *error   = NULL;

  g_option_context_add_main_entries (context, options, NULL);
  g_option_context_parse (context, &argc, &argv, &error);
  bench_die_on (error);

  if (make_model)
    {
      g_autofree char *path = bench_checkpoint (&error);

      bench_die_on (error);
      printf ("%s\n", path);
    }
  else if (best_dtype)
    {
      g_autoptr(FbDevice) dev = fb_device_new ("cpu", 0, &error);

      bench_die_on (error);
      printf ("%s\n", fb_dtype_name (fb_device_best_dtype (dev)));
    }
  else if (paths != NULL && paths[0] != NULL && paths[1] == NULL)
    serve (paths[0]);
  else
    {
      g_printerr ("bench-distill: name one job file\n");
      return 2;
    }

  return 0;
}
