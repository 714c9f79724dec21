# data/models/train/figures.py: how far drawn pictures are from real ones. SPDX-License-Identifier: LGPL-3.0-or-later
"""python3 figures.py [--judge FOLDER] SET...        prints a line per set
python3 figures.py --make-reference PICTURES      writes the reference, once

A set is a folder with pictures and captions.tsv, as `flashbrush-engine eval --samples` writes and `flashbrush-engine distill` reads:

  frechet   distance between the judge's features of the set and of the reference. It depends on the number of pictures: compare sets of one
            size. A set of real pictures says what is the least that can be reached with so many.
  top-1, top-5  how often the judge names the thing that the caption asks for, in percent

The judge is what classifier.py exported; the reference, means and covariances of the features of all real pictures, lies beside its folder.
"""
import argparse
import os

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import captions
import common
from classifier import Classifier

JUDGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "tests", "evaluation", "judge")


def read_set(folder):
    """-> paths and captions."""
    with open(os.path.join(folder, "captions.tsv"), encoding="utf-8") as file:
        pairs = [line.rstrip("\n").split("\t") for line in file]
    return [os.path.join(folder, name) for name, _ in pairs], [caption for _, caption in pairs]


def read_pictures(paths):
    """-> [N, 3, S, S] in -1…1"""
    pictures = [np.asarray(Image.open(p).convert("RGB")) for p in paths]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def thing(caption):
    """What the caption asks for: "red apple, 3d" -> "red apple"."""
    words = caption.split(", ")
    return captions.thing(", ".join(words[:-1] if words[-1] in captions.STYLES else words))


@torch.no_grad()
def look(judge, paths):
    """-> features [N, D], first five answers [N, 5]."""
    features = [judge.features(read_pictures(paths[i:i + 128])) for i in range(0, len(paths), 128)]
    features = torch.cat(features)
    return features, judge.head(features).topk(5).indices


def moments(features):
    f = features.double()
    return f.mean(0), torch.cov(f.T)


def frechet(a, b):
    """|mean difference|² + tr(A + B - 2 (A B)^½) of two (mean, covariance), in f64."""
    values, vectors = torch.linalg.eigh(a[1])
    root = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ b[1] @ root).clamp_min(0).sqrt().sum()
    return float((a[0] - b[0]).square().sum() + a[1].trace() + b[1].trace() - 2 * cross)


def reference_path(judge):
    return os.path.join(judge, "..", "reference.safetensors")


def read_reference(judge):
    """-> (mean, covariance) in f64 of the real pictures' features, which lie beside the judge's folder."""
    known = load_file(reference_path(judge))
    return known["mean"].double(), known["covariance"].double()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("sets", nargs="*")
    p.add_argument("--judge", default=JUDGE)
    p.add_argument("--make-reference", default="")
    p.add_argument("--first", type=int, help="look at so many pictures of each set only")
    args = p.parse_args()
    judge = common.load_model(Classifier, args.judge, torch.device("cpu"))
    if args.make_reference:
        mean, covariance = moments(look(judge, read_set(args.make_reference)[0])[0])
        save_file(dict(mean=mean.float(), covariance=covariance.float()), reference_path(args.judge))
        return
    known = read_reference(args.judge)
    number = {t: i for i, t in enumerate(judge.config["things"])}
    for folder in args.sets:
        paths, texts = (part[:args.first] for part in read_set(folder))
        features, five = look(judge, paths)
        wanted = torch.tensor([number.get(thing(t), -1) for t in texts])[:, None]
        top = [100 * float((five[:, :k] == wanted).any(1).float().mean()) for k in (1, 5)]
        print(f"{folder}\t{len(paths)} pictures\tfrechet {frechet(moments(features), known):.2f}\ttop-1 {top[0]:.1f} %\ttop-5 {top[1]:.1f} %", flush=True)


if __name__ == "__main__":
    main()
