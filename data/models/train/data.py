# data/models/train/data.py: the packed pictures in memory. SPDX-License-Identifier: LGPL-3.0-or-later
"""Reads what pack.py wrote. Decoding WebP needs Pillow or, where that is missing, torchvision; nothing else does."""
import io
import json
import os
import struct
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file


def read_rows(pack):
    path = os.path.join(pack, "pack.safetensors") if os.path.isdir(pack) else pack
    tensors = load_file(path)
    meta = json.loads(tensors["meta"].tobytes())
    return meta["rows"], meta["heldout"], tensors["blob"], tensors["ends"]


def decode(webp):
    try:
        from PIL import Image
        return torch.from_numpy(np.array(Image.open(io.BytesIO(webp)).convert("RGBA"))).permute(2, 0, 1)
    except ImportError:
        from torchvision.io import ImageReadMode, decode_webp
        return decode_webp(torch.frombuffer(bytearray(webp), dtype=torch.uint8), mode=ImageReadMode.RGB_ALPHA)


class Pictures:
    """rgba [N, 4, S, S] uint8 on the device, and the rows that describe them in the same order."""

    def __init__(self, pack, device, size=256, limit=0, splits=("train",)):
        rows, self.heldout, blob, ends = read_rows(pack)
        starts = np.concatenate([[0], ends[:-1]])
        chosen = [i for i, r in enumerate(rows) if splits is None or r["split"] in splits]
        chosen = chosen[:limit] if limit else chosen
        self.rows = [rows[i] for i in chosen]
        self.things = sorted({r["thing"] for r in rows})    # of all rows, whatever the limit: class numbers must not move
        self.rgba = torch.empty(len(chosen), 4, size, size, dtype=torch.uint8)

        def load(k):
            picture = decode(blob[starts[chosen[k]]:ends[chosen[k]]].tobytes())
            if picture.shape[-1] != size:
                picture = shrink(picture, size)
            self.rgba[k] = picture

        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
            list(pool.map(load, range(len(chosen))))
        self.rgba = self.rgba.to(device)
        weight = torch.tensor([r["weight"] or 1.0 for r in self.rows], dtype=torch.float32, device=device)
        self.weight = weight / weight.sum()

    def __len__(self):
        return len(self.rows)

    def draw(self, n, generator):
        """n row numbers, by sampling weight, with replacement."""
        return torch.multinomial(self.weight, n, replacement=True, generator=generator)


def shrink(rgba, size):
    """uint8 [4, H, W] -> [4, size, size]; colours are averaged by coverage, so that no dark rim appears."""
    x = rgba[None].float() / 255
    alpha = x[:, 3:]
    both = F.interpolate(torch.cat([x[:, :3] * alpha, alpha], 1), size=(size, size), mode="area")
    rgb = both[:, :3] / both[:, 3:].clamp_min(1e-4)
    return (torch.cat([rgb.clamp(0, 1), both[:, 3:]], 1)[0] * 255).round().to(torch.uint8)


def over(rgba, background=1.0):
    """rgba uint8 [N, 4, H, W] over a background in 0…1 (number or [N, 3, h, w]) -> float [N, 3, H, W] in -1…1."""
    x = rgba.float() / 255
    return (x[:, :3] * x[:, 3:] + background * (1 - x[:, 3:])) * 2 - 1


def warp(rgba, generator, scale=(0.8, 1.0), shift=0.08, turn=0.0, flip=None):
    """Random size, place, angle (radians) and mirror image of each picture; what comes in from outside is transparent.

    rgba [N, 4, H, W] uint8; flip: [N] bool, where a mirror image is allowed. Premultiplied while it is resampled.
    """
    n, device = len(rgba), rgba.device
    u = torch.rand(n, 5, generator=generator, device=device)
    s = scale[0] + (scale[1] - scale[0]) * u[:, 0]
    angle = (u[:, 1] * 2 - 1) * turn
    move = (u[:, 2:4] * 2 - 1) * shift * 2
    sign = torch.ones(n, device=device)
    if flip is not None:
        sign = torch.where(flip & (u[:, 4] < 0.5), -sign, sign)
    cos, sin = angle.cos() / s, angle.sin() / s
    theta = torch.stack([torch.stack([cos * sign, -sin, move[:, 0]], 1), torch.stack([sin * sign, cos, move[:, 1]], 1)], 1)
    x = rgba.float() / 255
    x = torch.cat([x[:, :3] * x[:, 3:], x[:, 3:]], 1)
    x = F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), mode="bilinear", align_corners=False)
    rgb = x[:, :3] / x[:, 3:].clamp_min(1e-4)
    return (torch.cat([rgb.clamp(0, 1), x[:, 3:]], 1) * 255).round().to(torch.uint8)


def write_png(path, pixels):
    """pixels uint8 [H, W, 3]. Written here, so that sample grids need no picture library."""
    h, w, _ = pixels.shape
    lines = np.concatenate([np.zeros((h, 1), np.uint8), pixels.reshape(h, w * 3)], 1).tobytes()

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    with open(path + ".tmp", "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(lines, 6)) + chunk(b"IEND", b""))
    os.replace(path + ".tmp", path)


def write_grid(path, pictures, columns=8):
    """pictures [N, 3, H, W] in -1…1 -> one PNG, row by row."""
    x = ((pictures.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    while len(x) % columns:
        x = torch.cat([x, torch.full_like(x[:1], 255)])
    n, c, h, w = x.shape
    x = x.view(n // columns, columns, c, h, w).permute(0, 3, 1, 4, 2).reshape(n // columns * h, columns * w, c)
    write_png(path, x.numpy())
    print("wrote", path, file=sys.stderr)
