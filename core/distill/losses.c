/* core/distill/losses.c: the losses of Flash Diffusion and their gradients. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/losses.h"

#include <math.h>

double
fb_loss_distillation (const float *prediction, const float *target, size_t n, double weight, float *gradient)
{
  const float scale = (float) (2.0 * weight / (double) n);
  double      sum   = 0.0;

  for (size_t i = 0; i < n; i++)
    {
      float difference = prediction[i] - target[i];

      sum += (double) difference * difference;
      if (gradient != NULL)
        gradient[i] += scale * difference;
    }
  return sum / (double) n;
}

double
fb_loss_matching (const FbNoiseLevel *level, const float *prediction, const float *noisy, const float *real, const float *fake,
                  size_t n, double weight, float *gradient)
{
  const float kz = (float) level->from_latents, ko = (float) level->from_output;
  double      distance = 0.0, sum = 0.0, w;
  float       scale;

  for (size_t i = 0; i < n; i++)
    distance += fabs ((double) (prediction[i] - (kz * noisy[i] + ko * real[i])));
  w = 1.0 / (distance / (double) n + 1e-5);
  scale = (float) (2.0 * weight * w / (double) n);

  for (size_t i = 0; i < n; i++)
    {
      float g = ko * (fake[i] - real[i]);

      sum += (double) g * g;
      if (gradient != NULL)
        gradient[i] += scale * g;
    }
  return w * w * sum / (double) n;
}

static double
sigmoid (double x)
{
  return 1.0 / (1.0 + exp (-x));
}

/* factor · mean ((sigmoid (logit) − target)²) */
static double
least_squares (const float *logits, size_t n, double target, double factor, double weight, float *gradient)
{
  double sum = 0.0;

  for (size_t i = 0; i < n; i++)
    {
      double p = sigmoid (logits[i]);

      sum += (p - target) * (p - target);
      if (gradient != NULL)
        gradient[i] += (float) (weight * factor * 2.0 * (p - target) * p * (1.0 - p) / (double) n);
    }
  return factor * sum / (double) n;
}

double
fb_loss_adversarial (const float *logits, size_t n, double weight, float *gradient)
{
  return least_squares (logits, n, 1.0, 1.0, weight, gradient);
}

double
fb_loss_discriminator (const float *logits, size_t n, gboolean is_real, double weight, float *gradient)
{
  return least_squares (logits, n, is_real ? 1.0 : 0.0, 0.5, weight, gradient);
}

double
fb_mean_sigmoid (const float *logits, size_t n)
{
  double sum = 0.0;

  for (size_t i = 0; i < n; i++)
    sum += sigmoid (logits[i]);
  return sum / (double) n;
}
