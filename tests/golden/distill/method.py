"""The pieces of Flash Diffusion in NumPy and PyTorch, written from the paper. SPDX-License-Identifier: LGPL-3.0-or-later

arXiv:2406.02347 (AAAI-25) for the method, arXiv:2211.01095 for the teacher's solver, Salmon et al. (SC11) for the random numbers.
Imported by make.py and train.py.
"""
import numpy as np
import torch

MODES = [(0, 0, .5, .5), (.1, .3, .3, .3), (.25, .25, .25, .25), (.4, .2, .2, .2)]    # shares of 999, 749, 499, 249 by phase
MATCHING = [0, .3, .5, .7]
ADVERSARIAL = [0, .1, .2, .3]
LEVELS = (10, 250, 500, 750)    # timesteps at which the discriminator looks

# what a number is drawn for
(ORDER, CAPTION, START, GUIDANCE, NOISE, MATCHING_TIMESTEP, MATCHING_GUIDANCE, MATCHING_NOISE, ADVERSARIAL_TIMESTEP,
 ADVERSARIAL_NOISE, POSTERIOR, TEACHER_PICTURE, LORA, DISCRIMINATOR, SAMPLE) = range(15)


def philox(counter, key):
    """counter [n, 4], key [2] -> [n, 4] of 32 bits, ten rounds of Philox4x32"""
    c = [counter[:, i].astype(np.uint64) for i in range(4)]
    k = [np.uint64(v) for v in key]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ k[0], p1 & low, (p0 >> np.uint64(32)) ^ c[3] ^ k[1], p0 & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return np.stack(c, 1)


class Draw:
    """Numbers that depend on (seed, step, sample), purpose and index alone"""

    def __init__(self, seed, step, sample):
        self.key, self.step, self.sample = (seed & 0xFFFFFFFF, seed >> 32), step, sample

    def bits(self, purpose, first, n):
        counter = np.zeros((n, 4), np.uint64)
        counter[:, 0] = np.arange(first, first + n)
        counter[:, 1:] = (purpose, self.sample, self.step)
        return philox(counter, self.key)

    def uniform(self, purpose, index=0):
        b = self.bits(purpose, index, 1)[0]
        return float(((int(b[0]) << 32) | int(b[1])) >> 11) * 2.0 ** -53

    def index(self, purpose, n):
        return int(self.uniform(purpose) * n)

    def normal(self, purpose, shape):
        n = int(np.prod(shape))
        b = self.bits(purpose, 0, (n + 3) // 4).astype(np.float64).reshape(-1, 2, 2)
        radius = np.sqrt(-2 * np.log((b[..., 0] + 0.5) * 2.0 ** -32))
        angle = 2 * np.pi * b[..., 1] * 2.0 ** -32
        values = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).reshape(-1)[:n]
        return torch.from_numpy(values.astype(np.float32)).reshape(shape)

    def order(self, purpose, n):
        order = list(range(n))
        for i in range(n, 1, -1):
            j = int(self.uniform(purpose, i) * i)
            order[j], order[i - 1] = order[i - 1], order[j]
        return order


def mixture(modes, k, variance=0.5):
    i = np.arange(k)
    p = sum(m * np.exp(-(i - j * (k // 4)) ** 2 / variance) for j, m in enumerate(modes))
    return p / p.sum()


def pick(pmf, u):
    return min(int(np.searchsorted(np.cumsum(pmf), u, side="right")), len(pmf) - 1)


class Schedule:
    """Stable Diffusion's 1000 levels; Ā has the value of a float, as in diffusers"""

    def __init__(self):
        betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=torch.float32) ** 2
        self.alphas = torch.cumprod(1 - betas, 0).double().numpy()

    def at(self, t):
        return float(np.sqrt(self.alphas[t])), float(np.sqrt(1 - self.alphas[t]))


def trailing(k):
    return [int(t) - 1 for t in np.rint(1000 - 1000 * np.arange(k) / k)]


def scalings(t):
    scaled = 10.0 * t
    return 0.25 / (scaled ** 2 + 0.25), scaled / (scaled ** 2 + 0.25) ** 0.5


def clean(schedule, z, output, t, prediction="epsilon"):
    a, s = schedule.at(t)
    return (z - s * output) / a if prediction == "epsilon" else a * z - s * output


def student(schedule, z, output, t, prediction="epsilon"):
    skip, out = scalings(t)
    return out * clean(schedule, z, output, t, prediction) + skip * z


def rollout(schedule, k, start, z, teacher):
    """DPM-Solver++ 2M from index start of K trailing timesteps; teacher(z, t) -> guided ε"""
    t = trailing(k)
    before = None
    for i in range(start, k):
        a, s = schedule.at(t[i])
        a1, s1 = schedule.at(t[i + 1]) if i + 1 < k else (1.0, 0.0)
        x0 = (z - s * teacher(z, t[i])) / a
        if i + 1 == k:
            return x0
        h = np.log(s / a) - np.log(s1 / a1)
        d = x0
        if before is not None:
            d = x0 + h / (2 * before[1]) * (x0 - before[0])
        z, before = s1 / s * z + a1 * (1 - np.exp(-h)) * d, (x0, h)


def matching_loss(schedule, z, noisy, real, fake, t, prediction="epsilon"):
    """[C, H, W], one sample; nothing flows through the networks or the weight"""
    x0_real = clean(schedule, noisy, real, t, prediction)
    x0_fake = clean(schedule, noisy, fake, t, prediction)
    w = 1 / ((z - x0_real).abs().mean() + 1e-5)
    target = (z - w * (x0_fake - x0_real)).detach()
    return (z - target).square().mean()
