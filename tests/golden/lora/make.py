#!/usr/bin/env python3
# Makes small LoRAs in the conventions that are about, and what diffusers and PEFT make of them. SPDX-License-Identifier: LGPL-3.0-or-later
#
# For each case: <case>.safetensors (or a folder) as a user would have it, and <case>.expected.safetensors with ΔW of every layer that it
# changes, named "component module", computed by PEFT's get_delta_weight() in f32 after diffusers (or PEFT) has *loaded* the file; so names
# and scales are read by code that is not ours. The Tucker case is an einsum in f64: diffusers does not read those. modules.txt lists all
# linear layers and convolutions of the model. Comparison: ‖a − b‖ / ‖b‖ ≤ 1e-6 per layer, a few roundings of f32.
# Made with diffusers 0.42.1, peft 0.21.2, transformers 5.23.0, torch 2.15.0, seed 7.
import json, os, shutil, torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders import single_file_utils as sf
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

torch.set_num_threads(1)
torch.manual_seed(7)
here = os.path.dirname(os.path.abspath(__file__))
os.chdir(here)

unet_config = dict(block_out_channels=(8, 16), down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"], up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
                   layers_per_block=2, cross_attention_dim=12, attention_head_dim=2, norm_num_groups=4)
text_config = CLIPTextConfig(hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=2, vocab_size=60,
                             bos_token_id=58, eos_token_id=59, pad_token_id=59)

def new_pipeline():
    return StableDiffusionPipeline(vae=AutoencoderKL(block_out_channels=(8,), norm_num_groups=4), text_encoder=CLIPTextModel(text_config),
                                   tokenizer=None, unet=UNet2DConditionModel(**unet_config), scheduler=DDIMScheduler(), safety_checker=None,
                                   feature_extractor=None, requires_safety_checker=False)

def canonical(component, name):                 # transformers 5 has dropped the outer module's name
    return name if component == "unet" or name.startswith("text_model.") else "text_model." + name

def randomise(model):
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name: p.normal_(0, 0.3)

def deltas(component, model):
    found = {}
    for name, m in model.named_modules():
        if isinstance(m, LoraLayer):
            adapter = m.active_adapters[0]
            path = name.removeprefix("base_model.model.")
            found[f"{component} {canonical(component, path)}"] = m.get_delta_weight(adapter).detach().contiguous().clone()
    return found

def expect(case, found):
    assert found and all(float(t.abs().max()) > 0 for t in found.values())
    save_file(found, f"{case}.expected.safetensors")

def load_and_expect(case, *where, **how):
    pipe = new_pipeline()
    pipe.load_lora_weights(*where, **how)
    found = deltas("unet", pipe.unet) | deltas("text_encoder", pipe.text_encoder)
    expect(case, found)
    return found

# every layer of the model
with open("modules.txt", "w") as f:
    f.write("# made by make.py: component, module, shape of the weight\n")
    pipe = new_pipeline()
    for component, model in (("unet", pipe.unet), ("text_encoder", pipe.text_encoder)):
        for name, m in model.named_modules():
            if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d)):
                f.write(f"{component} {canonical(component, name)} {' '.join(map(str, m.weight.shape))}\n")

attention  = ["to_q", "to_k", "to_v", "to_out.0"]
everything = attention + ["proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "time_emb_proj", "conv_shortcut", "downsamplers.0.conv", "conv_in",
                          "up_blocks.1.resnets.0.conv1", "time_embedding.linear_1", "upsamplers.0.conv"]
text_layers = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]

def adapters(unet_targets, **how):
    pipe = new_pipeline()
    pipe.unet.add_adapter(LoraConfig(target_modules=unet_targets, **how))
    pipe.text_encoder.add_adapter(LoraConfig(target_modules=text_layers, **{k: v for k, v in how.items() if "pattern" not in k}))
    randomise(pipe.unet); randomise(pipe.text_encoder)
    return pipe

