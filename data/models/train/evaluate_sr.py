# data/models/train/evaluate_sr.py: super-resolution against the classical filters. SPDX-License-Identifier: LGPL-3.0-or-later
"""python3 evaluate_sr.py --pack PACK --model MODEL --judge CLASSIFIER [--grid OUT.png] [--json OUT.json]
python3 evaluate_sr.py --pack PACK --tiles 48 --write FOLDER    writes what is compared, for `./dev bench starter`: NN.webp, NN-small.png

Held-out photographs made small by degrade.py (one fixed draw), enlarged by Lanczos, bicubic, and the model in 1 and 4 steps. Per way:

  psnr   dB over RGB, the mean over tiles
  ssim   Wang et al. 2004: luminance, a Gaussian of 1.5 pixels over 11
  seen   the distance between the features of the judge of the emoji pictures, like LPIPS; smaller is nearer
  edges  mean absolute step between neighbouring pixels over the original's: sharper by number
"""
import argparse
import json
import os

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import common
import data
import figures
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


def judged(x, large, judge):
    """-> [4, N]: the figures above of the pictures x beside the originals."""
    seen = torch.stack([judge.distance(a[None], b[None]) for a, b in zip(x, large)])
    return torch.stack([psnr(x, large), ssim(x, large), seen, steps_between(x) / steps_between(large)])


def tell(sums, n):
    """Prints a line for each way; -> its means by name."""
    means = {name: dict(zip(("psnr", "ssim", "seen", "edges"), (float(v) / n for v in total))) for name, total in sums.items()}
    print(f"{n} tiles of held-out photographs")
    for name, f in means.items():
        print(f"{name:18s} psnr {f['psnr']:6.2f}  ssim {f['ssim']:.4f}  seen {f['seen']:.4f}  edges {f['edges']:.3f}")
    return means


def write(pack, n, folder):
    """The first n held-out tiles as they are packed, their small pictures, and photographs.tsv, which says what is whose."""
    pics = data.Pictures(pack, torch.device("cpu"), 256, n, ("held",))
    rows, _, blob, ends = data.read_rows(pack)
    held = [i for i, r in enumerate(rows) if r["split"] == "held"]
    with open(os.path.join(pack, "manifest.json"), encoding="utf-8") as file:
        sources = {s["file"]: s for s in json.load(file)["sources"]}
    generator, small = torch.Generator().manual_seed(1), []
    for ids in torch.arange(n).split(8):
        small += list(degrade(data.over(pics.rgba[ids]), generator))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "photographs.tsv"), "w", encoding="utf-8") as table:
        table.write("tile\tphotograph\tauthor\tlicence\tDebian package\n")
        for k, i in enumerate(held[:n]):
            with open(os.path.join(folder, f"{k:02}.webp"), "wb") as file:
                file.write(blob[ends[i - 1] if i else 0:ends[i]].tobytes())
            pixels = ((small[k] + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(os.path.join(folder, f"{k:02}-small.png"), optimize=True)
            s = sources[rows[i]["file"]]
            table.write(f"{k:02}\t{s['file']}\t{s['author']}\t{s['licence']}\t{s['package']}\n")


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", required=True)
    parser.add_argument("--model", default="")
    parser.add_argument("--judge", default=figures.JUDGE)
    parser.add_argument("--tiles", type=int, default=0, help="of those held out; all without it")
    parser.add_argument("--write", default="")
    parser.add_argument("--grid", default="")
    parser.add_argument("--json", default="")
    args = parser.parse_args()
    if args.write:
        return write(args.pack, args.tiles or 48, args.write)

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
            sums[name] = sums.get(name, 0) + judged(x, large, judge).double().sum(1)
        if len(grid) < 6:
            grid.append(torch.stack([ways["bicubic"][0], ways["1 step"][0], ways["4 steps"][0], large[0]]))
    means = tell(sums, len(pics))
    if args.grid:
        data.write_grid(args.grid, torch.cat(grid), 4)
    if args.json:
        common.write_json(args.json, dict(tiles=len(pics), figures=means))


if __name__ == "__main__":
    main()
