"""Makes tests/golden/lpips: LPIPS and its gradients by the Python package lpips, of pictures and through a diffusers autoencoder.

Usage: python make.py          (lpips 0.1.4, torchvision's layout of VGG16, diffusers 0.42.1, torch 2.15 on the CPU; seed 7)

  weights.safetensors    f16: the state dict of lpips.LPIPS (net="vgg") with a VGG16 of a few channels, random, as data/models/train/lpips_weights.py
                         writes it. The package's own code computes; only the widths of the network below and of its linear layers are ours
  expected.safetensors   f32, channels last:
    pictures.a, .b       [2, 40, 35, 3] in −1 … 1: sizes that pooling cuts; pictures.distance [2], .weight [2], .da and .db: Σ weight · distance
                         differentiated by a and b
    latents.a, .b        [1, 6, 5, 4], scaled, as the VAE of ../pipeline/model has them: decoded, clamped to −1 … 1 (3 % of the values are
                         outside); latents.distance and latents.da: the gradient by the scaled latents a

Computed in f64 with weights that are exact in f16 (the VAE's in f32). Tolerance: 1e-4 of the value, 1e-3 of the gradient's norm, for f32 sums in
another order and for maxima and clamps that tip over. SPDX-License-Identifier: LGPL-3.0-or-later
"""
import os
import sys
import types

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from torch import nn

torch.set_num_threads(1)
here = os.path.dirname(os.path.abspath(__file__))
WIDTHS = [6, 7, 8, 8, 10, 11, 12, 12, 14, 16, 16, 18, 20]
POOLS = [2, 4, 7, 10, 13]                    # after so many convolutions


def features():
    """vgg16().features: the same list of layers, narrower"""
    layers, channels = [], 3
    for i, width in enumerate(WIDTHS):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
        if i + 1 in POOLS:
            layers.append(nn.MaxPool2d(2, 2))
        channels = width
    return nn.Sequential(*layers)


try:
    import torchvision.models
    standard = torchvision.models.vgg16(weights=None).features
    assert [type(m) for m in standard] == [type(m) for m in features()]
except ImportError:                          # the package wants the module to be there
    sys.modules["torchvision"] = types.ModuleType("torchvision")
    sys.modules["torchvision.models"] = sys.modules["torchvision"].models = types.ModuleType("torchvision.models")
import lpips                                 # noqa: E402
import lpips.pretrained_networks as networks  # noqa: E402


def make_lpips():
    networks.tv = types.SimpleNamespace(vgg16=lambda **_: types.SimpleNamespace(features=features()))
    model = lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False)
    for i, n in enumerate(POOLS):
        setattr(model, f"lin{i}", lpips.lpips.NetLinLayer(WIDTHS[n - 1], use_dropout=True))
    model.lins = nn.ModuleList([model.lin0, model.lin1, model.lin2, model.lin3, model.lin4])
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lin" in name:
                p.copy_(torch.rand_like(p))                       # they are not negative
            elif p.ndim == 4:
                p.copy_(torch.randn_like(p) * (2 / p[0].numel()) ** 0.5)
            else:
                p.copy_(0.3 * torch.rand_like(p))
    for p in model.parameters():
        p.data = p.data.half().double()                           # not the buffers, shift and scale of colours
    return model.double().eval()


def last(x):
    """NCHW -> NHWC, contiguous f32"""
    return x.permute(0, 2, 3, 1).detach().float().contiguous()


def single(x):
    """values that are exact in f32, kept in f64"""
    return x.float().double()


torch.manual_seed(7)
model = make_lpips()
state = model.state_dict()
save_file({k: v.half().contiguous() for k, v in state.items() if k.startswith(("net.", "lin")) and not k.startswith("lins.")},
          os.path.join(here, "weights.safetensors"))
out = {}

a, b = (single(torch.rand(2, 3, 40, 35) * 2 - 1).requires_grad_() for _ in "ab")
weight = single(torch.tensor([0.7, -1.3]))
distance = model(a, b).flatten()
da, db = torch.autograd.grad((weight * distance).sum(), [a, b])
out |= {"pictures.a": last(a), "pictures.b": last(b), "pictures.weight": weight.float(), "pictures.distance": distance.detach().float(),
        "pictures.da": last(da), "pictures.db": last(db)}
print("pictures", distance.tolist(), da.norm().item(), db.norm().item())

vae = AutoencoderKL.from_pretrained(os.path.join(here, "..", "pipeline", "model", "vae")).double().eval()
a, b = single(torch.randn(1, 4, 6, 5)).requires_grad_(), single(torch.randn(1, 4, 6, 5))
pictures = [vae.decode(z / vae.config.scaling_factor).sample for z in (a, b)]
distance = model(pictures[0].clamp(-1, 1), pictures[1].clamp(-1, 1)).flatten()
da, = torch.autograd.grad(distance.sum(), a)
out |= {"latents.a": last(a), "latents.b": last(b), "latents.distance": distance.detach().float(), "latents.da": last(da)}
outside = (pictures[0].abs() > 1).double().mean().item()
print("latents", distance.tolist(), da.norm().item(), "clamped", outside)
assert 0.02 < outside < 0.9

assert all(v.isfinite().all() for v in out.values())
save_file(out, os.path.join(here, "expected.safetensors"))
for name in ("weights", "expected"):
    os.chmod(os.path.join(here, name + ".safetensors"), 0o644)
