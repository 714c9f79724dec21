# data/models/train/train_t2i.py: text encoder and UNet. SPDX-License-Identifier: LGPL-3.0-or-later
"""Trains both together to predict the noise in latents of --vae, with captions made anew for every view of a picture.

Latents are computed once: --views of every picture (the first as drawn, the others a little smaller, moved and mirrored where
a mirror image is the same thing). Loss: squared error with min-SNR-5 weights (arXiv:2303.09556); one caption in ten is empty,
so that guidance works. Exports OUT/model: a whole Stable Diffusion folder, autoencoder and tokenizer included.
"""
import json
import os
import random
import shutil

import torch

import captions
import common
import data
import models
import sample
from tokenizer import Tokenizer

SCHEDULER = dict(_class_name="DPMSolverMultistepScheduler", beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                 num_train_timesteps=1000, prediction_type="epsilon", timestep_spacing="trailing", solver_order=2,
                 algorithm_type="dpmsolver++", final_sigmas_type="zero", steps_offset=1)
INDEX = dict(_class_name="StableDiffusionPipeline", feature_extractor=[None, None], image_encoder=[None, None],
             requires_safety_checker=False, safety_checker=[None, None], scheduler=["diffusers", "DPMSolverMultistepScheduler"],
             text_encoder=["transformers", "CLIPTextModel"], tokenizer=["transformers", "CLIPTokenizer"],
             unet=["diffusers", "UNet2DConditionModel"], vae=["diffusers", "AutoencoderKL"])
GRID = ["red apple, 3d", "dog face, 3d", "rocket, 3d", "house, flat", "tropical fish, flat", "pizza, noto", "cat, noto",
        "sunflower, 3d", "guitar, noto", "automobile, flat", "snowman, 3d", "rose, flat", "whale, noto", "cactus, 3d",
        "blue heart, 3d", "crown, flat"]


@torch.no_grad()
def latents(pics, vae, run, views):
    """-> [N, views, 4, H/8, W/8] f16, scaled: the means of what the autoencoder sees in each view."""
    flips = torch.tensor([r["mirror"] for r in pics.rows], device=run.device)
    generator = torch.Generator(run.device).manual_seed(run.args.seed + 7)    # not the run's: the same again on resume
    out = []
    for ids in torch.arange(len(pics), device=run.device).split(64 if run.device.type == "cuda" else 8):
        row = []
        for v in range(views):
            rgba = pics.rgba[ids]
            rgba = data.warp(rgba, generator, (0.82, 1.0), 0.05, 0.0, flips[ids]) if v else rgba
            with run.autocast():
                row.append((vae.encode(data.over(rgba))[0].float() * vae.config["scaling_factor"]).half())
        out.append(torch.stack(row, 1))
    return torch.cat(out)


def caption_ids(rows, tokenizer, n, seed, device):
    """-> [N, n, 77] int64: n captions of every row."""
    rng = random.Random(seed)
    return torch.tensor([[tokenizer(captions.caption(r, rng)) for _ in range(n)] for r in rows], device=device)


class Model(torch.nn.Module):
    def __init__(self, text, unet):
        super().__init__()
        self.text, self.unet = text, unet

    def forward(self, x, t, ids):
        return self.unet(x, t, self.text(ids))


def configurations(args):
    """-> text encoder's, UNet's: those of the model that is continued, else this project's."""
    folder = args.resume + "/model" if os.path.isdir(args.resume + "/model") else args.resume
    if folder:
        return tuple(json.load(open(f"{folder}/{name}/config.json", encoding="utf-8")) for name in ("text_encoder", "unet"))
    small = models.toy if args.toy else dict
    return small(models.TEXT), small(models.UNET)


def start_weights(model, folder):
    for part, name in ((model.text, "text_encoder"), (model.unet, "unet")):
        part.load_state_dict(common.read_folder(os.path.join(folder, name))[1])


def export(model, args, note):
    folder = os.path.join(args.out, "model")
    os.makedirs(folder + "/scheduler", exist_ok=True)
    for name, source in (("tokenizer", args.tokenizer), ("vae", args.vae)):
        if os.path.realpath(source) != os.path.realpath(f"{folder}/{name}"):
            shutil.copytree(source, f"{folder}/{name}", dirs_exist_ok=True)
    common.export(folder + "/text_encoder", model.text.state_dict(), model.text.config, "model")
    common.export(folder + "/unet", model.unet.state_dict(), model.unet.config, note=note)
    common.write_json(folder + "/scheduler/scheduler_config.json", SCHEDULER)
    common.write_json(folder + "/model_index.json", INDEX)
    return folder


