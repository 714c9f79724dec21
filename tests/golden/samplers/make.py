#!/usr/bin/env python3
"""Runs of diffusers' schedulers with a fixed function for a network. SPDX-License-Identifier: LGPL-3.0-or-later

Writes runs.txt. A run is a line
    run SAMPLER PREDICTION SPACING N STRENGTH ZERO_SNR SET_ALPHA_TO_ONE
followed by N lines "TIMESTEP LATENTS X0", both as base64 of 16 little-endian f32. The generator is seeded with 1000 + N; it draws the
picture (below strength 1 only), the initial noise and then what the scheduler draws.
A line "lists NAME HASH" holds FNV-1a over all timesteps of N = 1 ... 998 as little-endian i32.
"""
import base64
import os
import diffusers
import numpy as np
import torch

torch.set_num_threads(1)
SD = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000)
CLASSES = {
    "ddim": diffusers.DDIMScheduler,
    "euler": diffusers.EulerDiscreteScheduler,
    "euler-ancestral": diffusers.EulerAncestralDiscreteScheduler,
    "dpmpp-2m": diffusers.DPMSolverMultistepScheduler,
}
STEPS = [1, 2, 3, 4, 5, 8, 25]
SHAPE = (1, 4, 2, 2)


def network(x, t):
    """Bounded and smooth but for a kink; any fixed function of (x, t) will do."""
    return (x * 0.9 + 0.1) / (x.abs() * 0.2 + 1.0) - float(t) * 0.00005


def scheduler_for(sampler, prediction, spacing, n, strength, zero_snr, alpha_one):
    common = dict(SD, prediction_type=prediction)
    if sampler in ("flash", "lcm"):
        s = diffusers.LCMScheduler(**common)
        if sampler == "flash":
            s.set_timesteps(timesteps=[int(t) - 1 for t in np.round(1000 - 1000 * np.arange(n) / n)])
        else:
            s.set_timesteps(n)
        return s
    common.update(timestep_spacing=spacing, steps_offset=1, rescale_betas_zero_snr=zero_snr)
    if sampler == "ddim":
        common.update(clip_sample=False, set_alpha_to_one=alpha_one)
    s = CLASSES[sampler](**common)
    if strength < 1:                              # our own rule; diffusers runs the list it is given
        start = strength * 1000 - 1
        if spacing == "trailing":
            s.set_timesteps(timesteps=[(start + 1) * (n - i) / n - 1 for i in range(n)])
        else:
            end = 1 if spacing == "leading" else 0
            s.set_timesteps(timesteps=[start + (end - start) * i / (n - 1) for i in range(n)])
    else:
        s.set_timesteps(n)
    return s


def b64(x):
    return base64.b64encode(x.numpy().astype("<f4").tobytes()).decode()


def run(out, sampler, prediction, spacing, n, strength=1.0, zero_snr=False, alpha_one=False):
    s = scheduler_for(sampler, prediction, spacing, n, strength, zero_snr, alpha_one)
    g = torch.Generator().manual_seed(1000 + n)
    if strength < 1:
        picture = torch.randn(SHAPE, generator=g)
        x = s.add_noise(picture, torch.randn(SHAPE, generator=g), s.timesteps[:1])
    else:
        x = torch.randn(SHAPE, generator=g) * s.init_noise_sigma
    print("run", sampler, prediction, spacing, n, strength, int(zero_snr), int(alpha_one), file=out)
    assert len(s.timesteps) == n
    for t in s.timesteps:
        output = network(s.scale_model_input(x, t), t)
        extra = {"generator": g} if sampler in ("flash", "lcm", "euler-ancestral") else {}
        result = s.step(output, t, x, **extra)
        x = result.prev_sample
        if sampler == "dpmpp-2m":
            x0 = s.model_outputs[-1]
        else:
            x0 = result.denoised if sampler in ("flash", "lcm") else result.pred_original_sample
        print(repr(float(t)), b64(x), b64(x0), file=out)


def lists(out, name, scheduler):
    h = 0xCBF29CE484222325
    for n in range(1, 999):
        scheduler.set_timesteps(n)
        for b in scheduler.timesteps[:n].numpy().astype("<i4").tobytes():
            h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    print("lists", name, f"{h:016x}", file=out)


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "runs.txt"), "w") as out:
    print(f"# diffusers {diffusers.__version__}, torch {torch.__version__}", file=out)
    for name in ("ddim", "dpmpp-2m"):
        for spacing in ("trailing", "leading", "linspace"):
            lists(out, f"{name} {spacing}", CLASSES[name](**SD, timestep_spacing=spacing, steps_offset=1))
    for prediction in ("epsilon", "v_prediction"):
        for n in STEPS:
            run(out, "flash", prediction, "trailing", n)
            run(out, "lcm", prediction, "leading", n)
            for sampler in CLASSES:
                for spacing in ("trailing", "leading", "linspace"):
                    run(out, sampler, prediction, spacing, n)
    for spacing in ("trailing", "leading", "linspace"):
        run(out, "ddim", "epsilon", spacing, 5, alpha_one=True)
        for strength in (0.6, 0.37):
            run(out, "euler", "epsilon", spacing, 4, strength=strength)
            run(out, "euler", "v_prediction", spacing, 8, strength=strength)
    for sampler in ("euler", "euler-ancestral", "dpmpp-2m"):
        run(out, sampler, "v_prediction", "trailing", 4, zero_snr=True)
