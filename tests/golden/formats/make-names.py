#!/usr/bin/env python3
# Writes names-*.txt: every tensor name of a full-size model as single-file (LDM) checkpoints have it, and as diffusers has it.
# SPDX-License-Identifier: LGPL-3.0-or-later
#
# The pairs come out of diffusers' own conversion (loaders/single_file_utils.py): the LDM names below go in with one marked tensor
# each, and the marks tell where each has gone. The result must be exactly the state dict of diffusers' model, built from the
# published configurations. Made with diffusers 0.42.1, transformers 5.23.0, torch 2.15.0; no seed: only names.
import os, torch, diffusers
from diffusers import UNet2DConditionModel, AutoencoderKL, AutoencoderTiny
from diffusers.loaders import single_file_utils as sf
from transformers import CLIPTextModel, CLIPTextConfig

torch.set_num_threads(1)
here = os.path.dirname(os.path.abspath(__file__))

def write(name, pairs, note):
    with open(f"{here}/names-{name}.txt", "w") as f:
        f.write(f"# {note}\n# made by make-names.py: theirs, ours\n")
        for theirs, ours in sorted(pairs):
            f.write(f"{theirs} {ours}\n")

def both(*names): return [n + s for n in names for s in (".weight", ".bias")]

# --- UNet: LDM names as openaimodel.py's module tree gives them -------------------------------------------------------
def ldm_resnet(p, skip):
    return both(f"{p}.in_layers.0", f"{p}.in_layers.2", f"{p}.emb_layers.1", f"{p}.out_layers.0", f"{p}.out_layers.3") \
         + (both(f"{p}.skip_connection") if skip else [])

def ldm_transformer(p, depth):
    names = both(f"{p}.norm", f"{p}.proj_in", f"{p}.proj_out")
    for d in range(depth):
        t = f"{p}.transformer_blocks.{d}"
        for a in ("attn1", "attn2"):
            names += [f"{t}.{a}.to_{x}.weight" for x in "qkv"] + both(f"{t}.{a}.to_out.0")
        names += both(f"{t}.ff.net.0.proj", f"{t}.ff.net.2", f"{t}.norm1", f"{t}.norm2", f"{t}.norm3")
    return names

def ldm_unet(channels, depths, mid_depth, label):
    names = both("time_embed.0", "time_embed.2", "input_blocks.0.0", "out.0", "out.2") + label
    n, i, skips, c = len(channels), 1, [channels[0]], channels[0]
    for b in range(n):
        for l in range(2):
            names += ldm_resnet(f"input_blocks.{i}.0", c != channels[b]); c = channels[b]; skips.append(c)
            if depths[b]: names += ldm_transformer(f"input_blocks.{i}.1", depths[b])
            i += 1
        if b < n - 1: names += both(f"input_blocks.{i}.0.op"); skips.append(c); i += 1
    names += ldm_resnet("middle_block.0", False) + ldm_transformer("middle_block.1", mid_depth) + ldm_resnet("middle_block.2", False)
    i = 0
    for b in reversed(range(n)):
        for l in range(3):
            skips.pop()
            names += ldm_resnet(f"output_blocks.{i}.0", True)
            if depths[b]: names += ldm_transformer(f"output_blocks.{i}.1", depths[b])
            if l == 2 and b > 0: names += both(f"output_blocks.{i}.{2 if depths[b] else 1}.conv")
            i += 1
    return names

def convert(names, function, *args, shape=(1, 1, 1, 1)):
    marked = {name: torch.full(shape, float(i)) for i, name in enumerate(names)}
    return [(names[int(t.flatten()[0])], ours) for ours, t in function(marked, *args).items()]

def unet(name, note, ldm, config):
    with torch.device("meta"): model = UNet2DConditionModel(**config)
    P = "model.diffusion_model."
    pairs = convert([P + n for n in ldm], sf.convert_ldm_unet_checkpoint, dict(model.config))
    assert {o for _, o in pairs} == set(model.state_dict()) and {t for t, _ in pairs} == {P + n for n in ldm}, name
    write(name, pairs, note)

blocks = lambda a: ["CrossAttnDownBlock2D" if x else "DownBlock2D" for x in a]
ups    = lambda a: ["CrossAttnUpBlock2D" if x else "UpBlock2D" for x in reversed(a)]
sd15 = dict(block_out_channels=(320, 640, 1280, 1280), down_block_types=blocks((1, 1, 1, 0)), up_block_types=ups((1, 1, 1, 0)),
            cross_attention_dim=768, attention_head_dim=8)
unet("unet-sd15", "UNet of Stable Diffusion 1.x", ldm_unet((320, 640, 1280, 1280), (1, 1, 1, 0), 1, []), sd15)
sdxl = dict(block_out_channels=(320, 640, 1280), down_block_types=blocks((0, 1, 1)), up_block_types=ups((0, 1, 1)), cross_attention_dim=2048,
            attention_head_dim=(5, 10, 20), transformer_layers_per_block=(1, 2, 10), use_linear_projection=True, addition_embed_type="text_time",
            addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816)
