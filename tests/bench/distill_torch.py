"""A Flash Diffusion iteration in PyTorch: the loop that ours is timed against. SPDX-License-Identifier: LGPL-3.0-or-later

Usage: python distill_torch.py JOB.json [--compiled] [--checkpointing] [--device cpu|cuda]

Reads the fields of our own job files that decide the work; the mixture must name one start step and the guidance be one number. Latents and
prompts are random: encoding them is no part of an iteration. One frozen diffusers UNet is teacher (PEFT's adapter off) and student (on), and stops
after the mid block where the discriminator looks. In bf16 the frozen weights are bf16, what trains f32 under autocast. Each loss goes back to the
student's picture first, and the picture once to the adapter, so that blocks computed again meet the adapter as it was.

Standard input and output as bench-distill.c.
"""
import argparse, contextlib, json, os, sys, time

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from torch import nn

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "distill"))
import method


class Discriminator(nn.Module):
    """core/distill/discriminator.c for mid blocks below 16×16"""

    def __init__(self, channels, side):
        super().__init__()
        layers, width = [nn.Conv2d(channels, 64, 3, 1, 1), nn.SiLU()], 64
        assert side < 16
        while side >= 8:
            layers += [nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.SiLU(), nn.GroupNorm(4, 2 * width)]
            width, side = 2 * width, side // 2
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, min(side, 4), bias=False))

    def forward(self, x):
        return torch.sigmoid(self.layers(x.float()).mean((1, 2, 3)))


def mid_features(net, z, t, context):
    embedding = net.time_embedding(net.time_proj(t).to(z.dtype))
    z = net.conv_in(z)
    for block in net.down_blocks:
        inputs = {"encoder_hidden_states": context} if hasattr(block, "attentions") else {}
        z, _ = block(z, embedding, **inputs)
    return net.mid_block(z, embedding, encoder_hidden_states=context)


