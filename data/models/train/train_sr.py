# data/models/train/train_sr.py: super-resolution by four. SPDX-License-Identifier: LGPL-3.0-or-later
"""Trains the upscaler's UNet on photographs (pack_photos.py) made small by degrade.py, in the latents of --vae (train_vae.py --upscaler).

v-prediction, as the family's; half of the pictures (--one-step) are at pure noise, where the best guess of the latents is what one step draws:
the faithful setting. The rest is spread over all timesteps, for more steps. The small picture gets the noise of its class on top:
class 0, a hundredth, in seven of ten cases. From --pixels-from on (of the time) the decoder learns too: what one step draws, and what
the encoder says, are compared as pictures, for the nearest latents are not the nearest pixels; with --squares by their squares, as drawn and,
above all, with the small picture's tones kept, and the latents hardly any more, which serves PSNR. Its text model is one layer that
nothing teaches: captions say nothing here, and all are empty.
Exports OUT/model, a folder for diffusers' StableDiffusionUpscalePipeline.
"""
import os
import shutil

import torch
import torch.nn.functional as F

import common
import data
import models
from degrade import degrade
from tokenizer import Tokenizer

SCHEDULER = dict(beta_start=0.0001, beta_end=0.02, beta_schedule="scaled_linear", num_train_timesteps=1000, prediction_type="v_prediction",
                 clip_sample=False, set_alpha_to_one=False, steps_offset=1)
INDEX = dict(_class_name="StableDiffusionUpscalePipeline", low_res_scheduler=["diffusers", "DDPMScheduler"],
             scheduler=["diffusers", "DDIMScheduler"], text_encoder=["transformers", "CLIPTextModel"],
             tokenizer=["transformers", "CLIPTokenizer"], unet=["diffusers", "UNet2DConditionModel"], vae=["diffusers", "AutoencoderKL"],
             max_noise_level=350)


class Schedule:
    """a[t] and s[t] of SCHEDULER's betas, f32 on the device."""

    def __init__(self, device):
        betas = torch.linspace(0.0001 ** 0.5, 0.02 ** 0.5, 1000, dtype=torch.float64) ** 2
        kept = torch.cumprod(1 - betas, 0)
        self.a, self.s = kept.sqrt().float().to(device), (1 - kept).sqrt().float().to(device)

    def at(self, t):
        return self.a[t].view(-1, 1, 1, 1), self.s[t].view(-1, 1, 1, 1)


@torch.no_grad()
def enlarge(schedule, unet, vae, context, small, steps, seed=0, level=0):
    """small [N, 3, h, w] in -1…1 -> [N, 3, 4h, 4w]. Few-step sampling: predict the clean latents, noise them to the next timestep."""
    n, device = len(small), small.device
    generator = torch.Generator().manual_seed(seed)
    drawn = lambda *shape: torch.randn(*shape, generator=generator).to(device)
    a, s = schedule.at(torch.full((n,), level, device=device))
    low = a * small + s * drawn(*small.shape)
    times = [round(1000 - i * 1000 / steps) - 1 for i in range(steps)]
    x = drawn(n, 4, *small.shape[2:])
    for i, t in enumerate(times):
        tt = torch.full((n,), t, device=device)
        a, s = schedule.at(tt)
        x0 = a * x - s * unet(torch.cat([x, low], 1), tt, context.expand(n, -1, -1), torch.full_like(tt, level)).float()
        if i + 1 < steps:
            a, s = schedule.at(torch.full((n,), times[i + 1], device=device))
            x = a * x0 + s * drawn(*x0.shape)
    return vae.decode(x0 / vae.config["scaling_factor"]).float().clamp(-1, 1)


