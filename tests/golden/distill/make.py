#!/usr/bin/env python3
"""Values of each piece of the method on fixed inputs. SPDX-License-Identifier: LGPL-3.0-or-later

Writes pieces.safetensors with PyTorch 2.15, NumPy 2 and diffusers 0.42 (of which only the solver is used, to check method.py's own).
Inputs are drawn with torch.manual_seed(7); the sizes are 1 sample of 2 channels at 3×5. Tolerances stand in the test: 1e-6 of the largest
value for what is a few float operations, 2e-5 for the rollouts.
"""
import os

import diffusers
import torch
from safetensors.torch import save_file

import method
from method import Draw, Schedule

N = 30
out = {}


def check_solver(schedule):
    """method.py's solver against diffusers', from pure noise"""
    solver = diffusers.DPMSolverMultistepScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                                   timestep_spacing="trailing", lower_order_final=False)
    solver.set_timesteps(16)
    start = torch.randn(1, 2, 3, 5)
    z = start.clone()
    for t in solver.timesteps:
        z = solver.step(network(z, int(t), 1.0), t, z).prev_sample
    ours = method.rollout(schedule, 16, 0, start, lambda z, t: network(z, t, 1.0))
    assert (ours - z).abs().max() < 2e-4, (ours - z).abs().max()


def network(z, t, prompt):
    """A smooth function in place of a network"""
    return (0.9 * z + 0.1 * prompt) / (0.2 * z.abs() + 1) - t * 0.00005


def draws():
    d = Draw(0x123456789ABCDEF0, 41, 3)
    out["draw.uniform"] = torch.tensor([d.uniform(p) for p in range(15)], dtype=torch.float64)
    out["draw.normal"] = d.normal(method.NOISE, (11,))
    out["draw.order"] = torch.tensor(d.order(method.ORDER, 12), dtype=torch.float32)


def mixtures():
    for k in (1, 4, 5, 8, 16, 32):
        out[f"mixture.{k}"] = torch.tensor([method.mixture(m, k) for m in method.MODES], dtype=torch.float64)
    out["mixture.8.narrow"] = torch.tensor(method.mixture(method.MODES[1], 8, 0.5 / 16), dtype=torch.float64)
    pmf = method.mixture(method.MODES[3], 32)
    out["mixture.picks"] = torch.tensor([float(method.pick(pmf, i / 64)) for i in range(64)])


def predictions(schedule):
    out["z"], out["output"], out["x0"], out["noise"] = (torch.randn(N) for _ in range(4))
    weights = torch.randn(N)
    out["dprediction"] = weights
    for kind in ("epsilon", "v"):
        for t in (999, 749, 30):
            o = out["output"].clone().requires_grad_(True)
            p = method.student(schedule, out["z"], o, t, kind)
            (p * weights).sum().backward()
            out[f"student.{kind}.{t}"], out[f"student.{kind}.{t}.gradient"] = p.detach(), o.grad
    for t in method.LEVELS:
        a, s = schedule.at(t)
        out[f"noisy.{t}"] = a * out["x0"] + s * out["noise"]


def losses(schedule):
    z = torch.randn(N, requires_grad=True)
    target, real, fake = torch.randn(N), torch.randn(N), torch.randn(N)
    loss = torch.nn.functional.mse_loss(z, target)
    out.update({"loss.z": z.detach().clone(), "loss.target": target, "loss.real": real, "loss.fake": fake})
    out["distillation"], out["distillation.gradient"] = loss.detach(), torch.autograd.grad(loss, z)[0]
    for kind in ("epsilon", "v"):
        for t in (20, 600, 999):
            a, s = schedule.at(t)
            noisy = (a * z + s * out["noise"]).detach()
            loss = method.matching_loss(schedule, z, noisy, real, fake, t, kind)
            out[f"matching.{kind}.{t}"] = loss.detach()
            out[f"matching.{kind}.{t}.gradient"] = torch.autograd.grad(loss, z)[0]
    logits = (3 * torch.randn(9)).requires_grad_(True)
    out["logits"] = logits.detach().clone()
    p = torch.sigmoid(logits)
    for name, loss in (("adversarial", (p - 1).square().mean()), ("discriminator.real", 0.5 * (p - 1).square().mean()),
                       ("discriminator.fake", 0.5 * p.square().mean())):
        out[name], out[name + ".gradient"] = loss.detach(), torch.autograd.grad(loss, logits, retain_graph=True)[0]


def rollouts(schedule):
    z = torch.randn(4, N)
    start, omega, prompt = (0, 3, 7, 3), (3.0, 7.5, 13.0, 1.0), (1.0, -0.5, 0.25, 2.0)
    out["rollout.z"] = z
    ends = []
    for i in range(4):
        guided = lambda x, t, i=i: omega[i] * network(x, t, prompt[i]) + (1 - omega[i]) * network(x, t, 0.0)
        ends.append(method.rollout(schedule, 8, start[i], z[i].double(), guided).float())
    out["rollout.end"] = torch.stack(ends)


def optimizer():
    torch.manual_seed(11)
    for clip, name in ((0.0, "adamw"), (1.0, "adamw.clipped")):
        torch.manual_seed(11)
        values = [torch.nn.Parameter(torch.randn(7)), torch.nn.Parameter(torch.randn(5))]
        out["adamw.start"] = torch.cat([v.detach() for v in values])
        adam = torch.optim.AdamW(values, lr=1e-2)
        gradients, trace = [], []
        for _ in range(6):
            for v in values:
                v.grad = torch.randn_like(v)
            gradients.append(torch.cat([v.grad.clone() for v in values]))
            if clip:
                torch.nn.utils.clip_grad_norm_(values, clip)
            adam.step()
            trace.append(torch.cat([v.detach().clone() for v in values]))
        out["adamw.gradients"], out[name] = torch.stack(gradients), torch.stack(trace)


def main():
    torch.manual_seed(7)
    schedule = Schedule()
    check_solver(schedule)
    draws()
    mixtures()
    predictions(schedule)
    losses(schedule)
    rollouts(schedule)
    optimizer()
    here = os.path.dirname(os.path.abspath(__file__))
    save_file({k: v.contiguous() for k, v in out.items()}, os.path.join(here, "pieces.safetensors"))


if __name__ == "__main__":
    main()
