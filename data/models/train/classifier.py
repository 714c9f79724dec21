# data/models/train/classifier.py: the judge of what the models draw. SPDX-License-Identifier: LGPL-3.0-or-later
"""Trains a small network that names the thing in a picture. Its features also serve Fréchet distances and, while the other
networks train, as a perceptual distance.

  --split all     (default) learns every picture, the held-out ones too: it judges generated pictures only
  --split train   leaves the held-out combinations out, to say how well it recognises drawings it has not seen
  --look, --channels   sides of what it looks at, and its widths: smaller ones for a CPU

Prints top-1 and top-5 on the real pictures, plain and disturbed, seen and held out. Exports OUT/classifier.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

import common
import data

SIZE = 128    # what it looks at by default; larger pictures are averaged down


class Block(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, cin), nn.Conv2d(cin, cout, 3, stride=2, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(8, cout), nn.Conv2d(cout, cout, 3, padding=1)
        self.skip = nn.Conv2d(cin, cout, 1)

    def forward(self, x):
        h = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        return h + self.skip(F.avg_pool2d(x, 2))


class Classifier(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = config["channels"]
        self.config, self.size = config, config.get("size", SIZE)
        self.stem = nn.Conv2d(3, c[0], 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(Block(i, o) for i, o in zip(c, c[1:]))
        self.norm = nn.LayerNorm(c[-1])
        self.head = nn.Linear(c[-1], len(config["things"]))

    def stages(self, x):
        """x [N, 3, S, S] in -1…1 -> the activations at 1/2, 1/4, 1/8 … of the size."""
        out = [self.stem(x)]
        for block in self.blocks:
            out.append(block(out[-1]))
        return out

    def features(self, x):
        """[N, D]: what Fréchet distances compare."""
        if x.shape[-1] != self.size:
            x = F.interpolate(x, size=(self.size, self.size), mode="area")
        return self.norm(self.stages(x)[-1].mean((2, 3)))

    def forward(self, x):
        return self.head(self.features(x))

    def distance(self, a, b):
        """Perceptual distance between pictures of one size: unit feature vectors, squared differences, first four stages.

        The form of LPIPS (arXiv:1801.03924) without its learned weights.
        """
        total = 0.0
        for u, v in zip(self.stages(a)[:4], self.stages(b)[:4]):
            total = total + (F.normalize(u.float(), dim=1) - F.normalize(v.float(), dim=1)).square().sum(1).mean()
        return total


def disturb(pictures, flips, ids, generator, strength):
    """A training view: placed anew, on white or a colour, softened, brightened, noised, with a corner missing."""
    n, device = len(ids), ids.device
    rand = lambda *shape: torch.rand(*shape, generator=generator, device=device)
    rgba = data.warp(pictures[ids], generator, scale=(1 - 0.4 * strength, 1 + 0.1 * strength), shift=0.12 * strength,
                     turn=0.35 * strength, flip=flips[ids])
    plain = (rand(n, 1, 1, 1) < 0.6).float()
    x = data.over(rgba, plain + (1 - plain) * rand(n, 3, 1, 1))
    soft = F.interpolate(F.interpolate(x, scale_factor=0.5, mode="area"), size=x.shape[-2:], mode="bilinear")
    x = torch.lerp(x, soft, rand(n, 1, 1, 1) * strength)
    x = x * (1 + (rand(n, 1, 1, 1) - 0.5) * 0.5 * strength) + (rand(n, 3, 1, 1) - 0.5) * 0.3 * strength
    x = x + torch.randn(x.shape, generator=generator, device=device) * 0.15 * strength * rand(n, 1, 1, 1)
    grid = torch.linspace(0, 1, x.shape[-1], device=device)
    at = rand(n, 2, 1)
    hole = ((grid - at[:, 0]).abs() < 0.12)[:, None, :] & ((grid - at[:, 1]).abs() < 0.12)[:, :, None]
    return torch.where((hole & (rand(n, 1, 1) < 0.5 * strength))[:, None], torch.zeros_like(x), x)


@torch.no_grad()
def accuracy(model, run, pictures, labels, ids, flips, strength):
    """-> top-1 and top-5 in percent over the rows ids."""
    generator, hits = torch.Generator(run.device).manual_seed(99), torch.zeros(2, device=run.device)
    for part in ids.split(256):
        x = disturb(pictures, flips, part, generator, strength) if strength else data.over(pictures[part])
        with run.autocast():
            best = model(x).topk(5).indices
        hit = best == labels[part, None]
        hits += torch.stack([hit[:, 0].sum(), hit.any(1).sum()])
    return [round(100 * float(h) / max(len(ids), 1), 1) for h in hits]


def main():
    args = common.arguments(__doc__, batch=256, lr=2e-3, split="all", look=SIZE, channels="32,64,128,192,256")
    run = common.Run(args)
    pics = data.Pictures(args.pack, run.device, args.look, args.limit, splits=None)
    index = {t: i for i, t in enumerate(pics.things)}
    labels = torch.tensor([index[r["thing"]] for r in pics.rows], device=run.device)
    flips = torch.tensor([r["mirror"] for r in pics.rows], device=run.device)
    held = torch.tensor([r["split"] != "train" for r in pics.rows], device=run.device)
    weight = pics.weight * (~held if args.split == "train" else 1)
    run.note(f"{len(pics)} pictures, {int(held.sum())} held out, {len(index)} things")

    channels = [8, 16, 32, 48, 64] if args.toy else [int(c) for c in args.channels.split(",")]
    model = Classifier(dict(channels=channels, size=args.look, things=pics.things, split=args.split)).to(run.device)
    model = model.to(memory_format=torch.channels_last)
    average = common.Average(model, 0.998)
    optimizer = torch.optim.AdamW(model.parameters(), args.lr, weight_decay=0.05)
    run.start(reserve=4 if run.device.type == "cuda" else 1, model=model, average=average, optimizer=optimizer)

    forward = run.compiled(model)
    while run.more():
        ids = torch.multinomial(weight, args.batch, replacement=True, generator=run.generator)
        x = disturb(pics.rgba, flips, ids, run.generator, 0.2 + 0.8 * min(1, 3 * run.progress()))
        with run.autocast():
            loss = F.cross_entropy(forward(x).float(), labels[ids], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        run.set_rate(optimizer, run.rate(hold=0.3))
        optimizer.step()
        average.update()
        run.log(args.batch, loss=loss)

    run.save()
    with average.applied():
        seen, unseen = (~held).nonzero()[:, 0], held.nonzero()[:, 0]
        scores = {f"{name}_{how}": accuracy(model, run, pics.rgba, labels, ids, flips, s)
                  for name, ids in (("train", seen), ("heldout", unseen)) if len(ids)
                  for how, s in (("plain", 0.0), ("disturbed", 1.0))}
        run.note(f"top-1, top-5 in percent: {scores} (chance top-5: {500 / len(index):.2f})")
        common.export(args.out + "/classifier", model.state_dict(), model.config, "model",
                      note=dict(steps=run.step, scores=scores, seed=args.seed))


if __name__ == "__main__":
    main()
