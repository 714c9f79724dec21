/* core/distill/trainable.h: what trains, with its master copy. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/nn/params.h"

/**
 * FbTrainable: one tensor that trains
 * @name: in files
 * @values: [n], f32: the master copy, so that small steps are not lost in a bf16 network
 * @gradient: [n]: of @values, on the host; fb_trainable_collect() adds to it
 * @scale: the network holds scale · values
 * @weight, @vector: where the network holds it: one of the two
 * @slot: where the device adds up gradients
 */
typedef struct
{
  char     *name;
  int       n_dims;
  int       shape[4];
  gsize     n;
  float    *values;
  float    *gradient;
  float     scale;
  FbWeight *weight;
  FbTensor *vector;
  FbTensor *slot;
} FbTrainable;

/**
 * fb_trainable_new:
 * @weight, @vector: (nullable): exactly one; referenced
 * @slot: f32, in its shape; referenced
 *
 * Returns: (transfer full): with values and gradient 0; the network's copy is as it was until fb_trainable_push().
 */
FbTrainable * fb_trainable_new  (const char *name, int n_dims, const int *shape, FbWeight *weight, FbTensor *vector, FbTensor *slot);
void          fb_trainable_free (FbTrainable *self);

/* Puts scale · values into the network. */
void          fb_trainable_push    (FbTrainable *self);
/* Adds what the device has added up to @gradient, and lets the device begin from 0. Waits for the device. */
void          fb_trainable_collect (FbTrainable *self);

/* The same for each of @trainables (element-type FbTrainable) */
void          fb_trainables_push    (GPtrArray *trainables);
void          fb_trainables_collect (GPtrArray *trainables);
