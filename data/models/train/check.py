# data/models/train/check.py: our modules against diffusers and transformers. SPDX-License-Identifier: LGPL-3.0-or-later
"""python3 check.py [--model MODEL [--out OUT.png]] [--tokenizer FOLDER]

Saves each network with random weights as a folder, loads it with the library it stems from, and compares outputs (relative to
the largest: 1e-5). --model also draws four pictures with StableDiffusionPipeline from an exported model. Needs diffusers and
transformers; nothing else in this folder does.
"""
import argparse
import os
import tempfile

import torch
from diffusers import (AutoencoderKL, AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, StableDiffusionUpscalePipeline,
                       UNet2DConditionModel)
from transformers import CLIPTextModel, CLIPTokenizer

import common
import models
import sample
import train_sr
from tokenizer import Tokenizer

TEXTS = ["a red apple, 3d", "", "woman and man holding hands: medium-dark skin tone, flat", "it's 12 o'clock!  Noto", "déjà vu – café №5 ñ",
         "日本語 🍎 emoji, don't stop", "we'll they've I'm he'd you're 100% (x) [y] a_b", "word " * 100, "ﬁne İstanbul Ünïcödé ²½", "x\ty\n z"]


def close(name, ours, theirs):
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    print(f"{name}: largest difference {error:.1e} of the largest value")
    assert error < 1e-5, name


def saved(module, folder, stem="diffusion_pytorch_model"):
    torch.manual_seed(3)
    for p in module.parameters():    # zero biases and unit scales would hide a mix-up
        torch.nn.init.normal_(p, std=0.02 if p.ndim > 1 else 0.1)
    common.export(folder, module.state_dict(), module.config, stem, dtype=torch.float32)
    return module.eval()


@torch.no_grad()
def compare(root):
    ids = torch.randint(0, 4000, (2, 77))
    text = saved(models.CLIPTextModel(models.TEXT), root + "/text_encoder", "model")
    close("CLIPTextModel", text(ids), CLIPTextModel.from_pretrained(root + "/text_encoder").eval()(ids).last_hidden_state)

    x, t, context = torch.randn(2, 4, 32, 32), torch.tensor([7, 801]), torch.randn(2, 77, 256)
    unet = saved(models.UNet2DConditionModel(models.UNET), root + "/unet")
    assert len([f for f in os.listdir(root + "/unet") if f.endswith(".safetensors")]) > 1
    close("UNet2DConditionModel", unet(x, t, context), UNet2DConditionModel.from_pretrained(root + "/unet").eval()(x, t, context).sample)

    x, context, label = torch.randn(2, 7, 32, 24), torch.randn(2, 77, 32), torch.tensor([0, 20])
    unet = saved(models.UNet2DConditionModel(models.UPSCALER_UNET), root + "/upscaler")
    close("UNet2DConditionModel with classes", unet(x, t, context, label),
          UNet2DConditionModel.from_pretrained(root + "/upscaler").eval()(x, t, context, class_labels=label).sample)

    picture = torch.rand(1, 3, 64, 96) * 2 - 1
    small = saved(models.AutoencoderKL(models.UPSCALER_VAE), root + "/small")
    mean = small.encode(picture)[0]
    close("AutoencoderKL at a quarter", small.decode(mean), AutoencoderKL.from_pretrained(root + "/small").eval().decode(mean).sample)
    vae = saved(models.AutoencoderKL(models.VAE), root + "/vae")
    theirs = AutoencoderKL.from_pretrained(root + "/vae").eval()
    mean, logvar = vae.encode(picture)
    close("AutoencoderKL.encode", mean, theirs.encode(picture).latent_dist.mean)
    close("AutoencoderKL.encode, variance", logvar, theirs.encode(picture).latent_dist.logvar)
    close("AutoencoderKL.decode", vae.decode(mean), theirs.decode(mean).sample)

    tiny = saved(models.AutoencoderTiny(models.TAESD), root + "/taesd")
    theirs = AutoencoderTiny.from_pretrained(root + "/taesd").eval()
    z = tiny.encode(picture)
    close("AutoencoderTiny.encode", z, theirs.encode(picture).latents)
    close("AutoencoderTiny.decode", tiny.decode(z), theirs.decode(z).sample)


