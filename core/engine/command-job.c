/* core/engine/command-job.c: a job that makes pictures, on the command line. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * In this process, without socket and server; for scripts, tests and profilers.
 */
#include "core/engine/command-job.h"

#include <glib-unix.h>
#include <glib/gi18n-lib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/engine/queue-private.h"
#include "core/engine/trade.h"
#include "core/image/png.h"

#define LARGE ((gint64) 2048 * 2048)     /* pixels */

typedef struct
{
  const FbJobOptions *options;
  FbJobFinishFunc     finish;
  gpointer            finish_data;
  GMainLoop          *loop;
  FbQueue            *queue;
  FbTask             *task;
  guint               n_saved;
  GError             *error;
} Command;

void
fb_job_options_clear (FbJobOptions *o)
{
  g_free (o->model);
  g_free (o->vae);
  g_free (o->taesd);
  g_free (o->prompt);
  g_free (o->negative);
  g_free (o->sampler);
  g_free (o->spacing);
  g_free (o->dtype);
  g_free (o->decoder);
  g_free (o->output);
  g_strfreev (o->loras);
}

/* --- options to request ------------------------------------------------------------------------------------------------- */

void
fb_job_options_add (FbJobOptions *o, GOptionContext *context)
{
  const GOptionEntry entries[] =      /* texts as the bytes they are: in the C locale, GLib would take no umlaut */
  {
    { "model",     'm', 0, G_OPTION_ARG_FILENAME, &o->model, N_("Name or path of the model; the first there is without it"), N_("MODEL") },
    { "prompt",    'p', 0, G_OPTION_ARG_FILENAME, &o->prompt, N_("What the picture should show"), N_("TEXT") },
    { "negative",  0, 0, G_OPTION_ARG_FILENAME, &o->negative, N_("What it should not show"), N_("TEXT") },
    { "output",    'o', 0, G_OPTION_ARG_FILENAME, &o->output, N_("PNG file to write; more pictures are numbered"), N_("FILE") },
    { "seed",      's', 0, G_OPTION_ARG_INT64, &o->seed, N_("Seed of the first picture, -1 draws one; 0"), N_("N") },
    { "count",     'n', 0, G_OPTION_ARG_INT, &o->count, N_("How many pictures; 1"), N_("N") },
    { "steps",     0, 0, G_OPTION_ARG_INT, &o->steps, N_("Denoising steps"), N_("N") },
    { "guidance",  0, 0, G_OPTION_ARG_DOUBLE, &o->guidance, N_("Guidance scale; 1 is none"), N_("X") },
    { "sampler",   0, 0, G_OPTION_ARG_FILENAME, &o->sampler, N_("Sampler"), N_("NAME") },
    { "spacing",   0, 0, G_OPTION_ARG_FILENAME, &o->spacing, N_("trailing, leading or linspace"), N_("NAME") },
    { "clip-skip", 0, 0, G_OPTION_ARG_INT, &o->clip_skip, N_("Last layers of the text encoder to leave out"), N_("N") },
    { "lora",      'l', 0, G_OPTION_ARG_FILENAME_ARRAY, &o->loras, N_("LoRA to add, as often as you like"), N_("NAME[=STRENGTH]") },
    { "vae",       0, 0, G_OPTION_ARG_FILENAME, &o->vae, N_("Autoencoder instead of the model's own"), N_("NAME") },
    { "taesd",     0, 0, G_OPTION_ARG_FILENAME, &o->taesd, N_("TAESD for drafts"), N_("NAME") },
    { "decoder",   0, 0, G_OPTION_ARG_FILENAME, &o->decoder, N_("full or taesd"), N_("NAME") },
    { "dtype",     0, 0, G_OPTION_ARG_FILENAME, &o->dtype, N_("auto, f32, bf16 or f16"), N_("NAME") },
    { "threads",   0, 0, G_OPTION_ARG_INT, &o->threads, N_("Threads; one per core without it"), N_("N") },
    { "quiet",     'q', 0, G_OPTION_ARG_NONE, &o->quiet, N_("Print nothing but errors"), NULL },
    G_OPTION_ENTRY_NULL
  };

  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
}

