# data/models/train/lora.py: low-rank side branches for a UNet. SPDX-License-Identifier: LGPL-3.0-or-later
"""Attaches, writes and merges LoRAs (arXiv:2106.09685), scale 1, in the names diffusers reads: unet.PATH.lora_A.weight and
unet.PATH.lora_B.weight."""
import os
import re

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

import common

TARGETS = {
    "attention": r"\.attn[12]\.(to_q|to_k|to_v|to_out\.0)$",    # what the SD 1.5 model of the method trains
    "all": r"(\.attn[12]\.(to_q|to_k|to_v|to_out\.0)|\.ff\.net\.(0\.proj|2)|\.proj_in|\.proj_out|\.conv[12]|\.time_emb_proj)$",
}


class Branch(nn.Module):
    """A linear layer or convolution and what is added to its output; the layer's own weights stay as they are."""

    def __init__(self, base, rank):
        super().__init__()
        self.base = base
        if isinstance(base, nn.Conv2d):
            self.a = nn.Parameter(torch.randn(rank, *base.weight.shape[1:], device=base.weight.device) / rank)
            self.b = nn.Parameter(torch.zeros(base.out_channels, rank, 1, 1, device=base.weight.device))
        else:
            self.a = nn.Parameter(torch.randn(rank, base.in_features, device=base.weight.device) / rank)
            self.b = nn.Parameter(torch.zeros(base.out_features, rank, device=base.weight.device))

    def forward(self, x):
        if isinstance(self.base, nn.Conv2d):
            side = F.conv2d(F.conv2d(x, self.a, stride=self.base.stride, padding=self.base.padding), self.b)
        else:
            side = F.linear(F.linear(x, self.a), self.b)
        return self.base(x) + side


def attach(unet, rank, targets="attention"):
    """Puts a branch on every target layer -> {path: Branch}. Nothing but the branches is trained afterwards."""
    unet.requires_grad_(False)
    branches = {}
    for path, layer in list(unet.named_modules()):
        if re.search(TARGETS[targets], path) and isinstance(layer, (nn.Linear, nn.Conv2d)):
            parent, _, name = path.rpartition(".")
            branches[path] = Branch(layer, rank)
            owner = unet.get_submodule(parent)
            if isinstance(owner, nn.ModuleList):
                owner[int(name)] = branches[path]
            else:
                setattr(owner, name, branches[path])
    return branches


def write(branches, folder, note=None):
    tensors = {}
    for path, branch in branches.items():
        tensors[f"unet.{path}.lora_A.weight"], tensors[f"unet.{path}.lora_B.weight"] = branch.a, branch.b
    common.export(folder, tensors, None, "pytorch_lora_weights", note=note)


@torch.no_grad()
def merge(unet, path, strength=1.0):
    """Adds a written LoRA (file or folder) to the weights of a UNet without branches."""
    tensors = load_file(path) if os.path.isfile(path) else common.read_folder(path)[1]
    for name, b in tensors.items():
        if name.endswith(".lora_B.weight"):
            a = tensors[name.replace("lora_B", "lora_A")].float()
            weight = unet.get_submodule(name.removeprefix("unet.").removesuffix(".lora_B.weight")).weight
            weight += strength * (b.float().flatten(1) @ a.flatten(1)).view(weight.shape).to(weight)
