/* core/distill/job.c: a training job as a file: fields, checks, JSON. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/job.h"

#include <errno.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/distill/job-private.h"
#include "core/formats/json-file.h"
#include "core/store/nearest.h"

#define FIELD(name, kind, ...) { #name, kind, offsetof (FbDistillJob, name), __VA_ARGS__ }

/* min and max are of the number, or of a list's length; choices of a string */
static const Field fields[] =
{
  FIELD (teacher,                     STRING, 0, 0, NULL, DATA),
  FIELD (pictures,                    STRING, 0, 0, NULL, DATA),
  FIELD (captions,                    STRING, 0, 0, NULL, DATA),
  FIELD (prompts,                     LIST,   1, 100000, NULL, DATA),
  FIELD (prompt_file,                 STRING, 0, 0, NULL, DATA),
  FIELD (pictures_per_prompt,         INT,    1, 1000, NULL, COMPUTED),
  FIELD (negative_prompt,             STRING, 0, 0, NULL, COMPUTED),
  FIELD (width,                       INT,    0, 4096, NULL, COMPUTED),
  FIELD (height,                      INT,    0, 4096, NULL, COMPUTED),
  FIELD (aspect_buckets,              BOOL,   0, 0, NULL, COMPUTED),
  FIELD (steps,                       INT,    1, 10000000, NULL, COMPUTED),
  FIELD (batch_size,                  INT,    1, 4096, NULL, COMPUTED),
  FIELD (samples_per_call,            INT,    1, 4096, NULL, TUNED),
  FIELD (seed,                        INT64,  0, 9007199254740992.0, NULL, COMPUTED),   /* what a JSON number holds exactly */
  FIELD (teacher_steps,               INT,    1, 1000, NULL, COMPUTED),
  FIELD (teacher_reuse,               INT,    1, 1000, NULL, COMPUTED),
  FIELD (guidance_min,                DOUBLE, 1, 100, NULL, COMPUTED),
  FIELD (guidance_max,                DOUBLE, 1, 100, NULL, COMPUTED),
  FIELD (mode_variance,               DOUBLE, 0.001, 1000, NULL, COMPUTED),
  FIELD (distance,                    CHOICE, 0, 0, "l2 lpips", COMPUTED),
  FIELD (lpips_weights,               STRING, 0, 0, NULL, DATA),
  FIELD (learning_rate,               DOUBLE, 1e-9, 1, NULL, TUNED),
  FIELD (discriminator_learning_rate, DOUBLE, 1e-9, 1, NULL, TUNED),
  FIELD (beta1,                       DOUBLE, 0, 0.9999999, NULL, COMPUTED),
  FIELD (beta2,                       DOUBLE, 0, 0.9999999, NULL, COMPUTED),
  FIELD (epsilon,                     DOUBLE, 1e-16, 1, NULL, COMPUTED),
  FIELD (weight_decay,                DOUBLE, 0, 1, NULL, TUNED),
  FIELD (warm_up,                     INT,    0, 10000000, NULL, COMPUTED),
  FIELD (clip,                        DOUBLE, 0, 1e9, NULL, TUNED),
  FIELD (average,                     DOUBLE, 0, 0.9999999, NULL, COMPUTED),
  FIELD (lora_rank,                   INT,    1, 1024, NULL, COMPUTED),
  FIELD (lora_alpha,                  DOUBLE, 0.001, 100000, NULL, COMPUTED),
  FIELD (lora_targets,                LIST,   1, 100, NULL, COMPUTED),
  FIELD (dtype,                       CHOICE, 0, 0, "auto f32 bf16", TUNED),
  FIELD (threads,                     INT,    0, 4096, NULL, TUNED),
  FIELD (memory,                      INT,    0, 100000000, NULL, RUN),
  FIELD (checkpoint_every,            INT,    1, 10000000, NULL, RUN),
  FIELD (sample_every,                INT,    0, 10000000, NULL, RUN),
  FIELD (sample_prompts,              LIST,   0, 64, NULL, RUN),
  FIELD (output,                      STRING, 0, 0, NULL, RUN),
  FIELD (naming,                      CHOICE, 0, 0, "peft kohya", RUN),
};

static gpointer
place (const FbDistillJob *job, const Field *field)
{
  return (char *) job + field->offset;
}

gboolean
fb_distill_refuse (const char *path, const char *field, const char *reason, GError **error)
{
  /* Translators: file, field in it, what is wrong and what would do */
  g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_FIELD, _("“%s”: “%s” %s"), path, field, reason);
  return FALSE;
}

static gboolean G_GNUC_PRINTF (4, 5)
refuse (const char *path, const char *field, GError **error, const char *format, ...)
{
  g_autofree char *reason = NULL;
  va_list          args;

  va_start (args, format);
  reason = g_strdup_vprintf (format, args);
  va_end (args);
  return fb_distill_refuse (path, field, reason, error);
}

