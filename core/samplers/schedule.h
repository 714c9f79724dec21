/* core/samplers/schedule.h: noise schedules and where on them samplers step. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <json-glib/json-glib.h>

typedef enum
{
  FB_SCHEDULE_ERROR_CONFIG,     /* a scheduler_config.json asks for something unknown or impossible */
  FB_SCHEDULE_ERROR_SPACING,    /* no timestep spacing of that name */
} FbScheduleError;
#define FB_SCHEDULE_N_ERRORS (FB_SCHEDULE_ERROR_SPACING + 1)

#define FB_SCHEDULE_ERROR (fb_schedule_error_quark ())
GQuark fb_schedule_error_quark (void);

typedef enum
{
  FB_PREDICT_EPSILON,           /* the network names the noise ε */
  FB_PREDICT_V,                 /* the network names the velocity v = a ε − s x0 */
} FbPrediction;

typedef enum
{
  FB_BETAS_LINEAR,              /* β from beta_start to beta_end */
  FB_BETAS_SCALED_LINEAR,       /* √β from √beta_start to √beta_end */
} FbBetas;

/* where N steps lie on T training timesteps; Lin et al., arXiv:2305.08891, table 2 */
typedef enum
{
  FB_SPACING_DEFAULT,           /* the sampler's own or the schedule's */
  FB_SPACING_TRAILING,          /* T − 1 first, strides of T / N; the end is one stride below the last step */
  FB_SPACING_LEADING,           /* multiples of ⌊T / N⌋, plus steps_offset; never starts at pure noise */
  FB_SPACING_LINSPACE,          /* T − 1 and 0 included */
} FbSpacing;

/**
 * FbScheduleConfig: what a diffusers scheduler_config.json says
 * @n_train: T, training timesteps; 2 … 100000
 * @beta_start, @beta_end: in (0, 1)
 * @trained_betas: (nullable): @n_train values that replace @betas and its ends
 * @spacing: never %FB_SPACING_DEFAULT
 * @steps_offset: added to leading timesteps; 0 or 1 in practice
 * @set_alpha_to_one: whether DDIM's last step ends without noise, rather than at timestep 0
 * @zero_snr: whether the betas are rescaled so that timestep T − 1 is (next to) pure noise; same source, algorithm 1
 */
typedef struct
{
  int           n_train;
  double        beta_start, beta_end;
  FbBetas       betas;
  const double *trained_betas;
  FbPrediction  prediction;
  FbSpacing     spacing;
  int           steps_offset;
  gboolean      set_alpha_to_one;
  gboolean      zero_snr;
} FbScheduleConfig;

/* Stable Diffusion 1.x (and SDXL) as trained, for checkpoints that bring no scheduler_config.json; spacing trailing */
extern const FbScheduleConfig fb_schedule_config_sd;

/* The noise that the x4 upscaler's low-resolution picture was trained with */
extern const FbScheduleConfig fb_schedule_config_low_res;

/**
 * FbSchedule:
 * @config: as given, @config.trained_betas pointing nowhere
 * @alphas_cumprod: [n_train]: Ā_t, the share of the picture's variance left at timestep t; falls from near 1 to near 0
 *
 * Immutable. Ā has the value of the f32 that diffusers keeps. At timestep t a picture x0 has become z = a x0 + s ε with a = √Ā, s = √(1 − Ā); σ = s / a.
 */
typedef struct FbSchedule
{
  FbScheduleConfig config;
  double          *alphas_cumprod;
} FbSchedule;

/* (transfer full): checks @config, whose ranges stand above */
FbSchedule * fb_schedule_new       (const FbScheduleConfig *config, GError **error);

/**
 * fb_schedule_new_from_json:
 * @object: the top of a scheduler_config.json
 *
 * Reads what describes the noise and takes a missing key's default from the class that the file names. Keys that choose a solver are
 * for the sampler to decide and are ignored, and so is clip_sample, which means pixels, not latents. What would change the result
 * and is unknown here (another beta_schedule, prediction_type "sample", thresholding) is an error that names it.
 * Source: the schedulers' constructors in diffusers 0.42.
 *
 * Returns: (transfer full)
 */
FbSchedule * fb_schedule_new_from_json (JsonObject *object, GError **error);
void         fb_schedule_free      (FbSchedule *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbSchedule, fb_schedule_free)

/**
 * fb_schedule_sigma:
 * @t: timestep, −1 … n_train − 1, may lie between two
 *
 * Noise over picture, σ = s / a. Linear between whole timesteps, as diffusers does it, and on to σ = 0 at t = −1, where the trailing
 * spacing ends.
 */
double       fb_schedule_sigma     (const FbSchedule *self, double t);

/**
 * fb_schedule_timesteps:
 * @spacing: not %FB_SPACING_DEFAULT
 * @n_steps: 1 … n_train
 * @timesteps: (out): [n_steps], falling; whole numbers but for linspace
 *
 * The lists of diffusers, bit for bit. One step of leading or linspace spacing runs at the lowest level (steps_offset or 0), there as
 * here: it can remove next to no noise.
 */
void         fb_schedule_timesteps (const FbSchedule *self, FbSpacing spacing, int n_steps, double *timesteps);

/**
 * fb_spacing_from_name:
 * @name: "trailing", "leading", "linspace"; "" is %FB_SPACING_DEFAULT
 */
gboolean     fb_spacing_from_name  (const char *name, FbSpacing *spacing, GError **error);
