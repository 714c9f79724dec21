/* core/distill/optimizer.h: AdamW over what trains. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>

/**
 * FbTrained: one tensor that trains; host f32
 * @value: [n], not owned: the master copy
 * @gradient: [n], not owned
 * @m, @v: [n] the running moments
 * @average: [n] the running average of @value; %NULL without one
 */
typedef struct
{
  char  *name;
  size_t n;
  float *value, *gradient;
  float *m, *v;
  float *average;
} FbTrained;

/**
 * FbOptimizerParams:
 * @learning_rate: > 0
 * @beta1, @beta2: in [0, 1)
 * @epsilon: > 0
 * @weight_decay: ≥ 0, decoupled: each step takes learning_rate · weight_decay of the value
 * @clip: largest norm of all gradients together; 0 = any
 * @average: share of the old average kept at each step, in [0, 1); 0 = no average
 */
typedef struct
{
  double learning_rate, beta1, beta2, epsilon, weight_decay;
  double clip;
  double average;
} FbOptimizerParams;

/**
 * FbOptimizer: AdamW with the arithmetic of torch.optim.AdamW
 * @step: updates made
 * @tensors: (element-type FbTrained), in the order they were added
 *
 * Source: arXiv:1711.05101, algorithm 2.
 */
typedef struct
{
  FbOptimizerParams params;
  int               step;
  GPtrArray        *tensors;
} FbOptimizer;

FbOptimizer * fb_optimizer_new  (const FbOptimizerParams *params);
void          fb_optimizer_free (FbOptimizer *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbOptimizer, fb_optimizer_free)

/* Adds a tensor; @value and @gradient must outlive @self. The average begins at @value's present contents. */
void          fb_optimizer_add  (FbOptimizer *self, const char *name, size_t n, float *value, float *gradient);

/* Sets all gradients to 0. */
void          fb_optimizer_zero (FbOptimizer *self);

/* The norm of all gradients as one vector, in double; NaN or infinity where one of them is */
double        fb_optimizer_norm (const FbOptimizer *self);

/**
 * fb_optimizer_update:
 * @rate: this step's learning rate
 * @norm: fb_optimizer_norm()
 *
 * Scales the gradients down to the norm allowed, as torch.nn.utils.clip_grad_norm_, then moves the values and the averages.
 */
void          fb_optimizer_update (FbOptimizer *self, double rate, double norm);
