# data/models/train/degrade.py: small pictures as people have them. SPDX-License-Identifier: LGPL-3.0-or-later
"""A quarter of the size by blur, one of several ways of making smaller, noise, and JPEG, each drawn per picture or batch.

In one pass, in the order of arXiv:2107.10833, section 3.1; there it happens twice, which made faithful pictures hard to learn.
"""
import torch
import torch.nn.functional as F

# JPEG's example tables (ITU T.81, annex K), luminance and chrominance
LUMINANCE = torch.tensor([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103,
    99]).float().view(8, 8)
CHROMINANCE = torch.tensor([
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *[99] * 32]).float().view(8, 8)
YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def blurred(x, generator, widest=2.0):
    """Each picture under a Gaussian of its own, two widths of 0.2 … widest pixels at an angle of its own. x [N, 3, H, W]."""
    n, device = len(x), x.device
    u = torch.rand(n, 3, generator=generator, device=device)
    a, b, angle = 0.2 + (widest - 0.2) * u[:, 0], 0.2 + (widest - 0.2) * u[:, 1], u[:, 2] * torch.pi
    r = torch.arange(-6, 7, device=device, dtype=torch.float32)
    gy, gx = torch.meshgrid(r, r, indexing="ij")
    cos, sin = angle.cos().view(n, 1, 1), angle.sin().view(n, 1, 1)
    along, across = (gx * cos + gy * sin) / a.view(n, 1, 1), (gy * cos - gx * sin) / b.view(n, 1, 1)
    kernel = torch.exp(-0.5 * (along.square() + across.square()))
    kernel = kernel / kernel.sum((1, 2), keepdim=True)
    padded = F.pad(x, (6, 6, 6, 6), mode="reflect").reshape(1, 3 * n, x.shape[2] + 12, x.shape[3] + 12)
    return F.conv2d(padded, kernel.repeat_interleave(3, 0)[:, None], groups=3 * n).view(x.shape)


def jpeg(x, quality):
    """x [N, 3, H, W] in -1…1, H and W multiples of 8; quality [N] in 1…100. The loss of a JPEG file without subsampled colour."""
    n, _, h, w = x.shape
    k = torch.arange(8, device=x.device, dtype=torch.float32)
    dct = torch.cos((2 * k[None] + 1) * k[:, None] * torch.pi / 16) * 0.5
    dct[0] *= 0.5 ** 0.5
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).view(n, 1, 1, 1) / 100
    tables = torch.stack([LUMINANCE, CHROMINANCE, CHROMINANCE]).to(x.device)
    steps = (tables[None] * scale).clamp(1, 255).round().view(n, 3, 1, 1, 8, 8)
    matrix = YCC.to(x.device)
    blocks = torch.einsum("ij,njhw->nihw", matrix, x * 127.5).view(n, 3, h // 8, 8, w // 8, 8).permute(0, 1, 2, 4, 3, 5)
    coded = (dct @ blocks @ dct.T / steps).round() * steps
    plain = (dct.T @ coded @ dct).permute(0, 1, 2, 4, 3, 5).reshape(n, 3, h, w)
    return torch.einsum("ij,njhw->nihw", torch.linalg.inv(matrix), plain) / 127.5


def degrade(x, generator):
    """x [N, 3, H, W] in -1…1, H and W multiples of 32 -> [N, 3, H/4, W/4], 8 bits' worth of values in -1…1."""
    n, device = len(x), x.device
    u = torch.rand(n, 4, generator=generator, device=device)
    mode = ("area", "bicubic", "bilinear")[int(torch.randint(3, (1,), generator=generator, device=device))]
    soft = torch.where(u[:, 0].view(n, 1, 1, 1) < 0.7, blurred(x, generator), x)
    y = F.interpolate(soft, scale_factor=0.25, mode=mode, **({} if mode == "area" else dict(antialias=True)))
    strength = torch.where(u[:, 1] < 0.6, 0.05 * u[:, 2], torch.zeros_like(u[:, 2])).view(n, 1, 1, 1)
    y = (y + strength * torch.randn(y.shape, generator=generator, device=device)).clamp(-1, 1)
    quality = 50 + 50 * torch.rand(n, generator=generator, device=device)
    y = torch.where(u[:, 3].view(n, 1, 1, 1) < 0.6, jpeg(y, quality), y)
    return ((y.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
