/* plugins/models/model-procedures.c: the models' procedures, complete without a window. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/procedures.h"

#include <glib/gi18n-lib.h>

#include "plugins/models/ask.h"

#define ARG_MODEL   { 's', "model", N_("_Model"), N_("Name of a model, LoRA, VAE or TAESD, or path of its file or folder"), "" }
#define ARG_KIND    { 'k', "kind", N_("_Kind"), N_("What is meant where names are equal"), "any" }

static void
set_string (GimpValueArray *values, int index, const char *text)
{
  GIMP_VALUES_SET_STRING (values, index, text);
}

static void
set_strings (GimpValueArray *values, int index, GVariant *dict, const char *key)
{
  g_autofree const char **list = NULL;

  g_variant_lookup (dict, key, "^a&s", &list);
  GIMP_VALUES_SET_STRV (values, index, (char **) list);
}

/* --- list, describe ----------------------------------------------------------------------------------------------------------- */

static gboolean
list_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  static const char * const columns[] = { "name", "kind", "family", "title", "path", "problem" };
  g_autoptr(GVariant)       models    = fb_ask_models (client, error);
  g_autoptr(GPtrArray)      rows      = models != NULL ? fb_rows_of (models) : NULL;
  g_autofree char          *kind      = fb_config_text (config, "kind");

  if (rows == NULL)
    return FALSE;
  for (guint i = rows->len; i > 0; i--)
    if (*kind != '\0' && !g_str_equal (fb_string_in (rows->pdata[i - 1], "kind"), kind))
      g_ptr_array_remove_index (rows, i - 1);
  for (gsize i = 0; i < G_N_ELEMENTS (columns); i++)
    fb_values_set_texts (values, 1 + (int) i, rows, columns[i]);
  fb_values_set_numbers (values, 1 + (int) G_N_ELEMENTS (columns), rows, "bytes");

  return TRUE;
}

/* bytes of the model at @path in memory */
static guint64
bytes_loaded (GVariant *loaded, const char *path)
{
  guint64 bytes = 0;

  for (gsize i = 0; i < g_variant_n_children (loaded); i++)
    {
      g_autoptr(GVariant) model = g_variant_get_child_value (loaded, i);

      if (g_str_equal (fb_string_in (model, "path"), path))
        g_variant_lookup (model, "bytes", "t", &bytes);
    }

  return bytes;
}

static gboolean
describe_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  static const char * const texts[] = { "name", "kind", "title", "family", "base", "precision", "licence", "hash", "trigger", "path", "target",
                                        "problem", "sampler" };
  g_autofree char     *name   = fb_config_text (config, "model");
  g_autofree char     *kind   = fb_config_text (config, "kind");
  g_autoptr(GVariant)  models = fb_ask_models (client, error);
  g_autoptr(GVariant)  loaded = models != NULL ? fb_ask_loaded (client, error) : NULL;
  g_autoptr(GVariant)  model  = loaded != NULL ? fb_ask_find (models, kind, name, error) : NULL;
  int                  n      = 1 + (int) G_N_ELEMENTS (texts);
  guint64              bytes  = 0;
  int                  steps  = 0;
  double               scale  = 0.0;

  if (model == NULL)
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    set_string (values, 1 + (int) i, fb_string_in (model, texts[i]));
  g_variant_lookup (model, "n-steps", "i", &steps);
  g_variant_lookup (model, "guidance-scale", "d", &scale);
  g_variant_lookup (model, "bytes", "t", &bytes);
  GIMP_VALUES_SET_INT (values, n, steps);
  GIMP_VALUES_SET_DOUBLE (values, n + 1, scale);
  GIMP_VALUES_SET_DOUBLE (values, n + 2, (double) bytes);
  GIMP_VALUES_SET_DOUBLE (values, n + 3, (double) bytes_loaded (loaded, fb_string_in (model, "path")));
  set_strings (values, n + 4, model, "default-for");

  return TRUE;
}

/* --- what changes something ------------------------------------------------------------------------------------------------- */

static gboolean
import_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  g_autoptr(GVariant)  request = g_variant_ref_sink (fb_config_request (config, "path", "kind", NULL));
  GVariantDict         dict;
  g_autoptr(GVariant)  result  = NULL;
  gboolean             copy    = FALSE;
  int                  n       = 0;

  g_object_get (config, "copy", &copy, NULL);
  g_variant_dict_init (&dict, request);
  g_variant_dict_insert (&dict, "copy", "b", copy);
  result = fb_ask_job (client, "import", g_variant_dict_end (&dict), error);
  if (result == NULL)
    return FALSE;
  set_string (values, 1, fb_string_in (result, "name"));
  set_string (values, 2, fb_string_in (result, "kind"));
  set_string (values, 3, fb_string_in (result, "family"));
  g_variant_lookup (result, "n-found", "i", &n);
  GIMP_VALUES_SET_INT (values, 4, n);

  return TRUE;
}