static gboolean
holds_number (JsonNode *node)
{
  return JSON_NODE_HOLDS_VALUE (node) && (json_node_get_value_type (node) == G_TYPE_INT64 || json_node_get_value_type (node) == G_TYPE_DOUBLE);
}

static gboolean
holds_string (JsonNode *node)
{
  return JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING;
}

gboolean
fb_distill_read_number (JsonNode *node, const char *path, const char *field, double min, double max, gboolean whole, double *value,
                        GError **error)
{
  *value = holds_number (node) ? json_node_get_double (node) : NAN;
  if (*value >= min && *value <= max && (!whole || *value == rint (*value)))
    return TRUE;
  if (whole)
    return refuse (path, field, error, _("must be a whole number from %.0f to %.0f."), min, max);
  return refuse (path, field, error, _("must be a number from %g to %g."), min, max);
}

static gboolean
read_choice (JsonNode *node, const char *path, const Field *field, char **value, GError **error)
{
  g_auto(GStrv)    choices = g_strsplit (field->choices, " ", -1);
  g_autofree char *all     = g_strjoinv (", ", choices);

  if (!holds_string (node) || !g_strv_contains ((const char * const *) choices, json_node_get_string (node)))
    return refuse (path, field->name, error, _("must be one of %s."), all);
  g_free (*value);
  *value = json_node_dup_string (node);
  return TRUE;
}

static gboolean
read_list (JsonNode *node, const char *path, const Field *field, char ***value, GError **error)
{
  JsonArray *array = JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  guint      n     = array != NULL ? json_array_get_length (array) : 0;
  char     **list;

  if (array == NULL || n < field->min || n > field->max)
    return refuse (path, field->name, error, _("must be a list of %.0f to %.0f texts."), field->min, field->max);
  for (guint i = 0; i < n; i++)
    if (!holds_string (json_array_get_element (array, i)) || *json_node_get_string (json_array_get_element (array, i)) == '\0')
      return refuse (path, field->name, error, _("has an entry that is not a text (number %u)."), i + 1);
  list = g_new0 (char *, n + 1);
  for (guint i = 0; i < n; i++)
    list[i] = json_node_dup_string (json_array_get_element (array, i));
  g_strfreev (*value);
  *value = list;
  return TRUE;
}

static gboolean
read_field (FbDistillJob *job, const Field *field, JsonNode *node, GError **error)
{
  gpointer p = place (job, field);
  double   number;

  switch (field->kind)
    {
    case INT:
    case INT64:
      if (!fb_distill_read_number (node, job->path, field->name, field->min, field->max, TRUE, &number, error))
        return FALSE;
      if (field->kind == INT)
        *(int *) p = (int) number;
      else
        *(gint64 *) p = json_node_get_int (node);
      return TRUE;
    case DOUBLE:
      return fb_distill_read_number (node, job->path, field->name, field->min, field->max, FALSE, p, error);
    case BOOL:
      if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_BOOLEAN)
        return refuse (job->path, field->name, error, _("must be true or false."));
      *(gboolean *) p = json_node_get_boolean (node);
      return TRUE;
    case CHOICE:
      return read_choice (node, job->path, field, p, error);
    case LIST:
      return read_list (node, job->path, field, p, error);
    case STRING:
      if (!holds_string (node))
        return refuse (job->path, field->name, error, _("must be a text in quotes."));
      g_free (*(char **) p);
      *(char **) p = json_node_dup_string (node);
      return TRUE;
    }
  g_return_val_if_reached (FALSE);
}

static gboolean
refuse_unknown (const FbDistillJob *job, const char *name, GError **error)
{
  const char       *names[G_N_ELEMENTS (fields) + 1];
  g_autofree char  *hint = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (fields); i++)
    names[i] = fields[i].name;
  names[G_N_ELEMENTS (fields)] = "phases";
  hint = fb_nearest_sentence (name, names, G_N_ELEMENTS (names));
  return refuse (job->path, name, error, _("is not a field of a job.%s"), hint);
}

static gboolean
read_all (FbDistillJob *job, JsonObject *json, GError **error)
{
  g_autoptr(GList) members = json_object_get_members (json);

  for (GList *l = members; l != NULL; l = l->next)
    {
      JsonNode    *node  = json_object_get_member (json, l->data);
      const Field *field = NULL;

      for (gsize i = 0; i < G_N_ELEMENTS (fields) && field == NULL; i++)
        if (g_str_equal (fields[i].name, l->data))
          field = &fields[i];
      if (g_str_equal (l->data, "phases") || g_str_equal (l->data, "preset"))
        continue;
      if (field == NULL)
        return refuse_unknown (job, l->data, error);
      if (!JSON_NODE_HOLDS_NULL (node) && !read_field (job, field, node, error))
        return FALSE;
    }
  return TRUE;
}

