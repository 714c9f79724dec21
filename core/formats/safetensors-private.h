/* core/formats/safetensors-private.h: the parsed header. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/formats/safetensors.h"

/**
 * FbSafetensorsHeader:
 * @tensors: of #FbTensorInfo, in the order of the data; names are owned by @names
 * @by_name: name -> #FbTensorInfo
 * @metadata: string -> string
 */
typedef struct
{
  GArray       *tensors;
  GHashTable   *by_name;
  GStringChunk *names;
  GHashTable   *metadata;
} FbSafetensorsHeader;

/* Initialises @header; on failure it is left cleared. @json is the header alone, the data of the file begins at @data_start. */
gboolean fb_safetensors_header_parse (FbSafetensorsHeader *header, const char *json, gsize n_json, guint64 data_start,
                                      guint64 file_size, const char *path, GError **error);
void     fb_safetensors_header_clear (FbSafetensorsHeader *header);

/* Checks the first bytes of a file (up to 8 of them) and finds the header's length: > 0, or 0 with @error set. */
guint64  fb_safetensors_header_length (const guint8 *start, gsize n_start, guint64 file_size, const char *path, GError **error);

/* "“@path” cannot be used: …" */
void     fb_safetensors_fail (GError **error, FbModelError code, const char *path, const char *format, ...) G_GNUC_PRINTF (4, 5);

/* Whether the tensor can be read as floats; f64 only through f32. Errors: DTYPE. */
gboolean fb_safetensors_check_dtype (const FbSafetensors *self, const FbTensorInfo *info, gboolean allow_f64, GError **error);
