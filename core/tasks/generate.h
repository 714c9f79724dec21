/* core/tasks/generate.h: pictures from a prompt, and image-to-image. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#include "core/image/image.h"
#include "core/models/model.h"
#include "core/tasks/task-error.h"

typedef enum
{
  FB_STAGE_LOAD,      /* reading and packing weights */
  FB_STAGE_TEXT,      /* text encoder */
  FB_STAGE_ENCODE,    /* picture to latents */
  FB_STAGE_STEP,      /* denoising steps */
  FB_STAGE_DECODE,    /* latents to picture */
} FbStage;
#define FB_N_STAGES (FB_STAGE_DECODE + 1)

/* untranslated lower-case name of a stage, "step" for example; the interface between engine and client */
const char * fb_stage_name (FbStage stage);

typedef enum
{
  FB_PREVIEW_NONE,
  FB_PREVIEW_LINEAR,  /* a latent-to-RGB matrix fitted to the model's autoencoder, an eighth of the size: free from the second on */
  FB_PREVIEW_TAESD,   /* tiny decoder when the model has one, else linear */
} FbPreview;

typedef enum
{
  FB_DECODER_FULL,    /* the model's autoencoder */
  FB_DECODER_TAESD,   /* the tiny one: a draft in a fraction of the time; an error where the model has none */
} FbDecoder;

typedef enum
{
  FB_BACKGROUND_KEEP,
  FB_BACKGROUND_TRANSPARENT,  /* cut out where it is plain (core/image/cut-out.h), as it is elsewhere: RGBA or RGB */
} FbBackground;

/**
 * FbProgress:
 * @stage: what is being done
 * @picture: index of the picture, 0 … count − 1
 * @step, @n_steps: finished steps of this stage and how many there are; 0 of 0 where a stage has no steps
 * @fraction: of the whole job, 0 … 1, never falls
 * @seconds_left: estimate, negative while unknown
 * @preview: (nullable): x0 prediction after a denoising step; may be smaller than the result
 */
typedef struct
{
  FbStage  stage;
  int      picture;
  int      step, n_steps;
  double   fraction;
  double   seconds_left;
  FbImage *preview;
} FbProgress;

/* Called on the thread that runs the task. */
typedef void (* FbProgressFunc) (const FbProgress *progress, gpointer user_data);

/**
 * FbGenerate: a request. Strings are never %NULL; that they are UTF-8 is checked with the rest.
 * @prompt, @negative_prompt: web-UI syntax (core/text/prompt.h); @negative_prompt is used only above guidance 1
 * @sampler: a name of core/samplers/, or "" for the model's own
 * @n_steps: 1 … 1000, or 0 for the model's own
 * @guidance_scale: 1 = one pass without guidance; 0 for the model's own
 * @seed: picture i of @count uses seed + i
 * @width, @height: pixels, multiples of 8 (of the model's scale factor, if that is larger); 0 for the model's own
 * @tile: pixels per side of what the network sees at once, a multiple of the scale factor; larger pictures then go through each step in tiles that
 *   overlap. 0 for whole pictures. A task sets it, no person does
 * @clip_skip: last layers of the text encoder to leave out: 0 … 11, and not all of them
 * @init: (nullable): picture to start from, scaled to @width × @height
 * @strength: with @init: 0 keeps the picture, 1 ignores it; continuous
 * @timestep_spacing: "trailing", "leading" or "linspace"; "" or "auto" for the model's or the sampler's own
 * @preview, @decoder: what shows the steps and what makes the picture
 * @background: what becomes of the finished picture's
 */
typedef struct
{
  char        *prompt;
  char        *negative_prompt;
  char        *sampler;
  char        *timestep_spacing;
  int          n_steps;
  double       guidance_scale;
  gint64       seed;
  int          count;
  int          width, height;
  int          tile;
  int          clip_skip;
  FbImage     *init;
  double       strength;
  FbPreview    preview;
  FbDecoder    decoder;
  FbBackground background;
} FbGenerate;

FbGenerate * fb_generate_new  (void);              /* defaults: empty prompt, one picture, everything else the model's own */
FbGenerate * fb_generate_copy (const FbGenerate *request);
void         fb_generate_free (FbGenerate *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbGenerate, fb_generate_free)

/**
 * fb_generate_to_variant, fb_generate_from_variant:
 *
 * The request as a{sv} for the engine's socket and for the layer's parasite, without the init picture; absent keys take defaults, a value of the
 * wrong type or out of range is an error that names the key.
 */
GVariant *   fb_generate_to_variant   (const FbGenerate *request);
FbGenerate * fb_generate_from_variant (GVariant *variant, GError **error);

/**
 * FbEstimate:
 * @peak_bytes: memory the job will need, weights included
 * @least_bytes: what it can do with where there is less: the model's parts then take turns in memory, which gives the same pictures later
 * @seconds: time, negative when nothing has been measured yet
 * @available_bytes: memory the device can give now, its own or the system's; 0: unknown
 * @weight_bytes: what of @peak_bytes are weights
 * @saved_bytes: what of these fb_model_set_half() would save; 0 once it has
 */
typedef struct
{
  guint64 peak_bytes;
  guint64 least_bytes;
  double  seconds;
  guint64 available_bytes;
  guint64 weight_bytes, saved_bytes;
} FbEstimate;

/* Fills the request's open places (0, "") from the model's own settings and checks every field; %FB_TASK_ERROR_FIELD names the one that is wrong. */
gboolean     fb_generate_resolve  (FbGenerate *request, FbModel *model, GError **error);

/* What the job will take; @request may have open places. Reads file headers only. */
gboolean     fb_generate_estimate (const FbGenerate *request, FbModel *model, FbEstimate *estimate, GError **error);

/**
 * fb_generate_run:
 * @request: may have open places
 * @model: opened; its parts are loaded as they are needed and stay loaded
 * @progress: (nullable):
 * @picture: called with each finished picture, so that a cancel keeps those already made
 *
 * A job that would not fit into memory fails before anything is computed (%FB_TASK_ERROR_MEMORY, with the estimate).
 *
 * Returns: %FALSE with @error set when it failed or was cancelled (%G_IO_ERROR_CANCELLED).
 */
typedef void (* FbPictureFunc) (FbImage *picture, gint64 seed, gpointer user_data);

gboolean     fb_generate_run (const FbGenerate *request, FbModel *model,
                              FbProgressFunc progress, FbPictureFunc picture, gpointer user_data,
                              GCancellable *cancellable, GError **error);
