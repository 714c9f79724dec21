/* plugins/models/procedures.c: the models' procedures, complete without a window. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/procedures.h"

#include <glib/gi18n-lib.h>

#include "plugins/models/ask.h"
#include "ui/procedure.h"

/* an argument or a return value */
typedef struct
{
  char        type;      /* s string, S list of strings, k kind of model, b boolean, i whole number, d number, D list of numbers */
  const char *name;
  const char *label;
  const char *blurb;
  const char *text;      /* default of an argument s or k */
} Value;

enum { MAX_VALUES = 20 };

/**
 * Row:
 * @run: fills @values, whose number 0 is the status, and returns %TRUE, or sets @error
 */
typedef struct
{
  const char *name;
  const char *blurb;
  const char *help;
  gboolean   (* run) (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error);
  Value       args[4];
  Value       returns[MAX_VALUES];
} Row;

#define ARG_MODEL   { 's', "model", N_("_Model"), N_("Name of a model, LoRA, VAE or TAESD, or path of its file or folder"), "" }
#define ARG_KIND    { 'k', "kind", N_("_Kind"), N_("What is meant where names are equal"), "any" }

/* --- arguments and values ------------------------------------------------------------------------------------------------- */

static GimpChoice *
kinds_new (void)
{
  GimpChoice *choice = gimp_choice_new ();

  gimp_choice_add (choice, "any",        0, _("Any"), NULL);
  gimp_choice_add (choice, "checkpoint", 1, _("Model"), NULL);
  gimp_choice_add (choice, "lora",       2, _("LoRA"), NULL);
  gimp_choice_add (choice, "vae",        3, _("Autoencoder"), NULL);
  gimp_choice_add (choice, "taesd",      4, _("Tiny decoder"), NULL);

  return choice;
}

static void
add_argument (GimpProcedure *procedure, const Value *arg)
{
  switch (arg->type)
    {
    case 'k':
      gimp_procedure_add_choice_argument (procedure, arg->name, _(arg->label), _(arg->blurb), kinds_new (), arg->text, G_PARAM_READWRITE);
      break;
    case 'b':
      gimp_procedure_add_boolean_argument (procedure, arg->name, _(arg->label), _(arg->blurb), FALSE, G_PARAM_READWRITE);
      break;
    default:
      gimp_procedure_add_string_argument (procedure, arg->name, _(arg->label), _(arg->blurb), arg->text, G_PARAM_READWRITE);
      break;
    }
}

static void
add_return_value (GimpProcedure *procedure, const Value *value)
{
  const char *label = _(value->label), *blurb = _(value->blurb);

  switch (value->type)
    {
    case 's':
      gimp_procedure_add_string_return_value (procedure, value->name, label, blurb, "", G_PARAM_READWRITE);
      break;
    case 'S':
      gimp_procedure_add_string_array_return_value (procedure, value->name, label, blurb, G_PARAM_READWRITE);
      break;
    case 'b':
      gimp_procedure_add_boolean_return_value (procedure, value->name, label, blurb, FALSE, G_PARAM_READWRITE);
      break;
    case 'i':
      gimp_procedure_add_int_return_value (procedure, value->name, label, blurb, 0, G_MAXINT, 0, G_PARAM_READWRITE);
      break;
    case 'd':
      gimp_procedure_add_double_return_value (procedure, value->name, label, blurb, 0.0, G_MAXDOUBLE, 0.0, G_PARAM_READWRITE);
      break;
    case 'D':
      gimp_procedure_add_double_array_return_value (procedure, value->name, label, blurb, G_PARAM_READWRITE);
      break;
    default:
      g_assert_not_reached ();
    }
}

/* (transfer full): never NULL; "any" is "" */
static char *
text_of (GimpProcedureConfig *config, const char *name)
{
  char *text = NULL;

  g_object_get (config, name, &text, NULL);
  if (text == NULL || !g_utf8_validate (text, -1, NULL) || g_str_equal (text, "any"))
    {
      g_free (text);
      text = g_strdup ("");
    }

  return text;
}

