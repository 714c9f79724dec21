/* core/models/model-step.c: a denoising step that the device replays. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * From step to step only values change: latents, timestep, prompt. They are put into tensors that stay where they are, and what lies between
 * them and the prediction is recorded (kernels/recording.h). */
#include <string.h>

#include "core/models/model-private.h"
#include "kernels/elementwise.h"
#include "kernels/recording.h"

#define LARGEST_AREA (2 * 96 * 96)     /* latent pixels of a batch: beyond, launching costs little of a step, and a replay is not cut short by a cancel */

/**
 * FbModelStep:
 * @context: the model's own tensor for prompts, whose values change in place
 * @time: [1 or n, channels], what fb_unet_embed_time() gives
 */
struct FbModelStep
{
  FbTensor    *latents, *time, *context, *out;
  FbRecording *recording;
};

void
fb_model_forget_step (FbModel *model)
{
  FbModelStep *step = g_steal_pointer (&model->step);

  if (step == NULL)
    return;

  fb_recording_free (step->recording);
  fb_tensor_unref (step->latents);
  fb_tensor_unref (step->time);
  fb_tensor_unref (step->context);
  fb_tensor_unref (step->out);
  g_free (step);
}

guint64
fb_model_step_bytes (FbModel *model)
{
  return model->step != NULL ? fb_recording_bytes (model->step->recording) : 0;
}

static gboolean
fits (const FbTensor *t, const FbTensor *like)
{
  return t->dtype == like->dtype && t->n_dims == like->n_dims && memcmp (t->shape, like->shape, sizeof t->shape) == 0;
}

/* The step whose tensors are those of this call: the last one, or a new one */
static FbModelStep *
find_step (FbModel *model, const FbTensor *latents, const FbTensor *time, FbTensor *context)
{
  FbModelStep *step = model->step;
  int          shape[FB_MAX_DIMS];

  if (step != NULL && fits (step->latents, latents) && fits (step->time, time) && step->context == context)
    return step;

  fb_model_forget_step (model);
  step = model->step = g_new0 (FbModelStep, 1);
  memcpy (shape, latents->shape, sizeof shape);
  shape[latents->n_dims - 1] = fb_unet_config (model->unet)->out_channels;
  step->recording = fb_recording_new (model->dev);
  step->latents = fb_tensor_new (model->dev, latents->dtype, latents->n_dims, latents->shape);
  step->time = fb_tensor_new (model->dev, time->dtype, time->n_dims, time->shape);
  step->context = fb_tensor_ref (context);
  step->out = fb_tensor_new (model->dev, FB_DTYPE_F32, latents->n_dims, shape);

  return step;
}

/* What is recorded: from the step's tensors to its output */
static void
predict (gpointer data)
{
  FbModel           *model      = data;
  const FbModelStep *step       = model->step;
  FbUnetConditions   conditions = { .context = step->context, .time = step->time };

  fb_nn_scope_begin (model->ctx);
  fb_op_cast (model->dev, step->out, fb_unet_forward (model->ctx, model->unet, step->latents, &conditions));
  fb_nn_scope_end (model->ctx, NULL);
}

FbTensor *
fb_model_predict (FbModel *model, FbTensor *latents, const FbUnetConditions *conditions)
{
  const int          *shape = latents->shape;
  const FbModelStep  *step;
  FbTensor           *time;

  if (!fb_recording_is_possible (model->dev) || model->plain_kernels || (gint64) shape[0] * shape[1] * shape[2] > LARGEST_AREA)
    return fb_unet_forward (model->ctx, model->unet, latents, conditions);

  time = fb_unet_embed_time (model->ctx, model->unet, conditions, shape[0]);
  step = find_step (model, latents, time, conditions->context);
  fb_op_cast (model->dev, step->latents, latents);
  fb_op_cast (model->dev, step->time, time);
  fb_recording_run (step->recording, predict, model);

  return step->out;
}
