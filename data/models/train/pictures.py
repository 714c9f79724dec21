# data/models/train/pictures.py: a folder of pictures to distil with. SPDX-License-Identifier: LGPL-3.0-or-later
"""python3 pictures.py emoji-256.tar OUT [--size 128]

Writes the pictures the starter learned from (no skin-tone variants, flags, keycaps, buttons and dials) as PNG on white, and captions.tsv with lines
"picture TAB label, style", as flashbrush-engine distill takes them.
"""
import argparse
import io
import os
import re

from PIL import Image

import pack


def wanted(label):
    return not (re.search("skin tone|button|o’clock|-thirty", label) or label.startswith(("flag", "keycap")))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("tar")
    p.add_argument("out")
    p.add_argument("--size", type=int, default=128)
    args = p.parse_args()
    rows, files = pack.read_tar(args.tar)
    os.makedirs(args.out, exist_ok=True)
    lines = []
    for r in rows:
        if not wanted(r["label"]):
            continue
        name = r["file"].replace("/", "-").rsplit(".", 1)[0] + ".png"
        picture = Image.open(io.BytesIO(files[r["file"]])).convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        Image.alpha_composite(white, picture).convert("RGB").resize((args.size, args.size), Image.LANCZOS).save(os.path.join(args.out, name))
        lines.append(f"{name}\t{r['label']}, {r['style']}\n")
    with open(os.path.join(args.out, "captions.tsv"), "w", encoding="utf-8") as file:
        file.writelines(lines)
    print(f"{len(lines)} pictures in {args.out}")


if __name__ == "__main__":
    main()
