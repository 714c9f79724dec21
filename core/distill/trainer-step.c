/* core/distill/trainer-step.c: one update of student and discriminator. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Source: Flash Diffusion, arXiv:2406.02347, algorithm 1.
 */
#include <glib/gi18n-lib.h>
#include <math.h>
#include <string.h>

#include "core/distill/losses.h"
#include "core/distill/mixture.h"
#include "core/distill/random-mask.h"
#include "core/distill/rollout.h"
#include "core/distill/trainer-private.h"

/* where the discriminator looks */
static const int adversarial_timesteps[] = { 10, 250, 500, 750 };

/* Samples of one size that go through the networks together; arrays are [n, …] */
typedef struct
{
  FbTrainer     *trainer;
  const FbPhase *phase;
  GCancellable  *cancellable;
  int            n, height, width;      /* in latent pixels */
  size_t         size;                  /* floats per sample */
  FbDraw        *draws;
  float         *contexts;
  float         *extra;                 /* what a network for inpainting sees besides, or NULL */
  float         *clean;                 /* latents of the data */
  FbNoiseLevel  *levels;                /* where student and teacher start */
  int           *start;
  double        *guidance;
  float         *noisy;                 /* what they start from */
  float         *target;                /* where the teacher gets to */
  float         *prediction;            /* and the student, in one step */
  float         *gradient;              /* of all losses with respect to @prediction */
} Group;

static void
group_clear (Group *g)
{
  g_free (g->draws);
  g_free (g->contexts);
  g_free (g->extra);
  g_free (g->clean);
  g_free (g->levels);
  g_free (g->start);
  g_free (g->guidance);
  g_free (g->noisy);
  g_free (g->target);
  g_free (g->prediction);
  g_free (g->gradient);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Group, group_clear)

/* Sample @i of the batch is the next of an endless row of epochs, each in an order of its own. */
static guint
example_of (FbTrainer *self, int i)
{
  const guint   n        = self->data->examples->len;
  const guint64 position = (guint64) self->batch * self->job->batch_size + i;
  const int     epoch    = (int) (position / n);

  if (self->order == NULL || self->epoch != epoch)
    {
      const FbDraw draw = { self->job->seed, (guint32) epoch, 0 };

      self->order = g_renew (guint, self->order, n);
      self->epoch = epoch;
      fb_draw_order (&draw, FB_DRAW_ORDER, self->order, n);
    }
  return self->order[position % n];
}

static double
between (double min, double max, double share)
{
  return min + (max - min) * share;
}

/* @members: [n] sample numbers, all of one size */
static gboolean
group_init (Group *g, const int *members, GError **error)
{
  FbTrainer         *self      = g->trainer;
  const FbDistillJob *job      = self->job;
  const int          K         = job->teacher_steps;
  const size_t       n_context = fb_trainer_context_size (self);
  const size_t       n_extra   = fb_trainer_extra_size (self, g->size);
  g_autofree double *pmf       = g_new (double, K);
  g_autofree double *timesteps = g_new (double, K);
  g_autofree float  *noise     = NULL;

  g->draws      = g_new (FbDraw, g->n);
  g->contexts   = g_new (float, g->n * n_context);
  g->extra      = n_extra > 0 ? g_new (float, g->n * n_extra) : NULL;
  g->clean      = g_new (float, g->n * g->size);
  g->levels     = g_new (FbNoiseLevel, g->n);
  g->start      = g_new (int, g->n);
  g->guidance   = g_new (double, g->n);
  g->noisy      = g_new (float, g->n * g->size);
  g->prediction = g_new (float, g->n * g->size);
  g->gradient   = g_new0 (float, g->n * g->size);
  noise         = g_new (float, g->size);

  fb_mixture_pmf (K, fb_phases_at (job->phases, job->n_phases, fb_trainer_first_use (self, self->batch))->modes, job->mode_variance, pmf);
  fb_schedule_timesteps (self->schedule, FB_SPACING_TRAILING, K, timesteps);
  for (int i = 0; i < g->n; i++)
    {
      const FbDraw     draw    = { job->seed, (guint32) self->batch, (guint32) members[i] };      /* what the teacher's solution depends on */
      const guint      index   = example_of (self, members[i]);
      const FbExample *e       = self->data->examples->pdata[index];
      const char      *caption = e->captions[fb_draw_index (&draw, FB_DRAW_CAPTION, (guint) e->n_captions)];
      float           *clean   = g->clean + i * g->size;
      float           *noisy   = g->noisy + i * g->size;

      if (!fb_trainer_read_latents (self, index, clean, error) ||
          !fb_trainer_read_caption (self, caption, g->contexts + i * n_context, error) ||
          (g->extra != NULL && !fb_trainer_mask_picture (self, e, &draw, FB_RANDOM_MASK_FULL, e->width, e->height, g->extra + i * n_extra,
                                                         g->cancellable, error)))
        return FALSE;

      g->draws[i]    = (FbDraw) { job->seed, (guint32) self->step, (guint32) members[i] };
      g->start[i]    = fb_mixture_pick (pmf, K, fb_draw_uniform (&draw, FB_DRAW_START));
      g->guidance[i] = between (job->guidance_min, job->guidance_max, fb_draw_uniform (&draw, FB_DRAW_GUIDANCE));
      g->levels[i]   = fb_noise_level (self->schedule, (int) timesteps[g->start[i]]);
      fb_draw_normal (&draw, FB_DRAW_NOISE, noise, g->size);
      if (g->start[i] == 0)                                  /* pure noise, as when pictures are made: no trace of the data */
        memcpy (noisy, noise, g->size * sizeof *noisy);
      else
        fb_noise_add (&g->levels[i], clean, noise, noisy, g->size);
    }
  g->target = g_memdup2 (g->noisy, g->n * g->size * sizeof (float));
  return TRUE;
}

