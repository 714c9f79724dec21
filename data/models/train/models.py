# data/models/train/models.py: the networks of the SD 1.x family as plain PyTorch modules. SPDX-License-Identifier: LGPL-3.0-or-later
"""Text encoder, UNet, autoencoder and preview autoencoder.

Attribute names are those of the diffusers and transformers state dicts, so saving is a dump without renaming; check.py
compares the outputs with those libraries. Shapes are NCHW. Only torch is needed.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

# The starter models' sizes. Keys are diffusers' and transformers' config keys; the whole dict is written to config.json.
TEXT = dict(architectures=["CLIPTextModel"], model_type="clip_text_model", hidden_act="quick_gelu", hidden_size=256,
            intermediate_size=1024, layer_norm_eps=1e-5, max_position_embeddings=77, num_attention_heads=4,
            num_hidden_layers=5, projection_dim=256, vocab_size=4096, bos_token_id=4094, eos_token_id=4095,
            pad_token_id=4095)

UNET = dict(_class_name="UNet2DConditionModel", sample_size=32, in_channels=4, out_channels=4,
            down_block_types=["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            mid_block_type="UNetMidBlock2DCrossAttn",
            up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
            block_out_channels=[128, 160, 192], layers_per_block=2, transformer_layers_per_block=1,
            attention_head_dim=4, cross_attention_dim=256, norm_num_groups=32, norm_eps=1e-5, act_fn="silu",
            flip_sin_to_cos=True, freq_shift=0, downsample_padding=1, mid_block_scale_factor=1, center_input_sample=False,
            use_linear_projection=False, resnet_time_scale_shift="default", time_embedding_type="positional")

VAE = dict(_class_name="AutoencoderKL", in_channels=3, out_channels=3, latent_channels=4, act_fn="silu", sample_size=256,
           down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
           block_out_channels=[48, 96, 128, 160], layers_per_block=1, norm_num_groups=16, mid_block_add_attention=True,
           scaling_factor=0.18215, force_upcast=False, use_quant_conv=True, use_post_quant_conv=True)

# Super-resolution by four: the x4 upscaler's family. Its seven channels are the noisy latents and the small picture, its class the noise
# that was added to that picture. Few and large groups, for a norm over two channels alone forgets how light they were.
UPSCALER_TEXT = dict(TEXT, hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=1, projection_dim=32)

UPSCALER_UNET = dict(UNET, sample_size=64, in_channels=7, num_class_embeds=1000, block_out_channels=[64, 96, 128], layers_per_block=1,
                     norm_num_groups=4, down_block_types=["DownBlock2D"] * 3, up_block_types=["UpBlock2D"] * 3, attention_head_dim=4,
                     cross_attention_dim=32)

UPSCALER_VAE = dict(VAE, sample_size=256, down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3,
                    block_out_channels=[32, 64, 96], mid_block_add_attention=False)

TAESD = dict(_class_name="AutoencoderTiny", in_channels=3, out_channels=3, latent_channels=4, act_fn="relu",
             upsample_fn="nearest", encoder_block_out_channels=[40] * 4, decoder_block_out_channels=[40] * 4,
             num_encoder_blocks=[1, 3, 3, 3], num_decoder_blocks=[3, 3, 3, 1], latent_magnitude=3, latent_shift=0.5,
             upsampling_scaling_factor=2, scaling_factor=1.0, shift_factor=0.0, force_upcast=False)


def narrower(config, channels):
    """The same structure with other widths ("16,32,64"), for a CPU's hour of training; eight channels or more to each group of a norm."""
    widths = [int(c) for c in channels.split(",")]
    return dict(config, block_out_channels=widths, norm_num_groups=min(config["norm_num_groups"], widths[0] // 8))


def toy(config):
    """The same structure at a fraction of the width: every script runs it on one CPU core within seconds."""
    small = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "cross_attention_dim": 64,
             "projection_dim": 64, "encoder_block_out_channels": [16] * 4, "decoder_block_out_channels": [16] * 4}
    channels = {"UNet2DConditionModel": [32, 64, 64], "AutoencoderKL": [16, 16, 32, 32]}
    out = {k: small.get(k, v) for k, v in config.items()}
    if config.get("_class_name") in channels:
        out["block_out_channels"] = channels[config["_class_name"]][:len(config["block_out_channels"])]
        out["layers_per_block"] = 1
    return out


# --- text encoder ---------------------------------------------------------------------------------------------------

class CLIPAttention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = (p(x).view(n, t, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(y.transpose(1, 2).reshape(n, t, d))


class CLIPMLP(nn.Module):
    def __init__(self, d, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(d, hidden), nn.Linear(hidden, d)

    def forward(self, x):
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x))    # quick_gelu


class CLIPLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, eps = c["hidden_size"], c["layer_norm_eps"]
        self.self_attn = CLIPAttention(d, c["num_attention_heads"])
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(d, eps=eps), nn.LayerNorm(d, eps=eps)
        self.mlp = CLIPMLP(d, c["intermediate_size"])

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class CLIPEmbeddings(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.token_embedding = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.position_embedding = nn.Embedding(c["max_position_embeddings"], c["hidden_size"])
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.position_embedding.weight, std=0.01)

    def forward(self, ids):
        return self.token_embedding(ids) + self.position_embedding.weight[:ids.shape[1]]


class CLIPEncoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layers = nn.ModuleList(CLIPLayer(c) for _ in range(c["num_hidden_layers"]))


class CLIPTextTransformer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embeddings, self.encoder = CLIPEmbeddings(c), CLIPEncoder(c)
        self.final_layer_norm = nn.LayerNorm(c["hidden_size"], eps=c["layer_norm_eps"])


class CLIPTextModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config, self.text_model = config, CLIPTextTransformer(config)

    def forward(self, ids):
        """ids [N, 77] int64 -> the last hidden state [N, 77, D], after the final layer norm."""
        x = self.text_model.embeddings(ids)
        for layer in self.text_model.encoder.layers:
            x = layer(x)
        return self.text_model.final_layer_norm(x)


# --- blocks that UNet and autoencoder share -------------------------------------------------------------------------

class Resnet(nn.Module):
    def __init__(self, cin, cout, temb, groups, eps):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, cin, eps=eps), nn.Conv2d(cin, cout, 3, padding=1)
        if temb:
            self.time_emb_proj = nn.Linear(temb, cout)
        self.norm2, self.conv2 = nn.GroupNorm(groups, cout, eps=eps), nn.Conv2d(cout, cout, 3, padding=1)
        if cin != cout:
            self.conv_shortcut = nn.Conv2d(cin, cout, 1)

    def forward(self, x, temb=None):
        h = self.conv1(F.silu(self.norm1(x)))
        if temb is not None:
            h = h + self.time_emb_proj(F.silu(temb))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x) + h


