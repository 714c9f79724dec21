"""Makes tests/golden/models: tiny random networks of each kind, and what diffusers and transformers compute with them.

Usage: python make.py          (diffusers 0.42.1, transformers 5.23, torch 2.15 on the CPU; everything is seeded)

  single/model.safetensors     bf16, one file with the original Stable Diffusion names: text encoder, UNet, autoencoder
  folder/                      f16, a diffusers folder: 9-channel UNet of three levels with linear projections, autoencoder without
                               attention and without quant convolutions, gelu text encoder
  upscaler/unet                f32: class embedding, cross-attention only
  xl/unet                      bf16: additional embedding, several blocks per transformer
  taesd/                       f16, AutoencoderTiny
  single/lora.safetensors      f32, PEFT names for UNet (linear layers and convolutions) and text encoder of single/; lora.* in expected.safetensors is
                               what the networks give with it at strength 0.7
  <case>/expected.safetensors  f32, channels last: inputs, outputs, and for each output X the scalar X.bf16: the relative error
                               ‖bf16 − f32‖ / ‖f32‖ of PyTorch's own run with model.to (bfloat16)

The weights' types are exact in f32, so all f32 runs use the same numbers. SPDX-License-Identifier: LGPL-3.0-or-later
"""
import os, re, shutil, zlib
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

torch.set_num_threads(1)
here = os.path.dirname(os.path.abspath(__file__))


def lively(model, dtype):
    """Norms and biases that matter, and weights exact in dtype"""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 1:
                p.add_(0.1 * torch.randn_like(p))
            elif p.ndim == 2 and "embed" not in name:
                p.mul_(1.5)
    return model.to(dtype).float().eval()


def last(x):
    """NCHW -> NHWC, contiguous f32"""
    return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).float().contiguous()


class Case:
    def __init__(self, name):
        self.dir, self.tensors = os.path.join(here, name), {}
        torch.manual_seed(zlib.crc32(name.encode()))          # so that a change to one case leaves the others alone
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)

    def put(self, name, x):
        self.tensors[name] = last(x) if x.is_floating_point() else x.to(torch.int32).contiguous()

    def run(self, name, model, f):
        """Stores f's output, and how far PyTorch's bf16 is from it. f takes the type to compute in."""
        with torch.no_grad():
            y = f(torch.float32)
            weights = {k: v.clone() for k, v in model.state_dict().items()}
            low = (model.to(torch.bfloat16), f(torch.bfloat16).float())[1]
            model.float().load_state_dict(weights)
        self.put(name, y)
        self.tensors[name + ".bf16"] = ((low - y).norm() / y.norm()).reshape(1)
        print(f"{self.dir.split('/')[-1]}/{name}: std {y.std():.3f}, bf16 error {self.tensors[name + '.bf16'].item():.2e}")

    def text(self, model, vocabulary):
        ids = torch.randint(0, vocabulary, (2, 77))
        self.put("text.ids", ids)
        for skip in (0, 1):
            def f(dtype):
                hidden = model(ids, output_hidden_states=True).hidden_states[-1 - skip]
                return (model.text_model if hasattr(model, "text_model") else model).final_layer_norm(hidden)
            self.run(f"text.skip{skip}", model, f)

    def unet(self, model, name, n, h, w, timestep, tokens=77, **extra):
        c = model.config
        x = torch.randn(n, c.in_channels, h, w)
        context = torch.randn(n, tokens, c.cross_attention_dim)
        self.put(name + ".latents", x)
        self.put(name + ".context", context)
        self.tensors[name + ".timestep"] = torch.tensor([float(timestep)])
        added = {k: extra[k] for k in ("text_embeds", "time_ids") if k in extra}
        for k, v in added.items():
            self.put(f"{name}.{k}", v)
        labels = torch.full((n,), extra["class_label"]) if "class_label" in extra else None

        def f(dtype):
            return model(x.to(dtype), timestep, context.to(dtype), class_labels=labels,
                         added_cond_kwargs={k: v.to(dtype) for k, v in added.items()} or None).sample
        self.run(name + ".out", model, f)

    def vae(self, model):
        picture, latents = torch.rand(1, 3, 64, 96) * 2 - 1, torch.randn(1, 4, 10, 8)
        self.put("vae.picture", picture)
        self.put("vae.latents", latents)
        self.run("vae.moments", model, lambda dtype: model.encode(picture.to(dtype)).latent_dist.parameters)
        self.run("vae.decoded", model, lambda dtype: model.decode(latents.to(dtype)).sample)

    def lora(self, text, unet, strength):
        state = {}
        for prefix, model, targets in (("text_encoder.", text, ["q_proj", "v_proj", "out_proj", "fc1"]),
                                       ("unet.", unet, ["to_q", "to_k", "to_v", "to_out.0", "ff.net.2", "conv1", "proj_in"])):
            model.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=targets))
            for k, p in model.named_parameters():
                if "lora_B" in k:
                    torch.nn.init.normal_(p, std=0.1)
            state |= {prefix + k: v.clone() for k, v in get_peft_model_state_dict(model).items()}
            for m in model.modules():
                if hasattr(m, "set_scale"):
                    m.set_scale("default", strength)
            model.eval()
        save_file(state, os.path.join(self.dir, "lora.safetensors"))
        ids, x, context = self.tensors["text.ids"].long(), self.tensors["unet.latents"].permute(0, 3, 1, 2), self.tensors["unet.context"]
        self.run("lora.text", text, lambda dtype: text(ids).last_hidden_state)
        self.run("lora.unet", unet, lambda dtype: unet(x.to(dtype), 999, context.to(dtype)).sample)

    def finish(self):
        save_file(self.tensors, os.path.join(self.dir, "expected.safetensors"))


