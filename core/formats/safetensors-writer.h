/* core/formats/safetensors-writer.h: writes safetensors files. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/formats/safetensors.h"

/**
 * FbSafetensorsWriter:
 *
 * Declare all tensors, write their data in the same order, finish. The file appears under its name only when it is complete: until then
 * it is a temporary file in the same folder, removed by fb_safetensors_writer_free().
 */
typedef struct FbSafetensorsWriter FbSafetensorsWriter;

FbSafetensorsWriter * fb_safetensors_writer_new  (const char *path);
/* Removes what has been written unless the writer has finished. */
void                  fb_safetensors_writer_free (FbSafetensorsWriter *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbSafetensorsWriter, fb_safetensors_writer_free)

/* An entry of __metadata__; both UTF-8. Before the first write. */
void fb_safetensors_writer_set_metadata (FbSafetensorsWriter *self, const char *key, const char *value);

/**
 * fb_safetensors_writer_add:
 * @name: UTF-8, not used before
 * @n_dims: 0 … %FB_SAFETENSORS_MAX_DIMS
 * @shape: (nullable): @n_dims sizes ≥ 0
 *
 * Declares a tensor. Before the first write.
 */
void fb_safetensors_writer_add (FbSafetensorsWriter *self, const char *name, FbDtype dtype, int n_dims, const gint64 *shape);

/**
 * fb_safetensors_writer_write:
 * @data: the next @n bytes, tensor after tensor; one tensor may come in several calls
 *
 * The first call reserves room for the whole file, so that a full disk is known before anything is computed for it.
 * Errors: IO (disk full, read-only, no permission), NOT_FOUND (no such folder). @error names the file.
 */
gboolean fb_safetensors_writer_write (FbSafetensorsWriter *self, const void *data, size_t n, GError **error);

/* Flushes to the disk and puts the file in its place, over an old one of the same name. Writing fewer bytes than declared is a bug of
 * the caller and asserted. */
gboolean fb_safetensors_writer_finish (FbSafetensorsWriter *self, GError **error);
