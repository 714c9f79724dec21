# data/models/train/pack_photos.py: photographs for super-resolution, in one file. SPDX-License-Identifier: LGPL-3.0-or-later
"""python3 pack_photos.py FOLDER OUT

FOLDER holds the Debian packages named below, unpacked (`apt-get download NAME; dpkg-deb -x NAME_*.deb FOLDER`). Each photograph is
reduced to at most 2,304 pixels, for large ones are soft from near, and cut into tiles of 256 × 256; tiles with nothing in them
are left out. Some photographs are held out whole. OUT/pack.safetensors is laid out like pack.py's, OUT/manifest.json names
sources and licences.
"""
import argparse
import glob
import io
import json
import os

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

import captions

SIZE, LONGEST, PLAIN = 256, 2304, 6.0
LOMIRI, MATE, KDE = "lomiri-wallpapers-16.04", "mate-backgrounds", "plasma-workspace-wallpapers"

# package, file name without its ending (in KDE's package: its folder), author, licence
PHOTOS = [
    (LOMIRI, "Bridge_by_Sander_Klootwijk", "Sander Klootwijk", "CC-BY-SA-4.0"),
    (LOMIRI, "Dragonfly_by_Bolly", "Bolly", "CC-BY-SA-4.0"),
    (LOMIRI, "Picture_0B_by_freespace", "Trevor “Freespace”", "CC-BY-4.0"),
    (LOMIRI, "Picture_1A_by_freespace", "Trevor “Freespace”", "CC-BY-4.0"),
    (LOMIRI, "Wine_by_Jakkub_Mede", "Jakub Mede", "CC-BY-4.0"),
    (LOMIRI, "aitzgorri_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0"),
    (LOMIRI, "analogpattern_by_Peter_Nerlich", "Peter Nerlich", "CC-BY-SA-4.0"),
    (LOMIRI, "free_by_Peter_Nerlich", "Peter Nerlich", "CC-BY-SA-4.0"),
    (LOMIRI, "friends_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0"),
    (LOMIRI, "greentock_by_Peter_Nerlich", "Peter Nerlich", "CC-BY-SA-4.0"),
    (LOMIRI, "life_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0"),
    (LOMIRI, "picosdeeuropa_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0"),
    (LOMIRI, "seeding_by_Clements_Engelhardt", "Clemens Engelhardt", "CC0-1.0"),
    (LOMIRI, "sunset_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0"),
    ("lomiri-wallpapers-20.04", "Kleiber_by_Lukas_Baubkus", "Lukas Baubkus", "CC-BY-SA-3.0"),
    (MATE, "Aqua", "Charles Barbin", "GPL-2+"),
    (MATE, "Blinds", "Lennart Poettering, Andrea Cimitan", "GPL-2+"),
    (MATE, "Dune", "Marco Cogoni, Hylke Bons", "GPL-2+"),
    (MATE, "Garden", "Charles Barbin", "GPL-2+"),
    (MATE, "LadyBird", "Charles Barbin", "GPL-2+"),
    (MATE, "RainDrops", "blackcombwhistler07", "GPL-2+"),
    (MATE, "Storm", "Sergey Nazarov", "GPL-2+"),
    (MATE, "TwoWings", "Charles Barbin, Hylke Bons", "GPL-2+"),
    (MATE, "Wood", "Jean-François Fortin Tam", "GPL-2+"),
    (MATE, "YellowFlower", "Charles Barbin", "GPL-2+"),
    (KDE, "BytheWater", "Maciej Wiklo", "LGPL-3.0"),
    (KDE, "ColorfulCups", "Dmitri Popov", "LGPL-3.0"),
    (KDE, "DarkestHour", "Risto Saukonpää", "LGPL-3.0"),
    (KDE, "EveningGlow", "Ian Hex", "LGPL-3.0"),
    (KDE, "FallenLeaf", "Martin Klapetek", "LGPL-3.0"),
    (KDE, "Grey", "Sigi Sagi", "LGPL-3.0"),
    (KDE, "Kite", "Risto Saukonpää", "LGPL-3.0"),
    (KDE, "OneStandsOut", "Risto Saukonpää", "LGPL-3.0"),
    (KDE, "Path", "Risto Saukonpää", "LGPL-3.0"),
    (KDE, "summer_1am", "Risto Saukonpää", "LGPL-3.0"),
]
HELD = {"Dragonfly_by_Bolly", "life_by_Aitzol_Berasategi", "Picture_1A_by_freespace", "YellowFlower", "EveningGlow", "Path"}


def find(folder, package, name):
    below = os.path.join(folder, "usr", "share")
    paths = [p for pattern in (f"backgrounds/**/{name}.*", f"wallpapers/{name}/contents/images/*") for p in
             glob.glob(os.path.join(below, pattern), recursive=True)]
    if not paths:
        raise SystemExit(f"{folder}: no {name} below usr/share; unpack Debian's package {package} there (dpkg-deb -x)")
    return max(paths, key=os.path.getsize)


def tiles(path):
    """The tiles of a photograph with something in them, uint8 [256, 256, 3]."""
    picture = Image.open(path).convert("RGB")
    if max(picture.size) > LONGEST:
        picture.thumbnail((LONGEST, LONGEST), Image.LANCZOS, reducing_gap=None)
    pixels = np.asarray(picture)
    for y in range(0, pixels.shape[0] - SIZE + 1, SIZE):
        for x in range(0, pixels.shape[1] - SIZE + 1, SIZE):
            tile = pixels[y:y + SIZE, x:x + SIZE]
            steps = np.abs(np.diff(tile.astype(np.float32), axis=1)).mean() + np.abs(np.diff(tile.astype(np.float32), axis=0)).mean()
            if steps > PLAIN / 4 and tile.std() > PLAIN:
                yield tile


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--quality", type=int, default=92, help="of the tiles' WebP")
    args = parser.parse_args()

    rows, blobs, sources = [], [], []
    for package, name, author, licence in PHOTOS:
        split = "held" if name in HELD else "train"
        n = len(rows)
        for tile in tiles(find(args.folder, package, name)):
            file = io.BytesIO()
            Image.fromarray(tile).save(file, "WEBP", quality=args.quality, method=4)
            blobs.append(file.getvalue())
            rows.append(dict(file=name, style="photo", label=name, thing=name, mirror=True, colour="", split=split, weight=0.0))
        for row in rows[n:]:                               # a photograph's share grows as the square root of its tiles
            row["weight"] = (len(rows) - n) ** -0.5 if split == "train" else 0.0
        sources.append(dict(package=package, file=name, author=author, licence=licence, split=split, tiles=len(rows) - n))
        print(name, len(rows) - n, flush=True)

    order = sorted(range(len(rows)), key=lambda i: captions.unit("order", f"{rows[i]['file']} {i}"))    # any first n are a fair sample
    rows, blobs = [rows[i] for i in order], [blobs[i] for i in order]
    os.makedirs(args.out, exist_ok=True)
    meta = json.dumps(dict(rows=rows, heldout=[]), ensure_ascii=False).encode()
    path = os.path.join(args.out, "pack.safetensors")
    save_file(dict(blob=np.frombuffer(b"".join(blobs), np.uint8), ends=np.cumsum([len(b) for b in blobs], dtype=np.int64),
                   meta=np.frombuffer(meta, np.uint8)), path)
    with open(os.path.join(args.out, "manifest.json"), "w", encoding="utf-8") as f:
        json.dump(dict(tiles=len(rows), held=sum(r["split"] == "held" for r in rows), sources=sources), f, indent=1, ensure_ascii=False)
    print(f"{len(rows)} tiles, {path}: {os.path.getsize(path) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