/* before minutes of computing */
static gboolean
check_output (const char *path, GError **error)
{
  g_autofree char *lower = g_ascii_strdown (path, -1);

  if (!g_str_has_suffix (lower, ".png"))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“%s” is no name for a PNG file; choose one that ends in .png."), path);
      return FALSE;
    }
  return fb_command_check_output (path, error);
}

/* what the options alone show to be wrong */
static gboolean
check_numbers (const FbJobOptions *o, GError **error)
{
  if (!fb_command_check_range ("--threads", o->threads, 0, FB_SETTINGS_MAX_THREADS, error) ||
      !fb_command_check_range ("--steps", o->steps, 1, 1000, error) ||
      !fb_command_check_range ("--guidance", o->guidance, 1, 100, error))
    return FALSE;
  if (o->seed < -1)
    {
      g_autofree char *seed = g_strdup_printf ("%" G_GINT64_FORMAT, o->seed);

      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("The seed “%s” is not a whole number from 0 up; -1 draws one."), seed);
      return FALSE;
    }
  return TRUE;
}

gboolean
fb_job_options_finish (FbJobOptions *o, char **argv, GError **error)
{
  if (*argv != NULL && o->prompt == NULL)
    o->prompt = g_strdup (*argv++);
  if (*argv != NULL)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“%s” is one argument too many; put the prompt in quotes."), *argv);
      return FALSE;
    }
  if (!check_numbers (o, error))
    return FALSE;
  if (o->output == NULL)
    o->output = g_strdup ("flashbrush.png");
  if (o->seed == -1)
    o->seed = g_random_int ();                             /* 32 bits as in GIMP, so that it can be typed anywhere */
  return check_output (o->output, error);
}

/* "NAME", "NAME=0.8"; a name may hold "=" if a strength follows */
static GVariant *
parse_lora (const char *text, GError **error)
{
  const char       *sign     = strrchr (text, '=');
  g_autofree char  *name     = sign != NULL ? g_strndup (text, sign - text) : g_strdup (text);
  char             *end      = NULL;
  double            strength = sign != NULL ? g_ascii_strtod (sign + 1, &end) : 1.0;

  if (!fb_command_check_text ("lora", text, error))
    return NULL;
  if (sign != NULL && (end == sign + 1 || *end != '\0'))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("The strength of LoRA “%s” is not a number."), text);
      return NULL;
    }
  return g_variant_new ("(sd)", name, strength);
}

gboolean
fb_job_insert_string (GVariantDict *dict, const char *key, const char *value, GError **error)
{
  if (value == NULL)
    return TRUE;
  if (!fb_command_check_text (key, value, error))
    return FALSE;
  g_variant_dict_insert (dict, key, "s", value);
  return TRUE;
}

gboolean
fb_job_options_to_dict (const FbJobOptions *o, GVariantDict *dict, GError **error)
{
  g_auto(GVariantBuilder) loras = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a(sd)"));

  for (gsize i = 0; o->loras != NULL && o->loras[i] != NULL; i++)
    {
      GVariant *lora = parse_lora (o->loras[i], error);

      if (lora == NULL)
        return FALSE;
      g_variant_builder_add_value (&loras, lora);
    }
  if (!fb_job_insert_string (dict, "model", o->model, error) ||
      !fb_job_insert_string (dict, "vae", o->vae, error) ||
      !fb_job_insert_string (dict, "taesd", o->taesd, error) ||
      !fb_job_insert_string (dict, "prompt", o->prompt, error) ||
      !fb_job_insert_string (dict, "negative-prompt", o->negative, error) ||
      !fb_job_insert_string (dict, "sampler", o->sampler, error) ||
      !fb_job_insert_string (dict, "timestep-spacing", o->spacing, error) ||
      !fb_job_insert_string (dict, "decoder", o->decoder, error) ||
      !fb_job_insert_string (dict, "dtype", o->dtype, error))
    return FALSE;
  g_variant_dict_insert (dict, "preview", "s", "none");
  if (o->steps != FB_NOT_GIVEN)
    g_variant_dict_insert (dict, "n-steps", "i", o->steps);
  if (o->guidance != FB_NOT_GIVEN)
    g_variant_dict_insert (dict, "guidance-scale", "d", o->guidance);
  g_variant_dict_insert (dict, "seed", "x", o->seed);
  g_variant_dict_insert (dict, "count", "i", o->count);
  g_variant_dict_insert (dict, "clip-skip", "i", o->clip_skip);
  g_variant_dict_insert_value (dict, "loras", g_variant_builder_end (&loras));
  return TRUE;
}

