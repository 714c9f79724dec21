/* core/distill/trainer-state.c: a job's lock and its checkpoint. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/distill/trainer-private.h"
#include "core/formats/safetensors-writer.h"

#define CHECKPOINT "checkpoint.safetensors"

int
fb_distill_lock (const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "lock", NULL);
  const int        fd   = g_open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

  if (fd < 0)
    {
      fb_model_error_set_errno (error, errno, path, TRUE);
      return -1;
    }
  if (flock (fd, LOCK_EX | LOCK_NB) == 0)
    return fd;
  g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_LOCKED,
               _("The job in “%s” is running already. Stop it there, or wait until it is done."), folder);
  close (fd);
  return -1;
}

gboolean
fb_distill_is_running (const char *folder)
{
  g_autofree char *path  = g_build_filename (folder, "lock", NULL);
  const int        fd    = g_open (path, O_RDONLY | O_CLOEXEC, 0);
  const gboolean   taken = fd >= 0 && flock (fd, LOCK_SH | LOCK_NB) != 0;

  if (fd >= 0)
    close (fd);
  return taken;
}

/* --- what a checkpoint holds: each tensor's value, moments and average --------------------------------------------------- */

typedef struct
{
  const char *ending;
  float      *data;
} Piece;

static int
pieces_of (const FbTrained *t, Piece pieces[4])
{
  int n = 0;

  pieces[n++] = (Piece) { "", t->value };
  pieces[n++] = (Piece) { ".m", t->m };
  pieces[n++] = (Piece) { ".v", t->v };
  if (t->average != NULL)
    pieces[n++] = (Piece) { ".average", t->average };
  return n;
}

typedef gboolean (* PieceFunc) (const char *name, float *data, size_t n, gpointer user_data, GError **error);

static gboolean
for_each_piece (FbTrainer *self, PieceFunc func, gpointer user_data, GError **error)
{
  const struct { const char *prefix; FbOptimizer *optimizer; } parts[] = { { "student.", self->student }, { "discriminator.", self->judge } };

  for (gsize p = 0; p < G_N_ELEMENTS (parts); p++)
    for (guint i = 0; parts[p].optimizer != NULL && i < parts[p].optimizer->tensors->len; i++)
      {
        const FbTrained *t = parts[p].optimizer->tensors->pdata[i];
        Piece            pieces[4];
        const int        n = pieces_of (t, pieces);

        for (int k = 0; k < n; k++)
          {
            g_autofree char *name = g_strconcat (parts[p].prefix, t->name, pieces[k].ending, NULL);

            if (!func (name, pieces[k].data, t->n, user_data, error))
              return FALSE;
          }
      }
  return TRUE;
}

static gboolean
declare (const char *name, float *data, size_t n, gpointer user_data, GError **error)
{
  const gint64 shape[] = { (gint64) n };

  fb_safetensors_writer_add (user_data, name, FB_DTYPE_F32, 1, shape);
  return TRUE;
}

static gboolean
write_piece (const char *name, float *data, size_t n, gpointer user_data, GError **error)
{
  return fb_safetensors_writer_write (user_data, data, n * sizeof *data, error);
}

/* what makes two runs differ though the job is the same */
static char *
data_digest (FbTrainer *self)
{
  g_autoptr(GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);

  for (guint i = 0; i < self->latent_keys->len; i++)
    {
      const FbExample *e = self->data->examples->pdata[i];

      g_checksum_update (sum, self->latent_keys->pdata[i], -1);
      for (int c = 0; c < e->n_captions; c++)
        g_checksum_update (sum, (const guchar *) e->captions[c], (gssize) strlen (e->captions[c]) + 1);
    }
  return g_strdup (g_checksum_get_string (sum));
}

static char *
environment (FbTrainer *self)
{
  g_autofree char *device = fb_device_describe (self->dev);
  const char      *dtype  = fb_dtype_name (fb_model_dtype (self->model));

  return self->team->size == 1 ? g_strdup_printf ("%s, computing in %s", device, dtype)
                               : g_strdup_printf ("%s, computing in %s, %d processes", device, dtype, self->team->size);
}

