/* core/distill/trainer-run.c: a job from where it stands to its end. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <errno.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#include "core/distill/memory.h"
#include "core/distill/mixture.h"
#include "core/distill/trainer-private.h"
#include "core/formats/model-error.h"
#include "core/image/png.h"
#include "core/tasks/pace.h"

#define SAMPLE_PROMPTS   4
#define MOST_SECONDS     (366.0 * 24 * 3600)      /* nobody means to wait for longer */
#define LOG_HEADER       "step\tseconds\tdistillation\tmatching\tadversarial\tdiscriminator\treal\tfake\tgradient\n"

static const int sample_steps[] = { 1, 2, 4 };

typedef struct
{
  FbTrainer             *trainer;
  FbDistillProgressFunc  progress;
  gpointer               user_data;
  GCancellable          *cancellable;
  FILE                  *log;                /* NULL in all but the team's first process */
  double                 seconds, work;      /* of the steps of this run */
  double                 apart;              /* seconds that are not of that work: the perceptual distance, the same in each phase */
  int                    n_steps;
  gboolean               ends_unsaved;       /* refused after the first step, or the disk is full */
  FbDistillLosses        losses;
} Run;

static double
now (void)
{
  return g_get_monotonic_time () * 1e-6;
}

/* bytes: the most the job has taken */
static guint64
peak_memory (FbTrainer *self)
{
  const guint64 peak = fb_memory_peak ();

  return peak - MIN (peak, self->memory);
}

/* network calls per sample that a step of this phase takes on average */
static double
expected_work (FbTrainer *self, const FbPhase *phase)
{
  const int          K    = self->job->teacher_steps;
  g_autofree double *pmf  = g_new (double, K);
  double             work = 3.0;                                   /* the student, and back */
  double             way  = 0.0;                                   /* the teacher's */

  fb_mixture_pmf (K, phase->modes, self->job->mode_variance, pmf);
  for (int i = 0; i < K; i++)
    way += 2.0 * (K - i) * pmf[i];
  work += way / self->job->teacher_reuse;
  if (phase->matching > 0.0)
    work += 3.0;
  if (self->judge != NULL)
    work += phase->adversarial > 0.0 ? 2.0 : 1.0;
  return work;
}

/* this process's work of all steps after the first @done, in network calls */
static double
work_after (FbTrainer *self, int done)
{
  double work = 0.0;
  int    step = 0;

  for (int i = 0; i < self->job->n_phases; i++)
    {
      const int end = step + self->job->phases[i].n_steps;

      if (end > done)
        work += (end - MAX (step, done)) * expected_work (self, &self->job->phases[i]) * self->job->batch_size / self->team->size;
      step = end;
    }
  return work;
}

/* negative while nothing has been measured */
static double
seconds_after (const Run *run, int done)
{
  const int n_steps = run->trainer->job->steps - done;

  return run->work > 0.0 ? work_after (run->trainer, done) * run->seconds / run->work + n_steps * run->apart / run->n_steps : -1.0;
}

static void
report (Run *run, FbDistillStage stage, const char *path)
{
  FbTrainer         *self   = run->trainer;
  const FbPhase     *phase  = fb_phases_at (self->job->phases, self->job->n_phases, MAX (self->step - 1, 0));
  const double       left   = seconds_after (run, self->step);
  FbDistillProgress  p      = { .stage = stage, .done = self->step, .total = self->job->steps, .phase = (int) (phase - self->job->phases),
                                .losses = run->losses, .seconds_left = left, .seconds_total = seconds_after (run, 0),
                                .peak_bytes = peak_memory (self), .path = path };

  p.learning_rate    = fb_learning_rate (self->job->learning_rate, self->job->warm_up, MAX (self->step - 1, 0));
  p.seconds_per_step = self->step < self->job->steps && left >= 0.0 ? left / (self->job->steps - self->step) : -1.0;
  if (run->progress != NULL)
    run->progress (&p, run->user_data);
}

/* --- the log: one line per step, cut back to the checkpoint when a job goes on -------------------------------------------- */

/* Writes anew what of the old log belongs to the steps done. */
static gboolean
open_log (Run *run, GError **error)
{
  FbTrainer         *self  = run->trainer;
  g_autofree char   *path  = g_build_filename (self->folder, "log.tsv", NULL);
  g_autofree char   *old   = NULL;
  g_autoptr(GString) text  = g_string_new (LOG_HEADER);
  g_auto(GStrv)      lines = NULL;

  g_file_get_contents (path, &old, NULL, NULL);
  lines = g_strsplit (old != NULL ? old : "", "\n", -1);
  for (int i = 1; lines[0] != NULL && lines[i] != NULL; i++)
    {
      char   *end;
      guint64 step = g_ascii_strtoull (lines[i], &end, 10);

      if (step > 0 && *end == '\t' && step <= (guint64) self->step)
        g_string_append_printf (text, "%s\n", lines[i]);
    }
  if (!g_file_set_contents (path, text->str, (gssize) text->len, error))
    return FALSE;
  run->log = g_fopen (path, "a");
  if (run->log != NULL)
    return TRUE;
  fb_model_error_set_errno (error, errno, path, TRUE);
  return FALSE;
}

