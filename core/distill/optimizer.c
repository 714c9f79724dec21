/* core/distill/optimizer.c: AdamW over what trains. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/optimizer.h"

#include <math.h>
#include <string.h>

static void
trained_free (gpointer data)
{
  FbTrained *t = data;

  g_free (t->name);
  g_free (t->m);
  g_free (t->v);
  g_free (t->average);
  g_free (t);
}

FbOptimizer *
fb_optimizer_new (const FbOptimizerParams *params)
{
  FbOptimizer *self = g_new0 (FbOptimizer, 1);

  self->params  = *params;
  self->tensors = g_ptr_array_new_with_free_func (trained_free);
  return self;
}

void
fb_optimizer_free (FbOptimizer *self)
{
  if (self != NULL)
    g_ptr_array_unref (self->tensors);
  g_free (self);
}

void
fb_optimizer_add (FbOptimizer *self, const char *name, size_t n, float *value, float *gradient)
{
  FbTrained *t = g_new0 (FbTrained, 1);

  t->name     = g_strdup (name);
  t->n        = n;
  t->value    = value;
  t->gradient = gradient;
  t->m        = g_new0 (float, n);
  t->v        = g_new0 (float, n);
  t->average  = self->params.average > 0.0 ? g_memdup2 (value, n * sizeof *value) : NULL;
  g_ptr_array_add (self->tensors, t);
}

void
fb_optimizer_zero (FbOptimizer *self)
{
  for (guint i = 0; i < self->tensors->len; i++)
    {
      FbTrained *t = self->tensors->pdata[i];

      memset (t->gradient, 0, t->n * sizeof *t->gradient);
    }
}

double
fb_optimizer_norm (const FbOptimizer *self)
{
  double sum = 0.0;

  for (guint i = 0; i < self->tensors->len; i++)
    {
      const FbTrained *t = self->tensors->pdata[i];

      for (size_t j = 0; j < t->n; j++)
        sum += (double) t->gradient[j] * t->gradient[j];
    }
  return sqrt (sum);
}

static void
update_tensor (FbTrained *t, const FbOptimizerParams *p, int step, double rate, float scale)
{
  const float keep1 = (float) p->beta1, keep2 = (float) p->beta2;
  const float take1 = (float) (1.0 - p->beta1), take2 = (float) (1.0 - p->beta2);
  const float decay = (float) (1.0 - rate * p->weight_decay);
  const float size  = (float) (rate / (1.0 - pow (p->beta1, step)));
  const float root  = (float) sqrt (1.0 - pow (p->beta2, step));
  const float eps   = (float) p->epsilon;

  for (size_t j = 0; j < t->n; j++)
    {
      const float g = scale * t->gradient[j];

      t->m[j]     = keep1 * t->m[j] + take1 * g;
      t->v[j]     = keep2 * t->v[j] + take2 * g * g;
      t->value[j] = decay * t->value[j] - size * t->m[j] / (sqrtf (t->v[j]) / root + eps);
    }
  if (t->average != NULL)
    {
      const float keep = (float) p->average;

      for (size_t j = 0; j < t->n; j++)
        t->average[j] = keep * t->average[j] + (1.0f - keep) * t->value[j];
    }
}

void
fb_optimizer_update (FbOptimizer *self, double rate, double norm)
{
  const double most  = self->params.clip;
  const float  scale = most > 0.0 ? (float) MIN (most / (norm + 1e-6), 1.0) : 1.0f;

  self->step++;
  for (guint i = 0; i < self->tensors->len; i++)
    update_tensor (self->tensors->pdata[i], &self->params, self->step, rate, scale);
}