/* a{sv} of the arguments called so, those that are empty left out; ends with NULL */
static GVariant * G_GNUC_NULL_TERMINATED
request_of (GimpProcedureConfig *config, const char *first, ...)
{
  GVariantDict dict;
  va_list      names;

  g_variant_dict_init (&dict, NULL);
  va_start (names, first);
  for (const char *name = first; name != NULL; name = va_arg (names, const char *))
    {
      g_autofree char *text = text_of (config, name);

      if (*text != '\0')
        g_variant_dict_insert (&dict, name, "s", text);
    }
  va_end (names);

  return g_variant_dict_end (&dict);
}

static const char *
string_in (GVariant *dict, const char *key)
{
  const char *text = "";

  g_variant_lookup (dict, key, "&s", &text);

  return text;
}

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

/* one column of the list */
static void
set_column (GimpValueArray *values, int index, GPtrArray *models, const char *key)
{
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new ();
  g_auto(GStrv)           column  = NULL;

  for (guint i = 0; i < models->len; i++)
    g_strv_builder_add (builder, string_in (models->pdata[i], key));
  column = g_strv_builder_end (builder);
  GIMP_VALUES_SET_STRV (values, index, column);
}

static gboolean
list_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  static const char * const columns[] = { "name", "kind", "family", "title", "path", "problem" };
  g_autoptr(GVariant)       models    = fb_ask_models (client, error);
  g_autoptr(GPtrArray)      chosen    = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
  g_autofree char          *kind      = text_of (config, "kind");
  g_autofree double        *sizes     = NULL;

  if (models == NULL)
    return FALSE;
  for (gsize i = 0; i < g_variant_n_children (models); i++)
    {
      g_autoptr(GVariant) model = g_variant_get_child_value (models, i);

      if (*kind == '\0' || g_str_equal (string_in (model, "kind"), kind))
        g_ptr_array_add (chosen, g_steal_pointer (&model));
    }

  for (gsize i = 0; i < G_N_ELEMENTS (columns); i++)
    set_column (values, 1 + (int) i, chosen, columns[i]);
  sizes = g_new0 (double, chosen->len + 1);
  for (guint i = 0; i < chosen->len; i++)
    {
      guint64 bytes = 0;

      g_variant_lookup (chosen->pdata[i], "bytes", "t", &bytes);
      sizes[i] = (double) bytes;
    }
  GIMP_VALUES_SET_DOUBLE_ARRAY (values, 1 + (int) G_N_ELEMENTS (columns), sizes, chosen->len);

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

      if (g_str_equal (string_in (model, "path"), path))
        g_variant_lookup (model, "bytes", "t", &bytes);
    }

  return bytes;
}

static gboolean
describe_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  static const char * const texts[] = { "name", "kind", "title", "family", "base", "precision", "licence", "hash", "trigger", "path", "target",
                                        "problem", "sampler" };
  g_autofree char     *name   = text_of (config, "model");
  g_autofree char     *kind   = text_of (config, "kind");
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
    set_string (values, 1 + (int) i, string_in (model, texts[i]));
  g_variant_lookup (model, "n-steps", "i", &steps);
  g_variant_lookup (model, "guidance-scale", "d", &scale);
  g_variant_lookup (model, "bytes", "t", &bytes);
  GIMP_VALUES_SET_INT (values, n, steps);
  GIMP_VALUES_SET_DOUBLE (values, n + 1, scale);
  GIMP_VALUES_SET_DOUBLE (values, n + 2, (double) bytes);
  GIMP_VALUES_SET_DOUBLE (values, n + 3, (double) bytes_loaded (loaded, string_in (model, "path")));
  set_strings (values, n + 4, model, "default-for");

  return TRUE;
}

/* --- what changes something ------------------------------------------------------------------------------------------------- */

static gboolean
import_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  g_autoptr(GVariant)  request = g_variant_ref_sink (request_of (config, "path", "kind", NULL));
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
  set_string (values, 1, string_in (result, "name"));
  set_string (values, 2, string_in (result, "kind"));
  set_string (values, 3, string_in (result, "family"));
  g_variant_lookup (result, "n-found", "i", &n);
  GIMP_VALUES_SET_INT (values, 4, n);

  return TRUE;
}