/* The student's one step; its activations are kept for the way back. */
static gboolean
predict (Group *g, GError **error)
{
  g_autofree float   *timesteps = g_new (float, g->n);
  const FbNetworkCall call      = { g->n, g->height, g->width, g->noisy, timesteps, g->contexts, g->extra };

  for (int i = 0; i < g->n; i++)
    timesteps[i] = (float) g->levels[i].timestep;
  if (!fb_networks_student_begin (g->trainer->networks, &call, g->prediction, g->cancellable, error))
    return FALSE;
  for (int i = 0; i < g->n; i++)
    {
      float *prediction = g->prediction + i * g->size;

      fb_student_predict (&g->levels[i], g->noisy + i * g->size, prediction, prediction, g->size);
    }
  return TRUE;
}

/* Between pictures: only where the job gives what that takes */
static gboolean
perceptual (Group *g, double weight, FbDistillLosses *losses, GError **error)
{
  FbTrainer    *self  = g->trainer;
  const gint64  start = g_get_monotonic_time ();

  for (int i = 0; i < g->n; i++)
    {
      const size_t at = i * g->size;
      double       distance;

      if (!fb_perceptual_distance (self->perceptual, g->prediction + at, g->target + at, g->height, g->width, weight,
                                   weight > 0.0 ? g->gradient + at : NULL, &distance, g->cancellable, error))
        return FALSE;
      losses->distillation += distance;
    }
  self->perceptual_seconds += (g_get_monotonic_time () - start) * 1e-6;
  if (self->between != NULL)
    self->between (self->between_data);
  return TRUE;
}

static gboolean
distillation (Group *g, double weight, FbDistillLosses *losses, GError **error)
{
  if (g->trainer->perceptual != NULL)
    return perceptual (g, weight, losses, error);
  for (int i = 0; i < g->n; i++)
    losses->distillation += fb_loss_distillation (g->prediction + i * g->size, g->target + i * g->size, g->size, weight, g->gradient + i * g->size);
  return TRUE;
}

/* @levels, @noisy: (out): the student's pictures with noise at timesteps of each sample's own */
static void
add_noise (Group *g, FbDrawPurpose purpose, const FbNoiseLevel *levels, const float *pictures, float *noisy, float *timesteps)
{
  for (int i = 0; i < g->n; i++)
    {
      float *out = noisy + i * g->size;

      fb_draw_normal (&g->draws[i], purpose, out, g->size);
      fb_noise_add (&levels[i], pictures + i * g->size, out, out, g->size);
      timesteps[i] = (float) levels[i].timestep;
    }
}