def save_part(model, dtype, case, part):
    """weights and config.json, without the folder of extras that save_pretrained writes"""
    folder = os.path.join(case.dir, part) if part else case.dir
    model.to(dtype).save_pretrained(folder)
    model.float()
    for f in os.listdir(folder):
        if f not in ("config.json", "model.safetensors", "diffusion_pytorch_model.safetensors", "expected.safetensors"):
            os.remove(os.path.join(folder, f))


# --- the original names; checked below by converting back with diffusers' own code -------------------------------------

def ldm_resnet(k):
    for a, b in (("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("time_emb_proj", "emb_layers.1"), ("norm2", "out_layers.0"),
                 ("conv2", "out_layers.3"), ("conv_shortcut", "skip_connection")):
        if k.startswith(a + "."):
            return b + k[len(a):]
    raise KeyError(k)


def ldm_unet_name(k, levels):
    for a, b in (("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"),
                 ("conv_in", "input_blocks.0.0"), ("conv_norm_out", "out.0"), ("conv_out", "out.2")):
        if k.startswith(a + "."):
            return b + k[len(a):]
    if m := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", k):
        return f"middle_block.1.{m[3]}" if m[1] == "attentions" else f"middle_block.{2 * int(m[2])}.{ldm_resnet(m[3])}"
    if m := re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.*)", k):
        side, b, kind, l, rest = m[1], int(m[2]), m[3], int(m[4]), m[5]
        i = 1 + 3 * b + l if side == "down" else 3 * b + l
        block = "input_blocks" if side == "down" else "output_blocks"
        if kind == "resnets":
            return f"{block}.{i}.0.{ldm_resnet(rest)}"
        if kind == "attentions":
            return f"{block}.{i}.1.{rest}"
        if kind == "downsamplers":
            return f"{block}.{3 + 3 * b}.0.op{rest[4:]}"
        return f"{block}.{3 * b + 2}.{1 if b == 0 else 2}.{rest}"
    raise KeyError(k)


