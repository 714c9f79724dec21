/* core/models/model.h: an opened checkpoint with its parts. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#include "kernels/device.h"

typedef struct FbClipTokenizer FbClipTokenizer;     /* core/text/clip-tokenizer.h */
typedef struct FbContext       FbContext;           /* core/nn/nn.h */
typedef struct FbSchedule      FbSchedule;          /* core/samplers/schedule.h */
typedef struct FbUnet          FbUnet;              /* core/models/unet.h */

/**
 * FbModel: a checkpoint (diffusers folder or single file) with tokenizer, text encoder, UNet, autoencoder and, if found, TAESD.
 * Opening reads headers and configs only; each part is loaded when it is first asked for, and stays until fb_model_unload() or until another
 * needs its room (fb_model_hold()).
 * Not thread-safe: one job at a time.
 *
 * Pictures and latents cross this interface as host f32, dense, channels last. Latents are scaled (a unit-variance space, the one the
 * sampler works in); pictures are −1 … 1. Every call that computes or reads files can be cancelled: it returns %FALSE with
 * %G_IO_ERROR_CANCELLED, and the model stays usable.
 */
typedef struct FbModel FbModel;

#define FB_MODEL_CHUNK 77     /* token ids per chunk of a prompt, start and end tokens included */

typedef enum
{
  FB_MODEL_TEXT_ENCODER,
  FB_MODEL_UNET,
  FB_MODEL_VAE_ENCODER,
  FB_MODEL_VAE_DECODER,
  FB_MODEL_TAESD,           /* the tiny decoder */
  FB_MODEL_TAESD_ENCODER,   /* its other half, which some files lack */
} FbModelPart;
#define FB_MODEL_N_PARTS (FB_MODEL_TAESD_ENCODER + 1)

typedef struct
{
  char  *path;          /* a LoRA file */
  double strength;      /* the user's factor; 0 leaves the LoRA out */
} FbLoraUse;

/**
 * FbModelInfo: what tasks need to know, from the checkpoint's configs, its family and its flashbrush.json
 * @family: "sd-1.5" …; a row of core/models/family.h
 * @latent_channels: of the autoencoder
 * @unet_channels: the UNet's input channels; above @latent_channels the rest is conditioning (inpainting: 9, x4 upscaler: 7)
 * @scale_factor: picture pixels per latent pixel; 8
 * @context_width, @n_text_layers: the text encoder's channels and layers
 * @n_steps, @guidance_scale, @sampler, @timestep_spacing, @width, @height: recommended; never 0, @timestep_spacing may be "" (the sampler's own)
 * @noise_level, @max_noise_level: of the x4 upscaler's low-resolution picture: recommended, and the most it knows; −1 for other models
 * @few_step_lora: (nullable): path of the LoRA in its folder that turns it into a model for few-step samplers
 */
typedef struct
{
  const char *family;
  int         latent_channels;
  int         unet_channels;
  int         scale_factor;
  int         context_width, n_text_layers;
  int         n_steps;
  double      guidance_scale;
  const char *sampler;
  const char *timestep_spacing;
  int         width, height;
  int         noise_level, max_noise_level;
  const char *few_step_lora;
} FbModelInfo;

/**
 * FbLoraReport: how a LoRA met this model
 * @n_matched: layers of the file that found their place
 * @unmatched: %NULL-terminated names of those that did not
 */
typedef struct
{
  char  *path;
  int    n_matched;
  char **unmatched;
} FbLoraReport;

/**
 * fb_model_open:
 * @path: a diffusers folder or a single .safetensors file
 * @vae_path: (nullable): an autoencoder that replaces the checkpoint's own
 * @taesd_path: (nullable): a TAESD to use instead of looking for one beside the checkpoint (folder taesd/ or files taesd*.safetensors)
 * @dev: (nullable): the device to load on; referenced. %NULL opens a model only to ask about it: it takes no memory and computes nothing
 * @dtype: type to compute in; the sampler, norms and the output convolution stay f32
 */
FbModel *    fb_model_open  (const char *path, const char *vae_path, const char *taesd_path, FbDevice *dev, FbDtype dtype, GError **error);
void         fb_model_free  (FbModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbModel, fb_model_free)

/* (transfer none): the checkpoint's path and family ("sd-1.5") */
const char * fb_model_path   (FbModel *model);
const char * fb_model_family (FbModel *model);
const FbModelInfo * fb_model_info (FbModel *model);

/* (transfer none): a measuring device where the model was opened without one */
FbDevice *   fb_model_device (FbModel *model);

/* fb_device_share_threads() with the model's device */
void         fb_model_share_threads (FbModel *model);

/* The type parts are computed in. Setting another drops the loaded weights; after a %FB_MODEL_ERROR_NOT_FINITE, F32 is worth a try. */
FbDtype      fb_model_dtype     (FbModel *model);
void         fb_model_set_dtype (FbModel *model, FbDtype dtype);

