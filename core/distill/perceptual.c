/* core/distill/perceptual.c: the distillation loss between pictures rather than latents. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/perceptual.h"

#include "core/nn/guard.h"
#include "core/models/family.h"
#include "core/models/loader.h"
#include "core/nn/tape.h"
#include "kernels/measure.h"

/* The two networks on one device */
typedef struct
{
  FbDevice     *dev;
  FbContext    *ctx;
  FbVaeDecoder *decoder;
  FbLpips      *lpips;
} Pair;

struct FbPerceptual
{
  FbCheckpoint *vae_file, *lpips_file;
  FbVaeConfig   vae;
  FbLpipsConfig lpips;
  Pair          pair;
  gboolean      half;
  gsize         kept_bytes;
};

static void
pair_init (Pair *pair, const FbVaeConfig *vae, const FbLpipsConfig *lpips, FbDevice *dev)
{
  pair->dev = fb_device_ref (dev);
  pair->ctx = fb_nn_context_new (dev, FB_DTYPE_F32);
  pair->decoder = fb_vae_decoder_new (vae);
  pair->lpips = fb_lpips_new (lpips, dev, FB_DTYPE_F32);
  fb_params_set_odd_sizes (fb_vae_decoder_params (pair->decoder), TRUE);     /* plain kernels: folded ones have no gradients */
}