/* --- the job ------------------------------------------------------------------------------------------------------------ */

/* out.png, out-2.png, out-3.png … */
static char *
output_path (const FbJobOptions *o, guint index)
{
  const char *dot = strrchr (o->output, '.');
  int         n   = dot != NULL && strchr (dot, G_DIR_SEPARATOR) == NULL ? (int) (dot - o->output) : (int) strlen (o->output);

  if (index == 0)
    return g_strdup (o->output);
  return g_strdup_printf ("%.*s-%u%s", n, o->output, index + 1, o->output + n);
}

static void
save (Command *self, FbImage *picture, gint64 seed)
{
  g_autofree char    *path  = output_path (self->options, self->n_saved++);
  g_autoptr(FbImage)  image = NULL;

  if (self->error != NULL)
    return;
  image = self->finish != NULL ? self->finish (picture, self->finish_data, &self->error) : fb_image_ref (picture);
  if (image != NULL && fb_image_save_png (image, path, &self->error) && !self->options->quiet)
    printf ("%s\t%d × %d\tseed %" G_GINT64_FORMAT "\n", path, image->width, image->height, seed);
}

static void
print_seconds (GVariant *result)
{
  g_autoptr(GVariant) seconds = g_variant_lookup_value (result, "stage-seconds", G_VARIANT_TYPE ("a{sd}"));
  GVariantIter        iter;
  const char         *stage;
  double              value;

  if (seconds == NULL)
    return;
  g_variant_iter_init (&iter, seconds);
  while (g_variant_iter_next (&iter, "{&sd}", &stage, &value))
    printf ("%s\t%.2f s\n", stage, value);
}

static void
show (const FbJobProgress *progress, gboolean done)
{
  g_autofree char *left = fb_command_duration (progress->seconds_left);
  g_autofree char *line = NULL;

  if (progress->seconds_left >= 0.0)
    /* Translators: share of the work that is done, what is being done, and how long it will take, as “3 min” */
    line = g_strdup_printf (_("%3.0f %% %s, about %s left"), progress->fraction * 100.0, fb_job_stage_label (progress->stage), left);
  else
    line = g_strdup_printf ("%3.0f %% %s", progress->fraction * 100.0, fb_job_stage_label (progress->stage));
  fb_command_show (done ? "" : line);
}

static void
on_changed (FbTask *task, gpointer user_data)
{
  Command       *self = user_data;
  FbJobProgress  progress;
  gboolean       done;

  g_mutex_lock (&task->lock);
  progress = task->progress;
  done     = task->done;
  g_mutex_unlock (&task->lock);

  if (!self->options->quiet)
    show (&progress, done);
  if (!done)
    return;
  for (guint i = self->n_saved; i < task->pictures->len; i++)
    save (self, ((FbTaskPicture *) task->pictures->pdata[i])->image, ((FbTaskPicture *) task->pictures->pdata[i])->seed);
  if (task->error != NULL && self->error == NULL)
    self->error = g_error_copy (task->error);
  if (task->result != NULL && !self->options->quiet)
    print_seconds (task->result);
  g_main_loop_quit (self->loop);
}

static gboolean
on_interrupt (gpointer user_data)
{
  Command *self = user_data;

  fb_queue_cancel (self->queue, self->task);
  return G_SOURCE_CONTINUE;
}

static void
on_hung (FbTask *task, gpointer user_data)
{
  fputs ("flashbrush-engine: the job does not stop\n", stderr);
  _exit (3);
}