/**
 * fb_model_set_half:
 *
 * Whether weights that the file has in 16 bits are kept so for f32 to be computed with: half the memory, the same results, a little slower.
 * Weights that a LoRA changes are f32. A change drops the loaded weights; in another type than f32 it means nothing.
 * Only where fb_model_can_be_half() says so of the model's device.
 */
void         fb_model_set_half (FbModel *model, gboolean half);
gboolean     fb_model_is_half  (FbModel *model);
gboolean     fb_model_can_be_half (FbModel *model, const FbDevice *dev);

/* Bytes of a loaded part that it saves, or would; from the file's headers and the LoRAs in force. 0 in another type than f32 */
guint64      fb_model_half_saves (FbModel *model, FbModelPart part);

/**
 * fb_half_pays:
 * @full: bytes needed when all weights are f32
 * @saved: what fb_model_set_half() would save of them
 * @limit: bytes that can be had; 0 = nobody knows
 *
 * The rule for all jobs: it pays where @full doesn't fit, and what is left does. The environment variable FLASHBRUSH_WEIGHTS, "half" or "full",
 * decides instead of it, for measurements.
 */
gboolean     fb_half_pays (guint64 full, guint64 saved, guint64 limit);

/**
 * fb_model_tokenizer, fb_model_schedule, fb_model_low_res_schedule:
 *
 * Returns: (transfer none): the checkpoint's own tokenizer (the standard CLIP one where the checkpoint brings none), read at the first call; %NULL
 *   with @error set where it cannot be used or does not fit the text encoder. And its noise schedule; that of the x4 upscaler's low-resolution
 *   picture, %NULL for other models.
 */
const FbClipTokenizer * fb_model_tokenizer (FbModel *model, GError **error);
const FbSchedule *      fb_model_schedule  (FbModel *model);
const FbSchedule *      fb_model_low_res_schedule (FbModel *model);

/**
 * fb_model_load:
 * @progress: (nullable): called with 0 … 1 while tensors are read, from this thread
 *
 * Loads @part unless it is there already. The calls below do the same for the part they need, silently.
 */
typedef void (* FbModelProgressFunc) (double fraction, gpointer user_data);

gboolean     fb_model_load (FbModel *model, FbModelPart part, FbModelProgressFunc progress, gpointer user_data,
                            GCancellable *cancellable, GError **error);
gboolean     fb_model_is_loaded (FbModel *model, FbModelPart part);
gboolean     fb_model_has_loaded (FbModel *model);          /* any part */

/**
 * fb_model_hold:
 *
 * Where the device's memory is too small for all parts, they take turns: a part that finds no room has those that were used longest ago
 * unloaded, and these are loaded again when they are next asked for. What is computed is the same to the last bit. A part that is held stays:
 * whoever computes with its weights otherwise than through the calls below, or would have to load it again at once, holds it.
 */
void         fb_model_hold (FbModel *model, FbModelPart part, gboolean held);

/* Drops one part's weights, or all; the next use loads them again. */
void         fb_model_unload_part (FbModel *model, FbModelPart part);
void         fb_model_unload      (FbModel *model);

/**
 * fb_model_unclaimed:
 *
 * Returns: (transfer full): the files' names of tensors that no part of the model asks for, %NULL-terminated; empty for most checkpoints. They
 *   are left alone, but worth telling a person who wonders.
 */
char **      fb_model_unclaimed    (FbModel *model);

/**
 * fb_model_set_loras:
 *
 * Makes @loras the ones in force. Weights that an earlier set touched are read again from the file, so that no LoRA leaves a trace.
 * On failure the earlier set stays in force.
 */
gboolean     fb_model_set_loras (FbModel *model, const FbLoraUse *loras, int n_loras, GCancellable *cancellable, GError **error);

/* (transfer none): one report per LoRA in force, in the order given to fb_model_set_loras() */
const FbLoraReport * fb_model_lora_reports (FbModel *model, int *n_reports);

/**
 * fb_model_encode_text:
 * @ids: [n_chunks, FB_MODEL_CHUNK] token ids, start and end tokens included
 * @clip_skip: last layers to leave out; 0 = the whole encoder. The final layer norm follows in any case.
 * @out: [n_chunks, 77, context_width]
 */
gboolean     fb_model_encode_text (FbModel *model, const int *ids, int n_chunks, int clip_skip, float *out,
                                   GCancellable *cancellable, GError **error);

/**
 * FbDenoise: one call of the UNet
 * @latents: [n, height, width, unet_channels], already scaled as the sampler says
 * @n: pictures in the batch; for guidance, both halves in one call
 * @height, @width: in latent pixels, ≥ 1
 * @timestep: 0 … 999, may lie between two; of all pictures
 * @timesteps: (nullable): [n], one for each picture instead
 * @context: [n, n_tokens, context_width]; kept on the device from call to call while its values stay the same
 * @class_label: the x4 upscaler's noise level; others ignore it
 * @pooled, @time_ids: (nullable): [n, pooled width] and [n, 6]; SDXL only
 */
