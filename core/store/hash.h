/* core/store/hash.h: fingerprints of model files. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#include "core/formats/model-error.h"

/**
 * fb_hash_file:
 *
 * The SHA-256 of a file: what `sha256sum` prints and model sites show. It is remembered by path, size and time of change in
 * flashbrush/hashes in the user's cache folder; where that cannot be written, it is computed anew in the next process.
 * Errors: NOT_FOUND, IO, %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): 64 hexadecimal digits.
 */
char * fb_hash_file  (const char *path, GCancellable *cancellable, GError **error);

/* As fb_hash_file(), but not remembered: for pictures, of which there may be thousands, each read sooner than the list of what is known is searched
 * and written. They would push the models out of it, too. */
char * fb_hash_small_file (const char *path, GCancellable *cancellable, GError **error);

/**
 * fb_hash_files:
 * @paths: (array zero-terminated=1): at least one
 *
 * One fingerprint for several files, whatever their order and names: the SHA-256 of their sorted SHA-256s, a line each. For a single file
 * it is that file's own.
 */
char * fb_hash_files (const char * const *paths, GCancellable *cancellable, GError **error);

/* @fraction: of the bytes that are to be hashed, 0 … 1, never falls */
typedef void (* FbHashProgress) (double fraction, gpointer user_data);

/* As fb_hash_files(). @progress: (nullable): called after each piece of some megabytes */
char * fb_hash_files_with_progress (const char * const *paths, FbHashProgress progress, gpointer user_data, GCancellable *cancellable,
                                    GError **error);

/**
 * FbHashes: the fingerprints that are remembered, as they are now; asking it computes nothing
 */
typedef struct FbHashes FbHashes;

FbHashes * fb_hashes_load   (void);
void       fb_hashes_free   (FbHashes *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbHashes, fb_hashes_free)

/* (transfer full) (nullable): what fb_hash_files() would give; %NULL when one of @paths has not been hashed since it changed last */
char *     fb_hashes_lookup (FbHashes *self, const char * const *paths);