static const FbJobKind *
kind_called (const char *name)
{
  const FbJobKind *kind = fb_trade.kinds;

  while (strcmp (kind->name, name) != 0)
    kind++;
  return kind;
}

/* runs the job on the queue's thread, while this one shows the progress */
static void
run (Command *self, const char *kind, FbWorkshop *workshop, GVariant *request, GHashTable *pictures)
{
  self->loop          = g_main_loop_new (NULL, FALSE);
  self->queue         = fb_queue_new (workshop, FALSE, on_hung, self);
  self->task          = fb_task_new (workshop, kind_called (kind), request, pictures);
  self->task->changed = on_changed;
  self->task->owner   = self;
  self->task->progress = (FbJobProgress) { .stage = "load", .seconds_left = -1.0 };
  g_unix_signal_add (SIGINT, on_interrupt, self);
  fb_queue_push (self->queue, self->task);
  g_main_loop_run (self->loop);

  fb_queue_stop (self->queue, 10.0);
  fb_queue_free (self->queue);
  fb_task_unref (self->task);
  g_main_loop_unref (self->loop);
}

static gboolean
workshop_init (FbWorkshop *workshop, const FbJobOptions *options, GError **error)
{
  g_autofree char *path = fb_settings_path ();

  *workshop = (FbWorkshop) { .settings = fb_settings_load (path, error) };
  if (workshop->settings == NULL)
    return FALSE;
  if (options->threads > 0)
    workshop->settings->threads = options->threads;
  workshop->settings->nice = 0;                            /* nobody else's work is behind this one */
  workshop->residents      = fb_residents_new (G_MAXUINT64);
  return TRUE;
}

/* after the queue has freed what its threads made */
static void
workshop_clear (FbWorkshop *workshop)
{
  if (workshop->desk != NULL)
    workshop->free_desk (workshop->desk);
  fb_residents_free (workshop->residents);
  fb_settings_free (workshop->settings);
}

gboolean
fb_command_model_size (const FbJobOptions *options, const char *kind, GVariant *request, int *width, int *height, GError **error)
{
  FbJobEstimate estimate = { 0 };
  FbWorkshop    workshop;
  gboolean      done;

  if (!workshop_init (&workshop, options, error))
    return FALSE;
  done = kind_called (kind)->estimate (&workshop, request, &estimate, NULL, error);
  if (done)
    {
      g_variant_lookup (estimate.resolved, "width", "i", width);
      g_variant_lookup (estimate.resolved, "height", "i", height);
      g_variant_unref (estimate.resolved);
    }
  workshop_clear (&workshop);
  return done;
}

/* Of a size at which attention takes most of the time, which grows with the square of the pixels: said first, as nothing may follow for hours */
static void
warn_of_cost (FbWorkshop *workshop, const char *kind, GVariant *request)
{
  FbJobEstimate    estimate = { 0 };
  g_autofree char *bytes    = NULL;
  int              width = 0, height = 0;

  g_variant_lookup (request, "width", "i", &width);
  g_variant_lookup (request, "height", "i", &height);
  if ((gint64) width * height < LARGE || !kind_called (kind)->estimate (workshop, request, &estimate, NULL, NULL))
    return;                                                /* why there is no estimate, the job will say */

  bytes = g_format_size (estimate.peak_bytes);
  fprintf (stderr, _("flashbrush-engine: %d×%d pixels at once need about %s of memory and may take very long; Ctrl-C stops it.\n"), width, height, bytes);
  g_variant_unref (estimate.resolved);
}

gboolean
fb_command_job (const FbJobOptions *options, const char *kind, GVariant *request, GHashTable *pictures,
                FbJobFinishFunc finish, gpointer user_data, GError **error)
{
  Command    self = { .options = options, .finish = finish, .finish_data = user_data };
  FbWorkshop workshop;

  if (!workshop_init (&workshop, options, error))
    return FALSE;
  if (!options->quiet)
    warn_of_cost (&workshop, kind, request);
  run (&self, kind, &workshop, request, pictures);
  workshop_clear (&workshop);

  if (self.error != NULL)
    g_propagate_error (error, self.error);
  return self.error == NULL;
}