static void
pair_clear (Pair *pair)
{
  g_clear_pointer (&pair->ctx, fb_nn_context_free);
  g_clear_pointer (&pair->decoder, fb_vae_decoder_free);
  g_clear_pointer (&pair->lpips, fb_lpips_free);
  g_clear_pointer (&pair->dev, fb_device_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Pair, pair_clear)

static FbLoader
decoder_loader (FbPerceptual *self)
{
  return (FbLoader) { .params = fb_vae_decoder_params (self->pair.decoder), .checkpoint = self->vae_file, .dev = self->pair.dev,
                      .dtype = FB_DTYPE_F32, .half = self->half };
}

static FbLoader
lpips_loader (FbPerceptual *self)
{
  return (FbLoader) { .params = fb_lpips_params (self->pair.lpips), .checkpoint = self->lpips_file, .dev = self->pair.dev,
                      .dtype = FB_DTYPE_F32, .half = self->half };
}

FbPerceptual *
fb_perceptual_new (FbModel *model, const char *weights, FbDevice *dev, GError **error)
{
  g_autoptr(FbPerceptual) self = g_new0 (FbPerceptual, 1);
  FbLoader                decoder, lpips;

  self->vae_file = fb_checkpoint_open (fb_model_path (model), "vae", error);
  if (self->vae_file == NULL || !fb_family_vae_config (fb_family_lookup (fb_model_family (model)), self->vae_file, &self->vae, error))
    return NULL;
  self->lpips_file = fb_checkpoint_open (weights, "lpips", error);
  if (self->lpips_file == NULL)
    return NULL;
  fb_lpips_config_read (&self->lpips, self->lpips_file);

  pair_init (&self->pair, &self->vae, &self->lpips, dev);
  decoder = decoder_loader (self);
  lpips = lpips_loader (self);
  return fb_loader_check (&decoder, error) && fb_loader_check (&lpips, error) && fb_device_check (dev, error) ? g_steal_pointer (&self) : NULL;
}

void
fb_perceptual_free (FbPerceptual *self)
{
  if (self == NULL)
    return;
  pair_clear (&self->pair);
  g_clear_pointer (&self->vae_file, fb_checkpoint_unref);
  g_clear_pointer (&self->lpips_file, fb_checkpoint_unref);
  g_free (self);
}

gboolean
fb_perceptual_load (FbPerceptual *self, gsize kept_bytes, GCancellable *cancellable, GError **error)
{
  const FbLoader decoder = decoder_loader (self), lpips = lpips_loader (self);

  self->kept_bytes = kept_bytes;
  return fb_loader_fill (&decoder, NULL, NULL, cancellable, error) && fb_loader_fill (&lpips, NULL, NULL, cancellable, error);
}

static void
look_at (const Pair *pair, FbTensor *latents, FbTensor *features[FB_LPIPS_N_LAYERS])
{
  FbTensor *picture = fb_vae_decoder_forward (pair->ctx, pair->decoder, latents);

  fb_lpips_features (pair->ctx, pair->lpips, fb_nn_activation (pair->ctx, picture, FB_ACT_CLAMP), features);
}

/* The distance between the pictures of @prediction and @target; with @tape, which @prediction is watched on, its gradient is left there. */
static FbTensor *
compare (const Pair *pair, FbTape *tape, FbTensor *prediction, FbTensor *target, float weight)
{
  const int one = 1;
  FbTensor *seen[FB_LPIPS_N_LAYERS], *wanted[FB_LPIPS_N_LAYERS], *distance;

  look_at (pair, target, wanted);
  fb_nn_set_tape (pair->ctx, tape);
  look_at (pair, prediction, seen);
  distance = fb_lpips_distance (pair->ctx, pair->lpips, seen, wanted);
  fb_nn_set_tape (pair->ctx, NULL);
  if (tape != NULL)
    fb_tape_backward (tape, distance, fb_nn_upload (pair->ctx, FB_DTYPE_F32, &weight, 1, &one));

  return distance;
}

/* (transfer full): a tape for the gradient of @latents alone */
static FbTape *
new_tape (const Pair *pair, FbTensor *latents, gsize kept_bytes)
{
  FbTape *tape = fb_tape_new (pair->dev, kept_bytes);

  fb_tape_freeze (tape);
  fb_tape_watch (tape, latents);
  return tape;
}

void
fb_perceptual_set_half (FbPerceptual *self, gboolean half)
{
  self->half = half;
}

guint64
fb_perceptual_weight_bytes (FbPerceptual *self)
{
  const FbLoader decoder = decoder_loader (self), lpips = lpips_loader (self);

  return fb_loader_bytes (&decoder) + fb_loader_bytes (&lpips);
}

guint64
fb_perceptual_measure (const FbVaeConfig *vae, const FbLpipsConfig *lpips, int height, int width)
{
  const int           shape[] = { 1, MIN (height, FB_PERCEPTUAL_CROP), MIN (width, FB_PERCEPTUAL_CROP), vae->latent_channels };
  g_autoptr(FbDevice) dev     = fb_device_new_measure ();
  g_auto(Pair)        pair    = { NULL };
  g_autoptr(FbTape)   tape    = NULL;
  FbTensor           *latents;
  gsize               before;

  pair_init (&pair, vae, lpips, dev);
  fb_params_fill_with_nothing (fb_vae_decoder_params (pair.decoder), dev, FB_DTYPE_F32);
  fb_params_fill_with_nothing (fb_lpips_params (pair.lpips), dev, FB_DTYPE_F32);
  before = fb_device_bytes_in_use (dev);

  fb_device_reset_peak (dev);
  latents = fb_nn_upload (pair.ctx, FB_DTYPE_F32, NULL, 4, shape);
  tape = new_tape (&pair, latents, 0);
  compare (&pair, tape, latents, fb_nn_upload (pair.ctx, FB_DTYPE_F32, NULL, 4, shape), 1.0f);
  return fb_device_bytes_peak (dev) - before;
}

guint64
fb_perceptual_activation_bytes (FbPerceptual *self, int height, int width)
{
  return fb_perceptual_measure (&self->vae, &self->lpips, height, width);
}

/* --- a pair of latents ---------------------------------------------------------------------------------------------------- */

/* The middle of latents, with which it shares rows of @width */
typedef struct
{
  int height, width;               /* of the middle */
  int n_channels;
  int first, step;                 /* floats: where its first row begins, and from row to row */
} Middle;

static Middle
middle_of (int height, int width, int n_channels)
{
  const int h = MIN (height, FB_PERCEPTUAL_CROP), w = MIN (width, FB_PERCEPTUAL_CROP);

  return (Middle) { h, w, n_channels, ((height - h) / 2 * width + (width - w) / 2) * n_channels, width * n_channels };
}

/* (transfer none): the middle of @latents as the decoder takes them */
static FbTensor *
upload_middle (FbPerceptual *self, const Middle *m, const float *latents)
{
  const int         shape[] = { 1, m->height, m->width, m->n_channels };
  const int         row     = m->width * m->n_channels;
  g_autofree float *values  = g_new (float, (gsize) m->height * row);

  for (int y = 0; y < m->height; y++)
    for (int i = 0; i < row; i++)
      values[(gsize) y * row + i] = latents[m->first + (gsize) y * m->step + i] / self->vae.scaling_factor + self->vae.shift_factor;

  return fb_nn_upload (self->pair.ctx, FB_DTYPE_F32, values, 4, shape);
}

static void
add_gradient (FbPerceptual *self, const Middle *m, FbTensor *dmiddle, float *gradient)
{
  const int         row    = m->width * m->n_channels;
  g_autofree float *values = g_new0 (float, (gsize) m->height * row);

  if (dmiddle != NULL)                                       /* NULL only where the device has failed */
    fb_tensor_download (dmiddle, values, FB_DTYPE_F32);
  for (int y = 0; y < m->height; y++)
    for (int i = 0; i < row; i++)
      gradient[m->first + (gsize) y * m->step + i] += values[(gsize) y * row + i] / self->vae.scaling_factor;
}

gboolean
fb_perceptual_distance (FbPerceptual *self, const float *prediction, const float *target, int height, int width, double weight,
                        float *gradient, double *distance, GCancellable *cancellable, GError **error)
{
  const Middle      middle = middle_of (height, width, self->vae.latent_channels);
  g_autoptr(FbTape) tape   = NULL;
  FbTensor         *latents, *d;
  float             value  = 0.0f;
  FbGuard           guard;

  if (!fb_guard_begin (&guard, self->pair.dev, cancellable, error))
    return FALSE;

  latents = upload_middle (self, &middle, prediction);
  if (gradient != NULL)
    tape = new_tape (&self->pair, latents, self->kept_bytes);
  d = compare (&self->pair, tape, latents, upload_middle (self, &middle, target), (float) weight);
  fb_tensor_download (d, &value, FB_DTYPE_F32);
  if (gradient != NULL)
    add_gradient (self, &middle, fb_tape_gradient (tape, latents), gradient);
  *distance = value;

  fb_nn_reset (self->pair.ctx);
  return fb_guard_end (&guard, error);
}