def ldm_vae_name(k, levels):
    k = re.sub(r"encoder\.down_blocks\.(\d)\.resnets\.(\d)", r"encoder.down.\1.block.\2", k)
    k = re.sub(r"encoder\.down_blocks\.(\d)\.downsamplers\.0", r"encoder.down.\1.downsample", k)
    k = re.sub(r"decoder\.up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"decoder.up.{levels - 1 - int(m[1])}.block.{m[2]}", k)
    k = re.sub(r"decoder\.up_blocks\.(\d)\.upsamplers\.0", lambda m: f"decoder.up.{levels - 1 - int(m[1])}.upsample", k)
    k = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", k)
    for a, b in (("mid_block.attentions.0.group_norm", "mid.attn_1.norm"), ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
                 ("mid_block.attentions.0.to_", "mid.attn_1."), ("conv_shortcut", "nin_shortcut"), ("conv_norm_out", "norm_out")):
        k = k.replace(a, b)
    return k


def ldm_state_dict(text, unet, vae):
    state = {}
    for k, v in unet.state_dict().items():
        state["model.diffusion_model." + ldm_unet_name(k, 4)] = v
    for k, v in vae.state_dict().items():
        conv = "mid_block.attentions.0.to_" in k and v.ndim == 2
        state["first_stage_model." + ldm_vae_name(k, 4)] = v[:, :, None, None] if conv else v
    for k, v in text.state_dict().items():
        state["cond_stage_model.transformer." + (k if k.startswith("text_model.") else "text_model." + k)] = v
    back = convert_ldm_unet_checkpoint(dict(state), dict(unet.config))
    assert back.keys() == unet.state_dict().keys() and all(torch.equal(back[k], v) for k, v in unet.state_dict().items())
    back = convert_ldm_vae_checkpoint(dict(state), dict(vae.config))
    assert back.keys() == vae.state_dict().keys() and all(torch.equal(back[k].reshape(v.shape), v) for k, v in vae.state_dict().items())
    return state


def text_model(dtype, **config):
    return lively(CLIPTextModel(CLIPTextConfig(vocab_size=99, num_hidden_layers=2, **config)), dtype)


case = Case("single")
text = text_model(torch.bfloat16, hidden_size=64, intermediate_size=128, num_attention_heads=1, hidden_act="quick_gelu")
unet = lively(UNet2DConditionModel(block_out_channels=(32, 32, 32, 32), cross_attention_dim=64, attention_head_dim=8), torch.bfloat16)
vae = lively(AutoencoderKL(block_out_channels=(32, 32, 32, 32), layers_per_block=2, norm_num_groups=32, latent_channels=4,
                           down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4), torch.bfloat16)
save_file({k: v.to(torch.bfloat16).contiguous() for k, v in ldm_state_dict(text, unet, vae).items()},
          os.path.join(case.dir, "model.safetensors"))
case.text(text, 99)
case.unet(unet, "unet", 2, 16, 24, 999)
case.unet(unet, "odd", 1, 17, 21, 333.5, tokens=154)
case.vae(vae)
case.lora(text, unet, 0.7)
case.finish()

case = Case("folder")
text = text_model(torch.float16, hidden_size=32, intermediate_size=48, num_attention_heads=4, hidden_act="gelu")
unet = lively(UNet2DConditionModel(in_channels=9, block_out_channels=(16, 16, 32), layers_per_block=(1, 2, 1), cross_attention_dim=32,
                                   attention_head_dim=(1, 2, 4), norm_num_groups=8, use_linear_projection=True,
                                   down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                                   up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D")), torch.float16)
vae = lively(AutoencoderKL(block_out_channels=(8, 8, 16, 16), layers_per_block=1, norm_num_groups=4, latent_channels=4,
                           mid_block_add_attention=False, use_quant_conv=False, use_post_quant_conv=False, scaling_factor=0.4,
                           down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4), torch.float16)
save_part(text, torch.float16, case, "text_encoder")
save_part(unet, torch.float16, case, "unet")
save_part(vae, torch.float16, case, "vae")
case.text(text, 99)
case.unet(unet, "unet", 2, 16, 12, 500)
case.vae(vae)
case.finish()

case = Case("upscaler")
unet = lively(UNet2DConditionModel(in_channels=7, block_out_channels=(8, 8, 16), layers_per_block=1, cross_attention_dim=24,
                                   attention_head_dim=2, norm_num_groups=4, use_linear_projection=True, num_class_embeds=50,
                                   only_cross_attention=(True, True, False),
                                   down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                                   up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D")), torch.float16)
save_part(unet, torch.float32, case, "unet")
case.unet(unet, "unet", 2, 16, 16, 700, tokens=20, class_label=20)
case.finish()

case = Case("xl")
unet = lively(UNet2DConditionModel(block_out_channels=(16, 16), layers_per_block=1, cross_attention_dim=24, attention_head_dim=(2, 4),
                                   norm_num_groups=8, use_linear_projection=True, transformer_layers_per_block=(1, 3),
                                   addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=68,
                                   down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                                   up_block_types=("CrossAttnUpBlock2D", "UpBlock2D")), torch.bfloat16)
save_part(unet, torch.bfloat16, case, "unet")
case.unet(unet, "unet", 2, 12, 8, 249, tokens=20, text_embeds=torch.randn(2, 20),
          time_ids=torch.tensor([[1024, 1024, 0, 0, 1024, 1024], [512, 768, 16, 32, 1024, 1024]]).float())
case.finish()

case = Case("taesd")
tiny = lively(AutoencoderTiny(encoder_block_out_channels=(16,) * 4, decoder_block_out_channels=(16,) * 4), torch.float16)
save_part(tiny, torch.float16, case, "")
picture, latents = torch.rand(1, 3, 64, 96) * 2 - 1, 3 * torch.randn(1, 4, 10, 8)
case.put("taesd.picture", picture)
case.put("taesd.latents", latents)
case.run("taesd.encoded", tiny, lambda dtype: tiny.encode(picture.to(dtype)).latents)
case.run("taesd.decoded", tiny, lambda dtype: tiny.decode(latents.to(dtype)).sample)
case.finish()
