/* core/formats/safetensors.h: reads and writes safetensors files. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#include "core/formats/model-error.h"
#include "kernels/tensor.h"

#define FB_SAFETENSORS_MAX_HEADER 100000000   /* bytes; the format's own limit */
#define FB_SAFETENSORS_MAX_DIMS   8

/**
 * FbTensorInfo:
 * @name: as in the file
 * @dtype_name: as in the file: "F32", "F8_E4M3" …
 * @readable: whether @dtype holds; types without an #FbDtype (8-bit floats, booleans …) can be listed but not read
 * @shape: @n_dims sizes, outermost first; a scalar has none
 * @offset: of the first byte, from the start of the file
 * @n_bytes: product of @shape times the element's size; 0 if a size is 0
 */
typedef struct
{
  const char *name;
  const char *dtype_name;
  gboolean    readable;
  FbDtype     dtype;
  int         n_dims;
  gint64      shape[FB_SAFETENSORS_MAX_DIMS];
  guint64     offset;
  guint64     n_bytes;
} FbTensorInfo;

/* "[320, 4, 3, 3]" (transfer full) */
char *  fb_tensor_info_shape_string (const FbTensorInfo *info);
/* elements */
guint64 fb_tensor_info_n_elements   (const FbTensorInfo *info);

/**
 * FbSafetensors:
 *
 * An open file: its header, checked as a whole, and a descriptor to read tensor data with. Data is read, not mapped: a mapped file that
 * somebody truncates raises SIGBUS, and mapped pages count in the peak of resident memory while a model loads. Reading from several
 * threads at once is fine.
 */
typedef struct FbSafetensors FbSafetensors;

/**
 * fb_safetensors_open:
 *
 * Opens @path and checks the whole header: lengths, JSON, known types, shape × type = bytes, no overlap, no hole, nothing past the end.
 * Errors: TRUNCATED, BAD_HEADER, DTYPE, PICKLE (by the file's suffix or first bytes), NOT_FOUND, IO. @error names @path.
 */
FbSafetensors * fb_safetensors_open  (const char *path, GError **error);

/**
 * fb_safetensors_parse:
 * @bytes: a whole file in memory
 *
 * As fb_safetensors_open(), for files that are not on a disk: tests and fuzzing. Keeps a reference to @bytes.
 */
FbSafetensors * fb_safetensors_parse (GBytes *bytes, GError **error);
FbSafetensors * fb_safetensors_ref   (FbSafetensors *self);
void            fb_safetensors_unref (FbSafetensors *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbSafetensors, fb_safetensors_unref)

/* (transfer none); a parsed file is called "<memory>" */
const char *         fb_safetensors_path      (const FbSafetensors *self);
guint                fb_safetensors_n_tensors (const FbSafetensors *self);
/* (transfer none): tensor @i in the order of the data */
const FbTensorInfo * fb_safetensors_tensor    (const FbSafetensors *self, guint i);
/* (transfer none) (nullable) */
const FbTensorInfo * fb_safetensors_lookup    (const FbSafetensors *self, const char *name);
/* (transfer none) (nullable): an entry of __metadata__ */
const char *         fb_safetensors_metadata  (const FbSafetensors *self, const char *key);

/**
 * fb_safetensors_read:
 * @info: a tensor of @self
 * @offset, @n: bytes within the tensor
 * @dst: room for @n bytes; little-endian elements, undefined after an error
 *
 * Reads in chunks of at most 4 MB and asks @cancellable between them.
 * Errors: TRUNCATED when the file has become shorter since it was opened, IO, %G_IO_ERROR_CANCELLED. @error names file and tensor.
 */
gboolean fb_safetensors_read (FbSafetensors *self, const FbTensorInfo *info, guint64 offset, size_t n, void *dst,
                              GCancellable *cancellable, GError **error);

/**
 * fb_safetensors_read_f32:
 * @first, @n: elements within the tensor
 * @dst: room for @n floats
 *
 * Reads F32, F16, BF16 or F64 elements as floats.
 * Errors: as fb_safetensors_read(); DTYPE for other types; NOT_FINITE for NaN or infinity, in the file or from overflow of an F64.
 */
gboolean fb_safetensors_read_f32 (FbSafetensors *self, const FbTensorInfo *info, guint64 first, size_t n, float *dst,
                                  GCancellable *cancellable, GError **error);

/**
 * fb_safetensors_read_finite:
 * @dst: room for n_bytes of @info
 *
 * Reads a whole F32, F16 or BF16 tensor as it is, and refuses NaN and infinity. Errors: as fb_safetensors_read_f32().
 */
gboolean fb_safetensors_read_finite (FbSafetensors *self, const FbTensorInfo *info, void *dst, GCancellable *cancellable, GError **error);
