# data/models/train/distill_flash.py: a few-step student by Flash Diffusion. SPDX-License-Identifier: LGPL-3.0-or-later
"""Trains a LoRA (or, with --full, all weights of a copy) that draws in four steps, by the method of arXiv:2406.02347.

The teacher solves from a noised latent to the clean one with guidance (DPM-Solver++ 2M, K trailing timesteps); the student
reaches the same place in one step. Three losses: the squared distance in latents, a discriminator on the frozen teacher's
middle features (least squares on sigmoids), and distribution matching with the student as its own fake score. The timestep
where they start is drawn from a mixture around 999, 749, 499, 249 that shifts over four phases towards pure noise.

What differs from the paper: a teacher solution costs 2 to 64 network calls, so the last --keep batches of solutions are used
--reuse times each with fresh noise in the other two losses; the student's weights are averaged over time.
Exports OUT/lora (or OUT/unet) and a grid: four steps of the student over 25 guided steps of the teacher.
"""
import copy
import os

import torch
from torch import nn

import common
import data
import lora
import models
import sample
from tokenizer import Tokenizer
from train_t2i import GRID, caption_ids, latents

MODES = [(0, 0, .5, .5), (.1, .3, .3, .3), (.25, .25, .25, .25), (.4, .2, .2, .2)]    # weights of 999, 749, 499, 249 by phase
ADVERSARIAL = [0, 0.1, 0.2, 0.3]
MATCHING = [0, 0.3, 0.5, 0.7]
RENOISE = (10, 250, 500, 750)    # timesteps at which the discriminator looks


