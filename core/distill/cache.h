/* core/distill/cache.h: what has been encoded once, on disk. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

/**
 * FbCache: latents and text embeddings by key, one safetensors file each
 *
 * Files appear whole or not at all. One that is damaged or has another shape counts as absent. Several processes may share a cache.
 */
typedef struct FbCache FbCache;

/* @folder: (nullable): %NULL for flashbrush/distill in the user's cache folder; made when something is put in */
FbCache * fb_cache_new  (const char *folder);
void      fb_cache_free (FbCache *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbCache, fb_cache_free)

/**
 * fb_cache_key:
 * @part: the parts that decide what the values are (hash of the file, of the model, size …), %NULL-terminated
 *
 * Returns: (transfer full): 64 hexadecimal digits
 */
char *    fb_cache_key  (const char *part, ...) G_GNUC_NULL_TERMINATED;

/* Reads @n floats; %FALSE if there is no such file, or none of that size that can be read. */
gboolean  fb_cache_get  (FbCache *self, const char *key, float *values, size_t n);

/* Whether they can be read: what is damaged must be made anew, not found missing in the middle of the training. */
gboolean  fb_cache_has  (FbCache *self, const char *key, size_t n);

/* Errors: %FB_MODEL_ERROR: IO (disk full, no permission). */
gboolean  fb_cache_put  (FbCache *self, const char *key, const float *values, size_t n, GError **error);
