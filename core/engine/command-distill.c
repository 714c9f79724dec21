/* core/engine/command-distill.c: flashbrush-engine distill. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A training job in this process; an interrupt (Ctrl-C), SIGTERM or SIGUSR1 pauses it, and the same command goes on. Started by mpirun, the
 * processes train it as a team.
 */
#include "core/engine/command-line.h"
#include "core/engine/command-trainer.h"
#include "core/engine/command.h"

#include <glib-unix.h>
#include <glib/gi18n-lib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/engine/distill-wish.h"

typedef struct
{
  char    *create, *preset, *teacher, *pictures, *captions, *prompt_file;
  char   **prompts;
  int      steps;
  gboolean quiet;
} Options;

static void
options_clear (Options *o)
{
  g_free (o->create);
  g_free (o->preset);
  g_free (o->teacher);
  g_free (o->pictures);
  g_free (o->captions);
  g_free (o->prompt_file);
  g_strfreev (o->prompts);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

typedef struct
{
  const FbDistillJob *job;
  const FbTeam       *team;
  GCancellable       *cancellable;
  GMainLoop          *loop;
  gboolean            quiet;
  GError             *error;
} Command;

static void
print_line (const char *line)
{
  fb_command_show ("");
  printf ("%s\n", line);
  fflush (stdout);
}

static void
on_progress (const FbDistillProgress *p, gpointer user_data)
{
  Command         *self = user_data;
  g_autofree char *left = fb_command_duration (p->seconds_left);
  g_autofree char *each = fb_command_duration (p->seconds_per_step);
  g_autofree char *peak = g_format_size (p->peak_bytes);
  g_autofree char *line = NULL;

  if (self->quiet)
    return;
  switch (p->stage)
    {
    case FB_DISTILL_PREPARE:
      line = g_strdup_printf (_("preparing: %d of %d"), p->done, p->total);
      fb_command_show (line);
      break;
    case FB_DISTILL_MEASURE:
      line = p->seconds_left >= 0.0 ? g_strdup_printf (_("first step: %.1f s each, peak memory %s; about %s for the %d steps left"),
                                                       MAX (p->seconds_per_step, 0.0), peak, left, p->total - p->done)
                                    : g_strdup_printf (_("peak memory %s"), peak);
      print_line (line);
      break;
    case FB_DISTILL_TRAIN:
      line = g_strdup_printf (_("step %d of %d, phase %d: distillation %.4f, matching %.4f, adversarial %.4f, discriminator %.4f; %s left"),
                              p->done, p->total, p->phase + 1, p->losses.distillation, p->losses.matching, p->losses.adversarial,
                              p->losses.discriminator, left);
      fb_command_show (line);
      break;
    case FB_DISTILL_SAMPLE:
      line = g_strdup_printf ("%s\t%s", p->path, _("sample: teacher, then the student in 1, 2 and 4 steps"));
      print_line (line);
      break;
    case FB_DISTILL_SAVE:
      break;
    case FB_DISTILL_DONE:
      line = g_strdup_printf ("%s\t%s", p->path, _("the LoRA; use it with the sampler “flash”, 1 to 4 steps, guidance 1"));
      print_line (line);
      break;
    }
}

static gboolean
on_interrupt (gpointer user_data)
{
  g_cancellable_cancel (((Command *) user_data)->cancellable);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_end (gpointer user_data)
{
  g_main_loop_quit (((Command *) user_data)->loop);
  return G_SOURCE_REMOVE;
}

static gpointer
run_job (gpointer user_data)
{
  Command              *self    = user_data;
  g_autoptr(FbTrainer)  trainer = fb_command_open_trainer (self->job, self->team, &self->error);

  if (trainer != NULL && fb_trainer_prepare (trainer, on_progress, self, self->cancellable, &self->error))
    fb_trainer_run (trainer, on_progress, self, self->cancellable, &self->error);
  g_idle_add (on_end, self);                              /* from within the loop: it may not have begun, and would not know that it has ended */
  return NULL;
}

/* Runs the job on a thread of its own, so that this one sees interrupts. */
static int
run (const FbDistillJob *job, const FbTeam *team, gboolean quiet)
{
  const int               signals[]   = { SIGINT, SIGTERM, SIGUSR1 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GMainLoop)    loop        = g_main_loop_new (NULL, FALSE);
  Command                 self        = { job, team, cancellable, loop, quiet };
  GThread                *thread;

  for (gsize i = 0; i < G_N_ELEMENTS (signals); i++)
    g_unix_signal_add (signals[i], on_interrupt, &self);
  thread = g_thread_new ("distill", run_job, &self);
  g_main_loop_run (loop);
  g_thread_join (thread);

  fb_command_show ("");
  if (g_error_matches (self.error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    {
      g_error_free (self.error);
      if (!quiet)
        print_line (_("paused; the same command goes on"));
      return 3;
    }
  return self.error != NULL ? fb_command_trainer_fail ("distill", self.error, 1) : 0;
}

/* What the trainer says besides: to a person who reads a terminal, not a log */
static void
say (const char *domain, GLogLevelFlags level, const char *message, gpointer user_data)
{
  const gboolean *quiet = user_data;

  if (*quiet && (level & G_LOG_LEVEL_WARNING) == 0)
    return;
  fb_command_show ("");
  fprintf (stderr, "flashbrush-engine distill: %s\n", message);
}

static void
say_nothing (const char *domain, GLogLevelFlags level, const char *message, gpointer user_data)
{
}

static int
run_in_team (const char *path, gboolean quiet)
{
  GError                 *error = NULL;
  const FbTeam           *team  = fb_team_open (&error);
  g_autoptr(FbDistillJob) job   = NULL;
  int                     status;

  if (team == NULL)
    return fb_command_trainer_fail ("distill", error, 1);
  g_log_set_handler (NULL, G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE, team->rank > 0 ? say_nothing : say, &quiet);    /* the first says it for all */
  job = fb_distill_job_load (path, &error);
  status = fb_team_agree (team, job != NULL, &error) ? run (job, team, quiet || team->rank > 0) : fb_command_trainer_fail ("distill", error, 2);
  fb_team_leave (team);
  return status;
}

/* --- a new job ------------------------------------------------------------------------------------------------------------ */

static char *
absolute (const char *path)
{
  return path != NULL ? g_canonicalize_filename (path, NULL) : NULL;
}

/* What a job can do nothing about later: words that are no text, and names that lead nowhere */
static gboolean
check_given (const Options *o, GError **error)
{
  const char * const paths[] = { o->pictures, o->captions, o->prompt_file };

  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++)
    if (paths[i] != NULL && !g_file_test (paths[i], G_FILE_TEST_EXISTS))
      {
        g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“%s” does not exist. Check the name, or choose another file."), paths[i]);
        return FALSE;
      }
  for (gsize i = 0; o->prompts != NULL && o->prompts[i] != NULL; i++)
    if (!fb_command_check_text ("--prompt", o->prompts[i], error))
      return FALSE;
  return fb_command_check_text ("--teacher", o->teacher, error) && fb_command_check_text ("--preset", o->preset, error);
}

static int
create (const Options *o)
{
  const FbDistillWish      wish  = { .preset = o->preset, .teacher = o->teacher, .steps = o->steps };
  g_autofree char         *path  = NULL, *preset = NULL;
  GError                  *error = NULL;
  g_autoptr(FbDistillJob)  job   = check_given (o, &error) ? fb_distill_wish_plan (&wish, &path, &preset, &error) : NULL;

  if (job == NULL)
    return fb_command_trainer_fail ("distill", error, 2);
  job->path        = absolute (o->create);
  job->pictures    = absolute (o->pictures);
  job->captions    = absolute (o->captions);
  job->prompt_file = absolute (o->prompt_file);
  job->prompts     = g_strdupv (o->prompts);
  if (!fb_distill_job_check (job, &error) || !fb_distill_wish_save (job, &error))
    return fb_command_trainer_fail ("distill", error, 2);
  if (!o->quiet)
    printf ("%s\n", job->path);
  return 0;
}

/* whether there are options that only mean something to a new job */
static gboolean
is_of_new (const Options *o)
{
  return o->preset != NULL || o->teacher != NULL || o->pictures != NULL || o->captions != NULL || o->prompt_file != NULL || o->prompts != NULL ||
         o->steps != 0;
}

int
fb_command_distill (int argc, char **argv)
{
  g_auto(Options)           o       = { 0 };
  g_autoptr(GOptionContext) context = g_option_context_new (_("JOB.json"));
  GError                   *error   = NULL;
  const GOptionEntry        entries[] =      /* texts as the bytes they are: in the C locale, GLib would take no umlaut */
  {
    { "new",         0, 0, G_OPTION_ARG_FILENAME, &o.create, N_("Write a new job from a preset, instead of running one"), N_("JOB.json") },
    { "preset",      0, 0, G_OPTION_ARG_FILENAME, &o.preset, N_("small or sd-1.5; what suits the teacher without it"), N_("NAME") },
    { "teacher",     't', 0, G_OPTION_ARG_FILENAME, &o.teacher, N_("Name or path of the model to distil"), N_("MODEL") },
    { "pictures",    0, 0, G_OPTION_ARG_FILENAME, &o.pictures, N_("Folder of pictures with captions in .txt files"), N_("FOLDER") },
    { "captions",    0, 0, G_OPTION_ARG_FILENAME, &o.captions, N_("Text file of lines: picture, tab, caption"), N_("FILE") },
    { "prompts",     0, 0, G_OPTION_ARG_FILENAME, &o.prompt_file, N_("Text file of prompts, for which the teacher makes the pictures"), N_("FILE") },
    { "prompt",      'p', 0, G_OPTION_ARG_FILENAME_ARRAY, &o.prompts, N_("A prompt, as often as you like"), N_("TEXT") },
    { "steps",       0, 0, G_OPTION_ARG_INT, &o.steps, N_("Training steps"), N_("N") },
    { "quiet",       'q', 0, G_OPTION_ARG_NONE, &o.quiet, N_("Print nothing but errors"), NULL },
    G_OPTION_ENTRY_NULL
  };

  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  g_option_context_set_summary (context, _("Trains a LoRA with which a model makes pictures in 1 to 4 steps. An interrupted job goes on from its last\n"
                                           "checkpoint; its files lie in the folder JOB beside JOB.json. With OpenMPI, several processes train one job:\n"
                                           "mpirun --bind-to none -np 2 flashbrush-engine distill JOB.json"));
  if (!g_option_context_parse (context, &argc, &argv, &error))
    return fb_command_trainer_fail ("distill", error, 2);
  if (o.steps < 0)
    {
      fputs (_("flashbrush-engine distill: give a number of steps above 0.\n"), stderr);
      return 2;
    }
  if (o.create != NULL && argc == 1)
    return create (&o);
  if (o.create == NULL && is_of_new (&o))
    {
      fputs (_("flashbrush-engine distill: what a job learns, and how, stands in its file; change it there, or write a new one with --new.\n"), stderr);
      return 2;
    }
  if (o.create != NULL || argc != 2)
    {
      fputs (_("flashbrush-engine distill: name one job file, or a new one with --new.\n"), stderr);
      return 2;
    }
  return run_in_team (argv[1], o.quiet);
}