gboolean
fb_trainer_save (FbTrainer *self, GError **error)
{
  g_autofree char                *path     = g_build_filename (self->folder, CHECKPOINT, NULL);
  g_autofree char                *digest   = fb_distill_job_digest (self->job);
  g_autofree char                *settings = fb_distill_job_settings (self->job);
  g_autofree char                *data     = data_digest (self);
  g_autofree char                *where    = environment (self);
  g_autofree char                *step     = g_strdup_printf ("%d", self->step);
  g_autoptr(FbSafetensorsWriter)  writer   = fb_safetensors_writer_new (path);

  fb_safetensors_writer_set_metadata (writer, "step", step);
  fb_safetensors_writer_set_metadata (writer, "job", digest);
  fb_safetensors_writer_set_metadata (writer, "settings", settings);
  fb_safetensors_writer_set_metadata (writer, "teacher", self->teacher_hash);
  if (self->perceptual_hash != NULL)
    fb_safetensors_writer_set_metadata (writer, "perceptual", self->perceptual_hash);
  fb_safetensors_writer_set_metadata (writer, "data", data);
  fb_safetensors_writer_set_metadata (writer, "environment", where);
  for_each_piece (self, declare, writer, NULL);
  return for_each_piece (self, write_piece, writer, error) && fb_safetensors_writer_finish (writer, error);
}

int
fb_distill_checkpoint_step (const char *folder)
{
  g_autofree char          *path = g_build_filename (folder, CHECKPOINT, NULL);
  g_autoptr(FbSafetensors)  file = fb_safetensors_open (path, NULL);
  const char               *step = file != NULL ? fb_safetensors_metadata (file, "step") : NULL;
  guint64                   number;

  return step != NULL && g_ascii_string_to_unsigned (step, 10, 0, G_MAXINT, &number, NULL) ? (int) number : -1;
}

static gboolean
read_piece (const char *name, float *data, size_t n, gpointer user_data, GError **error)
{
  FbSafetensors      *file = user_data;
  const FbTensorInfo *info = fb_safetensors_lookup (file, name);

  if (info == NULL || info->n_bytes != n * sizeof *data || !info->readable || info->dtype != FB_DTYPE_F32)
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_CHECKPOINT,
                   _("“%s” does not fit the job: its tensor “%s” is missing or has another size. Move it away to start again."),
                   fb_safetensors_path (file), name);
      return FALSE;
    }
  return fb_safetensors_read_finite (file, info, data, NULL, error);
}

static gboolean
is_same (FbSafetensors *file, const char *key, const char *now)
{
  return g_strcmp0 (fb_safetensors_metadata (file, key), now) == 0;
}

/* What was learned stays good where only learning rates have changed, say; the way out of a loss that is no number.
 * @tuned: (out) (transfer full) (nullable): the fields that have */
static gboolean
check_settings (FbTrainer *self, FbSafetensors *file, char **tuned, GError **error)
{
  g_autofree char *digest   = fb_distill_job_digest (self->job);
  const char      *settings = fb_safetensors_metadata (file, "settings");
  g_autofree char *other    = NULL;

  *tuned = NULL;

  if (is_same (file, "job", digest))
    return TRUE;
  if (settings == NULL || !fb_distill_job_compare (self->job, settings, tuned, &other))
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_CHECKPOINT,
                   _("“%s” was made with other settings than “%s” has now. Set them back, or move it away to start again."),
                   fb_safetensors_path (file), self->job->path);
      return FALSE;
    }
  if (other != NULL)
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_CHECKPOINT,
                   /* Translators: the last is a list of fields of the job, "“seed”, “lora_rank”" for example */
                   _("“%s” was made with other settings than “%s” has now: %s. Set them back, or move it away to start again."),
                   fb_safetensors_path (file), self->job->path, other);
      return FALSE;
    }
  return TRUE;
}