unet("unet-sdxl", "UNet of Stable Diffusion XL", ldm_unet((320, 640, 1280), (0, 2, 10), 10, both("label_emb.0.0", "label_emb.0.2")), sdxl)
x4 = dict(in_channels=7, block_out_channels=(256, 512, 512, 1024), down_block_types=blocks((0, 1, 1, 1)), up_block_types=ups((0, 1, 1, 1)),
          cross_attention_dim=1024, attention_head_dim=8, use_linear_projection=True, only_cross_attention=(True, True, True, False), num_class_embeds=1000)
unet("unet-x4", "UNet of the Stable Diffusion x4 upscaler", ldm_unet((256, 512, 512, 1024), (0, 1, 1, 1), 1, ["label_emb.weight"]), x4)

# --- VAE --------------------------------------------------------------------------------------------------------------
def ldm_vae(channels):
    def resnet(p, skip): return both(f"{p}.norm1", f"{p}.conv1", f"{p}.norm2", f"{p}.conv2") + (both(f"{p}.nin_shortcut") if skip else [])
    names, n, c = both("quant_conv", "post_quant_conv"), len(channels), channels[0]
    for s in ("encoder", "decoder"):
        names += both(f"{s}.conv_in", f"{s}.norm_out", f"{s}.conv_out") + resnet(f"{s}.mid.block_1", False) + resnet(f"{s}.mid.block_2", False)
        names += both(*[f"{s}.mid.attn_1.{x}" for x in ("norm", "q", "k", "v", "proj_out")])
    for i in range(n):
        for j in range(2): names += resnet(f"encoder.down.{i}.block.{j}", c != channels[i]); c = channels[i]
        if i < n - 1: names += both(f"encoder.down.{i}.downsample.conv")
    for i in reversed(range(n)):
        for j in range(3): names += resnet(f"decoder.up.{i}.block.{j}", c != channels[i]); c = channels[i]
        if i > 0: names += both(f"decoder.up.{i}.upsample.conv")
    return names

def vae(name, note, channels):
    n = len(channels)
    with torch.device("meta"):
        model = AutoencoderKL(block_out_channels=channels, down_block_types=["DownEncoderBlock2D"] * n, up_block_types=["UpDecoderBlock2D"] * n, layers_per_block=2)
    P = "first_stage_model."
    pairs = convert([P + x for x in ldm_vae(channels)], sf.convert_ldm_vae_checkpoint, dict(model.config))
    assert {o for _, o in pairs} == set(model.state_dict()) and len(pairs) == len(ldm_vae(channels)), name
    write(name, pairs, note)
    return model

model = vae("vae-sd15", "VAE of Stable Diffusion 1.x, 2.x and XL", (128, 256, 512, 512))
vae("vae-x4", "VAE of the x4 upscaler", (128, 256, 512))

# diffusers renames the attention of old VAE folders when it loads them (models/attention_processor.py, modeling_utils.py)
old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
def legacy(name):
    for new, was in old.items(): name = name.replace(f"attentions.0.{new}.", f"attentions.0.{was}.")
    return name
write("vae-legacy", [(legacy(n), n) for n in model.state_dict()], "VAE folders written by diffusers before the attention was renamed")

# --- CLIP: transformers 5 has dropped the outer “text_model.”, which the files of all released models have --------------
with torch.device("meta"):
    clip = CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12))
bare = [n.removeprefix("text_model.") for n in clip.state_dict() if not n.endswith("position_ids")]
write("text-encoder", [(n, "text_model." + n) for n in bare], "CLIP ViT-L/14 text encoder, bare names")

# --- TAESD: the original's nn.Sequential (github.com/madebyollin/taesd), its weights run through both ---------------------
from torch import nn
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        c = lambda: nn.Conv2d(64, 64, 3, padding=1)
        self.conv, self.fuse = nn.Sequential(c(), nn.ReLU(), c(), nn.ReLU(), c()), nn.ReLU()
    def forward(self, x): return self.fuse(self.conv(x) + x)
class Clamp(nn.Module):
    def forward(self, x): return torch.tanh(x / 3) * 3
conv = lambda i, o, **k: nn.Conv2d(i, o, 3, padding=1, **k)
up   = lambda: [Block(), Block(), Block(), nn.Upsample(scale_factor=2), conv(64, 64, bias=False)]
down = lambda: [conv(64, 64, stride=2, bias=False), Block(), Block(), Block()]
encoder = nn.Sequential(conv(3, 64), Block(), *down(), *down(), *down(), conv(64, 4))
decoder = nn.Sequential(Clamp(), conv(4, 64), nn.ReLU(), *up(), *up(), *up(), Block(), conv(64, 3))
tiny = AutoencoderTiny()
pairs = []
for side, original, shift in (("encoder", encoder, 0), ("decoder", decoder, 1)):
    for n in original.state_dict():
        i, rest = n.split(".", 1)
        pairs.append((side, n, f"{side}.layers.{int(i) - shift}.{rest}"))
tiny.load_state_dict({o: (encoder if s == "encoder" else decoder).state_dict()[t] for s, t, o in pairs})   # strict: all names, all shapes
with torch.no_grad():
    x = torch.rand(1, 3, 32, 32)
    z = encoder(x)
    assert torch.allclose(tiny.encoder(x * 2 - 1), z, atol=1e-5) and torch.allclose(tiny.decoder(z), decoder(z) * 2 - 1, atol=1e-5)
for side in ("encoder", "decoder"):
    write(f"taesd-{side}", [(t, o) for s, t, o in pairs if s == side], f"TAESD {side}")
