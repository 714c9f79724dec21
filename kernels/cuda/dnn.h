/* kernels/cuda/dnn.h: operations as cuDNN's graphs, and the plans that are kept for them. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <cudnn.h>

#include "kernels/cuda/cuda-private.h"

G_BEGIN_DECLS

typedef cudnnBackendDescriptor_t FbDescriptor;

/* --- building descriptors: each step returns FALSE where the library declines, which is an answer and no failure ---------- */

gboolean fb_dnn_create   (FbDescriptor *d, cudnnBackendDescriptorType_t type);
gboolean fb_dnn_set      (FbDescriptor d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, gint64 n, const void *values);
gboolean fb_dnn_set_part (FbDescriptor d, cudnnBackendAttributeName_t name, FbDescriptor part);
gboolean fb_dnn_finalize (FbDescriptor d);
void     fb_dnn_destroy  (FbDescriptor *d);

/**
 * fb_dnn_tensor, fb_dnn_inner, fb_dnn_number:
 * @id: its name inside the graph
 * @sizes, @strides: elements
 * @alignment: that its address has, bytes
 *
 * A tensor in device memory; one that an engine need not write to memory, between two operations; one f32 number that is given with each run, by the host's address of it
 */
gboolean fb_dnn_tensor (FbDescriptor *d, gint64 id, FbDtype dtype, const gint64 sizes[4], const gint64 strides[4], gint64 alignment);
gboolean fb_dnn_inner  (FbDescriptor *d, gint64 id, FbDtype dtype, const gint64 sizes[4], const gint64 strides[4]);
gboolean fb_dnn_number (FbDescriptor *d, gint64 id);

/* (transfer full) (nullable): the graph of these [@n] operations, which are not needed afterwards */
FbDescriptor fb_dnn_graph (cudnnHandle_t handle, int n, const FbDescriptor *operations);

/* --- running --------------------------------------------------------------------------------------------------------------- */

/**
 * FbDnnOperation:
 * @describe: (transfer full) (nullable): what @key stands for, as a graph
 * @tell: (transfer full): the same in words, for the log
 * @most_workspace: bytes of working memory that it may take, and is declined for this time where they are not there; 0: as many as are usual,
 *   and to lack them is a failure
 */
typedef struct
{
  FbDescriptor (* describe) (cudnnHandle_t handle, const void *key);
  char *       (* tell)     (const void *key);
  size_t          most_workspace;
} FbDnnOperation;

/**
 * fb_dnn_run:
 * @operation: always the same address for the same one
 * @key: [@key_size bytes, all of them set]: all that the graph depends on
 * @exact: f32 is multiplied as f32, never rounded to TF32
 * @ids, @data: [@n]: the graph's tensors by their names, with their memory
 *
 * Sums in f32, by an engine whose result is the same each time. FALSE where cuDNN has none for it, or declines, and then nothing was done; that is
 * remembered, so that it is asked only once for each @key, unless it lacked memory to answer. A failure stays with @dev and returns TRUE.
 */
gboolean fb_dnn_run (FbDevice *dev, const FbDnnOperation *operation, const void *key, size_t key_size, gboolean exact, int n, const gint64 *ids,
                     void *const *data);

G_END_DECLS