/* A log that cannot be written is no reason to stop: checkpoints say when the disk is full. */
static void
write_log (Run *run, double seconds)
{
  const FbDistillLosses *l = &run->losses;
  const double           values[] = { seconds, l->distillation, l->matching, l->adversarial, l->discriminator, l->real, l->fake, l->gradient };

  fprintf (run->log, "%d", run->trainer->step);
  for (gsize i = 0; i < G_N_ELEMENTS (values); i++)
    {
      char text[G_ASCII_DTOSTR_BUF_SIZE];

      fprintf (run->log, "\t%s", g_ascii_formatd (text, sizeof text, "%.6g", values[i]));
    }
  fputc ('\n', run->log);
  fflush (run->log);
}

/* --- samples ---------------------------------------------------------------------------------------------------------------- */

static gboolean
make_sample (Run *run, GError **error)
{
  FbTrainer         *self   = run->trainer;
  g_autofree char   *folder = g_build_filename (self->folder, "samples", NULL);
  g_autofree char   *name   = g_strdup_printf ("%06d.png", self->step);
  g_autofree char   *path   = g_build_filename (folder, name, NULL);
  g_autoptr(FbImage) sheet  = fb_trainer_sheet (self, SAMPLE_PROMPTS, sample_steps, G_N_ELEMENTS (sample_steps), run->cancellable, error);
  g_autoptr(GError)  bad    = NULL;

  if (sheet == NULL)
    return FALSE;
  if (g_mkdir_with_parents (folder, 0755) == 0 && fb_image_save_png (sheet, path, &bad))
    report (run, FB_DISTILL_SAMPLE, path);
  else
    g_warning ("%s", bad != NULL ? bad->message : g_strerror (errno));       /* a picture less is no reason to stop */
  return TRUE;
}

/* --- the run ---------------------------------------------------------------------------------------------------------------- */

static gboolean
check_hope (Run *run, GError **error)
{
  FbTrainer        *self  = run->trainer;
  const double      left  = seconds_after (run, self->step);
  const guint64     limit = ((guint64) self->job->memory << 20) / (guint64) self->team->n_on_machine;
  const guint64     peak  = peak_memory (self);
  g_autofree char  *used  = g_format_size (peak);
  g_autofree char  *may   = g_format_size (limit);

  if (left > MOST_SECONDS)
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_HOPELESS,
                   _("“%s” would take %.0f days on this machine. Fewer “steps”, a smaller size, fewer “teacher_steps” or a smaller model would help."),
                   self->job->path, left / (24 * 3600));
      return FALSE;
    }
  if (limit > 0 && peak > limit)
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_HOPELESS,
                   _("“%s” took %s of memory in its first step and may take %s. A larger “memory”, or a smaller “samples_per_call” or size would help."),
                   self->job->path, used, may);
      return FALSE;
    }
  return TRUE;
}

static gboolean
take_step (Run *run, gboolean first, GError **error)
{
  FbTrainer   *self  = run->trainer;
  const double start = now ();
  const double calls = fb_networks_n_calls (self->networks);
  const double apart = self->perceptual_seconds;

  if (!fb_trainer_step (self, &run->losses, run->cancellable, error))
    return FALSE;
  run->apart   += self->perceptual_seconds - apart;
  run->seconds += now () - start - (self->perceptual_seconds - apart);
  run->n_steps++;
  run->work    += fb_networks_n_calls (self->networks) - calls;
  if (run->log != NULL)
    write_log (run, now () - start);
  report (run, first ? FB_DISTILL_MEASURE : FB_DISTILL_TRAIN, NULL);
  run->ends_unsaved = first && !check_hope (run, error);
  return !run->ends_unsaved;
}

static gboolean
save (Run *run, GError **error)
{
  run->ends_unsaved = !fb_trainer_save (run->trainer, error);
  if (run->ends_unsaved)
    return FALSE;
  report (run, FB_DISTILL_SAVE, NULL);
  return TRUE;
}

/* what is due after a step: the first process does it, the others wait */
static gboolean
save_and_show (Run *run, GError **error)
{
  FbTrainer          *self = run->trainer;
  const FbDistillJob *job  = self->job;
  const gboolean      last = self->step == job->steps;

  return (!(self->step % job->checkpoint_every == 0 || last) || save (run, error)) &&
         (job->sample_every == 0 || !(self->step % job->sample_every == 0 || last) || make_sample (run, error));
}

static gboolean
run_steps (Run *run, GError **error)
{
  FbTrainer *self = run->trainer;
  const int  from = self->step;

  while (self->step < self->job->steps)
    {
      const gboolean ok = take_step (run, self->step == from, error) &&
                          (!fb_trainer_is_first (self) || save_and_show (run, error));

      if (!fb_team_agree (self->team, ok, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
fb_trainer_run (FbTrainer *self, FbDistillProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error)
{
  Run               run    = { .trainer = self, .progress = progress, .user_data = user_data, .cancellable = cancellable };
  const int         from   = self->step;
  const gboolean    first  = fb_trainer_is_first (self);
  g_autofree char  *output = fb_distill_job_output (self->job);
  g_autoptr(GError) late   = NULL;
  gboolean          ok;

  if (!fb_team_agree (self->team, !first || open_log (&run, error), error))
    return FALSE;
  ok = run_steps (&run, error);
  g_clear_pointer (&run.log, fclose);
  if (!ok)
    {
      if (first && self->step > from && !run.ends_unsaved && !fb_trainer_save (self, &late))   /* a refused job leaves nothing to go on from */
        g_warning ("%s", late->message);
      return FALSE;
    }
  if (!fb_team_agree (self->team, !first || fb_trainer_export (self, error), error))
    return FALSE;
  report (&run, FB_DISTILL_DONE, output);
  return TRUE;
}
