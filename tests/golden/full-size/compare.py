"""Runs a full-size Stable Diffusion 1.5 with random weights from prompt to picture in diffusers and here, and compares the pictures.

Usage: python compare.py ENGINE [--folder FOLDER] [--size 512] [--steps 4] [--guidance 5]

ENGINE is our flashbrush-engine program. FOLDER gets the checkpoint (2.1 GB in f16), and keeps it for the next run; the system's
folder for temporary files without it. Random weights are scaled so that the signal neither vanishes nor explodes. The sampler is DDIM
with trailing timesteps, both compute in f32. Ends with status 1 below 50 dB PSNR over the 8-bit pictures. Made with torch 2.15, diffusers 0.42.1
and transformers 5.24, where 2 steps at 256 pixels gave 82.9 dB, no value off by more than 1 of 255. SPDX-License-Identifier: LGPL-3.0-or-later
"""
import argparse, gzip, json, math, os, subprocess, sys, tempfile, time
import numpy as np, torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

here = os.path.dirname(os.path.abspath(__file__))
MERGES = os.path.join(here, "..", "..", "..", "data", "tokenizer", "clip-merges.txt.gz")
PROMPT, NEGATIVE, SEED = "a lighthouse on a cliff, oil painting, stormy sea", "blurry", 7


def write_tokenizer(folder):
    """CLIP's vocabulary: bytes, bytes that end a word, merges in their order, two marks"""
    merges = [line for line in gzip.open(MERGES, "rt", encoding="utf-8").read().split("\n") if line and not line.startswith("#")]
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in visible] + [chr(256 + i) for i in range(256 - len(visible))]
    words = letters + [c + "</w>" for c in letters] + [m.replace(" ", "") for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as f:
        json.dump({word: i for i, word in enumerate(words)}, f, ensure_ascii=False)
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "\n".join(merges) + "\n")


def make(folder):
    torch.manual_seed(20260101)
    text = CLIPTextModel(CLIPTextConfig(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
                                        num_attention_heads=12, hidden_act="quick_gelu", projection_dim=768,
                                        bos_token_id=49406, eos_token_id=49407, pad_token_id=49407))
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    vae = AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=512,
                        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                              set_alpha_to_one=False, steps_offset=1, timestep_spacing="trailing")
    with torch.no_grad():
        for p in text.parameters():
            if p.ndim > 1:
                p.mul_(2.0)
        unet.conv_out.weight.mul_(3.0)
    write_tokenizer(os.path.join(folder, "tokenizer"))
    pipe = StableDiffusionPipeline(vae=vae.half(), text_encoder=text.half(), unet=unet.half(), scheduler=scheduler,
                                   tokenizer=CLIPTokenizer.from_pretrained(os.path.join(folder, "tokenizer"), model_max_length=77),
                                   safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipe.save_pretrained(folder)
    write_tokenizer(os.path.join(folder, "tokenizer"))       # the loader reads what newer transformers no longer write


def theirs(args):
    pipe = StableDiffusionPipeline.from_pretrained(args.folder, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    start = time.perf_counter()
    picture = pipe(PROMPT, negative_prompt=NEGATIVE, num_inference_steps=args.steps, guidance_scale=args.guidance,
                   width=args.size, height=args.size, generator=torch.Generator("cpu").manual_seed(SEED)).images[0]
    return np.asarray(picture.convert("RGB"), dtype=np.float64), time.perf_counter() - start


def ours(args):
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "picture.png")
        start = time.perf_counter()
        subprocess.run([args.engine, "generate", "--quiet", "--model", args.folder, "--prompt", PROMPT, "--negative", NEGATIVE,
                        "--steps", str(args.steps), "--guidance", str(args.guidance), "--sampler", "ddim", "--spacing", "trailing",
                        "--seed", str(SEED), "--width", str(args.size), "--height", str(args.size), "--dtype", "f32",
                        "--decoder", "full", "--output", output], check=True)
        return np.asarray(Image.open(output).convert("RGB"), dtype=np.float64), time.perf_counter() - start


def main():
    p = argparse.ArgumentParser()
    p.add_argument("engine")
    p.add_argument("--folder", default=os.path.join(tempfile.gettempdir(), "flashbrush-sd15-random"))
    p.add_argument("--size", type=int, default=512)
    p.add_argument("--steps", type=int, default=4)
    p.add_argument("--guidance", type=float, default=5.0)
    args = p.parse_args()
    if not os.path.exists(os.path.join(args.folder, "model_index.json")):
        make(args.folder)
    a, seconds = ours(args)
    b, their_seconds = theirs(args)
    error = math.sqrt(np.mean((a - b) ** 2))
    psnr = 20 * math.log10(255 / error) if error > 0 else math.inf
    print(f"{args.size} pixels, {args.steps} steps: PSNR {psnr:.1f} dB, ‖a − b‖ / ‖b‖ {np.linalg.norm(a - b) / np.linalg.norm(b):.1e}, "
          f"largest difference {np.abs(a - b).max():.0f} of 255, "
          f"spread of the picture {b.std():.1f}; {seconds:.0f} s with loading here, {their_seconds:.0f} s without in diffusers")
    return 0 if psnr >= 50 else 1


if __name__ == "__main__":
    sys.exit(main())