typedef struct
{
  const float *latents;
  int          n, height, width;
  float        timestep;
  const float *timesteps;
  const float *context;
  int          n_tokens;
  int          class_label;
  const float *pooled;
  const float *time_ids;
} FbDenoise;

/**
 * fb_model_denoise:
 * @out: [n, height, width, latent_channels], the network's prediction (noise or velocity, as the schedule says)
 *
 * Fails with %FB_MODEL_ERROR_NOT_FINITE when the output holds NaN or infinity.
 */
gboolean     fb_model_denoise (FbModel *model, const FbDenoise *call, float *out, GCancellable *cancellable, GError **error);

/**
 * fb_model_encode_image:
 * @pixels: [height, width, 3], −1 … 1; multiples of scale_factor
 * @noise: (nullable): [height / 8, width / 8, latent_channels] normal deviates; %NULL takes the posterior's mean
 * @latents: [height / 8, width / 8, latent_channels], scaled
 *
 * Large pictures go through in overlapping tiles, as in fb_model_decode().
 */
gboolean     fb_model_encode_image (FbModel *model, const float *pixels, int height, int width, const float *noise, float *latents,
                                    GCancellable *cancellable, GError **error);

/**
 * fb_model_decode:
 * @latents: [height, width, latent_channels], scaled
 * @pixels: [8 height, 8 width, 3]; not clamped
 * @tile: latent pixels per side of a tile; 0 decides by the picture's size and whole pictures up to 1024×1024; above that, tiles of 96
 *   that overlap by a quarter and are blended
 *
 * Fails with %FB_MODEL_ERROR_NOT_FINITE when the output holds NaN or infinity.
 */
gboolean     fb_model_decode (FbModel *model, const float *latents, int height, int width, int tile, float *pixels,
                              GCancellable *cancellable, GError **error);

/**
 * fb_model_has_taesd: whether one was found or set
 * fb_model_has_taesd_encoder: whether it can also encode
 * fb_model_set_taesd: takes the one a person has chosen
 * fb_model_look_for_taesd: offers those beside the model, as fb_model_open() does; whether one was taken
 * fb_model_offer_taesd: takes one that merely lies there (beside the model, in the store); %FALSE if it does not fit or its name says that it
 *   is for another family
 */
gboolean     fb_model_has_taesd   (FbModel *model);
gboolean     fb_model_has_taesd_encoder (FbModel *model);
gboolean     fb_model_set_taesd   (FbModel *model, const char *path, GError **error);
gboolean     fb_model_look_for_taesd (FbModel *model);
gboolean     fb_model_offer_taesd (FbModel *model, const char *path);

/* fb_model_decode_taesd: as fb_model_decode(), through the tiny decoder; tiles above 1024×1024 by itself */
gboolean     fb_model_decode_taesd (FbModel *model, const float *latents, int height, int width, float *pixels,
                                    GCancellable *cancellable, GError **error);

/* fb_model_encode_taesd: as fb_model_encode_image(), through the tiny encoder, which gives no distribution but the latents themselves */
gboolean     fb_model_encode_taesd (FbModel *model, const float *pixels, int height, int width, float *latents,
                                    GCancellable *cancellable, GError **error);

/**
 * fb_model_preview_linear:
 * @pixels: [height, width, 3]: one pixel per latent pixel, clamped to −1 … 1
 *
 * A linear map from latents to colours, fitted once per model to what its own decoder makes of a probe (core/models/linear-preview.h):
 * the first call loads the decoder and costs a decode of 128×128 pixels, later ones nothing to speak of.
 */
gboolean     fb_model_preview_linear (FbModel *model, const float *latents, int height, int width, float *pixels,
                                      GCancellable *cancellable, GError **error);

/**
 * fb_model_weight_bytes: bytes of a part once loaded, from the file's headers; 0 if the checkpoint lacks it
 * fb_model_held_bytes: what the loaded parts take of the memory that the device computes in, its own or the system's
 * fb_model_activation_bytes: the most a call of that part needs besides, for @n pictures of @height × @width pixels (tokens do not count)
 * fb_model_call_flop: multiply-adds × 2 of that call, of all its tiles; 0 if the checkpoint lacks the part, or the picture is larger than any memory.
 *   Asked again for the same size, it costs nothing.
 */
guint64      fb_model_weight_bytes     (FbModel *model, FbModelPart part);
guint64      fb_model_held_bytes       (FbModel *model);
guint64      fb_model_activation_bytes (FbModel *model, FbModelPart part, int n, int height, int width);
double       fb_model_call_flop        (FbModel *model, FbModelPart part, int n, int height, int width);

/**
 * fb_model_unet, fb_model_context: (transfer none): the network itself and the context that the calls above compute in, for training: what is
 *   enabled there (a LoRA branch) they see too. The context changes with fb_model_set_dtype().
 * fb_model_set_plain_kernels: whether the UNet is loaded without folded kernels, which have no gradients; before fb_model_load()
 */
FbUnet *     fb_model_unet              (FbModel *model);
FbContext *  fb_model_context           (FbModel *model);
void         fb_model_set_plain_kernels (FbModel *model, gboolean plain);
