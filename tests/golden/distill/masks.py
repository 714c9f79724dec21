#!/usr/bin/env python3
"""What a student for inpainting is shown: random masks and the picture around them. SPDX-License-Identifier: LGPL-3.0-or-later

Writes masks.safetensors with PyTorch 2.15, NumPy 2 and diffusers 0.42. The masks are written here from the description in
core/distill/random-mask.h, with the random numbers of method.py; mask and masked latents are what StableDiffusionInpaintPipeline's
prepare_mask_latents() makes of them with ../pipeline's autoencoder in f32, its noise replaced by method.py's.

  <i>.rows, <i>.columns     sums of mask i (seed 7, step i, sample 1; a quarter covers everything) over the columns and rows of 48×64 pixels
  <i>.mask, <i>.latents     [6, 8], [6, 8, 4], channels last

Channel c of pixel (x, y) of the picture is (7 (3 (64 y + x) + c)) mod 256. Masks are exact; the latents' tolerance, 1e-4 of the largest, is for
the order of sums in the autoencoder.
"""
import os
from unittest import mock

import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline
from safetensors.torch import save_file

import method

HEIGHT, WIDTH, FULL = 48, 64, 0.25
MASK, MASKED_POSTERIOR = 15, 16         # what the numbers are drawn for
here = os.path.dirname(os.path.abspath(__file__))


class Numbers:
    """uniform numbers one after another, two from each block of bits"""

    def __init__(self, draw):
        b = [int(v) for v in draw.bits(MASK, 0, 32).reshape(-1)]
        self.values = iter([(((b[i] << 32) | b[i + 1]) >> 11) * 2.0 ** -53 for i in range(0, len(b), 2)])

    def __call__(self, low, high):
        return low + (high - low) * next(self.values)

    def count(self, most):
        return 1 + int(self(0, most))


def random_mask(draw):
    numbers, side = Numbers(draw), min(HEIGHT, WIDTH)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    kind = numbers(0, 1)
    if kind < FULL:
        return ~mask
    if kind < FULL + 0.5 * (1 - FULL):
        for _ in range(numbers.count(3)):
            radius = side * numbers(0.04, 0.15)
            px, py, angle = numbers(0, WIDTH), numbers(0, HEIGHT), numbers(0, 2 * np.pi)
            for _ in range(numbers.count(6)):
                length = side * numbers(0.1, 0.5)
                qx, qy = np.clip(px + length * np.cos(angle), 0, WIDTH), np.clip(py + length * np.sin(angle), 0, HEIGHT)
                dx, dy = qx - px, qy - py
                square = dx * dx + dy * dy
                along = np.clip(((x - px) * dx + (y - py) * dy) / square, 0, 1) if square > 0 else np.zeros_like(x)
                mask |= (x - px - along * dx) ** 2 + (y - py - along * dy) ** 2 <= radius * radius
                px, py = qx, qy
                angle += np.pi + numbers(-0.6 * np.pi, 0.6 * np.pi)
        return mask
    for _ in range(numbers.count(3)):
        is_round = numbers(0, 1) < 0.5
        half_width, half_height = 0.5 * WIDTH * numbers(0.15, 0.7), 0.5 * HEIGHT * numbers(0.15, 0.7)
        cx, cy = numbers(0, WIDTH), numbers(0, HEIGHT)
        inside = (x >= int(cx - half_width)) & (x < int(cx + half_width)) & (y >= int(cy - half_height)) & (y < int(cy + half_height))
        mask |= inside & (((x - cx) / half_width) ** 2 + ((y - cy) / half_height) ** 2 <= 1) if is_round else inside
    return mask


pipe = StableDiffusionInpaintPipeline.from_pretrained(os.path.join(here, "..", "pipeline", "model"), torch_dtype=torch.float32,
                                                      safety_checker=None, requires_safety_checker=False)
picture = torch.tensor([(7 * k) % 256 for k in range(HEIGHT * WIDTH * 3)]).reshape(1, HEIGHT, WIDTH, 3).permute(0, 3, 1, 2).float() / 127.5 - 1
out = {}
with torch.no_grad():
    for i in range(12):
        draw = method.Draw(7, i, 1)
        mask = torch.from_numpy(random_mask(draw)).float()[None, None]
        noise = draw.normal(MASKED_POSTERIOR, (1, HEIGHT // 8, WIDTH // 8, 4)).permute(0, 3, 1, 2)
        with mock.patch("diffusers.models.autoencoders.vae.randn_tensor", lambda *args, **kwargs: noise):
            small, latents = pipe.prepare_mask_latents(mask, picture * (mask < 0.5), 1, HEIGHT, WIDTH, torch.float32, "cpu", None, False)
        out |= {f"{i}.rows": mask[0, 0].sum(1), f"{i}.columns": mask[0, 0].sum(0), f"{i}.mask": small[0, 0].contiguous(),
                f"{i}.latents": latents[0].permute(1, 2, 0).contiguous()}
        print(i, round(mask.mean().item(), 3), latents.std().item())
save_file(out, os.path.join(here, "masks.safetensors"))
