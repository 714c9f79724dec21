#!/usr/bin/env python3
"""200 training steps of a tiny model, three seeds, in PyTorch. SPDX-License-Identifier: LGPL-3.0-or-later

Writes training.safetensors: "latents" [4, 8, 8, 4], the data; "losses.SEED" [200, 4], the distillation, matching, adversarial and discriminator
losses of each step; names.txt: what diffusers calls the tensors of the LoRA. PyTorch 2.15, diffusers 0.42, peft 0.21, in f32 on one thread.

The model is ../pipeline/model with LoRA (rank 4, alpha 8) and the discriminator that a 4×4 mid block gets. The first weights, the order of the
data and all noise are drawn as the method says (method.Draw), so that the two programs differ by rounding only; the test asks for curves that
lie nearer to each other than those of two seeds.
"""
import os

import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn

import method
from method import Draw

torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, BATCH, K, RANK, ALPHA, RATE, WARM_UP, CLIP, GUIDANCE = 200, 2, 4, 4, 8, 1e-3, 10, 1.0, (2.0, 5.0)
CAPTIONS = ["a cat", "a dog", "a tree", "a house"]
SHAPE = (8, 8, 4)


def first(x):
    """[h, w, C] -> [C, h, w]"""
    return x.permute(2, 0, 1)


class Discriminator(nn.Module):
    def __init__(self, channels, seed):
        super().__init__()
        self.conv, self.head = nn.Conv2d(channels, 64, 3, 1, 1), nn.Conv2d(64, 1, 4, bias=False)
        with torch.no_grad():
            for i, p in enumerate(self.parameters()):
                fan_in = p[0].numel() if p.ndim == 4 else channels * 9
                p.copy_(Draw(seed, 0, i).normal(method.DISCRIMINATOR, p.shape) / (3 * fan_in) ** 0.5)

    def forward(self, x):
        return torch.sigmoid(self.head(nn.functional.silu(self.conv(x))).mean((1, 2, 3)))


