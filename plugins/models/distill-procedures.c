/* plugins/models/distill-procedures.c: distillation jobs, complete without a window. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/procedures.h"

#include <glib/gi18n-lib.h>

#include "plugins/models/ask.h"

/* the whole numbers of @config called so, those that are 0 left out, added to @request */
static GVariant *
with_numbers (GVariant *request, GimpProcedureConfig *config)
{
  static const char * const names[] = { "size", "steps" };
  g_autoptr(GVariant)       texts   = g_variant_ref_sink (request);
  GVariantDict              dict;

  g_variant_dict_init (&dict, texts);
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      int number = 0;

      g_object_get (config, names[i], &number, NULL);
      if (number > 0)
        g_variant_dict_insert (&dict, names[i], "i", number);
    }

  return g_variant_dict_end (&dict);
}

static gboolean
start_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  GVariant            *texts  = fb_config_request (config, "teacher", "pictures", "preset", "name", NULL);
  g_autoptr(GVariant)  result = fb_ask_job (client, "distill-start", with_numbers (texts, config), error);

  if (result == NULL)
    return FALSE;
  GIMP_VALUES_SET_STRING (values, 1, fb_string_in (result, "job"));

  return TRUE;
}

static gboolean
list_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  static const char * const texts[]   = { "job", "name", "state", "teacher", "output", "problem" };
  static const char * const numbers[] = { "step", "n-steps", "seconds-left", "seconds-total", "peak-bytes" };
  g_autoptr(GVariant)       result    = fb_ask_job (client, "distill-list", g_variant_new_parsed ("@a{sv} {}"), error);
  g_autoptr(GVariant)       jobs      = result != NULL ? g_variant_lookup_value (result, "jobs", G_VARIANT_TYPE ("aa{sv}")) : NULL;
  g_autoptr(GPtrArray)      rows      = NULL;

  if (result == NULL)
    return FALSE;
  rows = jobs != NULL ? fb_rows_of (jobs) : g_ptr_array_new ();
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    fb_values_set_texts (values, 1 + (int) i, rows, texts[i]);
  for (gsize i = 0; i < G_N_ELEMENTS (numbers); i++)
    fb_values_set_numbers (values, 1 + (int) (G_N_ELEMENTS (texts) + i), rows, numbers[i]);

  return TRUE;
}

static gboolean
change (FbEngineClient *client, const char *kind, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  g_autoptr(GVariant) result = fb_ask_job (client, kind, fb_config_request (config, "job", NULL), error);

  if (result == NULL)
    return FALSE;
  GIMP_VALUES_SET_STRING (values, 1, fb_string_in (result, "state"));

  return TRUE;
}

static gboolean
pause_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  return change (client, "distill-pause", config, values, error);
}

static gboolean
resume_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  return change (client, "distill-resume", config, values, error);
}

static gboolean
stop_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  return change (client, "distill-stop", config, values, error);
}

static gboolean
remove_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  g_autoptr(GVariant) result = fb_ask_job (client, "distill-remove", fb_config_request (config, "job", NULL), error);

  return result != NULL;
}

#define ARG_JOB      { 's', "job", N_("_Job"), N_("Path of the job's file, as plug-in-flashbrush-distill gives it"), "" }
#define RETURN_STATE { 's', "state", N_("State"), N_("What the job does now: waiting, preparing, measuring, running, paused, stopped, done or failed") }

const FbProcedureRow fb_distill_procedures[] =
{
  {
    "plug-in-flashbrush-distill", N_("Teach a LoRA to draw in a few steps what a model draws in many"),
    N_("Starts a job in the background, which goes on when GIMP is closed, and returns at once. Jobs run one after another. The finished LoRA lies "
       "among the others. A job that needs more memory than there is is refused."), start_run,
    {
      { 's', "teacher", N_("_Teacher"), N_("Name or path of the model to distil; empty for the default"), "" },
      { 's', "pictures", N_("_Pictures"), N_("Folder of pictures, each with a .txt file of what it shows; or a text file of prompts, for which the teacher "
                                                "makes the pictures; or a .tsv file of lines “picture, tab, caption”"), "" },
      { 's', "preset", N_("P_reset"), N_("Name of a set of settings; empty for the one that suits the teacher"), "" },
      { 's', "name", N_("_Name"), N_("What the LoRA will be called"), "" },
      { 'i', "size", N_("Si_ze"), N_("Pixels per side of the pictures it learns from; 0 for the teacher's own"), NULL, 4096 },
      { 'i', "steps", N_("_Iterations"), N_("How often the student is corrected; 0 for the preset's number"), NULL, 10000000 },
    },
    { { 's', "job", N_("Job"), N_("Path of the job's file, which names it for the other procedures") } }
  },
  {
    "plug-in-flashbrush-distill-list", N_("List distillation jobs"),
    N_("Gives one list per property; entries of equal number belong together."), list_run,
    { { 0 } },
    {
      { 'S', "jobs",          N_("Jobs"),           N_("Paths of the jobs' files") },
      { 'S', "names",         N_("Names"),          N_("What the LoRAs will be called") },
      { 'S', "states",        N_("States"),         N_("waiting, preparing, measuring, running, paused, stopped, done or failed") },
      { 'S', "teachers",      N_("Teachers"),       N_("The models that are distilled") },
      { 'S', "outputs",       N_("Outputs"),        N_("Paths of the LoRAs, empty while there are none") },
      { 'S', "problems",      N_("Problems"),       N_("Why jobs failed") },
      { 'D', "steps",         N_("Iterations"),     N_("How many are done") },
      { 'D', "totals",        N_("Totals"),         N_("How many there will be") },
      { 'D', "seconds-left",  N_("Seconds left"),   N_("Time to the end, negative while unknown") },
      { 'D', "seconds-total", N_("Seconds in all"), N_("Time that all iterations take, negative before the first is measured") },
      { 'D', "peak-bytes",    N_("Memory"),         N_("Bytes it has taken at most, 0 before the first iteration is measured") },
    }
  },
  {
    "plug-in-flashbrush-distill-pause", N_("Pause a distillation job"),
    N_("It keeps its state on the disk and can go on later, after a restart too."), pause_run, { ARG_JOB }, { RETURN_STATE }
  },
  {
    "plug-in-flashbrush-distill-resume", N_("Let a paused distillation job go on"),
    N_("Takes a job that was paused, stopped or failed, or a job's file from elsewhere."), resume_run, { ARG_JOB }, { RETURN_STATE }
  },
  {
    "plug-in-flashbrush-distill-stop", N_("Stop a distillation job"),
    N_("Writes the LoRA with what it has learned so far."), stop_run, { ARG_JOB }, { RETURN_STATE }
  },
  {
    "plug-in-flashbrush-distill-remove", N_("Remove a distillation job"),
    N_("Takes a job that is not at work off the list and deletes its files; its LoRA stays. Files from elsewhere are only forgotten."), remove_run,
    { ARG_JOB }, { { 0 } }
  },
  { NULL }
};
