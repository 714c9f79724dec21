/* core/distill/networks.c: teacher, student and discriminator over one copy of the weights. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/networks.h"

#include <string.h>

#include "core/distill/discriminator.h"
#include "core/nn/guard.h"
#include "core/distill/losses.h"
#include "core/models/unet.h"
#include "core/nn/tape.h"

struct FbNetworks
{
  FbModel         *model;
  FbUnet          *unet;
  FbDevice        *dev;
  FbContext       *ctx;                 /* the model's */
  FbContext       *judge;               /* the discriminator's, f32 */
  FbLoraSet       *lora;
  FbDiscriminator *discriminator;
  gsize            kept_bytes;
  double           n_calls;
  void          (* between) (gpointer data);
  gpointer         between_data;

  FbTape          *tape;                /* of the student between begin and backward */
  FbTensor        *output;
};

FbNetworks *
fb_networks_new (FbModel *model, const FbLoraSettings *lora, int discriminator_side, gsize kept_bytes, guint64 seed,
                 GCancellable *cancellable, GError **error)
{
  g_autoptr(FbNetworks) self = g_new0 (FbNetworks, 1);

  self->model = model;
  fb_model_set_plain_kernels (model, TRUE);
  fb_model_hold (model, FB_MODEL_UNET, TRUE);
  if (!fb_model_load (model, FB_MODEL_UNET, NULL, NULL, cancellable, error))
    return NULL;

  self->unet       = fb_model_unet (model);
  self->ctx        = fb_model_context (model);
  self->dev        = fb_nn_device (self->ctx);
  self->judge      = fb_nn_context_new (self->dev, FB_DTYPE_F32);
  self->kept_bytes = kept_bytes;
  self->lora       = fb_lora_set_new (fb_unet_params (self->unet), self->dev, fb_nn_dtype (self->ctx), lora, error);
  if (self->lora == NULL)
    return NULL;
  if (discriminator_side > 0)
    self->discriminator = fb_discriminator_new (self->dev, fb_unet_feature_channels (self->unet), discriminator_side, seed);
  return fb_device_check (self->dev, error) ? g_steal_pointer (&self) : NULL;
}

void
fb_networks_free (FbNetworks *self)
{
  if (self == NULL)
    return;
  fb_networks_student_drop (self);
  fb_model_hold (self->model, FB_MODEL_UNET, FALSE);
  g_clear_pointer (&self->lora, fb_lora_set_free);
  g_clear_pointer (&self->discriminator, fb_discriminator_free);
  g_clear_pointer (&self->judge, fb_nn_context_free);
  g_free (self);
}

GPtrArray *
fb_networks_student_trainables (FbNetworks *self)
{
  return fb_lora_set_trainables (self->lora);
}

GPtrArray *
fb_networks_discriminator_trainables (FbNetworks *self)
{
  return self->discriminator != NULL ? fb_discriminator_trainables (self->discriminator) : NULL;
}

void
fb_networks_set_between (FbNetworks *self, void (* func) (gpointer data), gpointer data)
{
  self->between      = func;
  self->between_data = data;
}

double
fb_networks_n_calls (const FbNetworks *self)
{
  return self->n_calls;
}

/* What follows each computation under a guard */
static gboolean
end (FbGuard *guard, FbNetworks *self, GError **error)
{
  fb_nn_set_tape (self->ctx, NULL);
  fb_nn_set_tape (self->judge, NULL);
  fb_nn_set_lora_enabled (self->ctx, FALSE);
  fb_nn_reset (self->ctx);
  fb_nn_reset (self->judge);
  if (!fb_guard_end (guard, error))
    return FALSE;
  if (self->between != NULL)
    self->between (self->between_data);
  return TRUE;
}

/* --- what goes in ------------------------------------------------------------------------------------------------------- */

/* @latents and what the network sees besides, pixel by pixel: (transfer full): [n, height, width, unet_channels]; %NULL where there is nothing else */
static float *
join (FbNetworks *self, const FbNetworkCall *call, const float *latents)
{
  const FbModelInfo *info = fb_model_info (self->model);
  const int          C = info->latent_channels, E = info->unet_channels - C;
  const size_t       n_pixels = (size_t) call->n * call->height * call->width;
  float             *all;

  g_assert ((call->extra != NULL) == (E > 0));
  if (call->extra == NULL)
    return NULL;
  all = g_new (float, n_pixels * (C + E));
  for (size_t i = 0; i < n_pixels; i++)
    {
      memcpy (all + i * (C + E), latents + i * C, C * sizeof *all);
      memcpy (all + i * (C + E) + C, call->extra + i * E, E * sizeof *all);
    }
  return all;
}

/* --- calls without gradients --------------------------------------------------------------------------------------------- */

static size_t
sample_size (FbNetworks *self, const FbNetworkCall *call)
{
  return (size_t) call->height * call->width * fb_model_info (self->model)->latent_channels;
}