/* What the header alone tells. @file: (out) (transfer full) (nullable): %NULL where there is no checkpoint; @number: (out): steps done */
static gboolean
open_checkpoint (FbTrainer *self, FbSafetensors **file, guint64 *number, char **tuned, GError **error)
{
  g_autofree char          *path   = g_build_filename (self->folder, CHECKPOINT, NULL);
  g_autoptr(FbSafetensors)  opened = NULL;
  const char               *step;

  *file = NULL;
  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return TRUE;
  opened = fb_safetensors_open (path, error);
  if (opened == NULL || !check_settings (self, opened, tuned, error))
    return FALSE;
  step = fb_safetensors_metadata (opened, "step");
  if (!is_same (opened, "teacher", self->teacher_hash) || !is_same (opened, "perceptual", self->perceptual_hash) || step == NULL ||
      !g_ascii_string_to_unsigned (step, 10, 0, (guint64) self->job->steps, number, NULL))
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_CHECKPOINT,
                   _("“%s” was made with another teacher or other LPIPS weights than “%s” has now. Set them back, or move it away to start again."),
                   path, self->job->path);
      return FALSE;
    }
  *file = g_steal_pointer (&opened);
  return TRUE;
}

gboolean
fb_trainer_check_checkpoint (FbTrainer *self, GError **error)
{
  g_autoptr(FbSafetensors) file  = NULL;
  g_autofree char         *tuned = NULL;
  guint64                  number;

  return fb_team_agree (self->team, !fb_trainer_is_first (self) || open_checkpoint (self, &file, &number, &tuned, error), error);
}

static gboolean
read_checkpoint (FbTrainer *self, GError **error)
{
  g_autofree char          *data   = data_digest (self);
  g_autofree char          *where  = environment (self);
  g_autoptr(FbSafetensors)  file   = NULL;
  g_autofree char          *tuned  = NULL;
  guint64                   number = 0;

  if (!open_checkpoint (self, &file, &number, &tuned, error))
    return FALSE;
  if (file == NULL)
    return TRUE;
  if (tuned != NULL)
    g_message ("“%s”: training goes on from the checkpoint with other settings: %s", self->job->path, tuned);
  if (!for_each_piece (self, read_piece, file, error))
    return FALSE;

  if (!is_same (file, "data", data))
    g_warning ("“%s”: pictures or captions have changed since the checkpoint; training goes on with those there are now", self->job->path);
  if (!is_same (file, "environment", where))
    g_message ("“%s”: the checkpoint was made with “%s”, now it is “%s”: the result will not be the same to the last bit", self->job->path,
               fb_safetensors_metadata (file, "environment"), where);

  self->step = (int) number;
  return TRUE;
}

static gboolean
share_piece (const char *name, float *data, size_t n, gpointer user_data, GError **error)
{
  fb_team_share (user_data, data, n * sizeof *data);
  return TRUE;
}

/* Processes with different files would sum gradients of different things, or wait for one another for ever. */
static gboolean
check_same (FbTrainer *self, GError **error)
{
  g_autofree char *job      = fb_distill_job_to_json (self->job);
  g_autofree char *data     = data_digest (self);
  g_autofree char *all      = g_strconcat (job, self->teacher_hash, data, self->perceptual_hash, NULL);      /* the last may be NULL */
  g_autofree char *digest   = g_compute_checksum_for_string (G_CHECKSUM_SHA256, all, -1);
  g_autofree char *expected = g_strdup (digest);

  fb_team_share (self->team, expected, strlen (expected));
  if (g_str_equal (digest, expected))
    return TRUE;
  g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_TEAM,
               _("“%s”: process %d has another job, teacher, data or precision than the first. Give all of them the same files."),
               self->job->path, self->team->rank + 1);
  return FALSE;
}

gboolean
fb_trainer_restore (FbTrainer *self, GError **error)
{
  if (!fb_team_agree (self->team, check_same (self, error), error) ||
      !fb_team_agree (self->team, !fb_trainer_is_first (self) || read_checkpoint (self, error), error))
    return FALSE;

  fb_team_share (self->team, &self->step, sizeof self->step);
  for_each_piece (self, share_piece, (gpointer) self->team, NULL);
  self->student->step = self->step;
  fb_trainables_push (fb_networks_student_trainables (self->networks));
  if (self->judge != NULL)
    {
      self->judge->step = self->step;
      fb_trainables_push (fb_networks_discriminator_trainables (self->networks));
    }
  return fb_team_agree (self->team, fb_device_check (self->dev, error), error);
}
