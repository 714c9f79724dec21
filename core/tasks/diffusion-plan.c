/* core/tasks/diffusion-plan.c: what a job needs: parts, time, memory. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/diffusion-private.h"

#include <glib/gi18n-lib.h>

#include "core/models/tiles.h"
#include "core/tasks/pace.h"

FbModelPart
fb_diffusion_encoder (const FbGenerate *r, FbModel *model)
{
  return r->decoder == FB_DECODER_TAESD && fb_model_has_taesd_encoder (model) ? FB_MODEL_TAESD_ENCODER : FB_MODEL_VAE_ENCODER;
}

FbModelPart
fb_diffusion_decoder (const FbGenerate *r)
{
  return r->decoder == FB_DECODER_TAESD ? FB_MODEL_TAESD : FB_MODEL_VAE_DECODER;
}

gboolean
fb_diffusion_needs (const FbGenerate *r, FbModel *model, gboolean encodes, FbModelPart part)
{
  switch (part)
    {
    case FB_MODEL_TEXT_ENCODER:
    case FB_MODEL_UNET:          return TRUE;
    case FB_MODEL_VAE_ENCODER:
    case FB_MODEL_TAESD_ENCODER: return encodes && part == fb_diffusion_encoder (r, model);
    case FB_MODEL_VAE_DECODER:   return r->decoder == FB_DECODER_FULL || r->preview == FB_PREVIEW_LINEAR;
    case FB_MODEL_TAESD:         return fb_model_has_taesd (model) &&
                                        (r->decoder == FB_DECODER_TAESD || r->preview == FB_PREVIEW_TAESD);
    }
  g_return_val_if_reached (FALSE);
}

/* --- time ---------------------------------------------------------------------------------------------------------------- */

/* pixels of a side that the UNet sees at once */
static int
seen (const FbGenerate *r, int side)
{
  return r->tile > 0 ? MIN (r->tile, side) : side;
}

double
fb_diffusion_tile_work (const FbGenerate *r, FbModel *model)
{
  return fb_pace_work (model, FB_STAGE_STEP, FB_MODEL_UNET, r->guidance_scale > 1.0 ? 2 : 1, seen (r, r->height), seen (r, r->width));
}

double
fb_diffusion_step_work (const FbGenerate *r, FbModel *model)
{
  const int f = fb_model_info (model)->scale_factor;
  const int n = r->tile > 0 ? fb_tiles_count (r->height / f, r->width / f, r->tile / f) : 1;

  return n * fb_diffusion_tile_work (r, model);
}

double
fb_diffusion_decode_work (const FbGenerate *r, FbModel *model)
{
  return fb_pace_work (model, FB_STAGE_DECODE, fb_diffusion_decoder (r), 1, r->height, r->width);
}

double
fb_diffusion_encode_work (const FbGenerate *r, FbModel *model)
{
  return fb_pace_work (model, FB_STAGE_ENCODE, fb_diffusion_encoder (r, model), 1, r->height, r->width);
}

double
fb_diffusion_picture_seconds (const FbGenerate *r, FbModel *model, int n_encodes)
{
  return n_encodes * fb_pace_seconds (FB_STAGE_ENCODE, fb_diffusion_encode_work (r, model)) +
         r->n_steps * fb_pace_seconds (FB_STAGE_STEP, fb_diffusion_step_work (r, model)) +
         fb_pace_seconds (FB_STAGE_DECODE, fb_diffusion_decode_work (r, model));
}

/* Seconds that reading all of @part takes */
static double
read_seconds (FbModel *model, FbModelPart part)
{
  return fb_pace_seconds (FB_STAGE_LOAD, fb_model_weight_bytes (model, part));
}

double
fb_diffusion_turns_seconds (const FbGenerate *r, FbModel *model, gboolean encodes, const FbEstimate *estimate)
{
  if (!fb_diffusion_takes_turns (estimate))
    return 0.0;

  return (r->count - 1) * (read_seconds (model, FB_MODEL_UNET) + read_seconds (model, fb_diffusion_decoder (r)) +
                           (encodes ? read_seconds (model, fb_diffusion_encoder (r, model)) : 0.0));
}

