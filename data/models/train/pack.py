# data/models/train/pack.py: one file with everything training needs. SPDX-License-Identifier: LGPL-3.0-or-later
"""python3 pack.py emoji-256.tar OUT [--variants 2] [--things-only] [--write-heldout]

Keeps the pictures' own WebP bytes (re-encoding at the same size would only lose quality) and of every concept's skin-tone
variants only a few per style: 30 near copies teach nothing that 2 do not, and the file has to fit beside the code where only
64 MiB travel. OUT/pack.safetensors holds the bytes, their ends, and the rows as JSON; OUT/manifest.json the sources.
"""
import argparse
import collections
import hashlib
import io
import json
import os
import sys
import tarfile

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

import captions

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = [
    dict(folder="fluent-3d", style="3d", package="@lobehub/fluent-emoji-3d 1.1.0", work="Microsoft Fluent Emoji, 3D", licence="MIT"),
    dict(folder="flat", style="flat", package="@iconify-json/fluent-emoji-flat 1.2.6", work="Microsoft Fluent Emoji, flat",
         licence="MIT"),
    dict(folder="noto", style="noto", package="@iconify-json/noto 1.2.9", work="Google Noto Emoji", licence="Apache-2.0"),
    dict(folder="captions", style="", package="emojibase-data 17.0.0", work="labels and tags from Unicode CLDR", licence="MIT"),
]


def read_tar(path):
    """-> rows of captions.tsv as dicts, and {file: bytes}."""
    files = {}
    with tarfile.open(path) as tar:
        for member in tar:
            if member.isfile():
                files[member.name.removeprefix("./")] = tar.extractfile(member).read()
    lines = files.pop("captions.tsv").decode("utf-8").splitlines()[1:]
    rows = [dict(zip(("file", "style", "label", "tags"), line.split("\t"))) for line in lines]
    for r in rows:
        r["tags"] = [t for t in r["tags"].split(", ") if t]
    return rows, files


def drop_variants(rows, keep):
    """At most keep skin-tone variants of one thing in one style, which ones by hash; other pictures all stay."""
    groups = collections.defaultdict(list)
    for r in rows:
        if "skin tone" in r["label"]:
            groups[r["style"], captions.thing(r["label"])].append(r)
    gone = set()
    for group in groups.values():
        group.sort(key=lambda r: captions.unit("variant", r["file"]))
        gone |= {r["file"] for r in group[keep:]}
    return [r for r in rows if r["file"] not in gone]


def annotate(rows, files):
    toned = {captions.thing(r["label"]) for r in rows if "skin tone" in r["label"]}
    for r in rows:
        r["thing"] = captions.thing(r["label"])
        r["mirror"] = not captions.ONE_WAY.search(r["label"])
        r["colour"] = ""
        if r["thing"] not in toned and not r["label"].startswith("flag") and not captions.names_colour(r["label"]):
            rgba = np.asarray(Image.open(io.BytesIO(files[r["file"]])).convert("RGBA"))
            r["colour"] = captions.dominant_colour(rgba)


def weigh(rows):
    """A (style, concept)'s total grows as the square root of its pictures; flags and dials count less."""
    share = collections.Counter((r["style"], captions.concept(r["label"])) for r in rows if r["split"] == "train")
    for r in rows:
        n = share[r["style"], captions.concept(r["label"])]
        r["weight"] = captions.importance(r["label"]) / n ** 0.5 if r["split"] == "train" else 0.0


def check_heldout(held, write):
    text = "kind\tstyle\tlabel\tcolour\n" + "".join("\t".join(h) + "\n" for h in held)
    path = os.path.join(HERE, "heldout.tsv")
    if write:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    elif open(path, encoding="utf-8").read() != text:
        sys.exit(f"{path}: differs from what these pictures give. Published figures rest on that list; "
                 "if it is really to change, run again with --write-heldout")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tar")
    parser.add_argument("out")
    parser.add_argument("--variants", type=int, default=2, help="skin-tone variants kept per thing and style")
    parser.add_argument("--things-only", action="store_true", help="leave flags, signs and dials out: a smaller file")
    parser.add_argument("--write-heldout", action="store_true")
    args = parser.parse_args()

    if args.variants < 1:
        sys.exit("--variants: at least 1, for the held-out list depends on which things come in skin tones")
    rows, files = read_tar(args.tar)
    found = len(rows)
    rows = drop_variants(rows, args.variants)
    annotate(rows, files)
    held = captions.held_out(rows)
    check_heldout(held, args.write_heldout)
    withheld = {(style, label): kind for kind, style, label, _ in held if kind != "novel"}
    for r in rows:
        r["split"] = withheld.get((r["style"], r["label"]), "train")
    if args.things_only:
        rows = [r for r in rows if r["split"] != "train" or not captions.is_symbol(r["label"])]
    weigh(rows)

    os.makedirs(args.out, exist_ok=True)
    rows.sort(key=lambda r: captions.unit("order", r["file"]))    # any first n rows are then a fair sample
    blob = b"".join(files[r["file"]] for r in rows)
    ends = np.cumsum([len(files[r["file"]]) for r in rows], dtype=np.int64)
    meta = json.dumps(dict(rows=rows, heldout=held), ensure_ascii=False).encode()
    path = os.path.join(args.out, "pack.safetensors")
    save_file(dict(blob=np.frombuffer(blob, np.uint8), ends=ends, meta=np.frombuffer(meta, np.uint8)), path)

    splits = collections.Counter(r["split"] for r in rows)
    manifest = dict(pictures=len(rows), pictures_in_tar=found, splits=splits, variants_kept=args.variants,
                    things=len({r["thing"] for r in rows}), with_colour=sum(r["colour"] != "" for r in rows),
                    tar_sha256=hashlib.sha256(open(args.tar, "rb").read()).hexdigest(),
                    sources=[dict(s, pictures=sum(r["style"] == s["style"] for r in rows)) for s in SOURCES])
    with open(os.path.join(args.out, "manifest.json"), "w", encoding="utf-8") as f:
        json.dump(manifest, f, indent=1)
    print(json.dumps(manifest, indent=1), f"\n{path}: {os.path.getsize(path) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
