/* core/engine/distiller.c: distillation jobs, one after another, in the background. SPDX-License-Identifier: LGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/engine/distiller.h"

#include <errno.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/distill/trainer.h"
#include "core/image/png.h"
#include "core/store/delete.h"
#include "core/store/store.h"

#define MAX_ROWS 2000          /* of one answer: more than a screen has pixels */
#define YIELD_US 20000         /* between two looks whether the others have finished */

typedef enum { WAITING, PREPARING, MEASURING, RUNNING, PAUSED, STOPPED, DONE, FAILED, N_STATES } State;

static const char * const state_names[N_STATES] = { "waiting", "preparing", "measuring", "running", "paused", "stopped", "done", "failed" };

/* a job; its path never changes, the rest is under the distiller's lock */
typedef struct
{
  char    *path;
  char    *teacher, *output, *folder;      /* from its file */
  State    state;
  char    *problem;                        /* of one that failed */
  int      step, n_steps;
  int      n_prepared, n_to_prepare;       /* pictures and captions, while preparing */
  double   seconds_left, seconds_total;    /* negative before a step has been measured */
  guint64  peak_bytes;                     /* 0 before */
  gboolean wants_stop;                     /* the LoRA is to be written when it is interrupted */
} Entry;

struct FbDistiller
{
  FbWorkshop   *workshop;
  GThread      *thread;            /* NULL until the first job waits */
  GMutex        lock;
  GCond         changed;
  GPtrArray    *entries;           /* of Entry, in the order they will be done */
  Entry        *current;           /* at work; its cancellable is the next */
  GCancellable *cancellable;
  gboolean      ending;
};

static void
entry_free (gpointer data)
{
  Entry *entry = data;

  g_free (entry->path);
  g_free (entry->teacher);
  g_free (entry->output);
  g_free (entry->folder);
  g_free (entry->problem);
  g_free (entry);
}

/* --- the file "state" ------------------------------------------------------------------------------------------------------- */

#define GROUP "state"

static char *
state_path (const Entry *entry)
{
  return g_build_filename (entry->folder, "state", NULL);
}

static void
read_state (Entry *entry)
{
  g_autoptr(GKeyFile)  keys = g_key_file_new ();
  g_autofree char     *path = state_path (entry);
  g_autofree char     *name = NULL;

  entry->state = PAUSED;
  if (!g_key_file_load_from_file (keys, path, G_KEY_FILE_NONE, NULL))
    return;
  name = g_key_file_get_string (keys, GROUP, "state", NULL);
  for (State state = STOPPED; state < N_STATES; state++)     /* those that were at work are paused now */
    if (g_strcmp0 (name, state_names[state]) == 0)
      entry->state = state;
  entry->problem    = entry->state == FAILED ? g_key_file_get_string (keys, GROUP, "problem", NULL) : NULL;
  entry->step       = CLAMP (g_key_file_get_integer (keys, GROUP, "step", NULL), 0, entry->n_steps);
  entry->peak_bytes = g_key_file_get_uint64 (keys, GROUP, "peak-bytes", NULL);
  if (g_key_file_has_key (keys, GROUP, "seconds-total", NULL))
    entry->seconds_total = g_key_file_get_double (keys, GROUP, "seconds-total", NULL);
}

/* A state that cannot be written costs no more than the job's end not being known to the next engine. */
static void
write_state (const Entry *entry)
{
  g_autoptr(GKeyFile)  keys  = g_key_file_new ();
  g_autofree char     *path  = state_path (entry);
  g_autoptr(GError)    error = NULL;

  g_key_file_set_string (keys, GROUP, "state", state_names[entry->state]);
  g_key_file_set_integer (keys, GROUP, "step", entry->step);
  if (entry->seconds_total >= 0.0)
    {
      g_key_file_set_double (keys, GROUP, "seconds-total", entry->seconds_total);
      g_key_file_set_uint64 (keys, GROUP, "peak-bytes", entry->peak_bytes);
    }
  if (entry->problem != NULL)
    g_key_file_set_string (keys, GROUP, "problem", entry->problem);
  if (g_mkdir_with_parents (entry->folder, 0755) != 0 || !g_key_file_save_to_file (keys, path, &error))
    g_warning ("%s: %s", path, error != NULL ? error->message : g_strerror (errno));
}

/* --- the list --------------------------------------------------------------------------------------------------------------- */

static Entry *
find (FbDistiller *self, const char *path)
{
  for (guint i = 0; i < self->entries->len; i++)
    if (strcmp (((Entry *) self->entries->pdata[i])->path, path) == 0)
      return self->entries->pdata[i];
  return NULL;
}