double
fb_diffusion_load_seconds (const FbGenerate *r, FbModel *model, gboolean encodes)
{
  double seconds = 0.0;

  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    if (fb_diffusion_needs (r, model, encodes, part))
      seconds += fb_pace_seconds (FB_STAGE_LOAD, fb_pace_work (model, FB_STAGE_LOAD, part, 1, r->height, r->width));

  return seconds;
}

/* --- memory -------------------------------------------------------------------------------------------------------------- */

/* What a job holds besides weights and a call's own tensors: those of earlier calls, which the device keeps for the next ones (measured: up
 * to twice the largest call's), and the picture as the network and as the image have it */
static guint64
spare_bytes (const FbGenerate *r, guint64 activations)
{
  return MIN (2 * activations, FB_DEVICE_MAX_SPARE) + 3 * (guint64) r->width * r->height * 3 * sizeof (float);
}

/* The bytes of a job's parts: @all of them, what of these 16 bits would have @saved, the one that is @largest with what it computes in, and the most
 * that one computes in */
typedef struct
{
  guint64 all, saved, largest, activations;
} Needs;

static Needs
count_needs (const FbGenerate *r, FbModel *model, gboolean encodes)
{
  Needs needs = { 0 };

  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    if (fb_diffusion_needs (r, model, encodes, part))
      {
        const int     n       = part == FB_MODEL_UNET && r->guidance_scale > 1.0 ? 2 : 1;
        const guint64 weights = fb_model_weight_bytes (model, part);
        const int     height  = part == FB_MODEL_UNET ? seen (r, r->height) : r->height;
        const int     width   = part == FB_MODEL_UNET ? seen (r, r->width) : r->width;
        const guint64 besides = fb_model_activation_bytes (model, part, n, height, width);

        needs.all        += weights;
        needs.saved      += fb_model_is_half (model) ? 0 : fb_model_half_saves (model, part);
        needs.largest     = MAX (needs.largest, weights + besides);
        needs.activations = MAX (needs.activations, besides);
      }

  return needs;
}

void
fb_diffusion_memory (const FbGenerate *r, FbModel *model, gboolean encodes, FbEstimate *estimate)
{
  const Needs   needs = count_needs (r, model, encodes);
  const guint64 spare = spare_bytes (r, needs.activations);

  estimate->weight_bytes    = needs.all;
  estimate->saved_bytes     = needs.saved;
  estimate->peak_bytes      = needs.all + needs.activations + spare;
  estimate->least_bytes     = needs.largest + spare;
  estimate->available_bytes = fb_memory_available_on (fb_model_device (model));
  if (estimate->available_bytes > 0)
    estimate->available_bytes += fb_model_held_bytes (model);
}

gboolean
fb_diffusion_takes_turns (const FbEstimate *estimate)
{
  return estimate->available_bytes > 0 && estimate->peak_bytes > estimate->available_bytes;
}

/* A device in the system's memory would take more than there is: it gets a limit, at which parts make way for each other. */
static void
limit_device (FbDiffusion *job, const FbEstimate *estimate, gboolean encodes)
{
  FbDevice     *dev     = fb_model_device (job->model);
  const Needs   needs   = count_needs (job->request, job->model, encodes);
  const guint64 besides = estimate->least_bytes - needs.largest;                 /* not the device's */
  const guint64 others  = fb_device_bytes_in_use (dev) - MIN (fb_device_bytes_in_use (dev), fb_model_held_bytes (job->model));

  job->limited   = TRUE;
  job->old_limit = fb_device_limit (dev);
  fb_device_set_limit (dev, MIN (job->old_limit, others + estimate->available_bytes - besides));
}

gboolean
fb_diffusion_check_memory (FbDiffusion *job, const FbEstimate *estimate, gboolean encodes, GError **error)
{
  g_autofree char *need = NULL;
  g_autofree char *have = NULL;

  job->takes_turns = fb_diffusion_takes_turns (estimate);
  if (!job->takes_turns)
    return TRUE;
  if (estimate->least_bytes <= estimate->available_bytes)
    {
      if (!fb_device_has_memory (fb_model_device (job->model)))
        limit_device (job, estimate, encodes);
      return TRUE;
    }

  need = g_format_size (estimate->least_bytes);
  have = g_format_size (estimate->available_bytes);
  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_MEMORY,
               _("A picture of %d×%d needs about %s of memory and %s is free; a smaller size or closing other programs would help."),
               job->request->width, job->request->height, need, have);
  return FALSE;
}