/* Distribution matching, with the student as its own fake score: nothing flows back through networks. */
static gboolean
matching (Group *g, double weight, FbDistillLosses *losses, GError **error)
{
  FbTrainer              *self      = g->trainer;
  const FbDistillJob     *job       = self->job;
  const size_t            n         = g->n * g->size;
  g_autofree FbNoiseLevel *levels   = g_new (FbNoiseLevel, g->n);
  g_autofree float       *noisy     = g_new (float, n);
  g_autofree float       *timesteps = g_new (float, g->n);
  g_autofree float       *real      = g_new (float, n);
  g_autofree float       *no_prompt = g_new (float, n);
  g_autofree float       *fake      = g_new (float, n);
  const FbNetworkCall     call      = { g->n, g->height, g->width, noisy, timesteps, g->contexts, g->extra };

  for (int i = 0; i < g->n; i++)
    levels[i] = fb_noise_level (self->schedule, (int) fb_draw_index (&g->draws[i], FB_DRAW_MATCHING_TIMESTEP,
                                                                     (guint) self->schedule->config.n_train));
  add_noise (g, FB_DRAW_MATCHING_NOISE, levels, g->prediction, noisy, timesteps);
  if (!fb_networks_teacher (self->networks, &call, self->no_prompt, real, no_prompt, g->cancellable, error) ||
      !fb_networks_student (self->networks, &call, fake, g->cancellable, error))
    return FALSE;

  for (int i = 0; i < g->n; i++)
    {
      const size_t at       = i * g->size;
      const double guidance = between (job->guidance_min, job->guidance_max, fb_draw_uniform (&g->draws[i], FB_DRAW_MATCHING_GUIDANCE));

      fb_guide (guidance, real + at, no_prompt + at, real + at, g->size);
      losses->matching += fb_loss_matching (&levels[i], g->prediction + at, noisy + at, real + at, fake + at, g->size, weight, g->gradient + at);
    }
  return TRUE;
}

/* The discriminator learns always; the student hears of it where its loss has a weight. Pictures of both get the same noise. */
static gboolean
adversarial (Group *g, double weight, double discriminator_weight, FbDistillLosses *losses, GError **error)
{
  FbTrainer              *self      = g->trainer;
  const size_t            n         = g->n * g->size;
  g_autofree FbNoiseLevel *levels   = g_new (FbNoiseLevel, g->n);
  g_autofree float       *fake      = g_new (float, n);
  g_autofree float       *real      = g_new (float, n);
  g_autofree float       *timesteps = g_new (float, g->n);
  g_autofree float       *gradient  = weight > 0.0 ? g_new0 (float, n) : NULL;
  const FbNetworkCall     call      = { g->n, g->height, g->width, fake, timesteps, g->contexts, g->extra };
  FbAdversarial           sums      = { 0.0 };

  for (int i = 0; i < g->n; i++)
    {
      guint k = fb_draw_index (&g->draws[i], FB_DRAW_ADVERSARIAL_TIMESTEP, G_N_ELEMENTS (adversarial_timesteps));

      levels[i] = fb_noise_level (self->schedule, MIN (adversarial_timesteps[k], self->schedule->config.n_train - 1));
    }
  add_noise (g, FB_DRAW_ADVERSARIAL_NOISE, levels, g->prediction, fake, timesteps);
  add_noise (g, FB_DRAW_ADVERSARIAL_NOISE, levels, g->clean, real, timesteps);
  if (!fb_networks_adversarial (self->networks, &call, real, discriminator_weight, weight, gradient, &sums, g->cancellable, error))
    return FALSE;

  for (size_t i = 0; gradient != NULL && i < n; i++)
    g->gradient[i] += (float) levels[i / g->size].a * gradient[i];           /* y = a z + s ε */
  losses->adversarial   += sums.student;
  losses->discriminator += sums.discriminator;
  losses->real          += sums.real;
  losses->fake          += sums.fake;
  return TRUE;
}

static gboolean
go_back (Group *g, GError **error)
{
  for (int i = 0; i < g->n; i++)
    fb_student_backward (&g->levels[i], g->gradient + i * g->size, g->gradient + i * g->size, g->size);
  return fb_networks_student_backward (g->trainer->networks, g->gradient, g->cancellable, error);
}