static gboolean
load_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  g_autoptr(GVariant) result = fb_ask_job (client, "load", fb_config_request (config, "model", "dtype", NULL), error);
  g_autoptr(GVariant) loaded = result != NULL ? fb_ask_loaded (client, error) : NULL;
  g_autoptr(GVariant) newest = NULL;
  guint64             bytes  = 0;

  if (loaded == NULL)
    return FALSE;
  if (g_variant_n_children (loaded) > 0)                   /* the most recently used comes first */
    newest = g_variant_get_child_value (loaded, 0);
  if (newest != NULL)
    g_variant_lookup (newest, "bytes", "t", &bytes);
  GIMP_VALUES_SET_DOUBLE (values, 1, (double) bytes);

  return TRUE;
}

static gboolean
unload_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  g_autoptr(GVariant) result = fb_ask_job (client, "unload", fb_config_request (config, "model", NULL), error);
  int                 n      = 0;

  if (result == NULL)
    return FALSE;
  g_variant_lookup (result, "n-unloaded", "i", &n);
  GIMP_VALUES_SET_INT (values, 1, n);

  return TRUE;
}

static gboolean
verify_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  g_autoptr(GVariant) result = fb_ask_job (client, "verify", fb_config_request (config, "model", "kind", NULL), error);

  if (result == NULL)
    return FALSE;
  set_string (values, 1, fb_string_in (result, "hash"));
  set_strings (values, 2, result, "fits");

  return TRUE;
}

static gboolean
remove_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  g_autoptr(GVariant) result  = fb_ask_job (client, "remove", fb_config_request (config, "model", "kind", NULL), error);
  gboolean            deleted = FALSE;

  if (result == NULL)
    return FALSE;
  g_variant_lookup (result, "deleted", "b", &deleted);
  GIMP_VALUES_SET_BOOLEAN (values, 1, deleted);

  return TRUE;
}

static gboolean
set_default_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  g_autoptr(GVariant) result = fb_ask_job (client, "set-default", fb_config_request (config, "task", "model", NULL), error);

  return result != NULL;
}

static gboolean
memory_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  g_autoptr(GVariant)  loaded       = fb_ask_loaded (client, error);
  g_autoptr(GVariant)  capabilities = loaded != NULL ? fb_ask_capabilities (client, error) : NULL;
  g_autoptr(GPtrArray) rows         = capabilities != NULL ? fb_rows_of (loaded) : NULL;
  guint64              budget       = 0, available = 0;

  if (rows == NULL)
    return FALSE;
  g_variant_lookup (capabilities, "memory-budget", "t", &budget);
  g_variant_lookup (capabilities, "available-bytes", "t", &available);
  fb_values_set_texts (values, 1, rows, "path");
  fb_values_set_numbers (values, 2, rows, "bytes");
  GIMP_VALUES_SET_DOUBLE (values, 3, (double) budget);
  GIMP_VALUES_SET_DOUBLE (values, 4, (double) available);

  return TRUE;
}

/* --- the table ------------------------------------------------------------------------------------------------------------------ */

