/* tests/bench/checkpoint.h: a full-size Stable Diffusion 1.5 with random weights. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

/**
 * bench_checkpoint:
 *
 * Makes the checkpoint unless it is there: a diffusers folder in f16 (2.1 GB) with a TAESD, in the user's cache folder. Shapes are SD 1.5's,
 * values random and of the size that training starts from, so that activations stay finite.
 *
 * Returns: (transfer full): its path
 */
char * bench_checkpoint (GError **error);
