/* core/models/model-private.h: what a model is made of; for its neighbours here. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/models/family.h"
#include "core/models/linear-preview.h"
#include "core/models/loader.h"
#include "core/models/model.h"

G_STATIC_ASSERT (FB_LINEAR_PREVIEW_MAX_CHANNELS >= FB_VAE_MAX_LATENTS);

typedef struct FbModelLoras FbModelLoras;
typedef struct FbModelStep  FbModelStep;

/* A call of one part for one picture of so many latent pixels, and what it multiplies and adds */
typedef struct
{
  int    height, width;
  double flop;
} FbModelCall;

/* What a loader's LoRA functions need to know */
typedef struct
{
  FbModel    *model;
  const char *component;
} FbLoraTarget;

struct FbModel
{
  char            *path;
  FbDevice        *dev;
  FbDtype          dtype;
  gboolean         half;
  FbContext       *ctx;
  const FbFamily  *family;
  FbModelInfo      info;
  char            *sampler, *timestep_spacing, *few_step_lora;   /* owned; @info points to them */
  FbSchedule      *schedule, *low_res_schedule;             /* the latter is the upscaler's, else NULL */
  FbClipTokenizer *tokenizer;                               /* NULL until asked for */

  FbCheckpoint    *text_file, *unet_file, *vae_file, *taesd_file;
  FbVaeConfig      vae_config;
  FbTaesdConfig    taesd_config;
  FbClipText      *text;                                    /* networks are described when the model opens and hold weights once loaded */
  FbUnet          *unet;
  FbVaeEncoder    *encoder;
  FbVaeDecoder    *decoder;
  FbTaesdDecoder  *taesd;
  gboolean         plain_kernels;
  FbTaesdEncoder  *taesd_encoder;                           /* NULL where the file lacks it */

  guint64          last_use[FB_MODEL_N_PARTS];              /* by the count of uses; 0: never */
  guint64          n_uses;
  gboolean         held[FB_MODEL_N_PARTS];
  FbModelCall      last_call[FB_MODEL_N_PARTS];             /* that fb_model_call_flop() was asked about */

  FbModelLoras    *loras;                                   /* NULL = none yet */
  FbLoraTarget     lora_targets[2];

  float           *context_values;                          /* what @context holds: prompts stay the same from step to step */
  FbTensor        *context;
  FbModelStep     *step;                                    /* the last one that the device keeps; NULL = none. It goes with the UNet's weights */

  gboolean         has_linear_preview;
  FbLinearPreview  linear_preview;
};

/* The loader of one part; @params is NULL where the model has no such part. */
FbLoader  fb_model_loader   (FbModel *model, FbModelPart part);

/* Makes @loader merge the LoRAs in force. */
void      fb_model_add_loras_to_loader (FbModel *model, FbModelPart part, FbLoader *loader);
void      fb_model_loras_free (FbModelLoras *set);

/**
 * fb_model_make_way:
 * @error: what kept @part from its turn
 *
 * Where that was a lack of memory, unloads the part that was used longest ago, if there is one that is neither @part nor held.
 *
 * Returns: whether to try again; @error is then cleared.
 */
gboolean  fb_model_make_way (FbModel *model, FbModelPart part, GError **error);

/**
 * fb_model_predict: fb_unet_forward(), from the device's own recording where it has one of a call of these shapes
 * @conditions: with the model's context tensor
 *
 * Returns: (transfer none): valid until the next call
 */
FbTensor * fb_model_predict     (FbModel *model, FbTensor *latents, const FbUnetConditions *conditions);
void       fb_model_forget_step (FbModel *model);
/* Bytes that a recording takes; 0: there is none */
guint64    fb_model_step_bytes  (FbModel *model);

/* Frees what depends on the weights or on the type they are packed in. */
void      fb_model_forget_context (FbModel *model);

/* All of one computation, from uploads to downloads; @data is what fb_model_compute() was given. */
typedef void (* FbModelWork) (FbModel *model, gpointer data);

/**
 * fb_model_compute:
 *
 * Loads @part and does @work; once more whenever memory ran out and another part could make way for it. Then frees the context's tensors.
 *
 * Returns: %FALSE with %G_IO_ERROR_CANCELLED, or with the device's or the loader's error
 */
gboolean  fb_model_compute   (FbModel *model, FbModelPart part, FbModelWork work, gpointer data, GCancellable *cancellable, GError **error);

/* Latent pixels per side of a tile for a picture of so many latent pixels; @tile is the caller's wish, or 0. */
int       fb_model_tile_size (FbModel *model, int height, int width, int tile);

/* %FALSE with NOT_FINITE if @values hold NaN or infinity. */
gboolean  fb_model_check_finite (FbModel *model, const float *values, gsize n, GError **error);
