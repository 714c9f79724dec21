"""Makes tests/golden/inpaint: what diffusers' StableDiffusionInpaintPipeline draws under a mask with tiny random models.

Usage: python make.py   (after tests/golden/pipeline/make.py, whose model it takes)

unet-9/ is a smaller random UNet with 9 input channels; f16 in the file and exact in f32. Every case is one call on the CPU in f32 with a
seeded CPU generator. <case>.f32 holds the final latents [4, h, w] and the picture [H, W, 3] in 0..1, before anything is
composited, little-endian f32; cases.json the arguments. The picture given is pixel (x, y, c) = (7 x + 13 y + 50 c + 5 (x y mod 17)) mod 256, the
mask the rectangle x 16..39, y 8..31: on the grid of latent pixels, because diffusers takes the nearest pixel there and we take the mean.
lora-nine.safetensors and lora-latents.safetensors are random adapters of PEFT on both UNets, of rank 4 on the attention layers and one
convolution; cases with one name it and its strength. With LCM, only the inpainting model is compared: what masked latents put back has
that step's own noise with us, the first one with diffusers.
Tolerance 1e-4 relative: f32 sums in another order. Made with diffusers 0.42, torch on the CPU. SPDX-License-Identifier: LGPL-3.0-or-later
"""
import json, os, shutil
import numpy as np, torch, diffusers
from diffusers import DDIMScheduler, EulerDiscreteScheduler, LCMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image
from transformers import CLIPTokenizer

torch.set_num_threads(1)
here = os.path.dirname(os.path.abspath(__file__))
model = os.path.join(here, "..", "pipeline", "model")
pipe = StableDiffusionInpaintPipeline.from_pretrained(model, torch_dtype=torch.float32, safety_checker=None, requires_safety_checker=False,
                                                      tokenizer=CLIPTokenizer.from_pretrained(os.path.join(model, "tokenizer"), model_max_length=77))
pipe.set_progress_bar_config(disable=True)
ordinary = pipe.unet

torch.manual_seed(20260202)
nine = UNet2DConditionModel.from_config(dict(ordinary.config, in_channels=9, block_out_channels=(16, 16), norm_num_groups=8))
with torch.no_grad():
    nine.conv_out.weight.mul_(3.0)      # as in the other model: else the signal dies
nine.half()
shutil.rmtree(os.path.join(here, "unet-9"), ignore_errors=True)
nine.save_pretrained(os.path.join(here, "unet-9"))
config = os.path.join(here, "unet-9", "config.json")
settings = {k: v for k, v in json.load(open(config)).items() if k != "_name_or_path"}      # a path of this machine
json.dump(settings, open(config, "w"), indent=2)
nine.float().eval()

W, H = 48, 40
y, x, c = np.mgrid[0:H, 0:W, 0:3]
picture = Image.fromarray(((7 * x + 13 * y + 50 * c + 5 * ((x * y) % 17)) % 256).astype(np.uint8))
hole = np.zeros((H, W), np.uint8)
hole[8:32, 16:40] = 255
mask = Image.fromarray(hole)
base = {k: v for k, v in pipe.scheduler.config.items() if k != "_use_default_values"}
cases = []

def case(name, unet, make, sampler, spacing, steps, strength, guidance, seed, **more):
    """diffusers leaves out the first steps; ours are as many as are left, from the same level"""
    pipe.register_modules(unet=unet)
    pipe.scheduler = make.from_config(dict(base, timestep_spacing=spacing))
    out = pipe(prompt="a red apple, 3d", negative_prompt="blue", image=picture, mask_image=mask, width=W, height=H, num_inference_steps=steps,
               strength=strength, guidance_scale=guidance, generator=torch.Generator("cpu").manual_seed(seed), output_type="latent").images
    with torch.no_grad():
        drawn = pipe.vae.decode(out / pipe.vae.config.scaling_factor).sample
    drawn = (drawn[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy()
    np.concatenate([out[0].numpy().ravel(), drawn.ravel()]).astype("<f4").tofile(os.path.join(here, name + ".f32"))
    cases.append(dict(file=name + ".f32", nine=unet is nine, sampler=sampler, spacing=spacing, steps=round(steps * strength), strength=strength,
                      guidance_scale=guidance, seed=seed, **more))
    print(name, "latents std %.3f" % out.std(), "picture mean %.3f std %.3f" % (drawn.mean(), drawn.std()))

case("latents-ddim", ordinary, DDIMScheduler, "ddim", "trailing", 4, 1.0, 3.0, 5)
case("latents-euler", ordinary, EulerDiscreteScheduler, "euler", "trailing", 4, 1.0, 1.0, 6)
case("latents-ddim-half", ordinary, DDIMScheduler, "ddim", "trailing", 8, 0.5, 3.0, 7)
case("nine-ddim", nine, DDIMScheduler, "ddim", "trailing", 4, 1.0, 3.0, 8)
case("nine-euler", nine, EulerDiscreteScheduler, "euler", "trailing", 4, 1.0, 1.0, 9)
case("nine-ddim-half", nine, DDIMScheduler, "ddim", "trailing", 8, 0.5, 3.0, 10)

case("nine-lcm", nine, LCMScheduler, "lcm", "leading", 4, 1.0, 1.0, 11)
case("nine-lcm-1", nine, LCMScheduler, "lcm", "leading", 1, 1.0, 1.0, 12)

def adapted(name, unet, *arguments):
    """a case with an adapter whose strength is 0.7"""
    torch.manual_seed(len(name))
    unet.add_adapter(LoraConfig(r=4, lora_alpha=8, target_modules=["to_q", "to_v", "to_out.0", "conv1"], init_lora_weights=False), adapter_name="one")
    weights = get_peft_model_state_dict(unet, adapter_name="one")
    for tensor in weights.values():
        tensor.copy_(tensor.half())     # exact in the file, which is f16
    file = "lora-" + name.split("-")[0] + ".safetensors"
    StableDiffusionInpaintPipeline.save_lora_weights(here, unet_lora_layers={k: v.half().contiguous() for k, v in weights.items()}, weight_name=file,
                                                     unet_lora_adapter_metadata=dict(r=4, lora_alpha=8, target_modules=[]))
    unet.set_adapters(["one"], [0.7])
    case(name, unet, *arguments, lora=file, lora_strength=0.7)
    unet.delete_adapters("one")

adapted("nine-lora-lcm", nine, LCMScheduler, "lcm", "leading", 4, 1.0, 1.0, 13)
adapted("latents-lora-euler", ordinary, EulerDiscreteScheduler, "euler", "trailing", 4, 1.0, 3.0, 14)

json.dump(dict(diffusers=diffusers.__version__, torch=torch.__version__, cases=cases), open(os.path.join(here, "cases.json"), "w"), indent=1)
