"""Makes tests/golden/gradients: gradients that PyTorch's autograd finds in whole tiny networks.

Usage: python make.py          (diffusers 0.42.1, peft 0.21.2, torch 2.15 on the CPU; everything is seeded)

  unet.safetensors           the UNets of ../models with LoRA (rank 2, alpha 3) at weights that are not zero: 0.3 (A) or 0.2 (B) · sin of
                             formula() with the sum of the name's bytes; inputs, output y, its gradient dy, and what autograd makes of that:
                             <case>.d.<PATH>.lora_A.weight and so on, <case>.dx for the latents; <case>.features with .logits, .dlogits, .features.dx: the frozen network up to its mid block with a
                             discriminator on it; X.bf16: ‖bf16 − f64‖ / ‖f64‖ of PyTorch's own run in bf16 (d.bf16: of all LoRA gradients as one vector; the
                             discriminator stays in f64)
  convolutions.safetensors   the same of one of the UNets with LoRA on its convolutions, an enlargement to an odd height among them
  nine.safetensors           the same of the inpainting UNet of ../inpaint, which takes nine channels
  discriminator.safetensors  heads of several sizes, their weights from the formula in formula(); of a gradient of n values every ceil(n / 512)th

Computed in f64 with weights that are exact in f32, stored in f32, channels last. Tolerance for f32: 1e-3 of a tensor's norm, which leaves room
for the order of sums; what is measured is some 1e-6. SPDX-License-Identifier: LGPL-3.0-or-later
"""
import os
import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from safetensors.torch import save_file
from torch import nn

