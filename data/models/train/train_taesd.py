# data/models/train/train_taesd.py: the preview autoencoder. SPDX-License-Identifier: LGPL-3.0-or-later
"""Trains AutoencoderTiny (TAESD's architecture) to stand in for the autoencoder in --vae: its encoder gives that one's scaled
latents, its decoder turns them back, also half-finished ones (a little noise on its input). Exports OUT/taesd.
"""
import torch

import common
import data
import models
from classifier import Classifier
from train_vae import edges, scenes


def main():
    args = common.arguments(__doc__, batch=48, lr=1e-3, vae="", classifier="", white=0.9, width=0)
    run = common.Run(args)
    pics = data.Pictures(args.pack, run.device, args.size, args.limit)
    vae = common.load_model(models.AutoencoderKL, args.vae, run.device).to(memory_format=torch.channels_last)
    factor = vae.config["scaling_factor"]
    judge = common.load_model(Classifier, args.classifier, run.device) if args.classifier else None
    config = models.toy(models.TAESD) if args.toy else models.TAESD
    if args.width:                                         # an autoencoder of few channels wants a preview of fewer
        config = dict(config, encoder_block_out_channels=[args.width] * 4, decoder_block_out_channels=[args.width] * 4)
    model = models.AutoencoderTiny(config).to(run.device, memory_format=torch.channels_last)
    average = common.Average(model, 0.998)
    optimizer = torch.optim.AdamW(model.parameters(), args.lr, betas=(0.9, 0.99), weight_decay=0)
    run.start(reserve=3 if run.device.type == "cuda" else 2, model=model, average=average, optimizer=optimizer)

    encode, decode = run.compiled(model.encode), run.compiled(model.decode)
    flips = torch.tensor([r["mirror"] for r in pics.rows], device=run.device)
    while run.more():
        ids = pics.draw(args.batch, run.generator)
        rgba = data.warp(pics.rgba[ids], run.generator, (0.8, 1.0), 0.05, 0.0, flips[ids])
        x = scenes(rgba, run.generator, args.white).contiguous(memory_format=torch.channels_last)
        with run.autocast():
            with torch.no_grad():
                z = vae.encode(x)[0].float() * factor
            some = torch.rand(len(z), 1, 1, 1, generator=run.generator, device=run.device) * 0.1
            y = decode(z + some * torch.randn(z.shape, generator=run.generator, device=run.device)).float()
            guess = encode(x).float()
            seen = judge.distance(x, y) if judge is not None else torch.zeros((), device=run.device)
        l1, latent = (x - y).abs().mean(), (guess - z).square().mean()
        loss = l1 + 0.5 * edges(x, y) + 0.1 * seen + 0.5 * latent
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        run.set_rate(optimizer, run.rate())
        optimizer.step()
        average.update()
        run.log(args.batch, l1=l1, latent=latent, seen=seen)

    run.save()
    with average.applied(), torch.no_grad():
        x = data.over(pics.rgba[:24])
        z = vae.encode(x)[0] * factor
        y, own = model.decode(z).clamp(-1, 1), model.decode(model.encode(x)).clamp(-1, 1)
        psnr = float(-10 * ((x - y).square().mean((1, 2, 3)) / 4).log10().mean())
        data.write_grid(args.out + "/taesd.png", torch.stack([x, y, own], 1).flatten(0, 1)[:48], 6)
        run.note(f"PSNR {psnr:.2f} dB from the autoencoder's latents")
        common.export(args.out + "/taesd", model.state_dict(), model.config,
                      note=dict(steps=run.step, seconds=round(run.trained), psnr=psnr, seed=args.seed))


if __name__ == "__main__":
    main()
