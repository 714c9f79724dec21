/* core/engine/command-generate.c: flashbrush-engine generate. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The job "generate" in this process, without socket and server; for scripts, tests and profilers.
 */
#include "core/engine/command.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/engine/queue-private.h"
#include "core/engine/trade.h"
#include "core/image/png.h"

typedef struct
{
  char    *model, *vae, *taesd, *prompt, *negative, *sampler, *spacing, *dtype, *decoder, *init, *output;
  char   **loras;
  int      steps, width, height, count, clip_skip, threads;
  gint64   seed;
  double   guidance, strength;
  gboolean quiet;
} Options;

typedef struct
{
  const Options *options;
  GMainLoop     *loop;
  FbQueue       *queue;
  FbTask        *task;
  guint          n_saved;
  GError        *error;
} Command;

static void
options_clear (Options *o)
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
  g_free (o->init);
  g_free (o->output);
  g_strfreev (o->loras);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

/* before minutes of computing */
static gboolean
check_output (const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);

  if (g_access (folder, W_OK | X_OK) == 0 && !g_file_test (path, G_FILE_TEST_IS_DIR))
    return TRUE;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“%s” cannot be written: %s."), path,
               g_strerror (g_file_test (path, G_FILE_TEST_IS_DIR) ? EISDIR : errno));
  return FALSE;
}

static gboolean
parse (Options *o, int *argc, char ***argv, GError **error)
{
  const GOptionEntry entries[] =
  {
    { "model",     'm', 0, G_OPTION_ARG_STRING, &o->model, N_("Name or path of the model; the first there is without it"), N_("MODEL") },
    { "prompt",    'p', 0, G_OPTION_ARG_STRING, &o->prompt, N_("What the picture should show"), N_("TEXT") },
    { "negative",  0, 0, G_OPTION_ARG_STRING, &o->negative, N_("What it should not show"), N_("TEXT") },
    { "output",    'o', 0, G_OPTION_ARG_FILENAME, &o->output, N_("PNG file to write; more pictures are numbered"), N_("FILE") },
    { "seed",      's', 0, G_OPTION_ARG_INT64, &o->seed, N_("Seed of the first picture; 0"), N_("N") },
    { "count",     'n', 0, G_OPTION_ARG_INT, &o->count, N_("How many pictures; 1"), N_("N") },
    { "steps",     0, 0, G_OPTION_ARG_INT, &o->steps, N_("Denoising steps"), N_("N") },
    { "guidance",  0, 0, G_OPTION_ARG_DOUBLE, &o->guidance, N_("Guidance scale; 1 is none"), N_("X") },
    { "sampler",   0, 0, G_OPTION_ARG_STRING, &o->sampler, N_("Sampler"), N_("NAME") },
    { "spacing",   0, 0, G_OPTION_ARG_STRING, &o->spacing, N_("trailing, leading or linspace"), N_("NAME") },
    { "width",     0, 0, G_OPTION_ARG_INT, &o->width, N_("Width in pixels, a multiple of 8"), N_("N") },
    { "height",    0, 0, G_OPTION_ARG_INT, &o->height, N_("Height in pixels, a multiple of 8"), N_("N") },
    { "clip-skip", 0, 0, G_OPTION_ARG_INT, &o->clip_skip, N_("Last layers of the text encoder to leave out"), N_("N") },
    { "init",      0, 0, G_OPTION_ARG_FILENAME, &o->init, N_("PNG file to start from"), N_("FILE") },
    { "strength",  0, 0, G_OPTION_ARG_DOUBLE, &o->strength, N_("With --init: 0 keeps that picture, 1 ignores it"), N_("X") },
    { "lora",      'l', 0, G_OPTION_ARG_STRING_ARRAY, &o->loras, N_("LoRA to add, as often as you like"), N_("NAME[=STRENGTH]") },
    { "vae",       0, 0, G_OPTION_ARG_STRING, &o->vae, N_("Autoencoder instead of the model's own"), N_("NAME") },
    { "taesd",     0, 0, G_OPTION_ARG_STRING, &o->taesd, N_("TAESD for drafts"), N_("NAME") },
    { "decoder",   0, 0, G_OPTION_ARG_STRING, &o->decoder, N_("full or taesd"), N_("NAME") },
    { "dtype",     0, 0, G_OPTION_ARG_STRING, &o->dtype, N_("auto, f32 or bf16"), N_("NAME") },
    { "threads",   0, 0, G_OPTION_ARG_INT, &o->threads, N_("Threads; one per core without it"), N_("N") },
    { "quiet",     'q', 0, G_OPTION_ARG_NONE, &o->quiet, N_("Print nothing but errors"), NULL },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr(GOptionContext) context = g_option_context_new (_("[TEXT]"));

  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  g_option_context_set_summary (context, _("Makes pictures from a prompt, without GIMP. What is not given, the model decides."));
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  if (o->prompt == NULL && *argc == 2)
    o->prompt = g_strdup ((*argv)[1]);
  else if (*argc > 1)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“%s” is one argument too many; put the prompt in quotes."), (*argv)[1]);
      return FALSE;
    }
  if (o->output == NULL)
    o->output = g_strdup ("flashbrush.png");
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

  if (sign != NULL && (end == sign + 1 || *end != '\0'))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("The strength of LoRA “%s” is not a number."), text);
      return NULL;
    }
  return g_variant_new ("(sd)", name, strength);
}

static void
insert_string (GVariantDict *dict, const char *key, const char *value)
{
  if (value != NULL)
    g_variant_dict_insert (dict, key, "s", value);
}

