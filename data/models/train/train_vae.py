# data/models/train/train_vae.py: the autoencoder. SPDX-License-Identifier: LGPL-3.0-or-later
"""Trains AutoencoderKL: L1, the classifier's perceptual distance, gradients at three scales, a little KL, and for the last
part of the time a patch discriminator (hinge loss, weighted by the ratio of gradients as in arXiv:2012.09841, section 3.1).

With --upscaler it is the one of super-resolution, at a quarter instead of an eighth, and learns from photographs (pack_photos.py).
Most steps see crops, so that more different pixels pass; the last part sees whole pictures. Pictures lie on white, some on
colours and gradients, for the network will be given what people have. Exports OUT/vae with the scaling factor measured.
"""
import math
import os

import torch
import torch.nn.functional as F
from torch import nn

import common
import data
import models
from classifier import Classifier

UPSCALER_SCALING = 0.08333


def patch_discriminator(width):
    """Logits for overlapping patches of 46 pixels (isola et al., arXiv:1611.07004), with group norms."""
    layers, c = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)], width
    for stride in (2, 2, 1):
        layers += [nn.Conv2d(c, 2 * c, 4, stride=stride, padding=1), nn.GroupNorm(8, 2 * c), nn.LeakyReLU(0.2)]
        c *= 2
    return nn.Sequential(*layers, nn.Conv2d(c, 1, 4, padding=1))


