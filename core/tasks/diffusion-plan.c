/* core/tasks/diffusion-plan.c: what a job needs: parts, time, memory. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/diffusion-private.h"

#include <glib/gi18n-lib.h>

#include "core/tasks/pace.h"

FbModelPart
fb_diffusion_encoder (const FbGenerate *r, FbModel *model)
{
  return r->decoder == FB_DECODER_TAESD && fb_model_has_taesd_encoder (model) ? FB_MODEL_TAESD_ENCODER : FB_MODEL_VAE_ENCODER;
}

static FbModelPart
decoder_part (const FbGenerate *r)
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

double
fb_diffusion_step_work (const FbGenerate *r, FbModel *model)
{
  return fb_pace_work (model, FB_STAGE_STEP, FB_MODEL_UNET, r->guidance_scale > 1.0 ? 2 : 1, r->height, r->width);
}

double
fb_diffusion_decode_work (const FbGenerate *r, FbModel *model)
{
  return fb_pace_work (model, FB_STAGE_DECODE, decoder_part (r), 1, r->height, r->width);
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

void
fb_diffusion_memory (const FbGenerate *r, FbModel *model, gboolean encodes, FbEstimate *estimate)
{
  guint64 activations = 0;
  guint64 loaded      = 0;

  estimate->weight_bytes = 0;
  estimate->saved_bytes  = 0;
  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    {
      guint64 bytes = fb_model_weight_bytes (model, part);

      if (fb_diffusion_needs (r, model, encodes, part))
        {
          int n = part == FB_MODEL_UNET && r->guidance_scale > 1.0 ? 2 : 1;

          loaded += fb_model_is_loaded (model, part) ? bytes : 0;
          estimate->weight_bytes += bytes;
          estimate->saved_bytes  += fb_model_is_half (model) ? 0 : fb_model_half_saves (model, part);
          activations = MAX (activations, fb_model_activation_bytes (model, part, n, r->height, r->width));
        }
    }
  estimate->peak_bytes      = estimate->weight_bytes + activations + spare_bytes (r, activations);
  estimate->available_bytes = fb_memory_available () + loaded;
}

gboolean
fb_diffusion_check_memory (const FbEstimate *estimate, int width, int height, GError **error)
{
  g_autofree char *need = NULL;
  g_autofree char *have = NULL;

  if (estimate->available_bytes == 0 || estimate->peak_bytes <= estimate->available_bytes)
    return TRUE;

  need = g_format_size (estimate->peak_bytes);
  have = g_format_size (estimate->available_bytes);
  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_MEMORY,
               _("A picture of %d×%d needs about %s of memory and %s is free; a smaller size or closing other programs would help."),
               width, height, need, have);
  return FALSE;
}