def main():
    args = common.arguments(__doc__, batch=512, lr=1e-3, vae="", tokenizer="", views=4, captions=16, drop=0.1, decay=0.999,
                            grid_every=180.0, heldout_too=False)
    run = common.Run(args)
    splits = None if args.heldout_too else ("train",)
    pics = data.Pictures(args.pack, run.device, args.size, args.limit, splits)
    vae = common.load_model(models.AutoencoderKL, args.vae, run.device).to(memory_format=torch.channels_last)
    tokenizer = Tokenizer(args.tokenizer)
    z = latents(pics, vae, run, args.views)
    ids = caption_ids(pics.rows, tokenizer, args.captions, args.seed, run.device)
    empty = torch.tensor(tokenizer(""), device=run.device)
    run.note(f"{len(pics)} pictures in {args.views} views and {args.captions} captions each; latents' deviation {float(z.float().std()):.3f}")
    del pics.rgba

    text_config, unet_config = configurations(args)
    unet = models.UNet2DConditionModel(dict(unet_config, sample_size=args.size // 8))
    model = Model(models.CLIPTextModel(text_config), unet).to(run.device, memory_format=torch.channels_last)
    run.note(f"text encoder {models.n_parameters(model.text) / 1e6:.2f} M, UNet {models.n_parameters(unet) / 1e6:.2f} M parameters")
    if args.resume and not os.path.exists(args.resume + "/state.pt"):
        start_weights(model, args.resume)
        run.note(f"{args.resume}: weights taken; the optimizer warms up again")
    average = common.Average(model, args.decay)
    fused = dict(fused=True) if run.device.type == "cuda" else {}
    optimizer = torch.optim.AdamW(model.parameters(), args.lr, betas=(0.9, 0.99), weight_decay=0.01, **fused)
    run.start(reserve=15 if run.device.type == "cuda" else 4, model=model, average=average, optimizer=optimizer)

    schedule, forward = sample.Schedule(run.device), run.compiled(model)
    weight = torch.minimum(schedule.snr, torch.full_like(schedule.snr, 5.0)) / schedule.snr    # of the noise's squared error

    def publish(name):
        prompts = GRID if run.device.type == "cuda" else GRID[:4]
        with average.applied():
            note = dict(steps=run.step, pictures=run.step * args.batch, seconds=round(run.trained), seed=args.seed)
            run.note("exported " + export(model, args, note))
            pipeline = sample.Pipeline("", run.device, model.text, model.unet, vae, tokenizer)
            steps = 25 if run.device.type == "cuda" else 6
            data.write_grid(f"{args.out}/{name}.png", pipeline.draw(prompts, range(len(prompts)), steps, 5.0, False, run.autocast))

    rand = lambda *shape: torch.rand(*shape, generator=run.generator, device=run.device)
    shown = run.trained
    while run.more():
        rows = torch.multinomial(pics.weight, args.batch, replacement=True, generator=run.generator)
        pick = rand(3, args.batch)
        x0 = z[rows, (pick[0] * args.views).long()].float()
        prompt = ids[rows, (pick[1] * args.captions).long()]
        prompt = torch.where((pick[2] < args.drop)[:, None], empty, prompt)
        t = (rand(args.batch) * 1000).long()
        noise = torch.randn(x0.shape, generator=run.generator, device=run.device)
        x = schedule.noised(x0, noise, t).contiguous(memory_format=torch.channels_last)
        with run.autocast():
            guess = forward(x, t, prompt)
        error = (guess.float() - noise).square().mean((1, 2, 3))
        loss = (weight[t] * error).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        run.set_rate(optimizer, run.rate(warmup=200, hold=0.55))
        optimizer.step()
        average.update()
        run.log(args.batch, loss=loss, error=error.mean())
        if run.trained - shown > args.grid_every:    # exported too: a call that is cut off then still brings something back
            publish("t2i-latest")
            shown = run.trained

    run.save()
    publish("t2i")


if __name__ == "__main__":
    main()
