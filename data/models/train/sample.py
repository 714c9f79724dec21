# data/models/train/sample.py: from prompts to pictures. SPDX-License-Identifier: LGPL-3.0-or-later
"""The noise schedule of the SD 1.x family, the samplers that training and evaluation need, and a command to draw with.

python3 sample.py MODEL OUT.png --prompt "a red apple, 3d" --prompt "a rocket, noto" [--steps 25] [--guidance 5] [--few]

DPM-Solver++ 2M: arXiv:2211.01095, algorithm 2; the consistency sampler (--few, with a distilled model): arXiv:2310.04378,
section 3. Both on trailing timesteps, so that the first step starts from pure noise.
"""
import argparse
import contextlib
import os

import torch

import common
import data
import models
from tokenizer import Tokenizer


class Schedule:
    """Scaled-linear betas 0.00085…0.012: a[t] and s[t] with x_t = a x_0 + s noise. Float32 on the device."""

    def __init__(self, device):
        betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=torch.float64) ** 2
        kept = torch.cumprod(1 - betas, 0)
        self.a, self.s = kept.sqrt().float().to(device), (1 - kept).sqrt().float().to(device)
        self.snr = (kept / (1 - kept)).float().to(device)

    def at(self, t):
        """t [N] -> a, s, each [N, 1, 1, 1]."""
        return self.a[t].view(-1, 1, 1, 1), self.s[t].view(-1, 1, 1, 1)

    def noised(self, x0, noise, t):
        a, s = self.at(t)
        return a * x0 + s * noise

    def clean(self, x, noise, t):
        """The x_0 that x and the predicted noise imply."""
        a, s = self.at(t)
        return (x - s * noise) / a


def trailing(n):
    """999 first; Python rounds halves to even, as the reference does."""
    return [round(1000 - i * 1000 / n) - 1 for i in range(n)]


def guided(unet, x, t, context, empty, omega):
    """omega · conditional + (1 - omega) · unconditional, both in one batch. omega: a number or [N, 1, 1, 1]."""
    both = unet(torch.cat([x, x]), torch.cat([t, t]), torch.cat([context, empty])).float()
    conditional, unconditional = both.chunk(2)
    return unconditional + omega * (conditional - unconditional)


def dpm_solver(schedule, predict, x, timesteps):
    """DPM-Solver++ 2M from x at timesteps[0] to a clean picture; first and last steps are of first order.

    predict (x, t [N]) -> noise. All pictures of the batch share the timesteps.
    """
    previous, h_before = None, None
    for i, t in enumerate(timesteps):
        tt = torch.full((len(x),), t, device=x.device)
        x0 = schedule.clean(x, predict(x, tt), tt)
        if i == len(timesteps) - 1:
            return x0
        u = timesteps[i + 1]
        a, s, a_next, s_next = (v[k] for k in (t, u) for v in (schedule.a, schedule.s))
        h = torch.log(a_next / s_next) - torch.log(a / s)
        d = x0 if previous is None else x0 + h / (2 * h_before) * (x0 - previous)
        x = s_next / s * x - a_next * torch.expm1(-h) * d
        previous, h_before = x0, h
    return x


def consistency(schedule, predict, x, timesteps, noises):
    """Few steps of a distilled model: predict the clean picture, noise it to the next timestep with fresh noise, repeat."""
    for i, t in enumerate(timesteps):
        tt = torch.full((len(x),), t, device=x.device)
        x0 = schedule.clean(x, predict(x, tt), tt)
        if i == len(timesteps) - 1:
            return x0
        x = schedule.noised(x0, noises[i], torch.full_like(tt, timesteps[i + 1]))
    return x


def noise(seeds, size, count=1):
    """count latents [N, 4, size, size] per seed, drawn on the CPU: the same on every machine."""
    drawn = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        drawn.append(torch.stack([torch.randn(4, size, size, generator=generator) for _ in range(count)]))
    return torch.stack(drawn, 1)


class Pipeline:
    """Text encoder, UNet and autoencoder of an exported model (or parts given directly), a LoRA merged in if there is one."""

    def __init__(self, folder, device, text=None, unet=None, vae=None, tokenizer=None, lora=None):
        load = lambda kind, name: common.load_model(kind, os.path.join(folder, name), device)
        self.device, self.schedule = device, Schedule(device)
        self.tokenizer = tokenizer or Tokenizer(os.path.join(folder, "tokenizer"))
        self.text = text or load(models.CLIPTextModel, "text_encoder")
        self.unet = unet or load(models.UNet2DConditionModel, "unet")
        self.vae = vae or load(models.AutoencoderKL, "vae")
        if lora:
            from lora import merge
            merge(self.unet, lora)

    @torch.no_grad()
    def draw(self, prompts, seeds, steps, guidance, few, autocast):
        """-> pictures [N, 3, H, W] in -1…1. few: the consistency sampler, without guidance."""
        size = self.unet.config["sample_size"]
        ids = torch.tensor([self.tokenizer(p) for p in [*prompts, ""]], device=self.device)
        start = noise(seeds, size, steps).to(self.device)
        with autocast():
            context = self.text(ids)
            context, empty = context[:-1], context[-1:].expand(len(prompts), -1, -1)
            if few:
                predict = lambda x, t: self.unet(x, t, context).float()
                z = consistency(self.schedule, predict, start[0], trailing(steps), start[1:])
            else:
                predict = lambda x, t: guided(self.unet, x, t, context, empty, guidance)
                z = dpm_solver(self.schedule, predict, start[0], trailing(steps))
            return self.vae.decode(z / self.vae.config["scaling_factor"]).float().clamp(-1, 1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("out")
    p.add_argument("--prompt", action="append", required=True)
    p.add_argument("--steps", type=int, default=25)
    p.add_argument("--guidance", type=float, default=5.0)
    p.add_argument("--few", action="store_true")
    p.add_argument("--lora", default="")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--threads", type=int, default=0)
    args = p.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    pipeline = Pipeline(args.model, torch.device(args.device), lora=args.lora)
    seeds = [args.seed + i for i in range(len(args.prompt))]
    data.write_grid(args.out, pipeline.draw(args.prompt, seeds, args.steps, args.guidance, args.few, contextlib.nullcontext),
                    min(8, len(args.prompt)))


if __name__ == "__main__":
    main()