/* (transfer none) (nullable): the job at @path, listed from here on */
static Entry *
add (FbDistiller *self, const char *path, GError **error)
{
  g_autoptr(FbDistillJob)  job   = fb_distill_job_load (path, error);
  Entry                   *entry = NULL;

  if (job == NULL)
    return NULL;
  entry                = g_new0 (Entry, 1);
  entry->path          = g_strdup (path);
  entry->teacher       = g_strdup (job->teacher);
  entry->output        = fb_distill_job_output (job);
  entry->folder        = fb_distill_job_folder (job);
  entry->n_steps       = job->steps;
  entry->seconds_left  = -1.0;
  entry->seconds_total = -1.0;
  read_state (entry);
  g_ptr_array_add (self->entries, entry);
  return entry;
}

/* the jobs that lie in our folder and are not listed yet */
static void
scan (FbDistiller *self)
{
  g_autofree char     *folder = fb_distill_wish_folder ();
  g_autoptr(GDir)      dir    = g_dir_open (folder, 0, NULL);
  g_autoptr(GPtrArray) paths  = g_ptr_array_new_with_free_func (g_free);
  const char          *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, ".json") && name[0] != '.')
      g_ptr_array_add (paths, g_build_filename (folder, name, NULL));
  g_ptr_array_sort_values (paths, (GCompareFunc) strcmp);
  for (guint i = 0; i < paths->len; i++)
    {
      g_autoptr(GError) error = NULL;

      if (find (self, paths->pdata[i]) == NULL && add (self, paths->pdata[i], &error) == NULL)
        g_warning ("%s", error->message);
    }
}

static char *
name_of (const char *path)
{
  g_autofree char *base = g_path_get_basename (path);

  return g_strndup (base, strlen (base) - (g_str_has_suffix (base, ".json") ? strlen (".json") : 0));
}

/* (transfer full): what the store calls the LoRA, or its path where it does not lie there */
static char *
lora_of (const Entry *entry)
{
  g_autofree char *folder = g_path_get_dirname (entry->output);
  g_autofree char *base   = g_path_get_basename (entry->output);
  g_autofree char *own    = g_build_filename (g_get_user_data_dir (), "flashbrush", "loras", NULL);

  if (strcmp (folder, own) != 0 || !g_str_has_suffix (base, ".safetensors"))
    return g_strdup (entry->output);
  return g_strndup (base, strlen (base) - strlen (".safetensors"));
}

static GVariant *
describe (const Entry *entry)
{
  g_autofree char *name      = name_of (entry->path);
  g_autofree char *lora      = lora_of (entry);
  gboolean         exists    = g_file_test (entry->output, G_FILE_TEST_EXISTS);
  gboolean         preparing = entry->state == PREPARING && entry->n_to_prepare > 0;
  GVariantDict     dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "job",           "s", entry->path);
  g_variant_dict_insert (&dict, "name",          "s", name);
  g_variant_dict_insert (&dict, "teacher",       "s", entry->teacher);
  g_variant_dict_insert (&dict, "state",         "s", state_names[entry->state]);
  g_variant_dict_insert (&dict, "step",          "i", preparing ? entry->n_prepared : entry->step);
  g_variant_dict_insert (&dict, "n-steps",       "i", preparing ? entry->n_to_prepare : entry->n_steps);
  g_variant_dict_insert (&dict, "seconds-left",  "d", entry->seconds_left);
  g_variant_dict_insert (&dict, "seconds-total", "d", entry->seconds_total);
  g_variant_dict_insert (&dict, "peak-bytes",    "t", entry->peak_bytes);
  if (entry->problem != NULL)
    g_variant_dict_insert (&dict, "problem", "s", entry->problem);
  if (exists)
    {
      g_variant_dict_insert (&dict, "output", "s", entry->output);
      g_variant_dict_insert (&dict, "lora", "s", lora);
    }
  return g_variant_dict_end (&dict);
}

static gboolean
is_active (const Entry *entry)
{
  return entry->state == WAITING || entry->state == PREPARING || entry->state == MEASURING || entry->state == RUNNING;
}

/* for the engine's idle time; with the lock held */
static void
count (FbDistiller *self)
{
  int n = 0;

  for (guint i = 0; i < self->entries->len; i++)
    n += is_active (self->entries->pdata[i]);
  g_atomic_int_set (&self->workshop->n_background, n);
}

GVariant *
fb_distiller_list (FbDistiller *self)
{
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  g_mutex_lock (&self->lock);
  scan (self);
  for (int active = 1; active >= 0; active--)
    for (guint i = 0; i < self->entries->len; i++)
      if (is_active (self->entries->pdata[i]) == active)
        g_variant_builder_add_value (&list, describe (self->entries->pdata[i]));
  g_mutex_unlock (&self->lock);
  return g_variant_ref_sink (g_variant_builder_end (&list));
}

