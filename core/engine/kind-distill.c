/* core/engine/kind-distill.c: the jobs "distill-…": short errands to what works in the background. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gi18n-lib.h>

#include "core/distill/job.h"
#include "core/engine/catalogue.h"
#include "core/engine/distiller.h"
#include "core/engine/model-use.h"
#include "core/engine/trade.h"

static FbDistiller *
distiller_of (FbTask *task)
{
  return fb_distiller_get (fb_task_workshop (task));
}

static GVariant *
result_of (const char *key, GVariant *value)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert_value (&dict, key, value);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* what people call a preset, untranslated */
static const char *
preset_label (const char *name)
{
  const char *family = fb_catalogue_family_label (name);

  return g_str_equal (name, "small") ? N_("Small models") : family != NULL ? family : name;
}

GVariant *
fb_kind_distill_presets_run (FbTask *task, GError **error)
{
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (const char * const *name = fb_distill_presets (); *name != NULL; name++)
    {
      g_autoptr(FbDistillJob) job = fb_distill_job_new_preset (*name, NULL);

      if (job != NULL)
        g_variant_builder_add_parsed (&list, "{'name': <%s>, 'label': <%s>, 'size': <%i>, 'steps': <%i>}", *name, preset_label (*name), job->width, job->steps);
    }
  return result_of ("presets", g_variant_builder_end (&list));
}

/* @wish borrows from @request */
static gboolean
read_wish (GVariant *request, FbDistillWish *wish, GError **error)
{
  *wish = (FbDistillWish) { 0 };
  g_variant_lookup (request, "size", "i", &wish->size);
  g_variant_lookup (request, "steps", "i", &wish->steps);
  return fb_request_string (request, "preset", &wish->preset, error) && fb_request_string (request, "teacher", &wish->teacher, error) &&
         fb_request_string (request, "pictures", &wish->pictures, error) && fb_request_string (request, "name", &wish->name, error);
}

gboolean
fb_kind_distill_start_estimate (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error)
{
  FbDistillWish wish;

  return read_wish (request, &wish, error) && fb_distill_wish_foresee (&wish, estimate, error);
}

GVariant *
fb_kind_distill_start_run (FbTask *task, GError **error)
{
  FbDistillWish wish;

  return read_wish (fb_task_request (task), &wish, error) ? fb_distiller_start (distiller_of (task), &wish, error) : NULL;
}

GVariant *
fb_kind_distill_list_run (FbTask *task, GError **error)
{
  g_autoptr(GVariant) jobs = fb_distiller_list (distiller_of (task));

  return result_of ("jobs", jobs);
}

typedef GVariant * (* ChangeFunc) (FbDistiller *distiller, const char *path, GError **error);

static GVariant *
change (FbTask *task, ChangeFunc func, GError **error)
{
  const char *path = "";

  return fb_request_string (fb_task_request (task), "job", &path, error) ? func (distiller_of (task), path, error) : NULL;
}

GVariant *
fb_kind_distill_pause_run (FbTask *task, GError **error)
{
  return change (task, fb_distiller_pause, error);
}

GVariant *
fb_kind_distill_resume_run (FbTask *task, GError **error)
{
  return change (task, fb_distiller_resume, error);
}

GVariant *
fb_kind_distill_stop_run (FbTask *task, GError **error)
{
  return change (task, fb_distiller_stop, error);
}

GVariant *
fb_kind_distill_remove_run (FbTask *task, GError **error)
{
  return change (task, fb_distiller_remove, error);
}

GVariant *
fb_kind_distill_watch_run (FbTask *task, GError **error)
{
  GVariant            *request = fb_task_request (task);
  const char          *path    = "";
  int                  from    = 0, sample = -1, step = 0;
  g_autoptr(FbImage)   image   = NULL;
  g_autoptr(GVariant)  rows    = NULL;

  if (!fb_request_string (request, "job", &path, error))
    return NULL;
  g_variant_lookup (request, "from", "i", &from);
  g_variant_lookup (request, "sample", "i", &sample);
  rows  = fb_distiller_rows (distiller_of (task), path, from);
  image = fb_distiller_sample (distiller_of (task), path, sample, &step);
  if (image != NULL)
    fb_task_add_picture (task, image, step, g_variant_new_parsed ("@a{sv} {}"));
  return result_of ("rows", rows);
}
