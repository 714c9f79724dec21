"""Makes tests/golden/pipeline: a tiny random Stable Diffusion 1.x pipeline and what diffusers draws with it.

Usage: python make.py TOKENIZER_FOLDER   (any small CLIP tokenizer: vocab.json and merges.txt)

Every case is one call of diffusers' StableDiffusionPipeline on the CPU in f32 with a seeded CPU generator, the way users call it.
<case>.f32 holds the final latents [4, h, w] and then the picture [H, W, 3] in 0..1, little-endian f32; cases.json the arguments.
Weights are f16 in the files and exact in f32. SPDX-License-Identifier: LGPL-3.0-or-later
"""
import json, os, shutil, sys
import numpy as np, torch, diffusers, transformers
from diffusers import (AutoencoderKL, DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler,
                       EulerDiscreteScheduler, LCMScheduler, StableDiffusionPipeline, UNet2DConditionModel)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

torch.set_num_threads(1)
torch.manual_seed(20260101)
here = os.path.dirname(os.path.abspath(__file__))
tok_dir = sys.argv[1]
vocab_size = len(json.load(open(os.path.join(tok_dir, "vocab.json"))))
tokenizer = CLIPTokenizer.from_pretrained(tok_dir, model_max_length=77)

text = CLIPTextModel(CLIPTextConfig(vocab_size=vocab_size, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                                    num_attention_heads=4, hidden_act="quick_gelu", projection_dim=32,
                                    bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
                                    pad_token_id=tokenizer.pad_token_id))
unet = UNet2DConditionModel(sample_size=8, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=32,
                            attention_head_dim=4, norm_num_groups=16,
                            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
vae = AutoencoderKL(block_out_channels=(16, 16, 32, 32), layers_per_block=1, norm_num_groups=8, latent_channels=4,
                    down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)

# random weights that neither vanish nor explode: a few times PyTorch's own initial values where the signal would die
with torch.no_grad():
    for p in text.parameters():
        if p.ndim > 1:
            p.mul_(3.0)
    unet.conv_out.weight.mul_(3.0)
for m in (text, unet, vae):
    m.half().float().eval()

scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                          set_alpha_to_one=False, steps_offset=1, timestep_spacing="trailing")
pipe = StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=scheduler,
                               safety_checker=None, feature_extractor=None, requires_safety_checker=False)
pipe.set_progress_bar_config(disable=True)

model_dir = os.path.join(here, "model")
shutil.rmtree(model_dir, ignore_errors=True)
for m in (text, unet, vae):
    m.half()
pipe.save_pretrained(model_dir)
for m in (text, unet, vae):
    m.float()
# the loader reads vocab.json and merges.txt, which newer transformers no longer write
shutil.rmtree(os.path.join(model_dir, "tokenizer"), ignore_errors=True)
os.makedirs(os.path.join(model_dir, "tokenizer"))
for f in ("vocab.json", "merges.txt"):
    shutil.copy(os.path.join(tok_dir, f), os.path.join(model_dir, "tokenizer", f))

base = {k: v for k, v in scheduler.config.items() if k != "_use_default_values"}   # else from_config drops what is named there
cases = []

def case(name, make, sampler, spacing=None, prediction="epsilon", **kw):
    config = dict(base, prediction_type=prediction)
    if spacing:
        config["timestep_spacing"] = spacing
    pipe.scheduler = make.from_config(config)
    args = dict(prompt="a red apple, 3d", negative_prompt="", num_inference_steps=4, guidance_scale=1.0, width=64, height=64)
    args.update(kw)
    seed, count = args.pop("seed", 1), args.pop("count", 1)
    latents, pictures = [], []
    for i in range(count):
        out = pipe(generator=torch.Generator("cpu").manual_seed(seed + i), output_type="latent", **args).images
        with torch.no_grad():
            picture = vae.decode(out / vae.config.scaling_factor).sample
        latents.append(out[0].numpy())
        pictures.append((picture[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy())
    for i in range(count):
        file = name if count == 1 else f"{name}-{i}"
        np.concatenate([latents[i].ravel(), pictures[i].ravel()]).astype("<f4").tofile(os.path.join(here, file + ".f32"))
        cases.append(dict(file=file + ".f32", sampler=sampler, spacing=spacing or "", prediction=prediction, seed=seed + i,
                          prompt=args["prompt"], negative_prompt=args["negative_prompt"], steps=args["num_inference_steps"],
                          guidance_scale=args["guidance_scale"], width=args["width"], height=args["height"]))
        print(file, "latents std %.3f" % latents[i].std(), "picture mean %.3f std %.3f" % (pictures[i].mean(), pictures[i].std()))

case("lcm-4", LCMScheduler, "lcm")
case("lcm-8-guided", LCMScheduler, "lcm", num_inference_steps=8, guidance_scale=2.0, negative_prompt="noto")
case("ddim-5-guided", DDIMScheduler, "ddim", "trailing", num_inference_steps=5, guidance_scale=5.0, width=72, height=40, seed=7)
case("ddim-leading", DDIMScheduler, "ddim", "leading", num_inference_steps=6, guidance_scale=3.0, negative_prompt="blue, flat")
case("ddim-v", DDIMScheduler, "ddim", "trailing", prediction="v_prediction", num_inference_steps=5, guidance_scale=2.0)
case("euler", EulerDiscreteScheduler, "euler", "linspace", num_inference_steps=6, guidance_scale=4.0)
case("euler-trailing", EulerDiscreteScheduler, "euler", "trailing", num_inference_steps=6, guidance_scale=4.0, seed=2**40 + 3)
case("euler-a", EulerAncestralDiscreteScheduler, "euler-ancestral", "trailing", num_inference_steps=6, guidance_scale=4.0)
case("dpmpp-2m", DPMSolverMultistepScheduler, "dpmpp-2m", "trailing", num_inference_steps=8, guidance_scale=4.0, count=2, seed=11)

json.dump(dict(diffusers=diffusers.__version__, transformers=transformers.__version__, torch=torch.__version__, cases=cases),
          open(os.path.join(here, "cases.json"), "w"), indent=1)