/* --- the work ----------------------------------------------------------------------------------------------------------------- */

static void
on_progress (const FbDistillProgress *progress, gpointer user_data)
{
  FbDistiller *self  = user_data;
  Entry       *entry = self->current;

  g_mutex_lock (&self->lock);
  if (is_active (entry))                                   /* else it has been interrupted, and what is asked for next stands there */
    entry->state = progress->stage == FB_DISTILL_PREPARE ? PREPARING : RUNNING;
  if (progress->stage == FB_DISTILL_PREPARE)
    {
      entry->n_prepared   = progress->done;
      entry->n_to_prepare = progress->total;
    }
  else
    {
      entry->step          = progress->done;
      entry->n_steps       = progress->total;
      entry->seconds_left  = progress->seconds_left;
      entry->seconds_total = progress->seconds_total;
      entry->peak_bytes    = MAX (entry->peak_bytes, progress->peak_bytes);
    }
  g_mutex_unlock (&self->lock);
}

/* all is prepared: what comes next is the step by which time and memory are known */
static void
begin_measuring (FbDistiller *self)
{
  g_mutex_lock (&self->lock);
  if (is_active (self->current))
    self->current->state = MEASURING;
  g_mutex_unlock (&self->lock);
}

/* the engine's other jobs go first; a person waits for them */
static void
on_between (gpointer user_data)
{
  FbDistiller *self = user_data;

  while (g_atomic_int_get (&self->workshop->n_working) > 0 && !g_cancellable_is_cancelled (self->cancellable))
    g_usleep (YIELD_US);
}

static char *
teacher_path (const FbDistillJob *job, GError **error)
{
  g_autoptr(FbStore)  store  = fb_store_new ();
  g_autofree char    *beside = fb_distill_job_resolve (job, job->teacher);

  return g_file_test (beside, G_FILE_TEST_EXISTS) ? g_steal_pointer (&beside) : fb_store_resolve (store, FB_STORE_MODELS, job->teacher, error);
}

static gboolean
wants_stop (FbDistiller *self)
{
  gboolean wanted;

  g_mutex_lock (&self->lock);
  wanted = self->current->wants_stop;
  g_mutex_unlock (&self->lock);
  return wanted;
}

/* One job, until its end or an interruption. Returns: %FALSE with @error, a cancel among them */
static gboolean
do_job (FbDistiller *self, GError **error)
{
  g_autoptr(FbDistillJob) job     = fb_distill_job_load (self->current->path, error);
  g_autofree char        *path    = job != NULL ? teacher_path (job, error) : NULL;
  const int               threads = job != NULL && job->threads > 0 ? job->threads : self->workshop->settings->threads;
  g_autoptr(FbDevice)     dev     = path != NULL ? fb_device_new ("cpu", threads, error) : NULL;
  g_autoptr(FbTrainer)    trainer = dev != NULL ? fb_trainer_new (job, path, dev, error) : NULL;
  gboolean                done;

  if (trainer == NULL)
    return FALSE;
  fb_trainer_set_between (trainer, on_between, self);
  if (!fb_trainer_prepare (trainer, on_progress, self, self->cancellable, error))
    return FALSE;
  if (wants_stop (self))                                   /* it was paused: there is only its LoRA to write */
    done = fb_trainer_export (trainer, error);
  else
    {
      g_autoptr(GError) local = NULL;

      begin_measuring (self);
      done = fb_trainer_run (trainer, on_progress, self, self->cancellable, &local);
      if (!done && g_error_matches (local, G_IO_ERROR, G_IO_ERROR_CANCELLED) && wants_stop (self))
        done = fb_trainer_export (trainer, error);
      else if (!done)
        g_propagate_error (error, g_steal_pointer (&local));
    }
  return done;
}

/* with the lock held */
static void
settle (Entry *entry, gboolean done, const GError *error)
{
  if (done)
    entry->state = entry->wants_stop && entry->step < entry->n_steps ? STOPPED : DONE;
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    entry->state = entry->wants_stop ? STOPPED : entry->state == WAITING ? WAITING : PAUSED;      /* resumed while it was being paused */
  else
    {
      entry->state = FAILED;
      g_free (entry->problem);
      entry->problem = g_strdup (error->message);
    }
  entry->wants_stop = FALSE;
  write_state (entry);
}