/* @g->target: the teacher's solutions, known already or made now */
static gboolean
solve (Group *g, const int *members, GError **error)
{
  FbTrainer *self = g->trainer;

  if (self->reuse != NULL && fb_reuse_recall (self->reuse, self->batch, members, g->n, g->size, g->target))
    return TRUE;
  if (!fb_trainer_rollout (self, g->n, g->height, g->width, g->contexts, g->extra, self->job->teacher_steps, g->start, g->guidance,
                           g->target, g->cancellable, error))
    return FALSE;
  if (self->reuse != NULL)
    fb_reuse_remember (self->reuse, self->batch, members, g->n, g->size, g->target);
  return TRUE;
}

static gboolean
run_group (Group *g, const int *members, FbDistillLosses *losses, GError **error)
{
  FbTrainer   *self  = g->trainer;
  const double share = 1.0 / self->job->batch_size;
  gboolean     ok;

  if (!group_init (g, members, error) || !solve (g, members, error) || !predict (g, error))
    return FALSE;

  ok = distillation (g, share * g->phase->distillation, losses, error) &&
       (g->phase->matching == 0.0 || matching (g, share * g->phase->matching, losses, error)) &&
       (self->judge == NULL || adversarial (g, share * g->phase->adversarial, share, losses, error)) &&
       go_back (g, error);
  if (!ok)
    fb_networks_student_drop (self->networks);
  return ok;
}

/* This process's share of the batch in groups of one size, in the order in which sizes first occur */
static gboolean
run_batch (FbTrainer *self, FbDistillLosses *losses, GCancellable *cancellable, GError **error)
{
  const int        B     = self->job->batch_size / self->team->size;
  const int        scale = self->info->scale_factor;
  g_autofree int  *left  = g_new (int, B);
  int              n_left = 0;

  for (int i = 0; i < B; i++)
    left[n_left++] = self->team->rank * B + i;
  while (n_left > 0)
    {
      const FbExample *first   = self->data->examples->pdata[example_of (self, left[0])];
      g_autofree int  *members = g_new (int, n_left);
      g_auto(Group)    g       = { .trainer = self, .cancellable = cancellable,
                                   .phase = fb_phases_at (self->job->phases, self->job->n_phases, self->step),
                                   .height = first->height / scale, .width = first->width / scale,
                                   .size = fb_trainer_latents_size (self, first) };
      int              kept    = 0;

      for (int i = 0; i < n_left; i++)
        {
          const FbExample *e = self->data->examples->pdata[example_of (self, left[i])];

          if (g.n < self->job->samples_per_call && e->width == first->width && e->height == first->height)
            members[g.n++] = left[i];
          else
            left[kept++] = left[i];
        }
      n_left = kept;
      if (!run_group (&g, members, losses, error))
        return FALSE;
    }
  return TRUE;
}

/* Makes sums over this process's samples means over the whole batch. */
static void
average (FbTrainer *self, FbDistillLosses *losses)
{
  double *parts[] = { &losses->distillation, &losses->matching, &losses->adversarial, &losses->discriminator, &losses->real, &losses->fake };
  double  sums[G_N_ELEMENTS (parts)];

  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++)
    sums[i] = *parts[i];
  fb_team_sum_doubles (self->team, sums, G_N_ELEMENTS (sums));
  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++)
    *parts[i] = sums[i] / self->job->batch_size;
}

/* (transfer full): (element-type FbTrainable): of student and discriminator */
static GPtrArray *
list_trainables (FbTrainer *self)
{
  GPtrArray *judges = fb_networks_discriminator_trainables (self->networks);
  GPtrArray *all    = g_ptr_array_new ();

  g_ptr_array_extend (all, fb_networks_student_trainables (self->networks), NULL, NULL);
  if (judges != NULL)
    g_ptr_array_extend (all, judges, NULL, NULL);
  return all;
}

