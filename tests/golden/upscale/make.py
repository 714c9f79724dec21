"""Makes tests/golden/upscale: what diffusers' StableDiffusionUpscalePipeline draws with a tiny random model.

Usage: python make.py

model/ is built as the SD x4 upscaler is: a UNet with 7 input channels and a class embedding of the noise level that predicts v, transformers that look
at the prompt only, linear projections, an autoencoder of scale 4, a text encoder as in SD 2 (gelu, no projection) and its tokenizer, which fills with
"!". Weights are f16 in the files and exact in f32; the autoencoder's file holds the decoder alone: nothing is encoded here. Every case is one call on
the CPU in f32 with a seeded CPU generator. <case>.f32 holds the latents after each step [4, h, w], then the picture [4 h, 4 w, 3] in 0..1,
little-endian f32; cases.json the arguments. The picture given is pixel (x, y, c) = (7 x + 13 y + 50 c + 5 (x y mod 17)) mod 256.
Tolerance 1e-4 relative: f32 sums in another order. Made with diffusers 0.42, torch on the CPU. SPDX-License-Identifier: LGPL-3.0-or-later
"""
import json, os, shutil
import numpy as np, torch, diffusers, transformers
from diffusers import (AutoencoderKL, DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler, StableDiffusionUpscalePipeline,
                       UNet2DConditionModel)
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

torch.set_num_threads(1)
torch.manual_seed(20260303)
here = os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "model")
shutil.rmtree(folder, ignore_errors=True)

# --- a tokenizer of single bytes and a few merges ---------------------------------------------------------------------------

def byte_letters():
    """The letters that stand for the 256 bytes, in the order of CLIP's vocabulary"""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xa1, 0xad), *range(0xae, 0x100)]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(256 - len(plain))]

merges = [("a", "p"), ("ap", "p"), ("l", "e</w>"), ("app", "le</w>"), ("r", "e"), ("re", "d</w>")]
letters = byte_letters()
tokens = letters + [c + "</w>" for c in letters] + [a + b for a, b in merges] + ["<|startoftext|>", "<|endoftext|>"]
os.makedirs(os.path.join(folder, "tokenizer"))
with open(os.path.join(folder, "tokenizer", "vocab.json"), "w") as f:
    json.dump({t: i for i, t in enumerate(tokens)}, f)
with open(os.path.join(folder, "tokenizer", "merges.txt"), "w") as f:
    f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
with open(os.path.join(folder, "tokenizer", "special_tokens_map.json"), "w") as f:
    json.dump(dict(bos_token="<|startoftext|>", eos_token="<|endoftext|>", unk_token="<|endoftext|>", pad_token="!"), f, indent=1)
tokenizer = CLIPTokenizer.from_pretrained(os.path.join(folder, "tokenizer"), model_max_length=77, pad_token="!")

# --- networks ---------------------------------------------------------------------------------------------------------------

text = CLIPTextModel(CLIPTextConfig(vocab_size=len(tokens), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                                    hidden_act="gelu", projection_dim=512, bos_token_id=0, eos_token_id=2, pad_token_id=1))
unet = UNet2DConditionModel(sample_size=16, in_channels=7, block_out_channels=(8, 8), layers_per_block=1, cross_attention_dim=16,
                            attention_head_dim=2, norm_num_groups=4, use_linear_projection=True, num_class_embeds=360,
                            only_cross_attention=True,
                            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"))
vae = AutoencoderKL(block_out_channels=(8, 8, 8), layers_per_block=1, norm_num_groups=4, latent_channels=4, scaling_factor=0.08333,
                    down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3)

# random weights that neither vanish nor explode, and a noise level and a prompt that matter
with torch.no_grad():
    for p in text.parameters():
        if p.ndim > 1:
            p.mul_(3.0)
    unet.conv_out.weight.mul_(3.0)
    vae.post_quant_conv.weight.mul_(0.08333)
for m in (text, unet, vae):
    m.half().float().eval()

shared = dict(beta_schedule="scaled_linear", clip_sample=False, prediction_type="v_prediction")
scheduler = DDIMScheduler(beta_start=0.0001, beta_end=0.02, set_alpha_to_one=False, steps_offset=1, **shared)
low_res = DDPMScheduler(beta_start=0.0001, beta_end=0.02, **shared)
pipe = StableDiffusionUpscalePipeline(vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, low_res_scheduler=low_res, scheduler=scheduler,
                                      max_noise_level=350)
pipe.set_progress_bar_config(disable=True)

for name, m in (("text_encoder", text), ("unet", unet), ("vae", vae)):
    m.half().save_pretrained(os.path.join(folder, name))
    m.float()
    config = os.path.join(folder, name, "config.json")
    settings = {k: v for k, v in json.load(open(config)).items() if k != "_name_or_path"}
    json.dump(settings, open(config, "w"), indent=2)
path = os.path.join(folder, "vae", "diffusion_pytorch_model.safetensors")
save_file({k: v for k, v in load_file(path).items() if not k.startswith(("encoder.", "quant_conv."))}, path)
scheduler.save_pretrained(os.path.join(folder, "scheduler"))
low_res.save_pretrained(os.path.join(folder, "low_res_scheduler"))

# --- cases ------------------------------------------------------------------------------------------------------------------

W, H = 12, 8
y, x, c = np.mgrid[0:H, 0:W, 0:3]
picture = Image.fromarray(((7 * x + 13 * y + 50 * c + 5 * ((x * y) % 17)) % 256).astype(np.uint8))
base = {k: v for k, v in scheduler.config.items() if k != "_use_default_values"}
cases = []

def case(name, make, sampler, spacing, steps, guidance, noise_level, prompt, negative, seed):
    pipe.scheduler = make.from_config(dict(base, timestep_spacing=spacing))
    seen = []
    out = pipe(prompt=prompt, negative_prompt=negative, image=picture, num_inference_steps=steps, guidance_scale=guidance, noise_level=noise_level,
               generator=torch.Generator("cpu").manual_seed(seed), output_type="np", callback=lambda i, t, latents: seen.append(latents.clone())).images[0]
    assert len(seen) == steps and out.shape == (4 * H, 4 * W, 3)
    np.concatenate([s[0].numpy().ravel() for s in seen] + [out.ravel()]).astype("<f4").tofile(os.path.join(here, name + ".f32"))
    cases.append(dict(file=name + ".f32", sampler=sampler, spacing=spacing, steps=steps, guidance_scale=guidance, noise_level=noise_level,
                      prompt=prompt, negative_prompt=negative, seed=seed))
    print(name, "latents std %.3f" % seen[-1].std(), "picture mean %.3f std %.3f" % (out.mean(), out.std()))

case("guided", DDIMScheduler, "ddim", "leading", 4, 4.0, 20, "a red apple", "blue", 5)
case("plain", DDIMScheduler, "ddim", "trailing", 3, 1.0, 0, "", "", 6)
case("noisy", DDIMScheduler, "ddim", "leading", 2, 7.5, 350, "", "noise", 7)
case("euler", EulerDiscreteScheduler, "euler", "trailing", 3, 3.0, 100, "red apple", "", 8)

json.dump(dict(diffusers=diffusers.__version__, transformers=transformers.__version__, torch=torch.__version__, width=W, height=H, cases=cases),
          open(os.path.join(here, "cases.json"), "w"), indent=1)