static Entry *
first_waiting (FbDistiller *self)
{
  for (guint i = 0; i < self->entries->len; i++)
    if (((Entry *) self->entries->pdata[i])->state == WAITING)
      return self->entries->pdata[i];
  return NULL;
}

static gpointer
work (gpointer user_data)
{
  FbDistiller *self = user_data;

  setpriority (PRIO_PROCESS, gettid (), self->workshop->settings->nice);
  g_mutex_lock (&self->lock);
  while (!self->ending)
    {
      g_autoptr(GError) error = NULL;
      gboolean          done;

      self->current = first_waiting (self);
      if (self->current == NULL)
        {
          g_cond_wait (&self->changed, &self->lock);
          continue;
        }
      self->current->state        = PREPARING;
      self->current->n_to_prepare = 0;
      self->current->seconds_left = -1.0;
      g_cancellable_reset (self->cancellable);
      g_mutex_unlock (&self->lock);

      g_message ("distilling %s", self->current->path);
      done = do_job (self, &error);
      g_message ("distilling %s ends: %s", self->current->path, error != NULL ? error->message : "done");

      g_mutex_lock (&self->lock);
      settle (self->current, done, error);
      self->current = NULL;
      count (self);
    }
  g_mutex_unlock (&self->lock);
  return NULL;
}

/* --- what is asked for ---------------------------------------------------------------------------------------------------------- */

/* the job at @path, with the lock held afterwards; NULL with the lock free */
static Entry *
lock_entry (FbDistiller *self, const char *path, GError **error)
{
  g_autofree char *absolute = g_canonicalize_filename (path, NULL);
  Entry           *entry;

  g_mutex_lock (&self->lock);
  scan (self);
  entry = find (self, absolute);
  if (entry == NULL)
    entry = add (self, absolute, error);
  if (entry == NULL)
    g_mutex_unlock (&self->lock);
  return entry;
}

/* lets go of the lock */
static GVariant *
unlock_with (FbDistiller *self, Entry *entry)
{
  GVariant *answer = g_variant_ref_sink (describe (entry));

  count (self);
  g_cond_broadcast (&self->changed);
  if (self->thread == NULL && first_waiting (self) != NULL)
    self->thread = g_thread_new ("distill", work, self);
  g_mutex_unlock (&self->lock);
  return answer;
}

GVariant *
fb_distiller_resume (FbDistiller *self, const char *path, GError **error)
{
  Entry *entry = lock_entry (self, path, error);

  if (entry == NULL)
    return NULL;
  if (entry->state != DONE && !is_active (entry))
    {
      entry->state = WAITING;
      g_clear_pointer (&entry->problem, g_free);
    }
  return unlock_with (self, entry);
}

GVariant *
fb_distiller_pause (FbDistiller *self, const char *path, GError **error)
{
  Entry *entry = lock_entry (self, path, error);

  if (entry == NULL)
    return NULL;
  if (entry == self->current)
    g_cancellable_cancel (self->cancellable);
  if (is_active (entry))
    entry->state = PAUSED;                                 /* the thread saves; what it reports meanwhile is settled at its end */
  write_state (entry);
  return unlock_with (self, entry);
}

GVariant *
fb_distiller_stop (FbDistiller *self, const char *path, GError **error)
{
  Entry *entry = lock_entry (self, path, error);

  if (entry == NULL)
    return NULL;
  if (entry == self->current)
    {
      entry->wants_stop = TRUE;
      g_cancellable_cancel (self->cancellable);
    }
  else if (entry->step > 0 && entry->state != DONE)        /* its LoRA is in the checkpoint */
    {
      entry->wants_stop = TRUE;
      entry->state      = WAITING;
    }
  else if (entry->state != DONE)
    entry->state = STOPPED;
  write_state (entry);
  return unlock_with (self, entry);
}

/* whether the files of the job are ours to delete */
static gboolean
is_own (const Entry *entry)
{
  g_autofree char *ours   = fb_distill_wish_folder ();
  g_autofree char *folder = g_path_get_dirname (entry->path);

  return g_str_equal (folder, ours);
}

/* The job's file goes last: what is left of it after a failure is still a job. */
static gboolean
delete_files (const Entry *entry, GError **error)
{
  g_autofree char *within = g_strconcat (entry->folder, G_DIR_SEPARATOR_S, NULL);

  if (g_str_has_prefix (entry->output, within) && g_file_test (entry->output, G_FILE_TEST_EXISTS))
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("The LoRA “%s” lies among the files of its job. Move it before removing the job."),
                   entry->output);
      return FALSE;
    }
  return fb_delete (entry->folder, error) && fb_delete (entry->path, error);
}