static gboolean
denoise (FbNetworks *self, gboolean student, const FbNetworkCall *call, float *out, GCancellable *cancellable, GError **error)
{
  g_autofree float *joined  = join (self, call, call->latents);
  const FbDenoise   request = { .latents = joined != NULL ? joined : call->latents, .n = call->n, .height = call->height, .width = call->width,
                                .timesteps = call->timesteps, .context = call->contexts, .n_tokens = FB_MODEL_CHUNK };
  gboolean          ok;

  fb_nn_set_lora_enabled (self->ctx, student);
  ok = fb_model_denoise (self->model, &request, out, cancellable, error);
  fb_nn_set_lora_enabled (self->ctx, FALSE);
  self->n_calls += call->n;
  if (ok && self->between != NULL)
    self->between (self->between_data);
  return ok;
}

gboolean
fb_networks_student (FbNetworks *self, const FbNetworkCall *call, float *output, GCancellable *cancellable, GError **error)
{
  return denoise (self, TRUE, call, output, cancellable, error);
}

/* (transfer full) (nullable): [2 n, size]: @values twice */
static float *
twice (const float *values, size_t n)
{
  float *out = values != NULL ? g_new (float, 2 * n) : NULL;

  for (int half = 0; half < 2 && out != NULL; half++)
    memcpy (out + half * n, values, n * sizeof *out);
  return out;
}

gboolean
fb_networks_teacher (FbNetworks *self, const FbNetworkCall *call, const float *no_prompt, float *conditional, float *unconditional,
                     GCancellable *cancellable, GError **error)
{
  const FbModelInfo  *info      = fb_model_info (self->model);
  const int           n         = call->n;
  const size_t        size      = n * sample_size (self, call);
  const size_t        n_context = (size_t) FB_MODEL_CHUNK * info->context_width;
  g_autofree float   *latents   = twice (call->latents, size);
  g_autofree float   *extra     = twice (call->extra, size / info->latent_channels * (info->unet_channels - info->latent_channels));
  g_autofree float   *timesteps = twice (call->timesteps, n);
  g_autofree float   *contexts  = twice (call->contexts, n * n_context);
  g_autofree float   *output    = g_new (float, 2 * size);
  const FbNetworkCall both      = { 2 * n, call->height, call->width, latents, timesteps, contexts, extra };

  for (int i = 0; i < n; i++)
    memcpy (contexts + (n + i) * n_context, no_prompt, n_context * sizeof *contexts);
  if (!denoise (self, FALSE, &both, output, cancellable, error))
    return FALSE;
  memcpy (conditional, output, size * sizeof *output);
  memcpy (unconditional, output + size, size * sizeof *output);
  return TRUE;
}

/* --- calls with gradients ------------------------------------------------------------------------------------------------ */

static FbTensor *
upload_input (FbNetworks *self, FbDtype dtype, const FbNetworkCall *call, const float *latents)
{
  const int         shape[] = { call->n, call->height, call->width, fb_model_info (self->model)->unet_channels };
  g_autofree float *joined  = join (self, call, latents);

  return fb_nn_upload (self->ctx, dtype, joined != NULL ? joined : latents, 4, shape);
}

static FbUnetConditions
upload_conditions (FbNetworks *self, const FbNetworkCall *call)
{
  const int shape[] = { call->n, FB_MODEL_CHUNK, fb_model_info (self->model)->context_width };

  return (FbUnetConditions) { .timesteps = call->timesteps,
                              .context   = fb_nn_upload (self->ctx, fb_nn_dtype (self->ctx), call->contexts, 3, shape) };
}

gboolean
fb_networks_student_begin (FbNetworks *self, const FbNetworkCall *call, float *output, GCancellable *cancellable, GError **error)
{
  FbUnetConditions conditions;
  FbTensor        *latents;
  FbGuard          guard;

  g_assert (self->tape == NULL);
  if (!fb_guard_begin (&guard, self->dev, cancellable, error))
    return FALSE;

  conditions = upload_conditions (self, call);
  latents    = upload_input (self, fb_nn_dtype (self->ctx), call, call->latents);
  self->tape = fb_tape_new (self->dev, self->kept_bytes);
  fb_nn_set_tape (self->ctx, self->tape);
  fb_nn_set_lora_enabled (self->ctx, TRUE);
  self->output = fb_tensor_ref (fb_unet_forward (self->ctx, self->unet, latents, &conditions));
  fb_tensor_download (self->output, output, FB_DTYPE_F32);
  self->n_calls += call->n;

  if (end (&guard, self, error))
    return TRUE;
  fb_networks_student_drop (self);
  return FALSE;
}

