/* core/samplers/torch-random.h: the numbers PyTorch's CPU generator draws. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

/**
 * FbTorchRandom:
 * @state: the 624 words of MT19937
 * @next: the word of @state to be given out next; 624 when they are used up
 * @spare: the second half of the last Box-Muller pair of a short draw
 * @has_spare: whether @spare is still to be given out
 *
 * The state of one `torch.Generator`. A plain value: a copy draws the same numbers again.
 */
typedef struct
{
  uint32_t state[624];
  int      next;
  double   spare;
  gboolean has_spare;
} FbTorchRandom;

/**
 * fb_torch_random_init:
 * @seed: as given to `torch.Generator.manual_seed()`; a negative seed is given as its two's complement
 *
 * Like PyTorch's generator this looks at the lower 32 bits of @seed only.
 */
void fb_torch_random_init   (FbTorchRandom *self, uint64_t seed);

/**
 * fb_torch_random_normal:
 * @out: (out): @n normally distributed numbers
 *
 * Draws what `torch.randn(n, generator=g)` draws: the same bits as PyTorch on a processor with AVX2 and FMA for n ≥ 16,
 * correctly rounded doubles below (where PyTorch takes another path). A PyTorch without AVX2 differs from both in the last bits.
 * As there, two draws of n numbers are not one draw of 2n.
 * Source: the algorithm of ATen's normal_fill (blocks of 16) and of its scalar normal_distribution.
 */
void fb_torch_random_normal (FbTorchRandom *self, float *out, size_t n);

/**
 * fb_latents_noise:
 * @out: (out): [height, width, channels], one picture's noise
 *
 * One draw of channels · height · width numbers in the order of a [1, C, H, W] tensor, laid out as [H, W, C]. Picture i of
 * a batch has a generator of its own, seeded with seed + i.
 */
void fb_latents_noise       (FbTorchRandom *self, float *out, int channels, int height, int width);
