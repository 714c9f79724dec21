/* core/engine/distiller.c: distillation jobs, one after another, in the background. SPDX-License-Identifier: LGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/engine/distiller.h"

#include <glib/gi18n-lib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/distill/trainer.h"
#include "core/engine/distill-entry.h"
#include "core/engine/distill-record.h"

#define YIELD_US 20000         /* between two looks whether the others have finished */

struct FbDistiller
{
  FbWorkshop     *workshop;
  GThread        *thread;          /* NULL until the first job waits */
  GMutex          lock;
  GCond           changed;
  GPtrArray      *entries;         /* of FbDistillEntry, in the order they will be done; all but their paths is under the lock */
  FbDistillEntry *current;         /* at work; its cancellable is the next */
  GCancellable   *cancellable;
  gboolean        ending;
};

/* --- the list --------------------------------------------------------------------------------------------------------------- */

static FbDistillEntry *
find (FbDistiller *self, const char *path)
{
  for (guint i = 0; i < self->entries->len; i++)
    if (strcmp (((FbDistillEntry *) self->entries->pdata[i])->path, path) == 0)
      return self->entries->pdata[i];
  return NULL;
}

/* (transfer none) (nullable): the job at @path, listed from here on */
static FbDistillEntry *
add (FbDistiller *self, const char *path, GError **error)
{
  FbDistillEntry *entry = fb_distill_entry_new (path, error);

  if (entry != NULL)
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

/* for the engine's idle time; with the lock held */
static void
count (FbDistiller *self)
{
  int n = 0;

  for (guint i = 0; i < self->entries->len; i++)
    n += fb_distill_entry_is_active (self->entries->pdata[i]);
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
      if (fb_distill_entry_is_active (self->entries->pdata[i]) == active)
        g_variant_builder_add_value (&list, fb_distill_entry_describe (self->entries->pdata[i]));
  g_mutex_unlock (&self->lock);
  return g_variant_ref_sink (g_variant_builder_end (&list));
}

/* --- the work ----------------------------------------------------------------------------------------------------------------- */

/* %FALSE also for one that is being interrupted: what is asked for next stands there */
static gboolean
is_at_work (const FbDistillEntry *entry)
{
  return fb_distill_entry_is_active (entry) && entry->state != FB_ENTRY_WAITING;
}

static void
on_progress (const FbDistillProgress *progress, gpointer user_data)
{
  FbDistiller    *self  = user_data;
  FbDistillEntry *entry = self->current;

  g_mutex_lock (&self->lock);
  if (is_at_work (entry))
    entry->state = progress->stage == FB_DISTILL_PREPARE ? FB_ENTRY_PREPARING : FB_ENTRY_RUNNING;
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

/* All is prepared: what comes next is the step by which time and memory are known. Returns: %FALSE where there is only a LoRA to write; asked and
 * told under one lock, for a stop that comes later interrupts */
static gboolean
begin_measuring (FbDistiller *self, FbTrainer *trainer)
{
  gboolean trains;

  g_mutex_lock (&self->lock);
  trains = !self->current->wants_stop;
  self->current->step = fb_trainer_step_number (trainer);
  if (trains && is_at_work (self->current))
    self->current->state = FB_ENTRY_MEASURING;
  g_mutex_unlock (&self->lock);
  return trains;
}

/* the engine's other jobs go first; a person waits for them */
static void
on_between (gpointer user_data)
{
  FbDistiller *self = user_data;

  while (g_atomic_int_get (&self->workshop->n_working) > 0 && !g_cancellable_is_cancelled (self->cancellable))
    g_usleep (YIELD_US);
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

/* What the job has learned so far; nothing yet is no LoRA, and must not replace one. Returns: %FALSE with @error, a cancel where it has learned nothing */
static gboolean
write_lora (FbTrainer *trainer, GError **error)
{
  if (fb_trainer_step_number (trainer) > 0)
    return fb_trainer_export (trainer, error);
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped before the first step");
  return FALSE;
}

/* One job, until its end or an interruption. Returns: %FALSE with @error, a cancel among them */
static gboolean
do_job (FbDistiller *self, GError **error)
{
  g_autoptr(FbDistillJob) job     = fb_distill_job_load (self->current->path, error);
  g_autofree char        *path    = job != NULL ? fb_distill_wish_teacher (job, error) : NULL;
  const int               threads = job != NULL && job->threads > 0 ? job->threads : self->workshop->settings->threads;
  g_autoptr(FbDevice)     dev     = path != NULL ? fb_device_new_chosen (threads, error) : NULL;
  g_autoptr(FbTrainer)    trainer = dev != NULL ? fb_trainer_new (job, path, dev, error) : NULL;
  g_autoptr(GError)       local   = NULL;

  if (trainer == NULL)
    return FALSE;
  fb_trainer_set_between (trainer, on_between, self);
  if (!fb_trainer_prepare (trainer, on_progress, self, self->cancellable, error))
    return FALSE;
  if (!begin_measuring (self, trainer))
    return write_lora (trainer, error);
  if (fb_trainer_run (trainer, on_progress, self, self->cancellable, &local))
    return TRUE;
  if (g_error_matches (local, G_IO_ERROR, G_IO_ERROR_CANCELLED) && wants_stop (self))
    return write_lora (trainer, error);
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

/* A stop lets such a job prepare to the end and write the LoRA of its checkpoint. */
static gboolean
only_prepares (const FbDistillEntry *entry)
{
  return entry->state == FB_ENTRY_PREPARING && entry->step > 0;
}

/* with the lock held */
static void
settle (FbDistillEntry *entry, gboolean done, const GError *error)
{
  const int kept = done ? entry->step : fb_distill_checkpoint_step (entry->folder);      /* a job that is refused as hopeless keeps none */

  entry->step = CLAMP (kept, 0, entry->n_steps);
  if (done)
    entry->state = entry->wants_stop && entry->step < entry->n_steps ? FB_ENTRY_STOPPED : FB_ENTRY_DONE;
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    {
      if (is_at_work (entry))
        entry->state = entry->wants_stop && !only_prepares (entry) ? FB_ENTRY_STOPPED : FB_ENTRY_PAUSED;
    }
  else
    {
      entry->state = FB_ENTRY_FAILED;
      g_free (entry->problem);
      entry->problem = g_strdup (error->message);
    }
  if (entry->state != FB_ENTRY_WAITING)
    entry->wants_stop = FALSE;
  fb_distill_entry_save_state (entry);
}

static FbDistillEntry *
first_waiting (FbDistiller *self)
{
  for (guint i = 0; i < self->entries->len; i++)
    if (((FbDistillEntry *) self->entries->pdata[i])->state == FB_ENTRY_WAITING)
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
      self->current->state        = FB_ENTRY_PREPARING;
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
static FbDistillEntry *
lock_entry (FbDistiller *self, const char *path, GError **error)
{
  g_autofree char *absolute = g_canonicalize_filename (path, NULL);
  FbDistillEntry  *entry;

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
unlock_with (FbDistiller *self, FbDistillEntry *entry)
{
  GVariant *answer = g_variant_ref_sink (fb_distill_entry_describe (entry));

  count (self);
  g_cond_broadcast (&self->changed);
  if (self->thread == NULL && first_waiting (self) != NULL)
    self->thread = g_thread_new ("distill", work, self);
  g_mutex_unlock (&self->lock);
  return answer;
}

/* The array is the queue. */
static void
wait_behind_others (FbDistiller *self, FbDistillEntry *entry)
{
  guint at = 0;

  if (entry->state != FB_ENTRY_WAITING && g_ptr_array_find (self->entries, entry, &at))
    g_ptr_array_add (self->entries, g_ptr_array_steal_index (self->entries, at));
  entry->state = FB_ENTRY_WAITING;
}

GVariant *
fb_distiller_resume (FbDistiller *self, const char *path, GError **error)
{
  FbDistillEntry *entry = lock_entry (self, path, error);

  if (entry == NULL)
    return NULL;
  if (entry->state != FB_ENTRY_DONE && !fb_distill_entry_is_active (entry))
    {
      entry->wants_stop = FALSE;
      g_clear_pointer (&entry->problem, g_free);
      wait_behind_others (self, entry);
      fb_distill_entry_save_state (entry);                            /* should the engine crash, it has been at work */
    }
  return unlock_with (self, entry);
}

GVariant *
fb_distiller_pause (FbDistiller *self, const char *path, GError **error)
{
  FbDistillEntry *entry = lock_entry (self, path, error);

  if (entry == NULL)
    return NULL;
  if (entry == self->current)
    g_cancellable_cancel (self->cancellable);
  entry->wants_stop = FALSE;
  if (fb_distill_entry_is_active (entry))
    entry->state = FB_ENTRY_PAUSED;                                 /* the thread saves; what it reports meanwhile is settled at its end */
  fb_distill_entry_save_state (entry);
  return unlock_with (self, entry);
}

GVariant *
fb_distiller_stop (FbDistiller *self, const char *path, GError **error)
{
  FbDistillEntry *entry = lock_entry (self, path, error);

  if (entry == NULL)
    return NULL;
  if (entry == self->current && is_at_work (entry))
    {
      entry->wants_stop = TRUE;
      if (!only_prepares (entry))
        g_cancellable_cancel (self->cancellable);
    }
  else if (entry->step > 0 && entry->state != FB_ENTRY_DONE)        /* its LoRA is in the checkpoint */
    {
      entry->wants_stop = TRUE;
      wait_behind_others (self, entry);
    }
  else if (entry->state != FB_ENTRY_DONE)
    entry->state = FB_ENTRY_STOPPED;
  fb_distill_entry_save_state (entry);
  return unlock_with (self, entry);
}

GVariant *
fb_distiller_remove (FbDistiller *self, const char *path, GError **error)
{
  FbDistillEntry  *entry  = lock_entry (self, path, error);
  GVariant        *answer = NULL;
  g_autofree char *name   = NULL;

  if (entry == NULL)
    return NULL;
  name = fb_distill_entry_name (entry);
  if (fb_distill_entry_is_active (entry) || entry == self->current)
    g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("The job “%s” is at work. Pause or stop it before removing it."), name);
  else if (fb_distill_entry_remove (entry, error))
    {
      answer = g_variant_ref_sink (fb_distill_entry_describe (entry));
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

/* (transfer full) (nullable): the job's folder */
static char *
folder_of (FbDistiller *self, const char *path)
{
  FbDistillEntry *entry  = lock_entry (self, path, NULL);
  char           *folder = NULL;

  if (entry == NULL)
    return NULL;
  folder = g_strdup (entry->folder);
  g_mutex_unlock (&self->lock);
  return folder;
}

GVariant *
fb_distiller_rows (FbDistiller *self, const char *path, int from)
{
  g_autofree char *folder = folder_of (self, path);

  return fb_distill_record_rows (folder, from);
}

FbImage *
fb_distiller_sample (FbDistiller *self, const char *path, int known, int *step)
{
  g_autofree char *folder = folder_of (self, path);

  return fb_distill_record_sample (folder, known, step);
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
      self->entries     = g_ptr_array_new_with_free_func (fb_distill_entry_free);
      self->cancellable = g_cancellable_new ();
      g_mutex_init (&self->lock);
      g_cond_init (&self->changed);
      workshop->distiller      = self;
      workshop->free_distiller = distiller_free;
    }
  return self;
}
