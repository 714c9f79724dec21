/* core/distill/networks.h: teacher, student and discriminator over one copy of the weights. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/lora-set.h"
#include "core/models/model.h"

/**
 * FbNetworks:
 *
 * The frozen network of a model is the teacher; with its LoRA branches it is the student, and the student's own fake score. The discriminator
 * looks at the teacher's features after the mid block. All calls take and give host f32; all can be cancelled: they return %FALSE with
 * %G_IO_ERROR_CANCELLED, and what trains has not changed. Gradients are added up on the device until fb_trainables_collect().
 */
typedef struct FbNetworks FbNetworks;

/**
 * fb_networks_new:
 * @model: of which the UNet gets loaded here, with plain kernels; outlives the networks
 * @lora: what trains
 * @discriminator_side: shortest side of the features it will see (fb_unet_feature_size()); 0 = no discriminator
 * @kept_bytes: activations a backward pass may keep rather than compute again
 * @seed: of what trains
 *
 * Errors: those of fb_model_load(), FB_DISTILL_ERROR_FIELD where a target of @lora fits no layer.
 */
FbNetworks * fb_networks_new  (FbModel *model, const FbLoraSettings *lora, int discriminator_side, gsize kept_bytes, guint64 seed,
                               GCancellable *cancellable, GError **error);
void         fb_networks_free (FbNetworks *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbNetworks, fb_networks_free)

/* (transfer none) (element-type FbTrainable): what trains; the second is %NULL without a discriminator */
GPtrArray *  fb_networks_student_trainables       (FbNetworks *self);
GPtrArray *  fb_networks_discriminator_trainables (FbNetworks *self);

/* @func is called after each call of a network, when the device is free for a while; %NULL for none. */
void         fb_networks_set_between (FbNetworks *self, void (* func) (gpointer data), gpointer data);

/* Calls of the UNet so far, counted per sample; one that leaves at the mid block counts half and a backward pass twice */
double       fb_networks_n_calls (const FbNetworks *self);

/**
 * FbNetworkCall:
 * @latents: [n, height, width, latent_channels]
 * @extra: (nullable): [n, height, width, unet_channels − latent_channels]: what an inpainting network sees besides, the same for all of them: the
 *   mask, and the latents of the picture around it; nothing is added to it, and it has no gradient
 * @height, @width: in latent pixels
 * @timesteps: [n]
 * @contexts: [n, 77, context_width]: the prompts
 */
typedef struct
{
  int          n, height, width;
  const float *latents;
  const float *timesteps;
  const float *contexts;
  const float *extra;
} FbNetworkCall;

/* @conditional, @unconditional: (out): as @latents, with the prompts and with @no_prompt [77, context_width] */
gboolean fb_networks_teacher (FbNetworks *self, const FbNetworkCall *call, const float *no_prompt, float *conditional, float *unconditional,
                              GCancellable *cancellable, GError **error);

/* @output: (out): as @latents */
gboolean fb_networks_student (FbNetworks *self, const FbNetworkCall *call, float *output, GCancellable *cancellable, GError **error);

/**
 * fb_networks_student_begin, fb_networks_student_backward, fb_networks_student_drop:
 * @doutput: [n, height, width, latent_channels]: the loss's gradient with respect to @output
 *
 * As fb_networks_student(), keeping what the backward pass needs until that, or the drop. Other calls may come between.
 */
gboolean fb_networks_student_begin    (FbNetworks *self, const FbNetworkCall *call, float *output, GCancellable *cancellable, GError **error);
gboolean fb_networks_student_backward (FbNetworks *self, const float *doutput, GCancellable *cancellable, GError **error);
void     fb_networks_student_drop     (FbNetworks *self);

/**
 * FbAdversarial: sums over the samples of a call
 * @student, @discriminator: the two losses
 * @real, @fake: what the discriminator thinks of the two, 0 … 1
 */
typedef struct
{
  double student, discriminator;
  double real, fake;
} FbAdversarial;

/**
 * fb_networks_adversarial:
 * @call: the student's pictures, with noise
 * @real: as @call's latents: pictures of the data, with the same noise
 * @discriminator_weight: of each sample's loss in the discriminator's gradient
 * @student_weight: of each sample's loss in @dlatents
 * @dlatents: (inout) (nullable): as @call's latents; the gradient of the student's loss is added. %NULL while the student is not told.
 * @sums: (inout): added to
 */
gboolean fb_networks_adversarial (FbNetworks *self, const FbNetworkCall *call, const float *real, double discriminator_weight,
                                  double student_weight, float *dlatents, FbAdversarial *sums, GCancellable *cancellable, GError **error);