def peft_state(model): return {k: v.contiguous() for k, v in get_peft_model_state_dict(model).items()}

# --- PEFT names as diffusers writes them now; alpha is in the header ----------------------------------------------------------
pipe = adapters(everything, r=4, lora_alpha=6, alpha_pattern={"to_v": 3, "conv_in": 2}, rank_pattern={"proj_in": 2})
StableDiffusionPipeline.save_lora_weights("tmp", unet_lora_layers=peft_state(pipe.unet), text_encoder_lora_layers=peft_state(pipe.text_encoder),
                                          unet_lora_adapter_metadata=pipe.unet.peft_config["default"].to_dict(),
                                          text_encoder_lora_adapter_metadata=pipe.text_encoder.peft_config["default"].to_dict())
shutil.move("tmp/pytorch_lora_weights.safetensors", "peft-diffusers.safetensors"); os.rmdir("tmp")
made = deltas("unet", pipe.unet) | deltas("text_encoder", pipe.text_encoder)
read = load_and_expect("peft-diffusers", here, weight_name="peft-diffusers.safetensors")
assert all(torch.allclose(made[k], read[k]) for k in made) and made.keys() == read.keys()

# --- diffusers' names before PEFT: lora.down, lora_linear_layer.down; no alpha, so the scale is 1 ------------------------------
pipe = adapters(attention, r=3, lora_alpha=3)
state = {f"unet.{k}": v for k, v in convert_state_dict_to_diffusers(peft_state(pipe.unet)).items()} \
      | {f"text_encoder.text_model.{k}": v for k, v in convert_state_dict_to_diffusers(peft_state(pipe.text_encoder)).items()}
assert any(".lora.down." in k for k in state) and any(".lora_linear_layer.up." in k for k in state)
state = {k: v.contiguous() for k, v in state.items()}
save_file(state, "diffusers.safetensors", metadata={"format": "pt"})
made = deltas("unet", pipe.unet) | deltas("text_encoder", pipe.text_encoder)
read = load_and_expect("diffusers", here, weight_name="diffusers.safetensors")
for k in made: assert k in read and torch.allclose(made[k], read[k]), k

# --- the oldest names: attention processors ---------------------------------------------------------------------------------
old = {}
for k, v in state.items():
    if k.startswith("unet."):
        for leaf in attention:
            k = k.replace(f".{leaf}.lora.", f".processor.{leaf.removesuffix('.0')}_lora.")
        old[k.removeprefix("unet.")] = v
assert len(old) == sum(k.startswith("unet.") for k in state) and all(".processor.to_" in k for k in old)
save_file(old, "processor.safetensors")
expect("processor", {k: v for k, v in made.items() if k.startswith("unet ")})

# --- kohya: dots to underscores, alpha tensors; linear layers and 3×3 convolutions -------------------------------------------
pipe = adapters(everything, r=4, lora_alpha=4)
kohya, ldm = {}, {}
names  = [n for n in pipe.unet.state_dict()]
P = "model.diffusion_model."
def ldm_names():                                # diffusers' conversion run over all LDM names of this small UNet, marked
    tree = [f"time_embed.{i}" for i in (0, 2)] + ["input_blocks.0.0"]
    tree += [f"input_blocks.{i}.0.{x}" for i in range(1, 6) for x in ("in_layers.2", "emb_layers.1", "out_layers.3", "skip_connection", "op")]
    tree += [f"output_blocks.{i}.0.{x}" for i in range(6) for x in ("in_layers.2", "emb_layers.1", "out_layers.3", "skip_connection")]
    tree += [f"middle_block.{i}.{x}" for i in (0, 2) for x in ("in_layers.2", "emb_layers.1", "out_layers.3")] + ["output_blocks.2.1.conv"]
    for a in [f"input_blocks.{i}.1" for i in (1, 2)] + ["middle_block.1"] + [f"output_blocks.{i}.1" for i in (3, 4, 5)]:
        tree += [f"{a}.proj_in", f"{a}.proj_out"] + [f"{a}.transformer_blocks.0.{x}" for x in
                 [f"attn{n}.{l}" for n in (1, 2) for l in attention] + ["ff.net.0.proj", "ff.net.2"]]
    marked = {P + t + end: torch.full((1, 1, 1, 1), float(i)) for i, t in enumerate(tree) for end in (".weight", ".bias")}
    back = sf.convert_ldm_unet_checkpoint(marked, dict(pipe.unet.config))
    return {ours.removesuffix(".weight"): tree[int(t.flatten()[0])] for ours, t in back.items() if ours.endswith(".weight")}