def kept(picture, small, reach):
    """What the engine makes of a picture whose tones are to be kept (core/tasks/upscale-resize.c): its means over reach pixels of small become small's."""
    for _ in range(4):
        lack = small - F.avg_pool2d(picture, 4)
        lack = F.interpolate(lack, size=[-(-x // reach) for x in lack.shape[2:]], mode="bicubic", antialias=True)
        picture = picture + F.interpolate(lack, size=picture.shape[2:], mode="bicubic")
    return picture


def crops(pics, n, crop, size, generator):
    """[n, 3, crop, crop]: shrunk from up to 2.5 times as much, turned, mirrored, with channels in another order or less contrast, for photographs are few."""
    u = torch.rand(7, generator=generator, device=generator.device).tolist()
    wide = crop + int((min(2.5 * crop, size) - crop) * u[0] / 8) * 8 if u[1] < 0.7 else crop
    y, x = (int(v) for v in torch.randint(0, size - wide + 1, (2,), generator=generator, device=generator.device))
    x = data.over(pics.rgba[pics.draw(n, generator)][..., y:y + wide, x:x + wide])
    if wide > crop:                                        # finer detail than the photographs have from near
        x = F.interpolate(x, size=(crop, crop), mode="bicubic", antialias=True).clamp(-1, 1)
    x = x.rot90(int(4 * u[2]), (2, 3))
    x = x.flip(-1) if u[3] < 0.5 else x
    if u[4] < 0.3:
        x = x[:, torch.randperm(3, generator=generator, device=generator.device)]
    if u[5] < 0.3:
        x = x * (0.5 + u[6] / 2)
    return x.contiguous(memory_format=torch.channels_last)


def export(folder, unet, text, vae, tokenizer, note):
    for part, network, stem in (("unet", unet, {}), ("vae", vae, {}), ("text_encoder", text, dict(stem="model"))):
        common.export(f"{folder}/{part}", network.state_dict(), network.config, note=note, **stem)
    shutil.rmtree(folder + "/tokenizer", ignore_errors=True)
    shutil.copytree(tokenizer, folder + "/tokenizer")
    for part, kind in (("scheduler", "DDIMScheduler"), ("low_res_scheduler", "DDPMScheduler")):
        os.makedirs(f"{folder}/{part}", exist_ok=True)
        common.write_json(f"{folder}/{part}/scheduler_config.json",
                          dict(SCHEDULER, _class_name=kind, **(dict(prediction_type="epsilon") if part == "low_res_scheduler" else {})))
    common.write_json(folder + "/model_index.json", INDEX)


def main():
    args = common.arguments(__doc__, batch=16, lr=1e-3, vae="", tokenizer="", crop=128, highest_level=100, channels="", pixels_from=0.6, one_step=0.5, squares=False)
    run = common.Run(args)
    pics = data.Pictures(args.pack, run.device, args.size, args.limit)
    vae = common.load_model(models.AutoencoderKL, args.vae, run.device).to(memory_format=torch.channels_last)
    nothing = Tokenizer(args.tokenizer)("")
    end = max(nothing)                                     # the last of a vocabulary
    config = models.toy(models.UPSCALER_TEXT) if args.toy else models.UPSCALER_TEXT
    text = models.CLIPTextModel(dict(config, vocab_size=end + 1, bos_token_id=end - 1, eos_token_id=end, pad_token_id=end))
    text = text.to(run.device).eval().requires_grad_(False)
    with torch.no_grad():
        context = text(torch.tensor([nothing], device=run.device))
    config = models.toy(models.UPSCALER_UNET) if args.toy else models.UPSCALER_UNET
    unet = models.UNet2DConditionModel(models.narrower(config, args.channels) if args.channels else config)
    unet = unet.to(run.device, memory_format=torch.channels_last)
    torch.nn.init.zeros_(unet.class_embedding.weight)
    for module in unet.modules():
        if isinstance(module, models.Resnet):    # residual branches that begin at nothing learn sooner
            torch.nn.init.zeros_(module.conv2.weight)
    average, decoder = common.Average(unet, 0.998), vae.decoder
    decoder_average = common.Average(decoder.requires_grad_(True), 0.99)
    optimizer = torch.optim.AdamW([*unet.parameters(), *decoder.parameters()], args.lr, betas=(0.9, 0.99), weight_decay=1e-3)
    if args.resume and not os.path.exists(args.resume + "/state.pt"):
        unet.load_state_dict(common.read_folder(args.resume + "/unet")[1])
        average.reset()
    run.start(reserve=3, unet=unet, decoder=decoder, average=average, decoder_average=decoder_average, optimizer=optimizer)
    run.note(f"{len(pics)} tiles, {models.n_parameters(unet) / 1e6:.2f} M parameters")

    schedule, g = Schedule(run.device), run.generator
    predict = run.compiled(lambda x, t, c, label: unet(x, t, c, label))
    rand = lambda *shape: torch.rand(*shape, generator=g, device=run.device)
    while run.more():
        coarse = run.progress() < args.pixels_from         # more and smaller crops first: more steps in the time
        n, crop = (2 * args.batch, args.crop // 2) if coarse else (args.batch, args.crop)
        large = crops(pics, n, crop, args.size, g)
        small = degrade(large, g)
        with torch.no_grad(), run.autocast():
            z = vae.encode(large)[0].float() * vae.config["scaling_factor"]
        t = torch.where(rand(n) < args.one_step, torch.full((n,), 999, device=run.device), (rand(n) * 1000).long())
        label = torch.where(rand(n) < 0.7, torch.zeros(n, device=run.device), rand(n) * (args.highest_level + 1)).long()
        a, s = schedule.at(label)
        noise = torch.randn(small.shape, generator=g, device=run.device)
        low = a * small + s * noise
        a, s = schedule.at(t)
        noise = torch.randn(z.shape, generator=g, device=run.device)
        noisy = a * z + s * noise
        with run.autocast():
            v = predict(torch.cat([noisy, low], 1), t, context.expand(n, -1, -1), label).float()
        error = (v - (a * noise - s * z)).square().mean((1, 2, 3))
        loss = error.mean()
        losses = dict(loss=loss, one_step=error[t == 999].mean() if (t == 999).any() else loss)
        if not coarse:
            guess = torch.where((t == 999).view(-1, 1, 1, 1), a * noisy - s * v, z)
            with run.autocast():
                drawn = vae.decode(guess / vae.config["scaling_factor"])
            off = drawn.float() - large
            if args.squares:
                reach = 2 if rand(1) < 0.5 else 4
                losses.update(pixels=off.square().mean(), kept=(kept(drawn.float(), small, reach) - large).square().mean())
                loss = 0.05 * loss + 4 * losses["pixels"] + 20 * losses["kept"]
            else:
                losses["pixels"] = off.abs().mean()
                loss = loss + 4 * losses["pixels"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*unet.parameters(), *decoder.parameters()], 1.0)
        run.set_rate(optimizer, run.rate())
        optimizer.step()
        average.update()
        decoder_average.update()
        run.log(n, **losses)

    run.save()
    with average.applied(), decoder_average.applied(), torch.no_grad():
        large = data.over(data.Pictures(args.pack, run.device, args.size, 8, ("held",)).rgba)
        small = degrade(large, torch.Generator(run.device).manual_seed(1))
        shown = [F.interpolate(small, scale_factor=4, mode="bicubic").clamp(-1, 1),
                 *(enlarge(schedule, unet, vae, context, small, steps) for steps in (1, 4)), large]
        data.write_grid(args.out + "/sr.png", torch.stack(shown, 1).flatten(0, 1), 4)
        export(args.out + "/model", unet, text, vae, args.tokenizer, dict(steps=run.step, seconds=round(run.trained), seed=args.seed))


if __name__ == "__main__":
    main()