static gboolean
load_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  g_autoptr(GVariant) result = fb_ask_job (client, "load", request_of (config, "model", "dtype", NULL), error);
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
  g_autoptr(GVariant) result = fb_ask_job (client, "unload", request_of (config, "model", NULL), error);
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
  g_autoptr(GVariant) result = fb_ask_job (client, "verify", request_of (config, "model", "kind", NULL), error);

  if (result == NULL)
    return FALSE;
  set_string (values, 1, string_in (result, "hash"));
  set_strings (values, 2, result, "fits");

  return TRUE;
}

static gboolean
remove_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  g_autoptr(GVariant) result  = fb_ask_job (client, "remove", request_of (config, "model", "kind", NULL), error);
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
  g_autoptr(GVariant) result = fb_ask_job (client, "set-default", request_of (config, "task", "model", NULL), error);

  return result != NULL;
}

static gboolean
memory_run (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error)
{
  g_autoptr(GVariant)      loaded       = fb_ask_loaded (client, error);
  g_autoptr(GVariant)      capabilities = loaded != NULL ? fb_ask_capabilities (client, error) : NULL;
  g_autoptr(GStrvBuilder)  builder      = g_strv_builder_new ();
  g_auto(GStrv)            paths        = NULL;
  g_autofree double       *sizes        = NULL;
  gsize                    n            = loaded != NULL ? g_variant_n_children (loaded) : 0;
  guint64                  budget       = 0, available = 0;

  if (capabilities == NULL)
    return FALSE;
  sizes = g_new0 (double, n + 1);
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr(GVariant) model = g_variant_get_child_value (loaded, i);
      guint64             bytes = 0;

      g_strv_builder_add (builder, string_in (model, "path"));
      g_variant_lookup (model, "bytes", "t", &bytes);
      sizes[i] = (double) bytes;
    }
  paths = g_strv_builder_end (builder);
  g_variant_lookup (capabilities, "memory-budget", "t", &budget);
  g_variant_lookup (capabilities, "available-bytes", "t", &available);
  GIMP_VALUES_SET_STRV (values, 1, paths);
  GIMP_VALUES_SET_DOUBLE_ARRAY (values, 2, sizes, n);
  GIMP_VALUES_SET_DOUBLE (values, 3, (double) budget);
  GIMP_VALUES_SET_DOUBLE (values, 4, (double) available);

  return TRUE;
}

/* --- the table ------------------------------------------------------------------------------------------------------------------ */

static const Row rows[] =
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
};

static GimpValueArray *
run (GimpProcedure *procedure, GimpProcedureConfig *config, gpointer run_data)
{
  const Row                 *row    = run_data;
  g_autoptr(FbEngineClient)  client = fb_engine_client_new ();
  GimpValueArray            *values = gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
  GError                    *error  = NULL;

  if (row->run (client, config, values, &error))
    return values;
  gimp_value_array_unref (values);
  fb_procedure_blame_caller (error);

  return fb_procedure_fail (procedure, error);
}

GList *
fb_model_procedures_list (void)
{
  GList *names = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    names = g_list_append (names, g_strdup (rows[i].name));

  return names;
}

GimpProcedure *
fb_model_procedures_create (GimpPlugIn *plug_in, const char *name)
{
  const Row     *row = NULL;
  GimpProcedure *procedure;

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    if (g_str_equal (rows[i].name, name))
      row = &rows[i];
  if (row == NULL)
    return NULL;

  procedure = gimp_procedure_new (plug_in, name, GIMP_PDB_PROC_TYPE_PLUGIN, run, (gpointer) row, NULL);
  gimp_procedure_set_documentation (procedure, _(row->blurb), _(row->help), NULL);
  gimp_procedure_set_attribution (procedure, "The Flashbrush authors", "The Flashbrush authors", "2025");
  for (const Value *arg = row->args; arg->type != 0; arg++)
    add_argument (procedure, arg);
  for (const Value *value = row->returns; value->type != 0; value++)
    add_return_value (procedure, value);

  return procedure;
}
