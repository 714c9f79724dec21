#!/usr/bin/env python3
"""Draws from torch.Generator on the CPU. SPDX-License-Identifier: LGPL-3.0-or-later

Run with ATEN_CPU_CAPABILITY=avx2 on a processor that has AVX2 and FMA. Writes draws.txt, a line per draw:
SEED N HASH FIRST LAST where a new seed starts a new generator and a line "-" continues with the generator before;
HASH is FNV-1a over the numbers' little-endian bytes, FIRST and LAST are up to 16 of the numbers as hex bits.
"""
import os
import numpy as np
import torch

assert torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
torch.set_num_threads(1)
SIZES = [1, 5, 15, 16, 17, 31, 100, 4 * 16 * 16, 4 * 64 * 64]
SEEDS = [0, 1, 42, 2**32 - 1, 2**32 + 5, 2**63 - 1, -1, -12345]
MIXED = [3, 16, 1, 17, 15, 2, 100, 1, 1, 64, 7, 1024]


def fnv1a(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def line(out, seed, n, generator):
    x = torch.randn(n, generator=generator).numpy()
    bits = [f"{b:08x}" for b in x.view(np.uint32)]
    print(seed, n, f"{fnv1a(x.astype('<f4').tobytes()):016x}", ",".join(bits[:16]), ",".join(bits[-16:]), file=out)


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "draws.txt"), "w") as out:
    print(f"# torch {torch.__version__}", file=out)
    for seed in SEEDS:
        for n in SIZES:
            line(out, seed, n, torch.Generator().manual_seed(seed))
    for seed in (7, 2**40 + 3):
        g = torch.Generator().manual_seed(seed)
        for i, n in enumerate(MIXED):
            line(out, seed if i == 0 else "-", n, g)
