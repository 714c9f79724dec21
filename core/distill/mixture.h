/* core/distill/mixture.h: which timesteps are trained, and how that shifts. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

#define FB_N_MODES       4
#define FB_MAX_PHASES    16
#define FB_MODE_VARIANCE 0.5      /* the paper's, in squares of indices, at 32 teacher steps */

/**
 * fb_mixture_pmf:
 * @n_steps: K, the teacher's steps; index 0 is pure noise. Any ≥ 1: below 4 the modes fall together.
 * @modes: shares of the modes at indices 0, ⌊K/4⌋, 2⌊K/4⌋, 3⌊K/4⌋ (timesteps 999, 749, 499, 249); ≥ 0, one of them above
 * @variance: > 0; the divisor in exp (−(i − μ)² / variance)
 * @pmf: (out): [n_steps] probabilities of the start indices
 *
 * A sum of Gaussians that are not normalised one by one: at index 0 half of one is lost.
 * Source: Flash Diffusion, arXiv:2406.02347, figure 1.
 */
void fb_mixture_pmf (int n_steps, const double modes[FB_N_MODES], double variance, double *pmf);

/* The index at which the sum of @pmf passes @uniform, in [0, 1) */
int  fb_mixture_pick (const double *pmf, int n_steps, double uniform);

/**
 * FbPhase: a stretch of training
 * @n_steps: how long; the last phase also serves what comes after
 * @modes: as above
 * @distillation, @matching, @adversarial: weights of the losses
 */
typedef struct
{
  int    n_steps;
  double modes[FB_N_MODES];
  double distillation, matching, adversarial;
} FbPhase;

/* The warm-up and three phases of the paper, @total steps in all, with its weights for Stable Diffusion; @phases: (out): [4] */
void            fb_phases_paper (int total, FbPhase *phases);
/* One phase for a job of an hour: pure noise, which few-step pictures begin with, from the first step on, and the distillation loss alone: in so
 * short a time the adversarial loss makes pictures worse (measured in data/models/starter/README.md). @phase: (out) */
void            fb_phases_short (int total, FbPhase *phase);

/* (transfer none): the phase that training step @step, from 0, belongs to */
const FbPhase * fb_phases_at    (const FbPhase *phases, int n_phases, int step);

/* The learning rate at @step, from 0: in even steps up to @rate over the first @warm_up steps */
double          fb_learning_rate (double rate, int warm_up, int step);