class Loop:
    def __init__(self, job, compiled, checkpointing, device):
        torch.manual_seed(job["seed"])
        if device == "cpu":
            torch.set_num_threads(job["threads"])
        torch.backends.cudnn.benchmark = True
        self.device = device
        self.bf16 = job["dtype"] == "bf16"
        self.dtype = torch.bfloat16 if self.bf16 else torch.float32
        self.batch, self.k, self.clip, self.omega = job["batch_size"], job["teacher_steps"], job["clip"], job["guidance_min"]
        self.phase, self.schedule = job["phases"][0], method.Schedule()
        self.start = int(method.mixture(self.phase["modes"], self.k, job["mode_variance"]).argmax())
        side, self.calls = job["width"] // 8, 0.0

        self.net = UNet2DConditionModel.from_pretrained(job["teacher"], subfolder="unet", torch_dtype=self.dtype).requires_grad_(False)
        self.net.to(device, memory_format=torch.channels_last)
        self.net.add_adapter(LoraConfig(r=job["lora_rank"], lora_alpha=job["lora_alpha"], target_modules=job["lora_targets"]))
        if checkpointing:
            self.net.enable_gradient_checkpointing()
        self.trained = [p for name, p in self.net.named_parameters() if "lora_" in name]
        for p in self.trained:
            p.data = p.data.float()
        channels = self.net.config.block_out_channels
        self.judge = Discriminator(channels[-1], side >> len(channels) - 1).to(device)
        self.adam, self.judge_adam = (torch.optim.AdamW(list(params), lr=job["learning_rate"], fused=True)
                                      for params in (self.trained, self.judge.parameters()))
        self.latents = torch.randn(self.batch, 4, side, side, device=device)
        self.contexts = torch.randn(self.batch, 77, self.net.config.cross_attention_dim, device=device, dtype=self.dtype)
        self.empty = torch.randn(1, 77, self.net.config.cross_attention_dim, device=device, dtype=self.dtype)
        self.whole, self.half = self.net, lambda *inputs: mid_features(self.net, *inputs)
        if compiled:
            torch._dynamo.config.recompile_limit = 64    # a graph each with and without adapter, gradient, guidance
            self.whole, self.half = torch.compile(self.net, dynamic=False), torch.compile(self.half, dynamic=False)
        self.student = None

    def be(self, student):
        if self.student is not student:
            (self.net.enable_adapters if student else self.net.disable_adapters)()
            for p in self.trained:    # which the two change
                p.requires_grad_(True)
            self.student = student

    def autocast(self):
        return torch.autocast(self.device, torch.bfloat16) if self.bf16 else contextlib.nullcontext()

    def network(self, student, z, t, context):
        self.be(student)
        self.calls += len(z)
        with self.autocast():
            return self.whole(z.to(self.dtype, memory_format=torch.channels_last), t.to(self.device), context, return_dict=False)[0].float()

    def features(self, z, t):
        self.be(False)
        self.calls += 0.5 * len(z)
        with self.autocast():
            return self.half(z.to(self.dtype, memory_format=torch.channels_last), t.to(self.device), self.contexts)

    def guided(self, z, t):
        n = len(z)
        out = self.network(False, torch.cat([z, z]), torch.as_tensor(t).expand(n).repeat(2), torch.cat([self.contexts, self.empty.expand(n, -1, -1)]))
        return out[n:] + self.omega * (out[:n] - out[n:])

    def noised(self, z, noise, levels):
        a, s = (torch.tensor(v, dtype=torch.float32, device=self.device).view(-1, 1, 1, 1) for v in zip(*map(self.schedule.at, levels)))
        return a * z + s * noise

    def matching(self, z):
        levels = torch.randint(0, 1000, (self.batch,))
        with torch.no_grad():
            y = self.noised(z, torch.randn_like(z), levels.tolist())
            real = self.guided(y, levels)
            fake = self.network(True, y, levels, self.contexts)
        return torch.stack([method.matching_loss(self.schedule, z[i], y[i], real[i], fake[i], int(levels[i])) for i in range(self.batch)]).mean()

    def adversarial(self, z):
        """-> the student's loss, the discriminator's"""
        levels = torch.tensor(method.LEVELS)[torch.randint(0, 4, (self.batch,))]
        noise = torch.randn_like(z)
        fake = self.features(self.noised(z, noise, levels.tolist()), levels)
        with torch.no_grad():
            real = self.features(self.noised(self.latents, noise, levels.tolist()), levels)
        critic = 0.5 * ((self.judge(real) - 1).square().mean() + self.judge(fake.detach()).square().mean())
        return (self.judge(fake) - 1).square().mean(), critic

    def step(self):
        t = method.trailing(self.k)[self.start]
        noise = torch.randn_like(self.latents)
        noisy = noise if self.start == 0 else self.noised(self.latents, noise, [t] * self.batch)
        with torch.no_grad():
            target = method.rollout(self.schedule, self.k, self.start, noisy, self.guided)
        picture = method.student(self.schedule, noisy, self.network(True, noisy, torch.tensor([t] * self.batch), self.contexts), t)

        z = picture.detach().requires_grad_()
        adversarial, critic = self.adversarial(z)
        loss = self.phase["distillation"] * (z - target).square().mean() + self.phase["adversarial"] * adversarial + \
            self.phase["matching"] * self.matching(z)
        critic_gradients = torch.autograd.grad(critic, list(self.judge.parameters()))
        self.be(False)
        gradient, = torch.autograd.grad(loss, z)
        self.be(True)
        gradients = torch.autograd.grad(picture, self.trained, gradient)
        self.calls += self.batch + 2 * self.batch    # back through the features, and through the student

        for optimizer, params, grads in ((self.adam, self.trained, gradients), (self.judge_adam, list(self.judge.parameters()), critic_gradients)):
            for p, g in zip(params, grads):
                p.grad = g
            nn.utils.clip_grad_norm_(params, self.clip)
            optimizer.step()
        for value in (loss, critic):
            assert bool(torch.isfinite(value)), "a loss is not a number"


def peak_memory(device):
    """-> bytes: of the process; on a card those of its tensors, as fb_device_bytes_peak() counts ours"""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("job")
    p.add_argument("--compiled", action="store_true")
    p.add_argument("--checkpointing", action="store_true")
    p.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    args = p.parse_args()
    with open(args.job) as file:
        loop = Loop(json.load(file), args.compiled, args.checkpointing, args.device)
    for _ in range(2 if args.compiled else 1):    # compiles, and takes memory
        loop.step()
    print("ready", flush=True)

    for line in sys.stdin:
        word = line.strip()
        if word == "peak":
            print(peak_memory(args.device), flush=True)
        elif word == "calls":
            print(loop.calls, flush=True)
        else:
            loop.calls, start = 0.0, time.perf_counter()
            loop.step()
            print("%.6f" % (time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()
