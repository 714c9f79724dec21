/* core/store/store.h: the models, LoRAs and autoencoders of this user. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#include "core/formats/model-error.h"

typedef enum
{
  FB_STORE_MODELS,      /* checkpoints: diffusers folders and single files */
  FB_STORE_LORAS,
  FB_STORE_VAE,
  FB_STORE_TAESD,
  FB_STORE_N_KINDS,
} FbStoreKind;

/**
 * FbStoreEntry:
 * @name: the folder's or file's name without ".safetensors"; made different from the names before it where that is taken
 * @path: absolute
 * @n_bytes: of all the files
 * @is_embedded: came with the program
 */
typedef struct
{
  char       *name;
  char       *path;
  FbStoreKind kind;
  guint64     n_bytes;
  gboolean    is_embedded;
} FbStoreEntry;

/**
 * FbStore:
 *
 * Knows where things are and copies nothing. It looks, in this order, into what came with the program ($FLASHBRUSH_MODELS_PATH, folders
 * separated by colons, takes the place of the installed models), into flashbrush/models, loras, vae and taesd in the user's data folder,
 * and into the folders the user has added, which flashbrush/folders.conf in the user's configuration folder lists. Not thread-safe.
 */
typedef struct FbStore FbStore;

FbStore * fb_store_new  (void);
void      fb_store_free (FbStore *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbStore, fb_store_free)

/* (transfer full) (element-type FbStoreEntry): what is there now; by folder, then by name. Goes four folders deep. */
GPtrArray * fb_store_list (FbStore *self, FbStoreKind kind);

/**
 * fb_store_resolve:
 * @name: a name of fb_store_list() (case does not matter, ".safetensors" may follow), or the path of a file or folder; "" for the first model
 *
 * Returns: (transfer full): the path; %NULL with NOT_FOUND, and the nearest names in the message.
 */
char * fb_store_resolve (FbStore *self, FbStoreKind kind, const char *name, GError **error);

/**
 * fb_store_family:
 * @path: of a model
 *
 * Looks into the model's header, once per version of the file.
 *
 * Returns: (transfer none): "sd-1.5" …; %NULL with @error set (the errors of fb_checkpoint_open(), FAMILY, UNSUPPORTED) when the model cannot
 * be used: the message says why.
 */
const char * fb_store_family (FbStore *self, const char *path, GError **error);

/* (transfer full): a text that changes when the file, or the folder's UNet, does */
char * fb_store_stamp (const char *path);

/* (transfer none): the folders the user has added; %NULL-terminated */
const char * const * fb_store_folders (FbStore *self, FbStoreKind kind);

/* Adds or removes a folder and saves folders.conf. Adding one that is there already, or removing one that is not, changes nothing.
 * Errors: NOT_FOUND when @path is no folder, IO. */
gboolean fb_store_add_folder    (FbStore *self, FbStoreKind kind, const char *path, GError **error);
gboolean fb_store_remove_folder (FbStore *self, FbStoreKind kind, const char *path, GError **error);