class Downsample(nn.Module):
    def __init__(self, c, padding):
        super().__init__()
        self.padding, self.conv = padding, nn.Conv2d(c, c, 3, stride=2, padding=padding)

    def forward(self, x):
        return self.conv(x if self.padding else F.pad(x, (0, 1, 0, 1)))    # the autoencoder pads on one side only


class Upsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Attention(nn.Module):
    def __init__(self, d, context, heads, bias=False, groups=0):
        super().__init__()
        self.heads = heads
        if groups:
            self.group_norm = nn.GroupNorm(groups, d, eps=1e-6)
        self.to_q, self.to_k, self.to_v = (nn.Linear(n, d, bias=bias) for n in (d, context, context))
        self.to_out = nn.ModuleList([nn.Linear(d, d), nn.Identity()])

    def forward(self, x, context=None):
        n, t, d = x.shape
        context = x if context is None else context
        q, k, v = (p(s).view(n, s.shape[1], self.heads, -1).transpose(1, 2)
                   for p, s in ((self.to_q, x), (self.to_k, context), (self.to_v, context)))
        y = F.scaled_dot_product_attention(q, k, v)
        return self.to_out[0](y.transpose(1, 2).reshape(n, t, d))


# --- UNet -----------------------------------------------------------------------------------------------------------