class Trainer:
    def __init__(self, seed, latents):
        self.seed, self.latents, self.schedule, self.student = seed, latents, method.Schedule(), None
        pipeline = StableDiffusionPipeline.from_pretrained(os.path.join(HERE, "..", "pipeline", "model"), safety_checker=None,
                                                           feature_extractor=None)
        self.unet = pipeline.unet.float().requires_grad_(False)
        self.unet.add_adapter(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
        encode = lambda text: pipeline.text_encoder(pipeline.tokenizer(text, padding="max_length", max_length=77, truncation=True,
                                                                       return_tensors="pt").input_ids)[0].float()
        with torch.no_grad():
            self.contexts, self.empty = torch.cat([encode(c) for c in CAPTIONS]), encode("")
        order = {"down_blocks": 0, "mid_block": 1, "up_blocks": 2}    # diffusers lists the mid block last
        named = sorted(((k, p) for k, p in self.unet.named_parameters() if "lora_" in k), key=lambda kp: order[kp[0].split(".")[0]])
        with torch.no_grad():
            for i, (name, p) in enumerate(named):
                p.copy_(Draw(seed, 0, i).normal(method.LORA, p.shape) / RANK if "lora_A" in name else torch.zeros_like(p))
                p.requires_grad_(True)
        self.trained = [p for _, p in named]
        self.judge = Discriminator(self.unet.config.block_out_channels[-1], seed)
        self.adam = torch.optim.AdamW(self.trained, lr=RATE)
        self.judge_adam = torch.optim.AdamW(self.judge.parameters(), lr=RATE)

    def network(self, student, z, t, context):
        if self.student is not student:
            (self.unet.enable_adapters if student else self.unet.disable_adapters)()
            for p in self.trained:    # which the two change
                p.requires_grad_(True)
            self.student = student
        return self.unet(z, torch.as_tensor(t), context).sample

    def guided(self, z, t, context, omega):
        n = len(z)
        out = self.network(False, torch.cat([z, z]), torch.as_tensor(t).repeat(2) if torch.is_tensor(t) else t,
                           torch.cat([context, self.empty.expand(n, -1, -1)]))
        return out[n:] + omega * (out[:n] - out[n:])

    def features(self, z, t, context):
        kept = {}
        hook = self.unet.mid_block.register_forward_hook(lambda module, args, output: kept.update(x=output))
        self.network(False, z, t, context)
        hook.remove()
        return kept["x"]

    def step(self, number):
        phase = min(3, number * 4 // STEPS)
        pmf, timesteps = method.mixture(method.MODES[phase], K, 0.01), method.trailing(K)
        draws = [Draw(self.seed, number, i) for i in range(BATCH)]
        places = [number * BATCH + i for i in range(BATCH)]
        n = len(self.latents)
        rows = [Draw(self.seed, p // n, 0).order(method.ORDER, n)[p % n] for p in places]
        context, clean = self.contexts[rows], self.latents[rows]
        span = GUIDANCE[1] - GUIDANCE[0]

        def noised(z, levels, purpose):
            out = []
            for i, t in enumerate(levels):
                a, s = self.schedule.at(t)
                out.append(a * z[i] + s * first(draws[i].normal(purpose, SHAPE)))
            return torch.stack(out)

        start = [method.pick(pmf, d.uniform(method.START)) for d in draws]
        t = [timesteps[k] for k in start]
        noise = torch.stack([first(d.normal(method.NOISE, SHAPE)) for d in draws])
        noisy = noised(clean, t, method.NOISE)
        noisy = torch.stack([noise[i] if start[i] == 0 else noisy[i] for i in range(BATCH)])
        with torch.no_grad():
            target = torch.cat([method.rollout(self.schedule, K, start[i], noisy[i:i + 1],
                                               lambda z, u, i=i: self.guided(z, u, context[i:i + 1],
                                                                             GUIDANCE[0] + span * draws[i].uniform(method.GUIDANCE)))
                                for i in range(BATCH)])
        output = self.network(True, noisy, torch.tensor(t), context)
        z = torch.stack([method.student(self.schedule, noisy[i], output[i], t[i]) for i in range(BATCH)])
        distillation = (z - target).square().mean()
        loss = distillation

        matching = torch.zeros(())
        if method.MATCHING[phase]:
            levels = [d.index(method.MATCHING_TIMESTEP, 1000) for d in draws]
            with torch.no_grad():
                y = noised(z, levels, method.MATCHING_NOISE)
                omega = torch.tensor([GUIDANCE[0] + span * d.uniform(method.MATCHING_GUIDANCE) for d in draws]).view(-1, 1, 1, 1)
                real = self.guided(y, torch.tensor(levels), context, omega)
                fake = self.network(True, y, torch.tensor(levels), context)
            matching = torch.stack([method.matching_loss(self.schedule, z[i], y[i], real[i], fake[i], levels[i]) for i in range(BATCH)]).mean()
            loss = loss + method.MATCHING[phase] * matching

        levels = [method.LEVELS[d.index(method.ADVERSARIAL_TIMESTEP, 4)] for d in draws]
        times = torch.tensor(levels)
        fake = self.features(noised(z, levels, method.ADVERSARIAL_NOISE), times, context)
        with torch.no_grad():
            real = self.features(noised(clean, levels, method.ADVERSARIAL_NOISE), times, context)
        critic = 0.5 * ((self.judge(real) - 1).square().mean() + self.judge(fake.detach()).square().mean())
        adversarial = torch.zeros(())
        if method.ADVERSARIAL[phase]:
            adversarial = (self.judge(fake) - 1).square().mean()
            loss = loss + method.ADVERSARIAL[phase] * adversarial

        critic_gradients = torch.autograd.grad(critic, list(self.judge.parameters()), retain_graph=True)
        gradients = torch.autograd.grad(loss, self.trained)
        for optimizer, params, grads in ((self.adam, self.trained, gradients), (self.judge_adam, list(self.judge.parameters()), critic_gradients)):
            for p, g in zip(params, grads):
                p.grad = g
            nn.utils.clip_grad_norm_(params, CLIP)
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1.0, (number + 1) / WARM_UP)
            optimizer.step()
        return [float(v.detach()) for v in (distillation, matching, adversarial, critic)]


def main():
    torch.manual_seed(5)
    latents = nn.functional.avg_pool2d(torch.randn(4, 4, 10, 10), 3, 1) * 2.5
    out = {"latents": latents.permute(0, 2, 3, 1).contiguous()}
    for seed in range(3):
        trainer = Trainer(seed, latents)
        out[f"losses.{seed}"] = torch.tensor([trainer.step(i) for i in range(STEPS)])
        for a in range(0, STEPS, 50):
            print(seed, a, out[f"losses.{seed}"][a:a + 50].mean(0).tolist(), flush=True)
    save_file(out, os.path.join(HERE, "training.safetensors"))
    trainer.unet.enable_adapters()
    names = get_peft_model_state_dict(trainer.unet)    # save_lora_weights() puts "unet." before them
    with open(os.path.join(HERE, "names.txt"), "w") as file:
        file.writelines(f"unet.{k} {'x'.join(map(str, v.shape))}\n" for k, v in sorted(names.items()))


if __name__ == "__main__":
    main()