def compare_tokenizer(folder):
    theirs, ours = CLIPTokenizer.from_pretrained(folder), Tokenizer(folder)
    for text in TEXTS:
        ids = theirs(text, padding="max_length", truncation=True, max_length=77).input_ids
        assert ours(text) == ids, (text, ours(text)[:20], ids[:20])
    print(f"tokenizer: {len(TEXTS)} texts give the ids of CLIPTokenizer")


def draw(model, out, lora=""):
    """The library's pipeline and ours from the same noise, guidance and steps."""
    pipe = StableDiffusionPipeline.from_pretrained(model, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    if lora:
        pipe.load_lora_weights(lora)
    prompts = ["red apple, 3d", "cat, noto", "rocket, flat", "blue heart, 3d"]
    size = pipe.unet.config.sample_size
    theirs = pipe(prompts, num_inference_steps=6, guidance_scale=5.0, height=8 * size, width=8 * size, output_type="pt",
                  latents=sample.noise(range(4), size)[0]).images * 2 - 1
    ours = sample.Pipeline(model, torch.device("cpu"), lora=lora).draw(prompts, range(4), 6, 5.0, False, common.contextlib.nullcontext)
    print(f"StableDiffusionPipeline{' with LoRA' if lora else ''}: largest difference {float((ours - theirs).abs().max()):.1e} of 2")
    assert float((ours - theirs).abs().max()) < 1e-3
    if lora:
        plain = sample.Pipeline(model, torch.device("cpu")).draw(prompts, range(4), 6, 5.0, False, common.contextlib.nullcontext)
        print(f"the LoRA changes the pictures by up to {float((ours - plain).abs().max()):.1e}")
        assert float((ours - plain).abs().max()) > 1e-3
    if out:
        import data
        data.write_grid(out, torch.cat([ours, theirs]), 4)


def enlarge(model):
    """The library's upscaling pipeline and ours, a step from the same noise: no noise on the small picture, no words, DDIM."""
    pipe = StableDiffusionUpscalePipeline.from_pretrained(model, torch_dtype=torch.float32)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, timestep_spacing="trailing")
    pipe.set_progress_bar_config(disable=True)
    small = torch.rand(1, 3, 32, 24)
    start = torch.randn(1, 4, 32, 24, generator=torch.Generator().manual_seed(0))
    theirs = pipe("", image=small, num_inference_steps=1, guidance_scale=1.0, noise_level=0, latents=start, output_type="pt").images * 2 - 1
    load = lambda kind, part: common.load_model(kind, f"{model}/{part}", torch.device("cpu"))
    context = load(models.CLIPTextModel, "text_encoder")(torch.tensor([Tokenizer(model + "/tokenizer")("")]))
    ours = train_sr.enlarge(train_sr.Schedule(torch.device("cpu")), load(models.UNet2DConditionModel, "unet"),
                            load(models.AutoencoderKL, "vae"), context, small * 2 - 1, 1)
    print(f"StableDiffusionUpscalePipeline: largest difference {float((ours - theirs).abs().max()):.1e} of 2")
    return ours, theirs


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", default="")
    p.add_argument("--lora", default="")
    p.add_argument("--out", default="")
    p.add_argument("--tokenizer", default="")
    p.add_argument("--upscaler", default="", help="what train_sr.py exported")
    args = p.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as root:
        compare(root)
    if args.tokenizer or args.model:
        compare_tokenizer(args.tokenizer or args.model + "/tokenizer")
    if args.model:
        draw(args.model, args.out, args.lora)
    if args.upscaler:
        enlarge(args.upscaler)


if __name__ == "__main__":
    main()