FbDistillJob *
fb_distill_job_parse (JsonObject *json, const char *path, GError **error)
{
  g_autofree char         *preset = g_strdup ("sd-1.5");
  g_autoptr(FbDistillJob)  job    = NULL;
  JsonNode                *node   = json_object_get_member (json, "preset");

  if (node != NULL)
    {
      if (!holds_string (node))
        {
          fb_distill_refuse (path, "preset", _("must be a text in quotes."), error);
          return NULL;
        }
      g_free (preset);
      preset = json_node_dup_string (node);
    }
  job = fb_distill_job_new_preset (preset, error);
  if (job == NULL)
    {
      g_prefix_error (error, "“%s”: ", path);
      return NULL;
    }
  job->path = g_canonicalize_filename (path, NULL);
  if (!read_all (job, json, error))
    return NULL;
  if (!fb_distill_read_phases (job, json_object_get_member (json, "phases"), error) || !fb_distill_job_check (job, error))
    return NULL;
  return g_steal_pointer (&job);
}

FbDistillJob *
fb_distill_job_load (const char *path, GError **error)
{
  g_autoptr(JsonObject) json = fb_json_load_object (path, error);

  return json != NULL ? fb_distill_job_parse (json, path, error) : NULL;
}

void
fb_distill_job_free (FbDistillJob *job)
{
  if (job == NULL)
    return;
  for (gsize i = 0; i < G_N_ELEMENTS (fields); i++)
    if (fields[i].kind == LIST)
      g_strfreev (*(char ***) place (job, &fields[i]));
    else if (fields[i].kind == STRING || fields[i].kind == CHOICE)
      g_free (*(char **) place (job, &fields[i]));
  g_free (job->path);
  g_free (job);
}

gboolean
fb_distill_job_check (const FbDistillJob *job, GError **error)
{
  const int n_sources = (job->pictures != NULL) + (job->captions != NULL) + (job->prompts != NULL) + (job->prompt_file != NULL);

  if (job->teacher == NULL || *job->teacher == '\0')
    return fb_distill_refuse (job->path, "teacher", _("is missing: name the model to distil."), error);
  if (n_sources == 0)
    return fb_distill_refuse (job->path, "pictures", _("is missing: name a folder of pictures, or give captions, prompts or prompt_file."), error);
  if (n_sources > 1)
    return fb_distill_refuse (job->path, "pictures", _("is one source of data too many: give pictures, captions, prompts or prompt_file."), error);
  if ((job->width == 0) != (job->height == 0))
    return fb_distill_refuse (job->path, job->width == 0 ? "width" : "height", _("is missing: give both sides, or neither."), error);
  if (job->guidance_max < job->guidance_min)
    return refuse (job->path, "guidance_max", error, _("must not be below guidance_min, %g."), job->guidance_min);
  if (job->teacher_steps > 1000)
    return refuse (job->path, "teacher_steps", error, _("must be at most %d."), 1000);
  if (job->output == NULL || *job->output == '\0' || g_str_has_suffix (job->output, G_DIR_SEPARATOR_S))
    return fb_distill_refuse (job->path, "output", _("must be the name of a file."), error);
  if (g_str_equal (job->distance, "lpips") && (job->lpips_weights == NULL || *job->lpips_weights == '\0'))
    return fb_distill_refuse (job->path, "lpips_weights",
                              _("is missing: the distance “lpips” needs a safetensors file of LPIPS's weights; flashbrush-engine(1) says how to make one. "
                                "Without it, choose the distance “l2”."), error);
  return TRUE;
}

static void
add_value (JsonBuilder *builder, const FbDistillJob *job, const Field *field)
{
  gpointer p    = place (job, field);
  char   **list = field->kind == LIST ? *(char ***) p : NULL;

  json_builder_set_member_name (builder, field->name);
  switch (field->kind)
    {
    case INT:    json_builder_add_int_value (builder, *(int *) p);              break;
    case INT64:  json_builder_add_int_value (builder, *(gint64 *) p);           break;
    case DOUBLE: json_builder_add_double_value (builder, *(double *) p);        break;
    case BOOL:   json_builder_add_boolean_value (builder, *(gboolean *) p);     break;
    case CHOICE:
    case STRING: json_builder_add_string_value (builder, *(char **) p);         break;
    case LIST:
      json_builder_begin_array (builder);
      for (gsize i = 0; list != NULL && list[i] != NULL; i++)
        json_builder_add_string_value (builder, list[i]);
      json_builder_end_array (builder);
      break;
    }
}

