/* ui/args.h: one table of arguments per plug-in. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The table makes the procedure's arguments, the dialog's widgets and the engine's request, and reads a layer's
 * parameters back. Names are an interface for scripts.
 */
#pragma once

#include <libgimp/gimp.h>

typedef enum
{
  FB_ARG_KIND_STRING,    /* one line */
  FB_ARG_KIND_TEXT,      /* several lines */
  FB_ARG_KIND_MODEL,     /* name of a model in the store, or a path */
  FB_ARG_KIND_SAMPLER,   /* name of a sampler */
  FB_ARG_KIND_LORAS,     /* a list of NAME=STRENGTH */
  FB_ARG_KIND_SEED,      /* a whole number as text, because scripts' doubles end at 53 bits; "-1" draws one */
  FB_ARG_KIND_INT,
  FB_ARG_KIND_DOUBLE,
  FB_ARG_KIND_CHOICE,
  FB_ARG_KIND_BOOL,
} FbArgKind;

typedef struct
{
  const char *name;
  const char *label;     /* untranslated, marked with N_() */
} FbArgChoice;

/**
 * FbArg:
 * @label: untranslated, with a mnemonic
 * @blurb: untranslated, one line; the widget's tooltip and the procedure browser's text
 * @minimum, @maximum, @value: for numbers; of a text, @value is how many lines are shown; of a bool, 0 or 1
 * @text: default of strings and choices
 * @model_kind: of models: "checkpoint" or "vae"
 * @choices: ends with a row whose name is %NULL
 * @key: the engine's key where it is not the name
 * @is_local: for the plug-in only; the engine is not told
 * @zero_is_auto: 0 leaves the choice to the model
 * @omits_zero: and the engine is not told of it, because to the engine 0 is a value
 */
typedef struct
{
  FbArgKind          kind;
  const char        *name;
  const char        *label;
  const char        *blurb;
  double             minimum, maximum, value;
  const char        *text;
  const FbArgChoice *choices;
  const char        *key;
  const char        *model_kind;
  gboolean           is_local;
  gboolean           zero_is_auto;
  gboolean           omits_zero;
} FbArg;

#define FB_ARG_STRING(name, label, blurb, value)           { FB_ARG_KIND_STRING,  name, label, blurb, .text = value }
#define FB_ARG_TEXT(name, label, blurb, lines)             { FB_ARG_KIND_TEXT,    name, label, blurb, .value = lines, .text = "" }
#define FB_ARG_MODEL(name, label, blurb, kind)             { FB_ARG_KIND_MODEL,   name, label, blurb, .text = "", .model_kind = kind }
#define FB_ARG_SAMPLER(name, label, blurb)                 { FB_ARG_KIND_SAMPLER, name, label, blurb, .text = "" }
#define FB_ARG_LORAS(name, label, blurb)                   { FB_ARG_KIND_LORAS,   name, label, blurb }
#define FB_ARG_SEED(name, label, blurb)                    { FB_ARG_KIND_SEED,    name, label, blurb, .text = "-1" }
#define FB_ARG_INT(name, label, blurb, min, max, value)    { FB_ARG_KIND_INT,     name, label, blurb, min, max, value }
#define FB_ARG_DOUBLE(name, label, blurb, min, max, value) { FB_ARG_KIND_DOUBLE,  name, label, blurb, min, max, value }
#define FB_ARG_BOOL(name, key_, label, blurb, value_)      { FB_ARG_KIND_BOOL,    name, label, blurb, 0, 1, value_, .key = key_ }
#define FB_ARG_CHOICE(name, label, blurb, value, rows)     { FB_ARG_KIND_CHOICE,  name, label, blurb, .text = value, .choices = rows }

/* for the plug-in only */
#define FB_ARG_LOCAL_CHOICE(name, label, blurb, value, rows) \
  { FB_ARG_KIND_CHOICE,  name, label, blurb, .text = value, .choices = rows, .is_local = TRUE }
#define FB_ARG_LOCAL_STRING(name, label, blurb, value) \
  { FB_ARG_KIND_STRING,  name, label, blurb, .text = value, .is_local = TRUE }

#define FB_ARG_LOCAL_INT(name, label, blurb, min, max, value) \
  { FB_ARG_KIND_INT,     name, label, blurb, min, max, value, .is_local = TRUE }

/* numbers that are the model's own unless the user sets them */
#define FB_ARG_AUTO_INT(name, key_, label, blurb, max) \
  { FB_ARG_KIND_INT, name, label, blurb, 0, max, 0, .key = key_, .zero_is_auto = TRUE }
#define FB_ARG_AUTO_DOUBLE(name, key_, label, blurb, max) \
  { FB_ARG_KIND_DOUBLE, name, label, blurb, 0, max, 0, .key = key_, .zero_is_auto = TRUE }

#define FB_ARG_OPTIONAL_DOUBLE(name, label, blurb, max) \
  { FB_ARG_KIND_DOUBLE, name, label, blurb, 0, max, 0, .zero_is_auto = TRUE, .omits_zero = TRUE }

#define FB_ARG_END                                         { .name = NULL }

/* the row called @name of a table that ends with FB_ARG_END, or NULL */
const FbArg * fb_args_find        (const FbArg *args, const char *name);

/* Adds every row to @procedure, labels and blurbs translated. */
void          fb_args_register    (const FbArg *args, GimpProcedure *procedure);

/* the engine's key for a row */
const char *  fb_arg_key          (const FbArg *arg);

/**
 * fb_args_to_variant:
 * @config: the procedure's arguments as the run function or the dialog has them; paths of models and LoRAs may be relative
 *
 * Returns: (transfer full): the engine's request, a{sv}: s for strings and choices, i for whole numbers, d for the others,
 * b for a bool, a(sd) for LoRAs, and x for a seed, drawn here when it is "-1". Rows whose text is empty are left to the model. %NULL with
 * @error when a seed or a LoRA cannot be read, or a text is no UTF-8.
 */
GVariant *    fb_args_to_variant  (const FbArg *args, GimpProcedureConfig *config, GError **error);

/* Sets @config from the keys of @values that have a row of the right type and range; others are left as they are. */
void          fb_args_from_variant (const FbArg *args, GimpProcedureConfig *config, GVariant *values);

/* Reads @text as a seed, or draws one for "-1" and ""; an error says what a seed looks like. */
gboolean      fb_args_parse_seed  (const char *text, gint64 *seed, GError **error);

/* Splits "NAME=STRENGTH" at its last "="; without one the strength is 1. */
gboolean      fb_args_parse_lora  (const char *text, char **name, double *strength, GError **error);
char *        fb_args_format_lora (const char *name, double strength);