def mixture(phase, k):
    """Probabilities of the k start indices (0 is pure noise)."""
    i = torch.arange(k, dtype=torch.float64)
    p = sum(m * torch.exp(-(i - j * (k // 4)) ** 2 / 0.5) for j, m in enumerate(MODES[phase]))
    return (p / p.sum()).float()


class Discriminator(nn.Module):
    """One logit from the middle features; other sizes than 8×8 are brought to it."""

    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, 64, 3, padding=1), nn.SiLU(), nn.Conv2d(64, 128, 4, 2, 1, bias=False),
                                  nn.SiLU(), nn.GroupNorm(4, 128), nn.Conv2d(128, 1, 4, bias=False))

    def forward(self, x):
        if x.shape[-1] != 8:
            x = nn.functional.interpolate(x, size=(8, 8), mode="bilinear")
        return torch.sigmoid(self.body(x).flatten(1).float())


class Solutions:
    """The last few batches of teacher solutions, as one pool to draw from."""

    def __init__(self, keep):
        self.keep, self.batches = keep, []

    def add(self, **batch):
        self.batches = (self.batches + [batch])[-self.keep:]

    def draw(self, n, generator):
        pool = {k: torch.cat([b[k] for b in self.batches]) for k in self.batches[0]}
        ids = torch.randint(len(pool["t"]), (n,), generator=generator, device=pool["t"].device)
        return {k: v[ids] for k, v in pool.items()}


class Flash:
    """The networks and the losses."""

    def __init__(self, run, teacher, student, critic, contexts, empty):
        self.run, self.teacher, self.student, self.critic = run, teacher, student, critic
        self.contexts, self.empty, self.schedule = contexts, empty, sample.Schedule(run.device)
        self.predict = run.compiled(student)

    def rand(self, *shape):
        return torch.rand(*shape, generator=self.run.generator, device=self.run.device)

    def randn(self, like):
        return torch.randn(like.shape, generator=self.run.generator, device=self.run.device)

    def omega(self):
        lo, hi = self.run.args.omega_min, self.run.args.omega_max
        return lo + (hi - lo) * float(self.rand(1))

    @torch.no_grad()
    def solve(self, z0, prompts, phase, k):
        """One start index for the batch; -> z_t, t, the teacher's solution and what it belongs to."""
        start = int(torch.multinomial(mixture(phase, k).to(self.run.device), 1, generator=self.run.generator))
        timesteps = sample.trailing(k)[start:]
        t = torch.full((len(z0),), timesteps[0], device=self.run.device)
        z_t = self.randn(z0) if start == 0 else self.schedule.noised(z0, self.randn(z0), t)
        context, empty, omega = self.contexts[prompts], self.empty.expand(len(z0), -1, -1), self.omega()
        with self.run.autocast():
            target = sample.dpm_solver(self.schedule, lambda x, u: sample.guided(self.teacher, x, u, context, empty, omega),
                                       z_t, timesteps)
        return dict(z_t=z_t, t=t, target=target, z0=z0, prompts=prompts)

    def student_clean(self, z_t, t, context):
        with self.run.autocast():
            noise = self.predict(z_t, t, context).float()
        scaled = 10.0 * t.view(-1, 1, 1, 1).float()    # boundary condition of consistency models, sigma_data 0.5
        c_skip, c_out = 0.25 / (scaled ** 2 + 0.25), scaled / (scaled ** 2 + 0.25).sqrt()
        return c_out * self.schedule.clean(z_t, noise, t) + c_skip * z_t

    def matching(self, z, context):
        """Distribution matching: its gradient with respect to z is w · (x0_fake - x0_real), and nothing flows elsewhere."""
        with torch.no_grad(), self.run.autocast():
            t = (self.rand(len(z)) * 1000).long()
            y = self.schedule.noised(z, self.randn(z), t)
            real = sample.guided(self.teacher, y, t, context, self.empty.expand(len(z), -1, -1), self.omega())
            fake = self.student(y, t, context).float()
            a, s = self.schedule.at(t)
            gradient = s / a * (real - fake)
            weight = 1 / ((z - self.schedule.clean(y, real, t)).abs().mean((1, 2, 3), keepdim=True) + 1e-5)
            target = z - weight * gradient
        return (z - target).square().mean()

    def judged(self, z, context, t, noise):
        with self.run.autocast():
            return self.critic(self.teacher.encode(self.schedule.noised(z, noise, t), t, context)[0])

    def adversarial(self, z, z0, context):
        """-> the student's loss and, on detached latents, the discriminator's."""
        t = torch.tensor(RENOISE, device=z.device)[(self.rand(len(z)) * len(RENOISE)).long()]
        noise = self.randn(z)
        fool = (self.judged(z, context, t, noise) - 1).square().mean()
        real, fake = self.judged(z0, context, t, noise), self.judged(z.detach(), context, t, noise)
        return fool, 0.5 * ((real - 1).square().mean() + fake.square().mean())


def publish(args, run, flash, average, branches, pipeline):
    note = dict(steps=run.step, seconds=round(run.trained), seed=args.seed, teacher_steps=args.k)
    with average.applied():
        if args.full:
            common.export(args.out + "/unet", flash.student.state_dict(), flash.student.config, note=note)
        else:
            lora.write(branches, args.out + "/lora", note)
        prompts = GRID if run.device.type == "cuda" else GRID[:4]
        seeds, steps = range(len(prompts)), 25 if run.device.type == "cuda" else 6
        pipeline.unet = flash.student
        few = pipeline.draw(prompts, seeds, 4, 1.0, True, run.autocast)
        pipeline.unet = flash.teacher
        data.write_grid(args.out + "/flash.png", torch.cat([few, pipeline.draw(prompts, seeds, steps, 5.0, False, run.autocast)]))


def main():
    args = common.arguments(__doc__, batch=128, lr=2e-4, model="", k=32, rank=32, targets="attention", full=False, omega_min=3.0,
                            omega_max=9.0, reuse=4, keep=8, captions=4, decay=0.99)
    run = common.Run(args)
    pipeline = sample.Pipeline(args.model, run.device)
    teacher = pipeline.unet.to(memory_format=torch.channels_last)
    pics = data.Pictures(args.pack, run.device, args.size, args.limit)
    z = latents(pics, pipeline.vae, run, 1)[:, 0]
    del pics.rgba
    ids = caption_ids(pics.rows, pipeline.tokenizer, args.captions, args.seed, run.device)
    with torch.no_grad(), run.autocast():    # the text encoder is frozen: every caption is encoded once
        contexts = torch.cat([pipeline.text(part) for part in ids.flatten(0, 1).split(256)]).to(
            torch.bfloat16 if run.device.type == "cuda" else torch.float32)
        empty = pipeline.text(torch.tensor([pipeline.tokenizer("")], device=run.device)).to(contexts)

    student = copy.deepcopy(teacher)
    branches = {} if args.full else lora.attach(student, args.rank, args.targets)
    trained = nn.ParameterList(student.requires_grad_(True).parameters() if args.full
                               else [p for b in branches.values() for p in (b.a, b.b)])
    critic = Discriminator(teacher.config["block_out_channels"][-1]).to(run.device)
    average = common.Average(trained, args.decay)
    optimizer = torch.optim.AdamW(trained, args.lr)
    critic_optimizer = torch.optim.AdamW(critic.parameters(), args.lr)
    flash, solutions = Flash(run, teacher, student, critic, contexts, empty), Solutions(args.keep)
    run.start(reserve=10 if run.device.type == "cuda" else 5, trained=trained, critic=critic, average=average, optimizer=optimizer,
              critic_optimizer=critic_optimizer)
    run.note(f"{len(pics)} pictures, {sum(p.numel() for p in trained) / 1e6:.2f} M trained parameters")

    while run.more():
        phase = min(3, int(4 * run.progress()))
        rows = torch.multinomial(pics.weight, args.batch, replacement=True, generator=run.generator)
        prompts = rows * args.captions + (flash.rand(args.batch) * args.captions).long()
        solutions.add(**flash.solve(z[rows].float(), prompts, phase, args.k))
        for _ in range(args.reuse):
            b = solutions.draw(args.batch, run.generator)
            context = contexts[b["prompts"]]
            clean = flash.student_clean(b["z_t"], b["t"], context)
            distance = (clean - b["target"]).square().mean()
            fool, critic_loss = flash.adversarial(clean, b["z0"], context)
            matching = flash.matching(clean, context) if MATCHING[phase] else torch.zeros_like(distance)
            loss = distance + MATCHING[phase] * matching + ADVERSARIAL[phase] * fool
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            run.set_rate(optimizer, run.rate(warmup=50, hold=0.8, floor=0.1))
            optimizer.step()
            average.update()
            critic_optimizer.zero_grad()    # also of what the student's loss left there
            critic_loss.backward()
            critic_optimizer.step()
            run.log(args.batch, distance=distance, matching=matching, fool=fool, critic=critic_loss)

    run.save()
    publish(args, run, flash, average, branches, pipeline)


if __name__ == "__main__":
    main()
