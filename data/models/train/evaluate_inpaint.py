# data/models/train/evaluate_inpaint.py: inpainting against classical fills. SPDX-License-Identifier: LGPL-3.0-or-later
"""python3 evaluate_inpaint.py --engine flashbrush-engine --model MODEL PICTURES [--pictures 48] [--grid OUT.png]

PICTURES is a folder as pictures.py writes it. In each of some pictures an ellipse of 64 to 80 pixels is cut out of the middle part and filled by the engine, with
the picture's caption and without words, and by what OpenCV has (opencv-python-headless): Telea's and Bertalmio's (Navier-Stokes):

  psnr   dB over RGB, inside the hole's bounds
  seen   the distance between the features of the judge of tests/evaluation/, like LPIPS, of the 96×96 pixels around; smaller is nearer
"""
import argparse
import os
import subprocess
import tempfile

import cv2
import numpy as np
import torch
from PIL import Image

import common
import data
import figures
from classifier import Classifier

USES = {"with words": ("fill", ["--sampler", "flash", "--steps", "4", "--guidance", "1"]), "without words": ("remove", [])}
CLASSICAL = {"Telea": cv2.INPAINT_TELEA, "Navier-Stokes": cv2.INPAINT_NS}


def hole(rng, side):
    """-> uint8 [side, side], 255 inside, and its bounds (y, x, height, width)."""
    w, h = rng.integers(64, 81, 2)
    x, y = (int(rng.integers(side // 8, side - side // 8 - n + 1)) for n in (w, h))
    ys, xs = np.mgrid[:side, :side]
    inside = ((xs + 0.5 - x - w / 2) / (w / 2)) ** 2 + ((ys + 0.5 - y - h / 2) / (h / 2)) ** 2 <= 1
    return (inside * 255).astype(np.uint8), (y, x, int(h), int(w))


def drawn(args, folder, picture, mask, caption, use, options, seed):
    paths = [os.path.join(folder, name) for name in ("picture.png", "mask.png", "out.png")]
    Image.fromarray(picture).save(paths[0])
    Image.fromarray(mask).save(paths[1])
    subprocess.run([args.engine, "inpaint", paths[0], paths[1], *([caption] if use == "fill" else []), "--model", args.model, "--use", use,
                    "--seed", str(seed), "--quiet", "-o", paths[2], *options], check=True)
    return np.asarray(Image.open(paths[2]).convert("RGB"))


def compare(judge, a, b, bounds):
    """-> psnr and seen of two uint8 pictures."""
    y, x, h, w = bounds
    a, b = (torch.from_numpy(p.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1 for p in (a, b))
    inside = (a - b)[..., y:y + h, x:x + w]
    top, left = (min(max(0, at + n // 2 - 48), side - 96) for at, n, side in ((y, h, a.shape[2]), (x, w, a.shape[3])))
    near = lambda p: p[..., top:top + 96, left:left + 96]
    return np.array([float(-10 * (inside.square().mean() / 4).clamp_min(1e-9).log10()), float(judge.distance(near(a), near(b)))])


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--engine", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--grid", default="")
    args = parser.parse_args()

    judge, rng = common.load_model(Classifier, figures.JUDGE, torch.device("cpu")), np.random.default_rng(1)
    paths, captions = figures.read_set(args.folder)
    chosen = range(0, len(paths), len(paths) // args.pictures)[:args.pictures]
    sums, grid = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for seed, i in enumerate(chosen):
            rgba = np.asarray(Image.open(paths[i]).convert("RGBA")).astype(np.float32)
            alpha = rgba[..., 3:] / 255
            picture = np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
            mask, bounds = hole(rng, picture.shape[0])
            ways = {name: cv2.inpaint(picture[..., ::-1].copy(), mask, 5, how)[..., ::-1] for name, how in CLASSICAL.items()}
            ways.update({name: drawn(args, folder, picture, mask, captions[i], *use, seed) for name, use in USES.items()})
            for name, way in ways.items():
                sums[name] = sums.get(name, 0) + compare(judge, way, picture, bounds)
            holed = np.where(mask[..., None] > 0, 128, picture).astype(np.uint8)
            if len(grid) < 40:
                grid += [holed, *ways.values(), picture]
    print(f"{len(chosen)} pictures with a hole of 64 to 80 pixels")
    for name, total in sums.items():
        psnr, seen = total / len(chosen)
        print(f"{name:14s} psnr {psnr:5.2f}  seen {seen:.3f}")
    if args.grid:
        data.write_grid(args.grid, torch.from_numpy(np.stack(grid)).permute(0, 3, 1, 2).float() / 127.5 - 1, 6)


if __name__ == "__main__":
    main()