gboolean
fb_networks_student_backward (FbNetworks *self, const float *doutput, GCancellable *cancellable, GError **error)
{
  FbGuard   guard;
  gboolean  ok;

  g_assert (self->tape != NULL);
  ok = fb_guard_begin (&guard, self->dev, cancellable, error);
  if (ok)
    {
      self->n_calls += 2 * self->output->shape[0];
      fb_nn_set_lora_enabled (self->ctx, TRUE);                /* blocks that were not kept are computed again */
      fb_tape_backward (self->tape, self->output, fb_nn_upload (self->ctx, self->output->dtype, doutput, 4, self->output->shape));
      ok = end (&guard, self, error);
    }
  fb_networks_student_drop (self);
  return ok;
}

void
fb_networks_student_drop (FbNetworks *self)
{
  g_clear_pointer (&self->tape, fb_tape_free);
  g_clear_pointer (&self->output, fb_tensor_unref);
}

/* The discriminator's turn: its gradients for pictures with these features, and what it thinks */
static void
judge (FbNetworks *self, FbTensor *features, gboolean is_real, double weight, double *loss, double *mean)
{
  const int         n       = features->shape[0];
  g_autofree float *logits  = g_new (float, n);
  g_autofree float *dlogits = g_new0 (float, n);
  g_autoptr(FbTape) tape    = fb_tape_new (self->dev, G_MAXSIZE);
  FbTensor         *patches;

  fb_nn_set_tape (self->judge, tape);
  patches = fb_discriminator_forward (self->judge, self->discriminator, features);
  fb_discriminator_logits (patches, logits);
  for (int i = 0; i < n; i++)
    *loss += fb_loss_discriminator (logits + i, 1, is_real, weight, dlogits + i);
  *mean += n * fb_mean_sigmoid (logits, n);
  fb_tape_backward (tape, patches, fb_discriminator_dlogits (self->judge, patches, dlogits));
  fb_nn_set_tape (self->judge, NULL);
}

/* The student's turn: back through the discriminator and the teacher's features to the latents, which are the first channels of @input */
static void
fool (FbNetworks *self, FbTape *tape, FbTensor *input, FbTensor *features, double weight, double *loss, float *dlatents)
{
  const int         n       = features->shape[0];
  const int         C       = fb_model_info (self->model)->latent_channels, all = input->shape[3];
  const size_t      size    = fb_tensor_n_elements (input);
  g_autofree float *logits  = g_new (float, n);
  g_autofree float *dlogits = g_new0 (float, n);
  g_autofree float *added   = g_new0 (float, size);
  FbTensor         *patches, *gradient;

  fb_nn_set_tape (self->judge, tape);
  patches = fb_discriminator_forward (self->judge, self->discriminator, features);
  fb_discriminator_logits (patches, logits);
  for (int i = 0; i < n; i++)
    *loss += fb_loss_adversarial (logits + i, 1, weight, dlogits + i);
  fb_tape_backward (tape, patches, fb_discriminator_dlogits (self->judge, patches, dlogits));
  gradient = fb_tape_gradient (tape, input);
  if (gradient != NULL)
    fb_tensor_download (gradient, added, FB_DTYPE_F32);
  for (size_t i = 0; i < size / all; i++)
    for (int c = 0; c < C; c++)
      dlatents[i * C + c] += added[i * all + c];
}

gboolean
fb_networks_adversarial (FbNetworks *self, const FbNetworkCall *call, const float *real, double discriminator_weight, double student_weight,
                         float *dlatents, FbAdversarial *sums, GCancellable *cancellable, GError **error)
{
  const FbDtype     dtype = fb_nn_dtype (self->ctx);
  g_autoptr(FbTape) tape  = NULL;
  FbUnetConditions  conditions;
  FbTensor         *input, *fake_features, *real_features;
  FbGuard           guard;

  if (!fb_guard_begin (&guard, self->dev, cancellable, error))
    return FALSE;

  conditions    = upload_conditions (self, call);
  real_features = fb_unet_forward_features (self->ctx, self->unet, upload_input (self, dtype, call, real), &conditions);
  input         = upload_input (self, dtype, call, call->latents);
  if (dlatents != NULL)
    {
      tape = fb_tape_new (self->dev, self->kept_bytes);
      fb_tape_freeze (tape);
      fb_tape_watch (tape, input);
      fb_nn_set_tape (self->ctx, tape);
    }
  fake_features = fb_unet_forward_features (self->ctx, self->unet, input, &conditions);
  fb_nn_set_tape (self->ctx, NULL);

  judge (self, real_features, TRUE, discriminator_weight, &sums->discriminator, &sums->real);
  judge (self, fake_features, FALSE, discriminator_weight, &sums->discriminator, &sums->fake);
  if (dlatents != NULL)
    fool (self, tape, input, fake_features, student_weight, &sums->student, dlatents);
  self->n_calls += call->n * (dlatents != NULL ? 2 : 1);
  return end (&guard, self, error);
}
