"""Makes tests/golden/inpaint-steps: context, masks, crop, fill, colours and blend of 50 random cases, written plainly in NumPy and SciPy.

Usage: python make.py

Pictures and masks come from a generator of 32-bit numbers that the test has, too, so that only results are stored, as means over a grid of
6 × 6 fields: contexts.txt holds "canvas mask strength feather native -> context", one a line, and steps.f32 for each case denoise, composite,
taken (RGB), spread (RGB), matched (RGB) and blended (RGB), 36 fields each, little-endian f32. Tolerance 2e-4: ours sums in f32 here and there.
Made with NumPy 1.26/2 and SciPy 1.1x, which agree. SPDX-License-Identifier: LGPL-3.0-or-later
"""
import math, os
import numpy as np
from scipy import ndimage

here = os.path.dirname(os.path.abspath(__file__))


class Numbers:
    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1664525 + 1013904223) & 0xffffffff
        return (self.state >> 8) % n


# --- context ---------------------------------------------------------------------------------------------------------------

def up(n, m):
    return -(-n // m) * m

def unit(longest, whole, native):
    return min(max(native / 512, 0.5), 1.0) * max(1.0, longest / whole)

def ramps(diagonal, u, strength, feather):
    width = max(int(feather * strength * diagonal), round(32 * u * max(strength, 0.25)))
    grow = round(4 * u) + width // 2
    blend = min(int(max(25 * u, diagonal / 20)), grow + width // 2)
    if feather == 0:
        width = grow = blend = 0
    outer = grow + width // 2
    return width, grow - width // 2, outer, outer - blend // 2 * 2

def padded(start, size, pad, least, multiple, canvas):
    new = up(max(size + 2 * pad, least), multiple)
    start = start - (new - size) // 2
    new = min(new, canvas)
    return min(max(start, 0), canvas - new), new

def context(W, H, x, y, w, h, strength, feather, native):
    u = unit(max(W, H), 8 * native, native)
    D = math.hypot(w, h)
    pad = ramps(D, u, strength, feather)[0] + round(4 * u) + int(0.06 * D)
    x, w = padded(x, w, pad, native // 2, 16, W)
    y, h = padded(y, h, pad, native // 2, 16, H)
    t = min(max(1 - 5 * (1 - strength), 0), 1)
    if t > 0:
        around = int(t * min(max((native - 128) / 384, 0.0), 1.0) * max(max(W, H) // 16, (w + h) // 2 // 2))
        less = max(around // 2, around - abs(w - h) // 2)
        least = int(native * (0.5 + 0.5 * t))
        ax, ay = less if w > h else around, less if h > w else around
        x, w = padded(x, w, ax, least, 8, W)
        y, h = padded(y, h, ay, least, 8, H)
    return x, y, w, h

n = Numbers(1)
with open(os.path.join(here, "contexts.txt"), "w") as out:
    for _ in range(50):
        W, H = 200 + n.below(12000), 200 + n.below(9000)
        w, h = 1 + n.below(W), 1 + n.below(H)
        x, y = n.below(W - w + 1), n.below(H - h + 1)
        s, f, native = (1 + n.below(64)) / 64, n.below(17) / 32, (128, 256, 512, 1024)[n.below(4)]
        print(W, H, x, y, w, h, s, f, native, *context(W, H, x, y, w, h, s, f, native), file=out)


# --- masks -----------------------------------------------------------------------------------------------------------------

def smooth(d, inner, outer):
    if outer <= inner:
        return (d < outer).astype(float)
    t = np.clip((outer - d) / (outer - inner), 0, 1)
    return t ** 3 * (10 + t * (6 * t - 15))

def distance(mask, reach):
    """by SciPy for masks of 0 and 1, else pixel by pixel"""
    if np.isin(mask, (0, 1)).all() and mask.any():
        return np.minimum(ndimage.distance_transform_edt(mask == 0), reach)
    yy, xx = np.mgrid[:mask.shape[0], :mask.shape[1]]
    out = np.empty(mask.shape)
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            out[y, x] = math.sqrt((reach ** 2 * (1 - mask) + (yy - y) ** 2 + (xx - x) ** 2).min())
    return np.minimum(out, reach)


# --- crop ------------------------------------------------------------------------------------------------------------------

def lanczos(size_in, size_out):
    scale = size_in / size_out
    stretch = max(scale, 1)
    width = math.ceil(3 * stretch) * 2 + 1
    taps = min(width, size_in)
    m = np.zeros((size_out, size_in))
    for i in range(size_out):
        centre = (i + 0.5) * scale - 0.5
        first = min(max(math.floor(centre) - width // 2, 0), size_in - taps)
        at = np.arange(first, first + taps)
        d = np.abs(at - centre) / stretch
        m[i, at] = np.where(d < 3, np.sinc(d) * np.sinc(d / 3), 0)
    return m / m.sum(1, keepdims=True)

def take(picture, crop, inner, W, H):
    x, y, w, h = crop
    part = picture[y:y + h, x:x + w]
    part = np.einsum("yj,jxc->yxc", lanczos(h, inner[3]), part)
    part = np.einsum("xi,yic->yxc", lanczos(w, inner[2]), part)
    return np.pad(part, ((inner[1], H - inner[1] - inner[3]), (inner[0], W - inner[0] - inner[2]), (0, 0)), mode="symmetric")


# --- fill ------------------------------------------------------------------------------------------------------------------

def spread(picture, depth):
    out, H, W = picture.copy(), *depth.shape
    gx = np.zeros((H, W)); gy = np.zeros((H, W))
    e = np.pad(depth, 1, mode="edge")
    gx, gy = e[1:-1, 2:] - e[1:-1, :-2], e[2:, 1:-1] - e[:-2, 1:-1]
    known = depth <= 0
    order = sorted((int(depth[y, x] * 4), y, x) for y in range(H) for x in range(W) if depth[y, x] > 0)
    for _, y, x in order:
        total, value = 0.0, np.zeros(3)
        for qy in range(max(y - 4, 0), min(y + 4, H - 1) + 1):
            for qx in range(max(x - 4, 0), min(x + 4, W - 1) + 1):
                dx, dy = x - qx, y - qy
                r2 = dx * dx + dy * dy
                if known[qy, qx] and 0 < r2 <= 16:
                    weight = (abs(dx * gx[y, x] + dy * gy[y, x]) / math.sqrt(r2) + 0.01) / (r2 * (1 + abs(depth[y, x] - depth[qy, qx])))
                    total += weight
                    value += weight * out[qy, qx]
        out[y, x] = value / total if total > 0 else 0.5
        known[y, x] = True
    return out


# --- colours ---------------------------------------------------------------------------------------------------------------

def linear(v):
    return np.where(v <= 0.04045, v / 12.92, ((np.maximum(v, 0) + 0.055) / 1.055) ** 2.4)

def curve(v):
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * np.maximum(v, 0) ** (1 / 2.4) - 0.055)

TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
WHITE = np.array([0.95047, 1.0, 1.08883])

def lab(rgb):
    t = linear(np.clip(rgb, 0, 1)) @ TO_XYZ.T / WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)

def rgb(lab):
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    xyz = WHITE * np.where(f > 6 / 29, f ** 3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return curve(np.clip(xyz @ np.linalg.inv(TO_XYZ).T, 0, 1))

def match(drawn, picture, weights, depth):
    if weights.sum() < 64:
        return drawn
    a, b, w = lab(drawn), lab(picture), weights[..., None] / weights.sum()
    mean_a, mean_b = (w * a).sum((0, 1)), (w * b).sum((0, 1))
    dev_a, dev_b = np.sqrt((w * (a - mean_a) ** 2).sum((0, 1))), np.sqrt((w * (b - mean_b) ** 2).sum((0, 1)))
    gain = np.clip(dev_b / dev_a, 0.8, 1.25)
    deep = depth / max(depth.max(), 1e-9)
    fade = (1 - deep * deep * (3 - 2 * deep))[..., None]
    return drawn + fade * (rgb((a - mean_a) * gain + mean_b) - drawn)

def blend(picture, drawn, alpha):
    a = alpha[..., None]
    mixed = curve(linear(drawn) * a + linear(picture) * (1 - a))
    return np.where(a <= 0, picture, np.where(a >= 1, drawn, mixed))


# --- cases -----------------------------------------------------------------------------------------------------------------

def fields(v):
    """means over 6 x 6 fields"""
    H, W = v.shape[:2]
    return np.array([[v[i * H // 6:(i + 1) * H // 6, j * W // 6:(j + 1) * W // 6].mean((0, 1)) for j in range(6)] for i in range(6)]).ravel()

results = []
for k in range(50):
    n = Numbers(100 + k)
    W, H = 24 + n.below(41), 24 + n.below(41)
    picture = np.array([n.below(256) for _ in range(W * H * 3)]).reshape(H, W, 3) / 255
    drawn = np.array([n.below(256) for _ in range(W * H * 3)]).reshape(H, W, 3) / 255 * 0.7
    mask = np.zeros((H, W))
    for _ in range(1 + n.below(3)):
        w, h = 1 + n.below(W // 2), 1 + n.below(H // 2)
        x, y = n.below(W - w + 1), n.below(H - h + 1)
        value = (1 + n.below(4)) / 4 if k % 2 else 1.0
        mask[y:y + h, x:x + w] = np.maximum(mask[y:y + h, x:x + w], value)
    ys, xs = np.nonzero(mask)
    D = math.hypot(xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min())
    _, inner, outer, blend_inner = ramps(D, 0.5 / (1 + n.below(3)), (1 + n.below(4)) / 4, (1 + n.below(8)) / 32)
    d = distance(mask, outer)
    denoise, composite = np.maximum(mask, smooth(d, inner, outer)), np.maximum(mask, smooth(d, blend_inner, outer))
    hole = denoise > 0.99
    depth = np.where(hole, ndimage.distance_transform_edt(np.pad(hole, 0)) if not hole.all() else math.hypot(W, H), 0.0)
    w, h = 8 + n.below(W - 7), 8 + n.below(H - 7)
    crop = n.below(W - w + 1), n.below(H - h + 1), w, h
    scale = min(64 / w, 64 / h)
    iw, ih = round(w * scale), round(h * scale)
    taken = take(picture, crop, ((64 - iw) // 2, (64 - ih) // 2, iw, ih), 64, 64)
    spreaded = spread(picture, depth) if not hole.all() else np.full_like(picture, 0.5)
    matched = match(drawn, picture, 1 - denoise, depth)
    blended = blend(picture, drawn, composite)
    results.append(np.concatenate([fields(v) for v in (denoise, composite, taken, spreaded, matched, blended)]))
np.concatenate(results).astype("<f4").tofile(os.path.join(here, "steps.f32"))