const FbProcedureRow fb_model_procedures[] =
{
  {
    "plug-in-flashbrush-models-list", N_("List models, LoRAs, autoencoders and tiny decoders"),
    N_("Gives one list per property; entries of equal number belong together."), list_run,
    { { 'k', "kind", N_("_Kind"), N_("What is listed"), "any" } },
    {
      { 'S', "names",    N_("Names"),    N_("What the other procedures call them") },
      { 'S', "kinds",    N_("Kinds"),    N_("checkpoint, lora, vae or taesd") },
      { 'S', "families", N_("Families"), N_("The family of models that each belongs to, or fits; empty where unknown") },
      { 'S', "titles",   N_("Titles"),   N_("Names for people, empty where there is none") },
      { 'S', "paths",    N_("Paths"),    N_("Where they are") },
      { 'S', "problems", N_("Problems"), N_("Why each cannot be used, empty where it can") },
      { 'D', "sizes",    N_("Sizes"),    N_("Bytes on the disk") },
    }
  },
  {
    "plug-in-flashbrush-models-describe", N_("Tell everything that is known about a model or LoRA"),
    N_("Texts are empty and numbers 0 where nothing is known. The hash is known once the files have been verified or used."), describe_run,
    { ARG_MODEL, ARG_KIND },
    {
      { 's', "name",           N_("Name"),      N_("What the other procedures call it") },
      { 's', "kind",           N_("Kind"),      N_("checkpoint, lora, vae or taesd") },
      { 's', "title",          N_("Title"),     N_("Name for people") },
      { 's', "family",         N_("Family"),    N_("The family of models that it belongs to, or fits") },
      { 's', "base",           N_("Base"),      N_("What a LoRA says it was made for") },
      { 's', "precision",      N_("Precision"), N_("Type of the numbers in the file") },
      { 's', "licence",        N_("Licence"),   N_("As its files name it") },
      { 's', "hash",           N_("Hash"),      N_("SHA-256 of its files") },
      { 's', "trigger",        N_("Trigger"),   N_("Words in a prompt that call a LoRA up") },
      { 's', "path",           N_("Path"),      N_("Where it is") },
      { 's', "target",         N_("Target"),    N_("Where its files lie, if it is a link") },
      { 's', "problem",        N_("Problem"),   N_("Why it cannot be used") },
      { 's', "sampler",        N_("Sampler"),   N_("The sampler that suits it") },
      { 'i', "steps",          N_("Steps"),     N_("The number of steps that suits it") },
      { 'd', "guidance-scale", N_("Guidance"),  N_("The guidance that suits it") },
      { 'd', "bytes",          N_("Bytes"),     N_("On the disk") },
      { 'd', "memory",         N_("Memory"),    N_("Bytes in memory, 0 when it is not loaded") },
      { 'S', "default-for",    N_("Default for"), N_("The tasks that take it when no model is named") },
    }
  },
  {
    "plug-in-flashbrush-models-import", N_("Bring in a model, a LoRA or a folder of them"),
    N_("Looks into the files and refuses, with the reason, what cannot be used. Files are used where they lie, unless a copy is asked for, which "
       "is possible for everything but whole models. A folder of several files is looked through again whenever models are listed."), import_run,
    { { 's', "path", N_("_Path"), N_("A .safetensors file, or a folder"), "" }, { 'k', "kind", N_("_Kind"), N_("What it is; any finds it out"), "any" },
      { 'b', "copy", N_("_Copy"), N_("Copy the file into Flashbrush's own folder") } },
    {
      { 's', "name",   N_("Name"),   N_("What the other procedures call it") },
      { 's', "kind",   N_("Kind"),   N_("checkpoint, lora, vae or taesd") },
      { 's', "family", N_("Family"), N_("The family of models that it belongs to, or fits") },
      { 'i', "count",  N_("Count"),  N_("How many files of models there are in a folder, else 1") },
    }
  },
  {
    "plug-in-flashbrush-models-load", N_("Bring a model into memory"),
    N_("The first picture then comes sooner. Models that have not been used for long make room."), load_run,
    { { 's', "model", N_("_Model"), N_("Name or path of a model; empty for the default"), "" },
      { 's', "dtype", N_("_Precision"), N_("auto, f32 or bf16: what it computes in"), "auto" } },
    { { 'd', "bytes", N_("Bytes"), N_("What it takes in memory") } }
  },
  {
    "plug-in-flashbrush-models-unload", N_("Take a model out of memory"), N_("It is loaded again when it is used next."), unload_run,
    { { 's', "model", N_("_Model"), N_("Name or path of a model; empty for all"), "" } },
    { { 'i', "count", N_("Count"), N_("How many models were in memory and are not any more") } }
  },
  {
    "plug-in-flashbrush-models-verify", N_("Check the files of a model or LoRA"),
    N_("Checks that everything is there, that headers and shapes are right, and computes the hash, which takes some seconds for large files."), verify_run,
    { ARG_MODEL, ARG_KIND },
    {
      { 's', "hash", N_("Hash"), N_("SHA-256 of the file, or of the sorted hashes of several") },
      { 'S', "fits", N_("Fits"), N_("Names of the models that a LoRA fits") },
    }
  },
  {
    "plug-in-flashbrush-models-remove", N_("Take a model or LoRA out of the list"),
    N_("Deletes files in Flashbrush's own folder, without asking. Files elsewhere are only forgotten. What came with Flashbrush stays."), remove_run,
    { ARG_MODEL, ARG_KIND },
    { { 'b', "deleted", N_("Deleted"), N_("Whether files were deleted from the disk") } }
  },
  {
    "plug-in-flashbrush-models-set-default", N_("Choose the model that a task takes when none is named"),
    N_("Without a choice it is the one that came with Flashbrush."), set_default_run,
    { { 's', "task", N_("_Task"), N_("generate, inpaint or upscale"), "generate" },
      { 's', "model", N_("_Model"), N_("Name or path of a model; empty takes the choice back"), "" } },
    { { 0 } }
  },
  {
    "plug-in-flashbrush-models-memory", N_("Tell which models are in memory"), N_("The one that was used last comes first."), memory_run,
    { { 0 } },
    {
      { 'S', "paths",     N_("Paths"),     N_("Where the models lie that are loaded") },
      { 'D', "sizes",     N_("Sizes"),     N_("Bytes that each takes") },
      { 'd', "budget",    N_("Budget"),    N_("Bytes that models may keep between two pictures") },
      { 'd', "available", N_("Available"), N_("Bytes that the system can give") },
    }
  },
  { NULL }
};
