/* core/formats/checkpoint-files.c: where a component's files lie in diffusers' folders. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/formats/checkpoint-files.h"

#include <errno.h>
#include <string.h>

#include <glib/gi18n-lib.h>

#include "core/formats/json-file.h"

/* In order of preference: full precision before half, whole before sharded. */
static const char * const weight_names[] =
{
  "diffusion_pytorch_model.safetensors",
  "model.safetensors",
  "diffusion_pytorch_model.fp16.safetensors",
  "model.fp16.safetensors",
};
static const char * const index_names[] =
{
  "diffusion_pytorch_model.safetensors.index.json",
  "model.safetensors.index.json",
  "diffusion_pytorch_model.safetensors.index.fp16.json",
  "model.safetensors.index.fp16.json",
  "diffusion_pytorch_model.fp16.safetensors.index.json",
  "model.fp16.safetensors.index.json",
};
static const char * const pickle_names[] =
{
  "diffusion_pytorch_model.bin",
  "diffusion_pytorch_model.fp16.bin",
  "pytorch_model.bin",
  "pytorch_model.fp16.bin",
};

#define TAESD_DECODER "taesd_decoder.safetensors"
#define TAESD_ENCODER "taesd_encoder.safetensors"

static char *
existing (const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  return g_file_test (path, G_FILE_TEST_EXISTS) ? g_steal_pointer (&path) : NULL;
}

static char *
first_existing (const char *folder, const char * const *names, gsize n_names)
{
  for (gsize i = 0; i < n_names; i++)
    {
      char *path = existing (folder, names[i]);

      if (path != NULL)
        return path;
    }

  return NULL;
}

static GPtrArray *
one_path (char *path)
{
  GPtrArray *paths = g_ptr_array_new_with_free_func (g_free);

  g_ptr_array_add (paths, path);
  return paths;
}

/* The shards an index names, each once. They lie beside it: a name with a folder in it is not followed. */
static GPtrArray *
read_index (const char *index, GError **error)
{
  g_autoptr(JsonObject) root   = fb_json_load_object (index, error);
  JsonObject           *map    = root != NULL ? fb_json_get_object (root, "weight_map") : NULL;
  g_autoptr(GPtrArray)  paths  = g_ptr_array_new_with_free_func (g_free);
  g_autofree char      *folder = g_path_get_dirname (index);
  JsonObjectIter        iter;
  const char           *name;
  JsonNode             *node;

  if (root == NULL)
    return NULL;
  if (map == NULL || json_object_get_size (map) == 0)
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG, _("“%s” names no files. Download or copy it again."), index);
      return NULL;
    }

  json_object_iter_init (&iter, map);
  while (json_object_iter_next (&iter, &name, &node))
    {
      const char      *shard = json_node_get_value_type (node) == G_TYPE_STRING ? json_node_get_string (node) : "";
      g_autofree char *path  = g_build_filename (folder, shard, NULL);

      if (!g_str_has_suffix (shard, ".safetensors") || strchr (shard, G_DIR_SEPARATOR) != NULL)
        {
          g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG,
                       _("“%s” says that tensor “%s” is in “%s”, which is no safetensors file beside it. Download or copy it again."),
                       index, name, shard);
          return NULL;
        }
      if (!g_ptr_array_find_with_equal_func (paths, path, g_str_equal, NULL))
        g_ptr_array_add (paths, g_steal_pointer (&path));
    }

  return g_steal_pointer (&paths);
}

/* A TAESD is two files in the original; whichever exists. */
static gboolean
find_taesd_pair (FbCheckpointFiles *files, const char *folder)
{
  char *decoder = existing (folder, TAESD_DECODER);
  char *encoder = existing (folder, TAESD_ENCODER);

  if (decoder != NULL)
    files->weights = one_path (decoder);
  if (encoder != NULL && decoder != NULL)
    files->weights_2 = one_path (encoder);
  else if (encoder != NULL)
    files->weights = one_path (encoder);

  return files->weights != NULL;
}

/* Sets @error only if there is something in @folder that cannot be used. */
static gboolean
find_in_folder (FbCheckpointFiles *files, const char *folder, const char *component, GError **error)
{
  char *path = first_existing (folder, weight_names, G_N_ELEMENTS (weight_names));

  if (path != NULL)
    files->weights = one_path (path);
  else if ((files->index = first_existing (folder, index_names, G_N_ELEMENTS (index_names))) != NULL)
    files->weights = read_index (files->index, error);
  else if (strcmp (component, "taesd") != 0 || !find_taesd_pair (files, folder))
    {
      g_autofree char *pickle = first_existing (folder, pickle_names, G_N_ELEMENTS (pickle_names));

      if (pickle != NULL)
        g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_PICKLE,
                     _("“%s” cannot be used: its format is Python's pickle, and loading a pickle can run any code it contains; "
                       "convert it to safetensors, or download the safetensors version."), pickle);
    }

  if (files->weights != NULL)
    files->config = existing (folder, "config.json");

  return files->weights != NULL;
}

static gboolean
find_single_file (FbCheckpointFiles *files, const char *path, const char *component)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *name   = g_path_get_basename (path);

  if (strcmp (component, "taesd") == 0 && (strcmp (name, TAESD_DECODER) == 0 || strcmp (name, TAESD_ENCODER) == 0))
    return find_taesd_pair (files, folder);

  files->weights = one_path (g_strdup (path));
  return TRUE;
}

gboolean
fb_checkpoint_files_find (FbCheckpointFiles *files, const char *path, const char *component, GError **error)
{
  g_autofree char   *folder   = g_build_filename (path, component, NULL);
  g_autoptr(GError)  unusable = NULL;

  memset (files, 0, sizeof *files);

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    {
      fb_model_error_set_errno (error, ENOENT, path, FALSE);
      return FALSE;
    }
  if (!g_file_test (path, G_FILE_TEST_IS_DIR))
    return find_single_file (files, path, component);

  files->scheduler_config = existing (path, "scheduler/scheduler_config.json");
  files->low_res_config   = existing (path, "low_res_scheduler/scheduler_config.json");
  if (find_in_folder (files, folder, component, &unusable) ||
      (unusable == NULL && find_in_folder (files, path, component, &unusable)))
    return TRUE;

  if (unusable != NULL)
    g_propagate_error (error, g_steal_pointer (&unusable));
  else
    g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND,
                 _("“%s” holds no %s: a model folder has “%s/diffusion_pytorch_model.safetensors” or “%s/model.safetensors”. "
                   "Choose a complete model."), path, component, component, component);
  fb_checkpoint_files_clear (files);
  return FALSE;
}

void
fb_checkpoint_files_clear (FbCheckpointFiles *files)
{
  g_clear_pointer (&files->weights, g_ptr_array_unref);
  g_clear_pointer (&files->weights_2, g_ptr_array_unref);
  g_clear_pointer (&files->index, g_free);
  g_clear_pointer (&files->config, g_free);
  g_clear_pointer (&files->scheduler_config, g_free);
  g_clear_pointer (&files->low_res_config, g_free);
}
