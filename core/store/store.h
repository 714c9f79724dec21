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
 * @target: (nullable): where the link at @path leads
 * @is_embedded: came with the program
 * @is_own: @path is in Flashbrush's folder among the user's data, where the store puts links and copies
 * @is_missing: @path is a link, and what it leads to has been moved or deleted
 */
typedef struct
{
  char       *name;
  char       *path;
  FbStoreKind kind;
  guint64     n_bytes;
  char       *target;
  gboolean    is_embedded;
  gboolean    is_own;
  gboolean    is_missing;
} FbStoreEntry;

/**
 * FbStore:
 *
 * Knows where things are and copies nothing by itself. It looks, in this order, into what came with the program ($FLASHBRUSH_MODELS_PATH, folders
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
 * fb_store_find:
 * @name: a name of fb_store_list(), or the path of an entry
 *
 * Returns: (transfer full): the entry; %NULL with NOT_FOUND, and the nearest names in the message. Free with fb_store_entry_free().
 */
FbStoreEntry * fb_store_find (FbStore *self, FbStoreKind kind, const char *name, GError **error);
void           fb_store_entry_free (FbStoreEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbStoreEntry, fb_store_entry_free)

/* --- the model that is meant when none is named ------------------------------------------------------------------------- */

/* (transfer none): %NULL-terminated: what a default can be chosen for: "generate", "inpaint", "upscale" */
const char * const * fb_store_tasks (void);

/* (transfer none) (nullable): the name or path that was set for @task */
const char * fb_store_default (FbStore *self, const char *task);

/* Whether models of @family (nullable: not known) can do @task: those made for inpainting paint nothing from words alone, and so on. */
gboolean     fb_store_task_suits (const char *task, const char *family);

/* @name: "" for none. Errors: NOT_FOUND for a task or a model that nobody knows, UNSUPPORTED for a model that can't do the task, IO. */
gboolean     fb_store_set_default (FbStore *self, const char *task, const char *name, GError **error);

/* As fb_store_resolve() for models, but "" is the default for @task, or, where none is set or it has gone, the first model that suits it. NOT_FOUND where
 * there is none and another kind of model would not do. */
char *       fb_store_resolve_for (FbStore *self, const char *task, const char *name, GError **error);

/* --- bringing in, and taking away --------------------------------------------------------------------------------------- */

/**
 * fb_store_add:
 * @path: of a file or a model's folder; what it holds has been checked
 * @copy: copies a file into the store's folder, under a temporary name until it is complete; else a link is put there
 * @cancellable: of the copy
 *
 * Makes @path one of the store's entries under its own name, or another where that is taken. What is an entry already stays as it is.
 * Errors: NOT_FOUND, UNSUPPORTED for the copy of a folder, IO, %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): the entry
 */
FbStoreEntry * fb_store_add (FbStore *self, FbStoreKind kind, const char *path, gboolean copy, GCancellable *cancellable, GError **error);

typedef enum
{
  FB_STORE_DELETED,       /* files in the store's own folder are gone from the disk */
  FB_STORE_FORGOTTEN,     /* the files are elsewhere and untouched */
} FbStoreRemoval;

/**
 * fb_store_remove:
 *
 * Takes @entry out of the list. Only what lies in the store's own folder is deleted, and links are never followed; of what lies in folders that
 * the user has added, only the path is noted as unwanted (fb_store_add() brings it back).
 * Errors: UNSUPPORTED for what came with the program, IO.
 */
gboolean fb_store_remove (FbStore *self, const FbStoreEntry *entry, FbStoreRemoval *removal, GError **error);

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

/* (transfer none): what the files of an entry say, read once per version of them; until the next question about the same path */
const struct FbAbout * fb_store_about (FbStore *self, FbStoreKind kind, const char *path);

/* (transfer full): a text that changes when the file does, or one of the weights, configurations or vocabularies in the folder and in those in it */
char * fb_store_stamp (const char *path);

/* (transfer none): the folders the user has added; %NULL-terminated */
const char * const * fb_store_folders (FbStore *self, FbStoreKind kind);

/* Adds or removes a folder and saves folders.conf. Adding one that is there already, or removing one that is not, changes nothing.
 * Errors: NOT_FOUND when @path is no folder, IO. */
gboolean fb_store_add_folder    (FbStore *self, FbStoreKind kind, const char *path, GError **error);
gboolean fb_store_remove_folder (FbStore *self, FbStoreKind kind, const char *path, GError **error);