/* Sums the gradients over the team: all in one message. */
static void
sum_gradients (FbTrainer *self)
{
  g_autoptr(GPtrArray) all  = list_trainables (self);
  g_autofree float    *sums = NULL;
  size_t               n    = 0;

  for (guint i = 0; i < all->len; i++)
    n += ((FbTrainable *) all->pdata[i])->n;
  sums = g_new (float, n);

  n = 0;
  for (guint i = 0; i < all->len; i++)
    {
      const FbTrainable *t = all->pdata[i];

      memcpy (sums + n, t->gradient, t->n * sizeof *sums);
      n += t->n;
    }
  fb_team_sum_floats (self->team, sums, n);
  n = 0;
  for (guint i = 0; i < all->len; i++)
    {
      const FbTrainable *t = all->pdata[i];

      memcpy (t->gradient, sums + n, t->n * sizeof *sums);
      n += t->n;
    }
}

/* The same from card to card, before they are collected */
static gboolean
sum_on_cards (FbTrainer *self, GError **error)
{
  g_autoptr(GPtrArray) all   = list_trainables (self);
  g_autoptr(GPtrArray) slots = g_ptr_array_new ();

  for (guint i = 0; i < all->len; i++)
    g_ptr_array_add (slots, ((FbTrainable *) all->pdata[i])->slot);
  return fb_cards_sum (self->cards, slots, error);
}

static gboolean
check_finite (FbTrainer *self, const FbDistillLosses *losses, double judge_gradient, GError **error)
{
  const struct { double value; const char *name; } values[] =
  {
    { losses->distillation,  _("distillation loss")           },
    { losses->matching,      _("distribution matching loss")  },
    { losses->adversarial,   _("adversarial loss")            },
    { losses->discriminator, _("discriminator loss")          },
    { losses->gradient,      _("gradient of the student")     },
    { judge_gradient,        _("gradient of the discriminator") },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (values); i++)
    if (!isfinite (values[i].value))
      {
        g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_NOT_FINITE,
                     /* Translators: the second %s is what became infinite, "distillation loss" for example */
                     _("“%s”: step %d: the %s is not a number. The state before it is kept; a lower learning rate or “clip” may help."),
                     self->job->path, self->step + 1, values[i].name);
        return FALSE;
      }
  return TRUE;
}

static void
forget_gradients (FbTrainer *self)
{
  fb_trainables_collect (fb_networks_student_trainables (self->networks));
  fb_optimizer_zero (self->student);
  if (self->judge == NULL)
    return;
  fb_trainables_collect (fb_networks_discriminator_trainables (self->networks));
  fb_optimizer_zero (self->judge);
}

gboolean
fb_trainer_step (FbTrainer *self, FbDistillLosses *losses, GCancellable *cancellable, GError **error)
{
  const FbDistillJob *job           = self->job;
  double              judge_gradient = 0.0;

  *losses     = (FbDistillLosses) { 0.0 };
  self->batch = fb_trainer_batch_of (self, self->step);
  forget_gradients (self);                               /* of a step that failed or was cancelled */
  if (!fb_team_agree (self->team, run_batch (self, losses, cancellable, error), error))
    return FALSE;

  average (self, losses);
  if (self->cards != NULL && !fb_team_agree (self->team, sum_on_cards (self, error), error))
    return FALSE;
  fb_trainables_collect (fb_networks_student_trainables (self->networks));
  if (self->judge != NULL)
    fb_trainables_collect (fb_networks_discriminator_trainables (self->networks));
  if (!fb_team_agree (self->team, fb_device_check (self->dev, error), error))        /* gradients that cannot be had are zeros */
    return FALSE;
  if (self->team->size > 1 && self->cards == NULL)
    sum_gradients (self);
  losses->gradient = fb_optimizer_norm (self->student);
  if (self->judge != NULL)
    judge_gradient = fb_optimizer_norm (self->judge);
  if (!check_finite (self, losses, judge_gradient, error))
    return FALSE;

  fb_optimizer_update (self->student, fb_learning_rate (job->learning_rate, job->warm_up, self->step), losses->gradient);
  fb_trainables_push (fb_networks_student_trainables (self->networks));
  if (self->judge != NULL)
    {
      fb_optimizer_update (self->judge, fb_learning_rate (job->discriminator_learning_rate, job->warm_up, self->step), judge_gradient);
      fb_trainables_push (fb_networks_discriminator_trainables (self->networks));
    }
  self->step++;
  return TRUE;                                           /* the step is whole; a device that fails to take it over fails the next one */
}
