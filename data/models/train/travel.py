# data/models/train/travel.py: a model small enough to go along. SPDX-License-Identifier: LGPL-3.0-or-later
"""python3 travel.py MODEL OUT: copies an exported model folder with 8-bit weights, a quarter of their f32 size.

For carrying a half-trained model to another machine where the baggage is limited. Every --resume and --model of these scripts
reads it; nothing else does.
"""
import os
import shutil
import sys

import common


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, out = sys.argv[1:]
    for folder, _, names in sorted(os.walk(source)):
        target = os.path.normpath(os.path.join(out, os.path.relpath(folder, source)))
        if any(n.endswith(".safetensors") for n in names):
            config, tensors = common.read_folder(folder)
            common.export(target, common.to_bytes(tensors), config, "weights", dtype=None)
        else:
            os.makedirs(target, exist_ok=True)
            for name in names:
                shutil.copy(os.path.join(folder, name), target)


if __name__ == "__main__":
    main()
