# data/models/train/evaluate_sr.py: super-resolution against the classical filters. SPDX-License-Identifier: LGPL-3.0-or-later
"""python3 evaluate_sr.py --pack PACK --model MODEL --judge CLASSIFIER [--grid OUT.png] [--json OUT.json]

Held-out photographs made small by degrade.py (one fixed draw), enlarged by Lanczos, bicubic, and the model in 1 and 4 steps. Per way:

  psnr   dB over RGB, the mean over tiles
  ssim   Wang et al. 2004: luminance, a Gaussian of 1.5 pixels over 11
  seen   the distance between the features of the judge of the emoji pictures, like LPIPS; smaller is nearer
  edges  mean absolute step between neighbouring pixels over the original's: sharper by number
"""
import argparse
import json

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import common
import data
import models
from classifier import Classifier
from degrade import degrade
from tokenizer import Tokenizer
from train_sr import Schedule, enlarge


def psnr(a, b):
    return -10 * ((a - b).square().mean((1, 2, 3)) / 4).clamp_min(1e-9).log10()


def ssim(a, b):
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    a, b = (((x + 1) * 127.5).mul(weights).sum(1, keepdim=True) for x in (a, b))
    g = torch.exp(-0.5 * (torch.arange(-5.0, 6.0) / 1.5).square())
    kernel = (g[:, None] * g[None] / g.sum() ** 2)[None, None]
    mean = lambda x: F.conv2d(x, kernel)
    ma, mb = mean(a), mean(b)
    va, vb, ab = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return ((2 * ma * mb + c1) * (2 * ab + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))).mean((1, 2, 3))


def steps_between(x):
    return (x[..., 1:] - x[..., :-1]).abs().mean((1, 2, 3)) + (x[..., 1:, :] - x[..., :-1, :]).abs().mean((1, 2, 3))


def filtered(small, how):
    """Pillow's filters, 8 bits a channel, as an image editor has them."""
    pixels = ((small + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    large = [np.asarray(Image.fromarray(p).resize((p.shape[1] * 4, p.shape[0] * 4), how)) for p in pixels]
    return torch.from_numpy(np.stack(large)).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--judge", required=True)
    parser.add_argument("--tiles", type=int, default=0, help="of those held out; all without it")
    parser.add_argument("--grid", default="")
    parser.add_argument("--json", default="")
    args = parser.parse_args()

    cpu = torch.device("cpu")
    pics = data.Pictures(args.pack, cpu, 256, args.tiles, ("held",))
    load = lambda kind, part: common.load_model(kind, f"{args.model}/{part}", cpu)
    unet, vae, text = load(models.UNet2DConditionModel, "unet"), load(models.AutoencoderKL, "vae"), load(models.CLIPTextModel, "text_encoder")
    judge, schedule = common.load_model(Classifier, args.judge, cpu), Schedule(cpu)
    context = text(torch.tensor([Tokenizer(args.model + "/tokenizer")("")]))

    generator = torch.Generator().manual_seed(1)
    sums, grid = {}, []
    for ids in torch.arange(len(pics)).split(8):
        large = data.over(pics.rgba[ids])
        small = degrade(large, generator)
        ways = {"bicubic": filtered(small, Image.BICUBIC), "lanczos": filtered(small, Image.LANCZOS),
                "coded and decoded": vae.decode(vae.encode(large)[0]).clamp(-1, 1),
                "1 step": enlarge(schedule, unet, vae, context, small, 1), "4 steps": enlarge(schedule, unet, vae, context, small, 4)}
        for name, x in ways.items():
            seen = torch.stack([judge.distance(a[None], b[None]) for a, b in zip(x, large)])
            each = torch.stack([psnr(x, large), ssim(x, large), seen, steps_between(x) / steps_between(large)])
            sums[name] = sums.get(name, 0) + each.double().sum(1)
        if len(grid) < 6:
            grid.append(torch.stack([ways["bicubic"][0], ways["1 step"][0], ways["4 steps"][0], large[0]]))
    figures = {name: dict(zip(("psnr", "ssim", "seen", "edges"), (float(v) / len(pics) for v in total))) for name, total in sums.items()}
    print(f"{len(pics)} tiles of held-out photographs")
    for name, f in figures.items():
        print(f"{name:18s} psnr {f['psnr']:6.2f}  ssim {f['ssim']:.4f}  seen {f['seen']:.4f}  edges {f['edges']:.3f}")
    print(f"BENCH starter_sr_psnr_gain_db {figures['1 step']['psnr'] - figures['bicubic']['psnr']:.2f} dB")
    if args.grid:
        data.write_grid(args.grid, torch.cat(grid), 4)
    if args.json:
        common.write_json(args.json, dict(tiles=len(pics), figures=figures))


if __name__ == "__main__":
    main()