/* absent strings and lists are left out */
static gboolean
is_said (const FbDistillJob *job, const Field *field)
{
  switch (field->kind)
    {
    case STRING:
    case CHOICE:
    case LIST:   return *(gpointer *) place (job, field) != NULL;
    default:     return TRUE;
    }
}

/* @parts: of the fields that it holds */
static char *
to_json (const FbDistillJob *job, FieldPart parts, gboolean pretty)
{
  g_autoptr(JsonBuilder)   builder   = json_builder_new ();
  g_autoptr(JsonGenerator) generator = json_generator_new ();
  g_autoptr(JsonNode)      root      = NULL;

  json_builder_begin_object (builder);
  for (gsize i = 0; i < G_N_ELEMENTS (fields); i++)
    if (is_said (job, &fields[i]) && (fields[i].part & parts) != 0)
      add_value (builder, job, &fields[i]);
  fb_distill_add_phases (builder, job);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  json_generator_set_root (generator, root);
  json_generator_set_pretty (generator, pretty);
  return json_generator_to_data (generator, NULL);
}

char *
fb_distill_job_to_json (const FbDistillJob *job)
{
  return to_json (job, COMPUTED | TUNED | DATA | RUN, TRUE);
}

char *
fb_distill_job_digest (const FbDistillJob *job)
{
  g_autofree char *text = to_json (job, COMPUTED | TUNED | DATA, FALSE);

  return g_compute_checksum_for_string (G_CHECKSUM_SHA256, text, -1);
}

char *
fb_distill_job_settings (const FbDistillJob *job)
{
  return to_json (job, COMPUTED | TUNED, FALSE);
}

static gboolean
is_same (JsonObject *a, JsonObject *b, const char *name)
{
  JsonNode *one = json_object_get_member (a, name), *other = json_object_get_member (b, name);

  return one != NULL && other != NULL ? json_node_equal (one, other) : one == other;
}

static void
add_name (GString *list, const char *name)
{
  g_string_append_printf (list, list->len > 0 ? ", “%s”" : "“%s”", name);
}

gboolean
fb_distill_job_compare (const FbDistillJob *job, const char *settings, char **tuned, char **other)
{
  g_autofree char       *text = fb_distill_job_settings (job);
  g_autoptr(JsonObject)  now  = fb_json_parse_object (text, strlen (text), "", NULL);
  g_autoptr(JsonObject)  then = fb_json_parse_object (settings, strlen (settings), "", NULL);
  g_autoptr(GString)     mild = g_string_new (NULL), grave = g_string_new (NULL);

  if (then == NULL)
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (fields); i++)
    if ((fields[i].part & (COMPUTED | TUNED)) != 0 && !is_same (now, then, fields[i].name))
      add_name (fields[i].part == TUNED ? mild : grave, fields[i].name);
  if (!is_same (now, then, "phases"))
    add_name (grave, "phases");
  *tuned = mild->len > 0 ? g_strdup (mild->str) : NULL;
  *other = grave->len > 0 ? g_strdup (grave->str) : NULL;
  return TRUE;
}

gboolean
fb_distill_job_save (const FbDistillJob *job, GError **error)
{
  g_autofree char *text = fb_distill_job_to_json (job);
  FILE            *file = g_fopen (job->path, "wxe");                 /* never over a job of that name */
  gboolean         ok   = file != NULL && fprintf (file, "%s\n", text) >= 0 && fflush (file) == 0;
  const int        code = errno;

  if (file != NULL)
    fclose (file);
  if (ok)
    return TRUE;
  if (file != NULL)
    g_remove (job->path);                                             /* half a job would be in the way of the next try */
  if (code == EEXIST)
    g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO, _("There is a job “%s” already. Choose another name, or remove that one first."), job->path);
  else
    fb_model_error_set_errno (error, code, job->path, TRUE);
  return FALSE;
}

char *
fb_distill_job_folder (const FbDistillJob *job)
{
  return g_str_has_suffix (job->path, ".json") ? g_strndup (job->path, strlen (job->path) - strlen (".json"))
                                               : g_strconcat (job->path, ".run", NULL);
}

char *
fb_distill_job_resolve (const FbDistillJob *job, const char *path)
{
  g_autofree char *parent = g_path_is_absolute (path) ? NULL : g_path_get_dirname (job->path);      /* a job without a file yet has none */

  return g_canonicalize_filename (path, parent);
}

char *
fb_distill_job_output (const FbDistillJob *job)
{
  g_autofree char *folder = fb_distill_job_folder (job);

  return strchr (job->output, G_DIR_SEPARATOR) != NULL ? fb_distill_job_resolve (job, job->output) : g_build_filename (folder, job->output, NULL);
}