def edges(a, b):
    """L1 between the gradients of two pictures at full, half and quarter size."""
    total = 0.0
    for _ in range(3):
        d = a - b
        total = total + (d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean()
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return total


def scenes(rgba, generator, white):
    """Pictures on white, or (a share of 1 - white of them) on a gradient between two colours."""
    n, _, h, w = rgba.shape
    rand = lambda *shape: torch.rand(*shape, generator=generator, device=rgba.device)
    ramp = torch.linspace(0, 1, w, device=rgba.device).view(1, 1, 1, w) * rand(n, 1, 1, 1)
    colour = torch.lerp(rand(n, 3, 1, 1), rand(n, 3, 1, 1), ramp).expand(n, 3, h, w)
    plain = (rand(n, 1, 1, 1) < white).float()
    return data.over(rgba, plain + (1 - plain) * colour)


def crop(rgba, size, generator):
    """One random window for the whole batch, on a grid of 8 pixels like the latents'."""
    room = (rgba.shape[-1] - size) // 8
    y, x = (torch.randint(0, room + 1, (2,), generator=generator, device=rgba.device) * 8).tolist()
    return rgba[..., y:y + size, x:x + size]


@torch.no_grad()
def pass_through(model):
    """Begins at a network that hands colours on: residual branches at zero, every other convolution near the identity (a soft one where
    it makes smaller). On the upscaler's sizes it halves L1 after 160 steps (0.12 for 0.26), which is what hours on a CPU depend on."""
    soft = torch.tensor([1.0, 2.0, 1.0])
    for module in model.modules():
        if isinstance(module, models.Resnet):
            nn.init.zeros_(module.conv2.weight)
            nn.init.zeros_(module.conv2.bias)
    for name, conv in model.named_modules():
        if isinstance(conv, nn.Conv2d) and not name.endswith(("conv1", "conv2")):
            kernel = torch.zeros(conv.kernel_size)
            if conv.stride == (2, 2):
                kernel += soft[:, None] * soft / 16
            else:
                kernel[conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] = 1
            same = torch.arange(min(conv.in_channels, conv.out_channels))
            conv.weight *= 0.3
            conv.weight[same, same] += kernel


@torch.no_grad()
def report(model, run, pics):
    """PSNR and perceptual distance over up to 256 pictures, the scaling factor, and a grid of pairs."""
    ids = torch.arange(min(256, len(pics)), device=run.device)
    mse, latents, grid = [], [], []
    for part in ids.split(32):
        x = data.over(pics.rgba[part])
        with run.autocast():
            mean, logvar = model.encode(x)
            y = model.decode(mean).float().clamp(-1, 1)
        mse += [(x - y).square().mean((1, 2, 3)) / 4]
        latents += [mean.float() + torch.randn_like(mean.float()) * (0.5 * logvar.float()).exp()]
        grid += [torch.stack([x, y], 1).flatten(0, 1)] if len(grid) < 1 else []
    psnr = float((-10 * torch.cat(mse).clamp_min(1e-9).log10()).mean())
    return psnr, 1 / float(torch.cat(latents).std()), torch.cat(grid)[:48]


@torch.no_grad()
def stretch(model, by):
    """Latents times by, nothing else changed: for the upscaler's pipeline, which knows one scaling factor only."""
    n = model.config["latent_channels"]
    model.quant_conv.weight[:n] *= by
    model.quant_conv.bias[:n] *= by
    model.quant_conv.bias[n:] += 2 * math.log(by)
    model.post_quant_conv.weight /= by


def main():
    args = common.arguments(__doc__, batch=48, lr=8e-4, classifier="", crop=128, gan_from=0.6, kl=1e-4, white=0.8, upscaler=False, channels="")
    run = common.Run(args)
    pics = data.Pictures(args.pack, run.device, args.size, args.limit)
    config = dict(models.UPSCALER_VAE if args.upscaler else models.VAE, sample_size=args.size)
    if args.channels:
        config = models.narrower(config, args.channels)
    model = models.AutoencoderKL(models.toy(config) if args.toy else config)
    if args.upscaler:
        pass_through(model)
    model = model.to(run.device, memory_format=torch.channels_last)
    critic = patch_discriminator(16 if args.toy else 64).to(run.device, memory_format=torch.channels_last)
    judge = common.load_model(Classifier, args.classifier, run.device) if args.classifier else None
    average = common.Average(model, 0.998)
    optimizer = torch.optim.AdamW(model.parameters(), args.lr, betas=(0.9, 0.99), weight_decay=1e-4)
    critic_optimizer = torch.optim.AdamW(critic.parameters(), args.lr / 4, betas=(0.5, 0.9))
    if args.resume and not os.path.exists(args.resume + "/state.pt"):
        model.load_state_dict(common.read_folder(args.resume)[1])
        average.reset()
    run.start(reserve=4 if run.device.type == "cuda" else 2, model=model, critic=critic, average=average, optimizer=optimizer,
              critic_optimizer=critic_optimizer)
    run.note(f"{len(pics)} pictures, {models.n_parameters(model) / 1e6:.2f} M parameters")

    def reconstruct(x, noise):
        mean, logvar = model.encode(x)
        return model.decode(mean + noise * (0.5 * logvar).exp()), mean, logvar

    reconstruct = run.compiled(reconstruct)
    last, factor = model.decoder.conv_out.weight, 2 ** (len(config["block_out_channels"]) - 1)
    flips = torch.tensor([r["mirror"] for r in pics.rows], device=run.device)
    while run.more():
        whole = run.progress() > 0.75 or args.crop >= args.size
        n = max(2, args.batch * min(args.crop, args.size) ** 2 // args.size ** 2) if whole else args.batch
        ids = pics.draw(n, run.generator)
        rgba = pics.rgba[ids]
        if not whole:
            rgba = rgba if args.upscaler else data.warp(rgba, run.generator, (0.7, 1.3), 0.08, 0.15, flips[ids])    # photographs fill their frame
            rgba = crop(rgba, args.crop, run.generator)
        x = scenes(rgba, run.generator, args.white).contiguous(memory_format=torch.channels_last)
        noise = torch.randn(n, 4, x.shape[2] // factor, x.shape[3] // factor, generator=run.generator, device=run.device)
        with run.autocast():
            y, mean, logvar = reconstruct(x, noise)
        y, mean, logvar = y.float(), mean.float(), logvar.float()
        l1, edge = (x - y).abs().mean(), edges(x, y)
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        with run.autocast():
            seen = judge.distance(x, y) if judge is not None else torch.zeros((), device=run.device)
        loss = l1 + 0.5 * (x - y).square().mean() + 0.5 * edge + 0.15 * seen + args.kl * kl
        losses = dict(l1=l1, edges=edge, seen=seen, kl=kl)

        adversarial = run.progress() > args.gan_from
        if adversarial:
            critic.requires_grad_(False)
            with run.autocast():
                fool = -critic(y).float().mean()
            ratio = (torch.autograd.grad(loss, last, retain_graph=True)[0].norm()
                     / (torch.autograd.grad(fool, last, retain_graph=True)[0].norm() + 1e-6)).clamp(0, 100)
            loss = loss + 0.2 * ratio.detach() * fool
            critic.requires_grad_(True)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        run.set_rate(optimizer, run.rate())
        optimizer.step()
        average.update()

        if run.progress() > args.gan_from - 0.1:    # the critic learns a little earlier than it speaks
            with run.autocast():
                real, fake = critic(x), critic(y.detach())
            critic_loss = F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean()
            critic_optimizer.zero_grad()
            critic_loss.backward()
            critic_optimizer.step()
            losses["critic"] = critic_loss
        run.log(n, **losses)

    run.save()
    with average.applied():
        psnr, scaling, grid = report(model, run, pics)
        data.write_grid(args.out + "/vae.png", grid)
        if args.upscaler:
            stretch(model, scaling / UPSCALER_SCALING)
            scaling = UPSCALER_SCALING
        run.note(f"PSNR {psnr:.2f} dB over white, scaling factor {scaling:.5f}")
        common.export(args.out + "/vae", model.state_dict(), dict(model.config, scaling_factor=round(scaling, 6)),
                      note=dict(steps=run.step, seconds=round(run.trained), psnr=psnr, seed=args.seed))


if __name__ == "__main__":
    main()