/* the request: only what was given */
static GVariant *
make_request (const Options *o, GError **error)
{
  g_auto(GVariantDict)    dict  = G_VARIANT_DICT_INIT (NULL);
  g_auto(GVariantBuilder) loras = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a(sd)"));

  for (gsize i = 0; o->loras != NULL && o->loras[i] != NULL; i++)
    {
      GVariant *lora = parse_lora (o->loras[i], error);

      if (lora == NULL)
        return NULL;
      g_variant_builder_add_value (&loras, lora);
    }
  insert_string (&dict, "model", o->model);
  insert_string (&dict, "vae", o->vae);
  insert_string (&dict, "taesd", o->taesd);
  insert_string (&dict, "prompt", o->prompt);
  insert_string (&dict, "negative-prompt", o->negative);
  insert_string (&dict, "sampler", o->sampler);
  insert_string (&dict, "timestep-spacing", o->spacing);
  insert_string (&dict, "decoder", o->decoder);
  insert_string (&dict, "dtype", o->dtype);
  g_variant_dict_insert (&dict, "preview", "s", "none");
  g_variant_dict_insert (&dict, "n-steps", "i", o->steps);
  g_variant_dict_insert (&dict, "guidance-scale", "d", o->guidance);
  g_variant_dict_insert (&dict, "seed", "x", o->seed);
  g_variant_dict_insert (&dict, "count", "i", o->count);
  g_variant_dict_insert (&dict, "width", "i", o->width);
  g_variant_dict_insert (&dict, "height", "i", o->height);
  g_variant_dict_insert (&dict, "clip-skip", "i", o->clip_skip);
  g_variant_dict_insert (&dict, "strength", "d", o->strength);
  g_variant_dict_insert_value (&dict, "loras", g_variant_builder_end (&loras));
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* out.png, out-2.png, out-3.png … */
static char *
output_path (const Options *o, guint index)
{
  const char *dot = strrchr (o->output, '.');
  int         n   = dot != NULL && strchr (dot, G_DIR_SEPARATOR) == NULL ? (int) (dot - o->output) : (int) strlen (o->output);

  if (index == 0)
    return g_strdup (o->output);
  return g_strdup_printf ("%.*s-%u%s", n, o->output, index + 1, o->output + n);
}

static void
save (Command *self, FbImage *image, gint64 seed)
{
  g_autofree char *path = output_path (self->options, self->n_saved++);

  if (self->error == NULL && fb_image_save_png (image, path, &self->error) && !self->options->quiet)
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
on_changed (FbTask *task, gpointer user_data)
{
  Command       *self = user_data;
  FbJobProgress  progress;
  gboolean       done;

  g_mutex_lock (&task->lock);
  progress = task->progress;
  done     = task->done;
  g_mutex_unlock (&task->lock);

  if (!self->options->quiet && isatty (STDERR_FILENO))
    fprintf (stderr, "\r%3.0f %% %-30s%s", progress.fraction * 100.0, fb_job_stage_label (progress.stage), done ? "\r\033[K" : "");
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
  fputs ("flashbrush-engine generate: the job does not stop\n", stderr);
  _exit (3);
}

static const FbJobKind *
generate_kind (void)
{
  const FbJobKind *kind = fb_trade.kinds;

  while (strcmp (kind->name, "generate") != 0)
    kind++;
  return kind;
}

/* runs the job on the queue's thread, while this one shows the progress */
static void
run (Command *self, FbWorkshop *workshop, GVariant *request, GHashTable *pictures)
{
  self->loop          = g_main_loop_new (NULL, FALSE);
  self->queue         = fb_queue_new (workshop, FALSE, on_hung, self);
  self->task          = fb_task_new (workshop, generate_kind (), request, pictures);
  self->task->changed = on_changed;
  self->task->owner   = self;
  self->task->progress.stage = "load";
  g_unix_signal_add (SIGINT, on_interrupt, self);
  fb_queue_push (self->queue, self->task);
  g_main_loop_run (self->loop);

  fb_queue_stop (self->queue, 10.0);
  fb_queue_free (self->queue);
  fb_task_unref (self->task);
  g_main_loop_unref (self->loop);
}

int
fb_command_generate (int argc, char **argv)
{
  g_auto(Options)       options  = { .count = 1, .strength = 1.0 };
  Command               self     = { .options = &options };
  FbWorkshop            workshop = { 0 };
  g_autofree char      *path     = fb_settings_path ();
  g_autoptr(GHashTable) pictures = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) fb_image_unref);
  g_autoptr(GVariant)   request  = NULL;
  FbImage              *init     = NULL;

  if (!parse (&options, &argc, &argv, &self.error) || (request = make_request (&options, &self.error)) == NULL)
    {
      fprintf (stderr, "flashbrush-engine generate: %s\n", self.error->message);
      g_error_free (self.error);
      return 2;
    }
  if (options.init == NULL || (init = fb_image_load_png (options.init, &self.error)) != NULL)
    workshop.settings = fb_settings_load (path, &self.error);
  if (init != NULL)
    g_hash_table_insert (pictures, "init", init);

  if (workshop.settings != NULL)
    {
      if (options.threads > 0)
        workshop.settings->threads = options.threads;
      workshop.settings->nice = 0;                         /* nobody else's work is behind this one */
      workshop.residents      = fb_residents_new (G_MAXUINT64);
      run (&self, &workshop, request, pictures);
      fb_residents_free (workshop.residents);
      fb_settings_free (workshop.settings);
    }
  if (self.error != NULL)
    {
      fprintf (stderr, "flashbrush-engine generate: %s\n", self.error->message);
      g_error_free (self.error);
      return 1;
    }
  return 0;
}
