/* core/engine/command-eval.c: flashbrush-engine eval. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/command-line.h"
#include "core/engine/command-trainer.h"
#include "core/engine/command.h"

#include <glib/gi18n-lib.h>
#include <stdio.h>

#include "core/image/png.h"

typedef struct
{
  char    *output, *sampler;
  int      prompts, samples, steps;
  gint64   seed;
  gboolean teacher;
  double   guidance;
} EvalOptions;

static void
eval_options_clear (EvalOptions *o)
{
  g_free (o->output);
  g_free (o->sampler);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (EvalOptions, eval_options_clear)

static gboolean
eval_options_parse (EvalOptions *o, int *argc, char ***argv, GError **error)
{
  g_autoptr(GOptionContext) context   = g_option_context_new (_("JOB.json"));
  const GOptionEntry        entries[] =
  {
    { "output",   'o', 0, G_OPTION_ARG_FILENAME, &o->output, N_("PNG file to write, or folder of samples; eval.png or eval in the job's folder without it"), N_("PATH") },
    { "prompts",  'n', 0, G_OPTION_ARG_INT, &o->prompts, N_("How many prompts the sheet shows; 4"), N_("N") },
    { "samples",  0, 0, G_OPTION_ARG_INT, &o->samples, N_("Write a folder of N pictures instead, with captions of the job's data in captions.tsv"), N_("N") },
    { "steps",    0, 0, G_OPTION_ARG_INT, &o->steps, N_("Of each sample; 4"), N_("N") },
    { "seed",     0, 0, G_OPTION_ARG_INT64, &o->seed, N_("Of the samples' noise and captions; 0"), N_("N") },
    { "teacher",  0, 0, G_OPTION_ARG_NONE, &o->teacher, N_("Let the teacher draw the samples"), NULL },
    { "guidance", 0, 0, G_OPTION_ARG_DOUBLE, &o->guidance, N_("The teacher's guidance scale; the model's own without it"), N_("SCALE") },
    { "sampler",  0, 0, G_OPTION_ARG_FILENAME, &o->sampler, N_("Of the samples; flash, and dpmpp-2m for the teacher"), N_("NAME") },
    G_OPTION_ENTRY_NULL
  };

  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  g_option_context_set_summary (context, _("Makes a sheet of pictures from a job's last checkpoint: a row per prompt; first the teacher's, then the student's\n"
                                           "in 1, 2, 4 and 8 steps. Or a folder of samples, with which the two can be measured."));
  return g_option_context_parse (context, argc, argv, error);
}

static void
on_sample (int done, gpointer user_data)
{
  g_autofree char *line = g_strdup_printf (_("%d of %d pictures"), done, *(const int *) user_data);

  fb_command_show (line);
}

static gboolean
eval_samples (FbTrainer *trainer, EvalOptions *o, GError **error)
{
  const FbDrawing drawing = { !o->teacher, o->sampler != NULL ? o->sampler : o->teacher ? "dpmpp-2m" : "flash", o->steps, o->guidance,
                              (guint64) o->seed };

  if (!fb_trainer_draw_set (trainer, &drawing, o->output, o->samples, on_sample, &o->samples, NULL, error))
    return FALSE;
  fb_command_show ("");
  printf (_("%s\t%d pictures\tstep %d\n"), o->output, o->samples, fb_trainer_step_number (trainer));
  return TRUE;
}

static gboolean
eval_sheet (FbTrainer *trainer, EvalOptions *o, GError **error)
{
  static const int   steps[] = { 1, 2, 4, 8 };
  g_autoptr(FbImage) sheet   = fb_trainer_sheet (trainer, o->prompts, steps, G_N_ELEMENTS (steps), NULL, error);

  if (sheet == NULL || !fb_image_save_png (sheet, o->output, error))
    return FALSE;
  printf ("%s\t%d × %d\tstep %d\n", o->output, sheet->width, sheet->height, fb_trainer_step_number (trainer));
  return TRUE;
}

int
fb_command_eval (int argc, char **argv)
{
  g_auto(EvalOptions)     o       = { .prompts = 4, .steps = 4 };
  g_autoptr(FbDistillJob) job     = NULL;
  g_autoptr(FbTrainer)    trainer = NULL;
  GError                 *error   = NULL;

  if (!eval_options_parse (&o, &argc, &argv, &error))
    return fb_command_trainer_fail ("eval", error, 2);
  if (argc != 2 || o.prompts < 1 || o.prompts > 64 || o.samples < 0 || o.samples > 100000 || o.steps < 1 || o.steps > 1000 ||
      !(o.guidance == 0.0 || (o.guidance >= 1.0 && o.guidance <= 100.0)))
    {
      fputs (_("flashbrush-engine eval: name one job file, and 1 to 64 prompts, or up to 100000 samples of 1 to 1000 steps, with a guidance of 1 to 100.\n"), stderr);
      return 2;
    }
  job = fb_distill_job_load (argv[1], &error);
  if (job == NULL)
    return fb_command_trainer_fail ("eval", error, 2);
  if (o.output == NULL)
    {
      g_autofree char *folder = fb_distill_job_folder (job);

      o.output = g_build_filename (folder, o.samples > 0 ? "eval" : "eval.png", NULL);
    }
  if (o.samples == 0 && !fb_command_check_output (o.output, &error))
    return fb_command_trainer_fail ("eval", error, 2);
  trainer = fb_command_open_trainer (job, fb_team_alone (), &error);
  if (trainer == NULL || !fb_trainer_prepare (trainer, NULL, NULL, NULL, &error) ||
      !(o.samples > 0 ? eval_samples (trainer, &o, &error) : eval_sheet (trainer, &o, &error)))
    return fb_command_trainer_fail ("eval", error, 1);
  return 0;
}
