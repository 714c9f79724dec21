# tests/bench/starter.py: how well and how fast the model that comes along draws. SPDX-License-Identifier: LGPL-3.0-or-later
"""./dev bench starter [--only PART] [--pictures N] [--teacher-steps N] [--guidance X]

Draws through the engine, as people do, with the few-step LoRA in four steps, and asks the judge of tests/evaluation/ what it sees:

- of the 200 prompts of tests/evaluation/prompts.tsv, half of them combinations that are kept from training, how many are among its first five;
- the Fréchet distance of N pictures, each asking for one of the judge's things in one of the styles, and the same of the model without the LoRA at
  --teacher-steps and --guidance: their ratio. 0 leaves this out.

Super-resolution enlarges the small pictures of tests/evaluation/photographs/, in 1 step and in 4, beside bicubic and Lanczos: the lines of
data/models/train/evaluate_sr.py, whose first column less bicubic's is the gain.

The time is that of a picture of 256×256 from a warm engine, the command included: the median of nine.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "data", "models", "train"))

import torch

from PIL import Image

import captions
import common
import data
import evaluate_sr
import figures
from classifier import Classifier

PHOTOGRAPHS = os.path.join(HERE, "..", "evaluation", "photographs")
PROMPTS = os.path.join(HERE, "..", "evaluation", "prompts.tsv")
FEW = ["--sampler", "flash", "--steps", "4", "--guidance", "1"]


def draw(args, prompt, seed, path, *options):
    subprocess.run([args.engine, "generate", prompt, "--model", args.model, "--seed", str(seed), "-o", path, "--quiet", *options], check=True)


def draw_all(args, folder, prompts, *options):
    """-> the pictures' paths. A seed for each, the same whatever draws them."""
    paths = []
    for i, prompt in enumerate(prompts):
        paths.append(os.path.join(folder, f"{i:05}.png"))
        draw(args, prompt, 1000 + i, paths[-1], *options)
        if sys.stderr.isatty():
            print(f"\r{i + 1} of {len(prompts)} pictures", end="", file=sys.stderr)
    return paths


def top5(args, judge, folder):
    with open(PROMPTS, encoding="utf-8") as file:
        asked = [line.rstrip("\n").split("\t") for line in file][1:]
    number = {thing: i for i, thing in enumerate(judge.config["things"])}
    _, five = figures.look(judge, draw_all(args, folder, [prompt for _, _, prompt in asked], *FEW))
    named = [number[thing] in row for (_, thing, _), row in zip(asked, five.tolist())]
    held = [n for (kind, _, _), n in zip(asked, named) if kind != "seen"]
    print(f"BENCH starter_top5_4step {100 * sum(named) / len(named):.1f} %")
    print(f"BENCH starter_top5_heldout_4step {100 * sum(held) / len(held):.1f} %", flush=True)


def frechet(args, judge, folder):
    things, n = judge.config["things"], args.pictures
    prompts = [captions.plain(things[i * len(things) // n], captions.STYLES[i % 3]) for i in range(n)]
    known = figures.read_reference(figures.JUDGE)
    many = ["--sampler", "dpmpp-2m", "--steps", str(args.teacher_steps), "--guidance", str(args.guidance)]
    far = [figures.frechet(figures.moments(figures.look(judge, draw_all(args, folder, prompts, *options))[0]), known) for options in (FEW, many)]
    print(f"{n} pictures: the student {far[0]:.2f}, the teacher {far[1]:.2f}")
    print(f"BENCH starter_frechet_student_over_teacher {far[0] / far[1]:.3f} ratio", flush=True)


@torch.no_grad()
def upscale(args, judge, folder):
    tiles = sorted(name[:2] for name in os.listdir(PHOTOGRAPHS) if name.endswith(".webp"))
    at = lambda name: os.path.join(PHOTOGRAPHS, name)
    large, small = (figures.read_pictures([at(tile + end) for tile in tiles]) for end in (".webp", "-small.png"))
    ways = {"bicubic": evaluate_sr.filtered(small, Image.BICUBIC), "lanczos": evaluate_sr.filtered(small, Image.LANCZOS)}
    for faithful in ("pixels", "tones", "none"):
        for steps in ("1", "4"):
            paths = [os.path.join(folder, f"{tile}-{steps}-{faithful}.png") for tile in tiles]
            for tile, path in zip(tiles, paths):
                subprocess.run([args.engine, "upscale", at(tile + "-small.png"), "--model", args.upscaler, "--seed", "1", "--steps", steps,
                                "--faithful", faithful, "-o", path, "--quiet"], check=True)
            ways[f"{steps}, {faithful}"] = figures.read_pictures(paths)
    means = evaluate_sr.tell({name: evaluate_sr.judged(x, large, judge).double().sum(1) for name, x in ways.items()}, len(tiles))
    best = max(f["psnr"] for name, f in means.items() if name.startswith("1, "))
    print(f"BENCH starter_sr_psnr_gain_db {best - means['bicubic']['psnr']:.2f} dB", flush=True)
    if args.grid:
        shown = [w[::8] for w in (ways["bicubic"], ways["1, tones"], ways["4, tones"], large)]
        data.write_grid(args.grid, torch.stack(shown, 1).flatten(0, 1), 4)


def seconds(args, folder):
    times = []
    for i in range(10):
        begin = time.monotonic()
        draw(args, "red apple, 3d", i, os.path.join(folder, "timed.png"), *FEW, "--width", "256", "--height", "256")
        times.append(time.monotonic() - begin)
    print(f"BENCH starter_t2i_seconds {statistics.median(times[1:]):.2f} s", flush=True)


def own_engine(folder):
    """The commands start one with its socket and settings in the folder; it leaves soon after the last of them."""
    os.environ.update(FLASHBRUSH_SOCKET=os.path.join(folder, "engine"), XDG_CONFIG_HOME=folder)
    os.makedirs(os.path.join(folder, "flashbrush"))
    with open(os.path.join(folder, "flashbrush", "engine.conf"), "w", encoding="utf-8") as file:
        file.write("[engine]\nidle-seconds=5\n")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--engine", required=True)
    p.add_argument("--model", required=True)
    p.add_argument("--upscaler", required=True)
    p.add_argument("--only", choices=("seconds", "top5", "frechet", "upscale"))
    p.add_argument("--grid", default="", help="super-resolution's pictures, as a PNG")
    p.add_argument("--pictures", type=int, default=500)
    p.add_argument("--teacher-steps", type=int, default=50)
    p.add_argument("--guidance", type=float, default=2.0)
    args = p.parse_args()
    judge = common.load_model(Classifier, figures.JUDGE, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        own_engine(folder)
        if args.only in (None, "seconds"):
            seconds(args, folder)
        if args.only in (None, "upscale"):
            upscale(args, judge, folder)
        if args.only in (None, "top5"):
            top5(args, judge, folder)
        if args.only in (None, "frechet") and args.pictures:
            frechet(args, judge, folder)


if __name__ == "__main__":
    main()