GVariant *
fb_distiller_remove (FbDistiller *self, const char *path, GError **error)
{
  Entry           *entry  = lock_entry (self, path, error);
  GVariant        *answer = NULL;
  g_autofree char *name   = NULL;

  if (entry == NULL)
    return NULL;
  name = name_of (entry->path);
  if (is_active (entry) || entry == self->current)
    g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("The job “%s” is at work. Pause or stop it before removing it."), name);
  else if (!is_own (entry) || delete_files (entry, error))
    {
      answer = g_variant_ref_sink (describe (entry));
      g_ptr_array_remove (self->entries, entry);
    }
  g_mutex_unlock (&self->lock);
  return answer;
}

GVariant *
fb_distiller_start (FbDistiller *self, const FbDistillWish *wish, GError **error)
{
  g_autoptr(FbDistillJob) job = fb_distill_wish_write (wish, error);

  return job != NULL ? fb_distiller_resume (self, job->path, error) : NULL;
}

/* --- curves and samples ----------------------------------------------------------------------------------------------------------- */

/* (transfer full): a path below the job's folder */
static char *
in_folder (FbDistiller *self, const char *path, const char *name)
{
  Entry *entry;
  char  *below = NULL;

  entry = lock_entry (self, path, NULL);
  if (entry == NULL)
    return NULL;
  below = g_build_filename (entry->folder, name, NULL);
  g_mutex_unlock (&self->lock);
  return below;
}

/* adds a line of the log: step, seconds, then the four losses */
static void
add_row (GVariantBuilder *rows, const char *line)
{
  g_auto(GStrv) words = g_strsplit (line, "\t", -1);
  double        losses[4];

  if (g_strv_length (words) < 6)
    return;
  for (int i = 0; i < 4; i++)
    losses[i] = g_ascii_strtod (words[2 + i], NULL);
  g_variant_builder_add (rows, "(idddd)", (int) g_ascii_strtoll (words[0], NULL, 10), losses[0], losses[1], losses[2], losses[3]);
}

GVariant *
fb_distiller_rows (FbDistiller *self, const char *path, int from)
{
  g_autofree char *log   = in_folder (self, path, "log.tsv");
  g_autofree char *text  = NULL;
  g_auto(GStrv)    lines = NULL;
  GVariantBuilder  rows;
  guint            first = 1, n;

  g_variant_builder_init (&rows, G_VARIANT_TYPE ("a(idddd)"));
  if (log != NULL && g_file_get_contents (log, &text, NULL, NULL))
    {
      lines = g_strsplit (text, "\n", -1);                 /* the first names the columns; the last is empty, or not whole yet */
      n     = g_strv_length (lines);
      while (first + 1 < n && g_ascii_strtoll (lines[first], NULL, 10) <= from)
        first++;
      for (guint i = first; i + 1 < n; i += 1 + (n - first) / MAX_ROWS)
        add_row (&rows, lines[i]);
    }
  return g_variant_ref_sink (g_variant_builder_end (&rows));
}

FbImage *
fb_distiller_sample (FbDistiller *self, const char *path, int known, int *step)
{
  g_autofree char *folder = in_folder (self, path, "samples");
  g_autoptr(GDir)  dir    = folder != NULL ? g_dir_open (folder, 0, NULL) : NULL;
  g_autofree char *newest = NULL;
  const char      *name;

  *step = known;
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, ".png") && g_ascii_strtoll (name, NULL, 10) > *step)
      {
        *step = (int) g_ascii_strtoll (name, NULL, 10);
        g_free (newest);
        newest = g_build_filename (folder, name, NULL);
      }
  return newest != NULL ? fb_image_load_png (newest, NULL) : NULL;
}

/* --- life ----------------------------------------------------------------------------------------------------------------------- */

static void
distiller_free (gpointer data)
{
  FbDistiller *self = data;

  g_mutex_lock (&self->lock);
  self->ending = TRUE;
  g_cancellable_cancel (self->cancellable);
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  if (self->thread != NULL)
    g_thread_join (self->thread);
  g_ptr_array_unref (self->entries);
  g_object_unref (self->cancellable);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  g_free (self);
}

FbDistiller *
fb_distiller_get (FbWorkshop *workshop)
{
  FbDistiller *self = workshop->distiller;

  if (self == NULL)
    {
      self              = g_new0 (FbDistiller, 1);
      self->workshop    = workshop;
      self->entries     = g_ptr_array_new_with_free_func (entry_free);
      self->cancellable = g_cancellable_new ();
      g_mutex_init (&self->lock);
      g_cond_init (&self->changed);
      workshop->distiller      = self;
      workshop->free_distiller = distiller_free;
    }
  return self;
}
