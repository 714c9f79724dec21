# data/models/train/lpips_weights.py: LPIPS's weights as a file for training jobs. SPDX-License-Identifier: LGPL-3.0-or-later
"""python3 lpips_weights.py OUT.safetensors: writes what a job's "lpips_weights" names.

Wants the packages lpips, torchvision and safetensors; lpips brings its own few weights (BSD licence), torchvision fetches VGG16's.
"""
import sys

import lpips
import safetensors.torch


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    state = lpips.LPIPS(net="vgg").state_dict()
    ours = {k: v.contiguous() for k, v in state.items() if k.startswith(("net.", "lin")) and not k.startswith("lins.")}   # lins: the same again
    safetensors.torch.save_file(ours, sys.argv[1])


if __name__ == "__main__":
    main()