torch.set_num_threads(1)
here = os.path.dirname(os.path.abspath(__file__))
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
ENTRY = ["conv_in", "to_q"]
CONVOLUTIONS = ["conv_in", "conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "conv_out", "proj_in", "proj_out"]
ALL = ATTENTION + ["proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "linear_1", "linear_2", "time_emb_proj"]


def last(x):
    """NCHW -> NHWC, contiguous f32"""
    return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).detach().float().contiguous()


def single(x):
    """values that are exact in f32, kept in f64"""
    return x.float().double()


def formula(k, shape, scale, offset=0.0):
    """the k-th parameter: offset + scale · sin (0.7 i + k), i counting its elements"""
    n = torch.Size(shape).numel()
    return single(offset + scale * torch.sin(0.7 * torch.arange(n, dtype=torch.float64) + k)).reshape(shape)


class Discriminator(nn.Module):
    """Small sizes: 3×3 keeping the size, then halvings with the norm after the activation; from 16 on halving at once, norm before it"""

    def __init__(self, channels, side):
        super().__init__()
        self.large, width = side >= 16, 256 if side >= 16 else 64
        stages = []
        while not stages or side >= 8:
            first = not stages
            keeps = first and not self.large
            conv = nn.Conv2d(channels, width, 3, 1, 1) if keeps else nn.Conv2d(channels, width, 4, 2, 1, bias=False)
            stages.append(nn.ModuleDict({"conv": conv} | ({} if first else {"norm": nn.GroupNorm(4, width)})))
            side = side if keeps else side // 2
            channels, width = width, min(2 * width, 1024)
        self.stages = nn.ModuleList(stages)
        self.head = nn.Conv2d(channels, 1, min(side, 4), bias=False)
        self.double()
        with torch.no_grad():
            for k, (name, p) in enumerate(self.named_parameters()):
                norm = ".norm." in name
                scale = 0.1 if p.ndim == 1 else 2.0 / p[0].numel() ** 0.5
                p.copy_(formula(k, p.shape, scale, 1.0 if norm and name.endswith("weight") else 0.0))

    def forward(self, x):
        for stage in self.stages:
            x = stage["conv"](x)
            if "norm" in stage and self.large:
                x = stage["norm"](x)
            x = nn.functional.silu(x)
            if "norm" in stage and not self.large:
                x = stage["norm"](x)
        return self.head(x).mean((1, 2, 3))


def unet_case(out, case, path, targets, n, h, w, timestep, tokens, **extra):
    torch.manual_seed(sum(case.encode()))
    unet = UNet2DConditionModel.from_pretrained(os.path.join(here, "..", "models", path)).double().eval()
    unet.add_adapter(LoraConfig(r=2, lora_alpha=3, target_modules=targets))
    unet.double().requires_grad_(False)
    trained = {k.replace(".default", ""): p for k, p in unet.named_parameters() if "lora_" in k}
    for k, p in trained.items():
        p.data = formula(sum(k.encode()), p.shape, 0.3 if "lora_A" in k else 0.2)
        p.requires_grad_(True)

    c = unet.config
    x = single(torch.randn(n, c.in_channels, h, w))
    context = single(torch.randn(n, tokens, c.cross_attention_dim))
    labels = torch.full((n,), extra["class_label"]) if "class_label" in extra else None
    added = {k: single(extra[k]) for k in ("text_embeds", "time_ids") if k in extra}
    out |= {f"{case}.x": last(x), f"{case}.context": last(context), f"{case}.timestep": torch.tensor([float(timestep)])}
    out |= {f"{case}.{k}": v.float() for k, v in added.items()}

    def student(dtype):
        """output, gradients of the latents and of what trains"""
        model, given = unet.to(dtype), x.detach().to(dtype).requires_grad_(True)
        y = model(given, timestep, context.to(dtype), class_labels=labels, added_cond_kwargs={k: v.to(dtype) for k, v in added.items()} or None).sample
        return y, *torch.autograd.grad((y * dy.to(dtype)).sum(), [given, *trained.values()])

    def through_features(dtype):
        """features, logits and the gradient of the latents"""
        model, given, kept = unet.to(dtype), x.detach().to(dtype).requires_grad_(True), {}
        hook = model.mid_block.register_forward_hook(lambda module, args, output: kept.update(features=output))
        model(given, timestep, context.to(dtype), class_labels=labels, added_cond_kwargs={k: v.to(dtype) for k, v in added.items()} or None)
        hook.remove()
        logits = head(kept["features"].double())
        return kept["features"], logits, *torch.autograd.grad((logits * dlogits).sum(), given)

    def both(f):
        """f in f64, and how far PyTorch's bf16 is from that, for each of its results"""
        weights = {k: v.clone() for k, v in unet.state_dict().items()}
        want = [t.detach().clone() for t in f(torch.float64)]
        low = [t.detach().double() for t in f(torch.bfloat16)]
        unet.to(torch.float64).load_state_dict(weights)
        return want, low

    def error(low, want):
        return ((low - want).norm() / want.norm()).float().reshape(1)

    def flat(tensors):
        return torch.cat([t.flatten() for t in tensors])

    dy = single(torch.randn(n, c.out_channels, h, w))
    (y, dx, *gradients), (y_low, dx_low, *low) = both(student)
    out |= {f"{case}.y": last(y), f"{case}.dy": last(dy), f"{case}.dx": last(dx), f"{case}.y.bf16": error(y_low, y),
            f"{case}.dx.bf16": error(dx_low, dx), f"{case}.d.bf16": error(flat(low), flat(gradients))}
    for k, g in zip(trained, gradients):
        out[f"{case}.d.{k}"] = g.detach().float().contiguous()      # kernels stay [out, in, height, width]

    unet.disable_adapters()
    size = [max(1, -(-side // 2 ** (len(c.block_out_channels) - 1))) for side in (h, w)]
    head, dlogits = Discriminator(c.block_out_channels[-1], min(size)), single(torch.randn(n))
    (features, logits, dx), (features_low, _, dx_low) = both(through_features)
    assert list(features.shape[2:]) == size
    out |= {f"{case}.features": last(features), f"{case}.features.logits": logits.float(), f"{case}.features.dlogits": dlogits.float(),
            f"{case}.features.dx": last(dx), f"{case}.features.bf16": error(features_low, features), f"{case}.features.dx.bf16": error(dx_low, dx)}
    print(case, {k[len(case) + 1:]: round(v.item(), 4) for k, v in out.items() if k.startswith(case) and k.endswith("bf16")})


def head_case(out, name, channels, side, h, w):
    torch.manual_seed(h * 100 + w)
    head = Discriminator(channels, side)
    x = single(torch.randn(2, channels, h, w)).requires_grad_(True)
    dlogits = single(torch.randn(2))
    logits = head(x)
    names, params = zip(*head.named_parameters())
    dx, *gradients = torch.autograd.grad((logits * dlogits).sum(), [x, *params])
    out |= {f"{name}.x": last(x), f"{name}.logits": logits.detach().float(), f"{name}.dlogits": dlogits.float(), f"{name}.dx": last(dx)}
    for k, g in zip(names, gradients):
        out[f"{name}.d.{k}"] = g.flatten()[::-(-g.numel() // 512)].float().contiguous()
    print(name, sum(p.numel() for p in params), logits.tolist(), dx.norm().item())


def save(tensors, name):
    path = os.path.join(here, name)
    save_file(tensors, path)
    os.chmod(path, 0o644)


tensors = {}
unet_case(tensors, "folder", "folder/unet", ATTENTION, 2, 16, 12, 500, 7)
unet_case(tensors, "odd", "folder/unet", ATTENTION, 1, 9, 11, 20.5, 7)
unet_case(tensors, "upscaler", "upscaler/unet", ATTENTION, 2, 8, 8, 700, 5, class_label=20)
unet_case(tensors, "xl", "xl/unet", ALL, 2, 6, 8, 249, 5, text_embeds=torch.randn(2, 20, generator=torch.Generator().manual_seed(1)),
          time_ids=torch.tensor([[1024, 1024, 0, 0, 1024, 1024], [512, 768, 16, 32, 1024, 1024]]).float())
save(tensors, "unet.safetensors")

tensors = {}
unet_case(tensors, "convolutions", "folder/unet", CONVOLUTIONS, 2, 9, 12, 500, 7)
save(tensors, "convolutions.safetensors")

tensors = {}
unet_case(tensors, "nine", "../inpaint/unet-9", ENTRY, 2, 8, 6, 300, 7)
save(tensors, "nine.safetensors")

tensors = {}
for name, channels, side, h, w in (("2x2", 6, 2, 2, 2), ("3x5", 6, 3, 3, 5), ("4x8", 6, 4, 4, 8), ("8x8", 6, 8, 8, 8), ("12x16", 6, 8, 12, 16),
                                   ("16x16", 3, 16, 16, 16)):
    head_case(tensors, name, channels, side, h, w)
save(tensors, "discriminator.safetensors")
