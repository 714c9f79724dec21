/* core/engine/distill-entry.c: a distillation job as the engine lists it. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/distill-entry.h"

#include <errno.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "core/distill/trainer.h"
#include "core/store/delete.h"

static const char * const state_names[FB_ENTRY_N_STATES] = { "waiting", "preparing", "measuring", "running", "paused", "stopped", "done", "failed" };

/* --- the file "state" ------------------------------------------------------------------------------------------------------- */

#define GROUP "state"

static char *
state_path (const FbDistillEntry *entry)
{
  return g_build_filename (entry->folder, "state", NULL);
}

/* What the engine wrote last, and where the checkpoint stands: after a crash, that is further on. */
static void
read_state (FbDistillEntry *entry)
{
  g_autoptr(GKeyFile)  keys = g_key_file_new ();
  g_autofree char     *path = state_path (entry);
  g_autofree char     *name = NULL;
  const int            kept = fb_distill_checkpoint_step (entry->folder);

  entry->state = FB_ENTRY_PAUSED;
  entry->step  = CLAMP (kept, 0, entry->n_steps);
  if (!g_key_file_load_from_file (keys, path, G_KEY_FILE_NONE, NULL))
    return;
  name = g_key_file_get_string (keys, GROUP, "state", NULL);
  for (FbEntryState state = FB_ENTRY_STOPPED; state < FB_ENTRY_N_STATES; state++)     /* those that were at work are paused now */
    if (g_strcmp0 (name, state_names[state]) == 0)
      entry->state = state;
  entry->problem    = entry->state == FB_ENTRY_FAILED ? g_key_file_get_string (keys, GROUP, "problem", NULL) : NULL;
  if (kept < 0)
    entry->step = CLAMP (g_key_file_get_integer (keys, GROUP, "step", NULL), 0, entry->n_steps);
  entry->peak_bytes = g_key_file_get_uint64 (keys, GROUP, "peak-bytes", NULL);
  if (g_key_file_has_key (keys, GROUP, "seconds-total", NULL))
    entry->seconds_total = g_key_file_get_double (keys, GROUP, "seconds-total", NULL);
}

void
fb_distill_entry_save_state (const FbDistillEntry *entry)
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

/* 0 where the file is gone again */
static gint64
time_of (const char *path)
{
  GStatBuf status;

  return g_stat (path, &status) == 0 ? (gint64) status.st_mtim.tv_sec * G_USEC_PER_SEC + status.st_mtim.tv_nsec / 1000 : 0;
}

FbDistillEntry *
fb_distill_entry_new (const char *path, GError **error)
{
  g_autoptr(FbDistillJob)  job   = fb_distill_job_load (path, error);
  FbDistillEntry          *entry = NULL;

  if (job == NULL)
    return NULL;
  entry                = g_new0 (FbDistillEntry, 1);
  entry->path          = g_strdup (path);
  entry->teacher       = g_strdup (job->teacher);
  entry->output        = fb_distill_job_output (job);
  entry->folder        = fb_distill_job_folder (job);
  entry->created       = time_of (path);
  entry->n_steps       = job->steps;
  entry->seconds_left  = -1.0;
  entry->seconds_total = -1.0;
  read_state (entry);
  return entry;
}

void
fb_distill_entry_free (gpointer data)
{
  FbDistillEntry *entry = data;

  g_free (entry->path);
  g_free (entry->teacher);
  g_free (entry->output);
  g_free (entry->folder);
  g_free (entry->problem);
  g_free (entry);
}

gboolean
fb_distill_entry_is_active (const FbDistillEntry *entry)
{
  return entry->state <= FB_ENTRY_RUNNING;
}

/* --- what is said of it ------------------------------------------------------------------------------------------------------ */

char *
fb_distill_entry_name (const FbDistillEntry *entry)
{
  g_autofree char *base = g_path_get_basename (entry->path);

  return g_strndup (base, strlen (base) - (g_str_has_suffix (base, ".json") ? strlen (".json") : 0));
}

/* (transfer full): what the store calls the LoRA, or its path where it does not lie there */
static char *
lora_of (const FbDistillEntry *entry)
{
  g_autofree char *folder = g_path_get_dirname (entry->output);
  g_autofree char *base   = g_path_get_basename (entry->output);
  g_autofree char *own    = g_build_filename (g_get_user_data_dir (), "flashbrush", "loras", NULL);

  if (strcmp (folder, own) != 0 || !g_str_has_suffix (base, ".safetensors"))
    return g_strdup (entry->output);
  return g_strndup (base, strlen (base) - strlen (".safetensors"));
}

GVariant *
fb_distill_entry_describe (const FbDistillEntry *entry)
{
  g_autofree char *name      = fb_distill_entry_name (entry);
  g_autofree char *lora      = lora_of (entry);
  gboolean         exists    = entry->step > 0 && g_file_test (entry->output, G_FILE_TEST_EXISTS);      /* else it is another's */
  gboolean         preparing = entry->state == FB_ENTRY_PREPARING && entry->n_to_prepare > 0;
  GVariantDict     dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "job",           "s", entry->path);
  g_variant_dict_insert (&dict, "name",          "s", name);
  g_variant_dict_insert (&dict, "created",       "x", entry->created);
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

/* --- its files ---------------------------------------------------------------------------------------------------------------- */

/* whether the files of the job are ours to delete */
static gboolean
is_own (const FbDistillEntry *entry)
{
  g_autofree char *ours   = fb_distill_wish_folder ();
  g_autofree char *folder = g_path_get_dirname (entry->path);

  return g_str_equal (folder, ours);
}

/* The job's file goes last: what is left of it after a failure is still a job. */
gboolean
fb_distill_entry_remove (const FbDistillEntry *entry, GError **error)
{
  g_autofree char *within = g_strconcat (entry->folder, G_DIR_SEPARATOR_S, NULL);

  if (!is_own (entry))
    return TRUE;
  if (fb_distill_is_running (entry->folder))
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("The job in “%s” is at work in another process. Stop it there before removing it."),
                   entry->folder);
      return FALSE;
    }
  if (g_str_has_prefix (entry->output, within) && g_file_test (entry->output, G_FILE_TEST_EXISTS))
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("The LoRA “%s” lies among the files of its job. Move it before removing the job."),
                   entry->output);
      return FALSE;
    }
  return fb_delete (entry->folder, error) && fb_delete (entry->path, error);
}