class GEGLU(nn.Module):
    def __init__(self, d, hidden):
        super().__init__()
        self.proj = nn.Linear(d, 2 * hidden)

    def forward(self, x):
        x, gate = self.proj(x).chunk(2, dim=-1)
        return x * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.net = nn.ModuleList([GEGLU(d, 4 * d), nn.Identity(), nn.Linear(4 * d, d)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class TransformerBlock(nn.Module):
    def __init__(self, d, context, heads):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn1, self.attn2 = Attention(d, d, heads), Attention(d, context, heads)
        self.ff = FeedForward(d)

    def forward(self, x, context):
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer2D(nn.Module):
    def __init__(self, d, context, heads, groups):
        super().__init__()
        self.norm = nn.GroupNorm(groups, d, eps=1e-6)
        self.proj_in, self.proj_out = nn.Conv2d(d, d, 1), nn.Conv2d(d, d, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(d, context, heads)])

    def forward(self, x, context):
        n, c, h, w = x.shape
        y = self.proj_in(self.norm(x)).permute(0, 2, 3, 1).reshape(n, h * w, c)
        for block in self.transformer_blocks:
            y = block(y, context)
        return x + self.proj_out(y.view(n, h, w, c).permute(0, 3, 1, 2))


class TimeEmbedding(nn.Module):
    def __init__(self, c, d):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(c, d), nn.Linear(d, d)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


def sinusoid(t, c):
    """t [N] -> [N, c], cosines first (flip_sin_to_cos) with freq_shift 0."""
    half = c // 2
    f = torch.exp(torch.arange(half, device=t.device, dtype=torch.float32) * (-math.log(10000) / half))
    a = t.float()[:, None] * f[None]
    return torch.cat([a.cos(), a.sin()], dim=1)


class UNetBlock(nn.Module):
    """A down, mid or up block: resnets, each followed by a transformer where the block's type has attention."""

    def __init__(self, widths, temb, attention, groups, eps, context, heads, down=None, up=None):
        super().__init__()
        self.resnets = nn.ModuleList(Resnet(i, o, temb, groups, eps) for i, o in widths)
        if attention:
            self.attentions = nn.ModuleList(Transformer2D(o, context, heads, groups) for _, o in widths[:attention])
        if down is not None:
            self.downsamplers = nn.ModuleList([Downsample(widths[-1][1], down)])
        if up:
            self.upsamplers = nn.ModuleList([Upsample(widths[-1][1])])


class UNet2DConditionModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = self.config = config
        ch, layers, context = c["block_out_channels"], c["layers_per_block"], c["cross_attention_dim"]
        temb = 4 * ch[0]
        common = dict(temb=temb, groups=c["norm_num_groups"], eps=c["norm_eps"], context=context,
                      heads=c["attention_head_dim"])    # in this family the field is the number of heads
        self.conv_in = nn.Conv2d(c["in_channels"], ch[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(ch[0], temb)
        if c.get("num_class_embeds"):
            self.class_embedding = nn.Embedding(c["num_class_embeds"], temb)

        self.down_blocks = nn.ModuleList()
        for i, (kind, out) in enumerate(zip(c["down_block_types"], ch)):
            widths = [(ch[max(i - 1, 0)] if j == 0 else out, out) for j in range(layers)]
            self.down_blocks.append(UNetBlock(widths, attention=layers if "CrossAttn" in kind else 0,
                                              down=1 if i < len(ch) - 1 else None, **common))

        self.mid_block = UNetBlock([(ch[-1], ch[-1])] * 2, attention=1, **common)

        self.up_blocks = nn.ModuleList()
        rev = ch[::-1]
        for i, (kind, out) in enumerate(zip(c["up_block_types"], rev)):
            below, skip_last = rev[max(i - 1, 0)], rev[min(i + 1, len(ch) - 1)]
            widths = [((below if j == 0 else out) + (skip_last if j == layers else out), out) for j in range(layers + 1)]
            self.up_blocks.append(UNetBlock(widths, attention=layers + 1 if "CrossAttn" in kind else 0,
                                            up=i < len(ch) - 1, **common))

        self.conv_norm_out = nn.GroupNorm(c["norm_num_groups"], ch[0], eps=c["norm_eps"])
        self.conv_out = nn.Conv2d(ch[0], c["out_channels"], 3, padding=1)

    def encode(self, x, t, context, label=None):
        """Down and mid blocks: (mid features, skips, temb). The discriminator of distill_flash.py stops here."""
        temb = self.time_embedding(sinusoid(t, self.config["block_out_channels"][0]).to(x.dtype))
        if label is not None:
            temb = temb + self.class_embedding(label).to(x.dtype)
        x = self.conv_in(x)
        skips = [x]
        for block in self.down_blocks:
            for j, resnet in enumerate(block.resnets):
                x = resnet(x, temb)
                if hasattr(block, "attentions"):
                    x = block.attentions[j](x, context)
                skips.append(x)
            if hasattr(block, "downsamplers"):
                x = block.downsamplers[0](x)
                skips.append(x)
        x = self.mid_block.resnets[0](x, temb)
        x = self.mid_block.attentions[0](x, context)
        return self.mid_block.resnets[1](x, temb), skips, temb

    def forward(self, x, t, context, label=None):
        """x [N, C, h, w], t [N] in 0…999, context [N, 77, D], label [N] of the upscaler -> the prediction [N, 4, h, w]."""
        x, skips, temb = self.encode(x, t, context, label)
        for block in self.up_blocks:
            for j, resnet in enumerate(block.resnets):
                x = resnet(torch.cat([x, skips.pop()], dim=1), temb)
                if hasattr(block, "attentions"):
                    x = block.attentions[j](x, context)
            if hasattr(block, "upsamplers"):
                x = block.upsamplers[0](x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


# --- autoencoder ----------------------------------------------------------------------------------------------------

class VAEBlock(nn.Module):
    def __init__(self, cin, cout, n, groups, down=False, up=False):
        super().__init__()
        self.resnets = nn.ModuleList(Resnet(cin if j == 0 else cout, cout, 0, groups, 1e-6) for j in range(n))
        if down:
            self.downsamplers = nn.ModuleList([Downsample(cout, 0)])
        if up:
            self.upsamplers = nn.ModuleList([Upsample(cout)])

    def forward(self, x):
        for resnet in self.resnets:
            x = resnet(x)
        for sampler in (*getattr(self, "downsamplers", ()), *getattr(self, "upsamplers", ())):
            x = sampler(x)
        return x


class VAEMid(nn.Module):
    def __init__(self, c, groups, attention):
        super().__init__()
        self.resnets = nn.ModuleList(Resnet(c, c, 0, groups, 1e-6) for _ in range(2))
        if attention:
            self.attentions = nn.ModuleList([Attention(c, c, 1, bias=True, groups=groups)])

    def forward(self, x):
        x = self.resnets[0](x)
        for attention in getattr(self, "attentions", ()):
            n, c, h, w = x.shape
            y = attention(attention.group_norm(x).permute(0, 2, 3, 1).reshape(n, h * w, c))
            x = x + y.view(n, h, w, c).permute(0, 3, 1, 2)
        return self.resnets[1](x)


class Encoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        ch, groups = c["block_out_channels"], c["norm_num_groups"]
        self.conv_in = nn.Conv2d(c["in_channels"], ch[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(VAEBlock(ch[max(i - 1, 0)], o, c["layers_per_block"], groups, down=i < len(ch) - 1)
                                         for i, o in enumerate(ch))
        self.mid_block = VAEMid(ch[-1], groups, c["mid_block_add_attention"])
        self.conv_norm_out = nn.GroupNorm(groups, ch[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(ch[-1], 2 * c["latent_channels"], 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        ch, groups = c["block_out_channels"][::-1], c["norm_num_groups"]
        self.conv_in = nn.Conv2d(c["latent_channels"], ch[0], 3, padding=1)
        self.mid_block = VAEMid(ch[0], groups, c["mid_block_add_attention"])
        self.up_blocks = nn.ModuleList(VAEBlock(ch[max(i - 1, 0)], o, c["layers_per_block"] + 1, groups, up=i < len(ch) - 1)
                                       for i, o in enumerate(ch))
        self.conv_norm_out = nn.GroupNorm(groups, ch[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(ch[-1], c["out_channels"], 3, padding=1)

    def forward(self, z):
        x = self.mid_block(self.conv_in(z))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class AutoencoderKL(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config, self.encoder, self.decoder = config, Encoder(config), Decoder(config)
        z = config["latent_channels"]
        self.quant_conv, self.post_quant_conv = nn.Conv2d(2 * z, 2 * z, 1), nn.Conv2d(z, z, 1)

    def encode(self, x):
        """x [N, 3, H, W] in -1…1 -> mean and log variance, both [N, 4, h, w] at an eighth (a quarter, of three levels), not scaled."""
        mean, logvar = self.quant_conv(self.encoder(x)).chunk(2, dim=1)
        return mean, logvar.clamp(-30, 20)

    def decode(self, z):
        """The inverse of encode(): z not scaled."""
        return self.decoder(self.post_quant_conv(z))


# --- preview autoencoder --------------------------------------------------------------------------------------------

class TinyBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, c, 3, padding=1), nn.ReLU(),
                                  nn.Conv2d(c, c, 3, padding=1))

    def forward(self, x):
        return F.relu(self.conv(x) + x)


class TinyHalf(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)


class AutoencoderTiny(nn.Module):
    """TAESD's architecture. Its latents are the scaled ones, and its picture side is 0…1 inside, -1…1 outside."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        enc, dec, z = config["encoder_block_out_channels"], config["decoder_block_out_channels"], config["latent_channels"]
        layers = [nn.Conv2d(config["in_channels"], enc[0], 3, padding=1)]
        for i, n in enumerate(config["num_encoder_blocks"]):
            layers += [nn.Conv2d(enc[i], enc[i], 3, stride=2, padding=1, bias=False)] if i else []
            layers += [TinyBlock(enc[i]) for _ in range(n)]
        self.encoder = TinyHalf(layers + [nn.Conv2d(enc[-1], z, 3, padding=1)])

        layers, last = [nn.Conv2d(z, dec[0], 3, padding=1), nn.ReLU()], len(dec) - 1
        for i, n in enumerate(config["num_decoder_blocks"]):
            layers += [TinyBlock(dec[i]) for _ in range(n)]
            layers += [nn.Upsample(scale_factor=2)] if i < last else []
            layers += [nn.Conv2d(dec[i], dec[i] if i < last else config["out_channels"], 3, padding=1, bias=i == last)]
        self.decoder = TinyHalf(layers)

    def encode(self, x):
        return self.encoder.layers(x.add(1).div(2))

    def decode(self, z):
        return self.decoder.layers(torch.tanh(z / 3) * 3).mul(2).sub(1)


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())
