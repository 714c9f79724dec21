/* tests/kernels/fake-cuda/graph.h: what the made-up cuDNN knows of a graph. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <cudnn.h>
#include <glib.h>

#include "kernels/tensor.h"

#define FB_FAKE_MOST_TENSORS 40
#define FB_FAKE_MOST_STEPS   20

/**
 * FbFakeTensor:
 * @by_value: one number, given by the host's address of it
 * @is_virtual: not in memory
 */
typedef struct
{
  gint64   sizes[4], strides[4];
  gint64   id, alignment;
  FbDtype  dtype;
  gboolean by_value, is_virtual;
} FbFakeTensor;

/**
 * FbFakeStep: one of several operations
 * @x, @b, @y: numbers of tensors; @b may be −1
 */
typedef struct
{
  cudnnBackendDescriptorType_t type;
  cudnnPointwiseMode_t         mode;
  int                          x, b, y;
} FbFakeStep;

/**
 * FbFakeGraph:
 * @operation: the only one, or CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR where there are @steps
 * @tensors: in the order in which an operation's own file names them
 * @strides, @before, @after: of convolutions
 */
typedef struct
{
  cudnnBackendDescriptorType_t operation;
  int                          n_tensors;
  FbFakeTensor                 tensors[FB_FAKE_MOST_TENSORS];
  int                          n_steps;
  FbFakeStep                   steps[FB_FAKE_MOST_STEPS];
  gint64                       strides[2], before[2], after[2];
} FbFakeGraph;

/**
 * FbFakeCall: one execution
 * @numbers: of the tensors that are given by value
 */
typedef struct
{
  FbFakeGraph graph;
  void       *data[FB_FAKE_MOST_TENSORS];
  float       numbers[FB_FAKE_MOST_TENSORS];
} FbFakeCall;

/* where an element lies */
static inline size_t
fb_fake_place (const FbFakeTensor *t, gint64 i, gint64 j, gint64 k, gint64 l)
{
  return (size_t) (i * t->strides[0] + j * t->strides[1] + k * t->strides[2] + l * t->strides[3]);
}

static inline size_t
fb_fake_n_elements (const FbFakeTensor *t)
{
  return (size_t) (t->sizes[0] * t->sizes[1] * t->sizes[2] * t->sizes[3]);
}

/* (transfer full): all elements that @t spans, as f32; dense, so that memory's order is kept */
float *       fb_fake_read (const FbFakeTensor *t, const void *data);

/* attention.c: a graph's tensors are q, k, v, out, the scale, and maybe the statistics */

/* Holds the sizes against each other as the library would, and says whether it has an engine */
gboolean      fb_fake_has_attention (const FbFakeGraph *graph);
/* What the engine says when it is to run */
cudnnStatus_t fb_fake_may_attend    (const FbFakeGraph *graph);
void          fb_fake_attend        (void *call);

/* steps.c */

gboolean      fb_fake_has_steps  (const FbFakeGraph *graph);
void          fb_fake_take_steps (void *call);