to_ldm = ldm_names()
made = {}
for prefix, model, component in (("lora_unet_", pipe.unet, "unet"), ("lora_te_text_model_", pipe.text_encoder, "text_encoder")):
    for name, m in model.named_modules():
        if not isinstance(m, LoraLayer): continue
        alpha = 1.0 if "ff" in name else 2.0
        parts = {"lora_down.weight": m.lora_A["default"].weight.detach().contiguous(), "lora_up.weight": m.lora_B["default"].weight.detach().contiguous(),
                 "alpha": torch.tensor(alpha)}
        flat = prefix + name.replace(".", "_")
        there = prefix + to_ldm[name].replace(".", "_") if component == "unet" else flat
        for part, t in parts.items():
            kohya[f"{flat}.{part}"] = t.clone()
            ldm[f"{there}.{part}"]  = t.clone()
        made[f"{component} {canonical(component, name)}"] = m.get_delta_weight("default").detach() * alpha / 4
save_file(kohya, "kohya.safetensors", metadata={"ss_network_module": "networks.lora", "ss_network_dim": "4"})
read = load_and_expect("kohya", here, weight_name="kohya.safetensors")
assert made.keys() == read.keys()
for k in made: assert torch.allclose(made[k], read[k]), k
save_file(ldm, "kohya-ldm.safetensors")
# expected: kohya.expected.safetensors, for they are the same factors

# --- a folder as PEFT itself writes it: rsLoRA, patterns ---------------------------------------------------------------------
base  = UNet2DConditionModel(**unet_config)
model = get_peft_model(base, LoraConfig(target_modules=everything, r=4, lora_alpha=8, use_rslora=True, rank_pattern={"attn2.to_k": 2},
                                        alpha_pattern={"attn1.to_q": 1, "conv_in": 3}))
randomise(model)
shutil.rmtree("peft-folder", ignore_errors=True)
model.save_pretrained("peft-folder")
os.remove("peft-folder/README.md")
again = PeftModel.from_pretrained(UNet2DConditionModel(**unet_config), "peft-folder")
expect("peft-folder", deltas("unet", again))

# --- kohya and LyCORIS with a Tucker core -------------------------------------------------------------------------------------
tucker, found = {}, {}
for name in ("up_blocks.1.resnets.0.conv1", "downsamplers"):
    m = [(n, x) for n, x in base.named_modules() if (n == name or name in n) and hasattr(x, "base_layer")][0]
    n = m[0].removeprefix("base_model.model."); w = m[1].base_layer.weight
    r, (o, i, kh, kw) = 3, w.shape
    up, mid, down = torch.randn(o, r, 1, 1), torch.randn(r, r, kh, kw), torch.randn(r, i, 1, 1)
    flat = "lora_unet_" + n.replace(".", "_")
    tucker |= {f"{flat}.lora_up.weight": up, f"{flat}.lora_mid.weight": mid, f"{flat}.lora_down.weight": down, f"{flat}.alpha": torch.tensor(1.5)}
    found[f"unet {n}"] = (1.5 / r * torch.einsum("op,pqhw,qi->oihw", up[:, :, 0, 0].double(), mid.double(), down[:, :, 0, 0].double())).float().contiguous()
save_file(tucker, "tucker.safetensors")
expect("tucker", found)
