#!/usr/bin/env python3
# Writes the first inputs of the corpora: one true file per format and one lie per rule. SPDX-License-Identifier: LGPL-3.0-or-later
import json, os, struct

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")

def write(folder, name, data):
    os.makedirs(f"{here}/{folder}", exist_ok=True)
    with open(f"{here}/{folder}/{name}", "wb") as f: f.write(data)

def st(header, n=0, length=None):
    text = (header if isinstance(header, str) else json.dumps(header, separators=(",", ":"))).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + b"\x3f" * n

def t(dtype, shape, b, e): return {"dtype": dtype, "shape": shape, "data_offsets": [b, e]}

write("safetensors", "true", st({"__metadata__": {"a": "b"}, "x": t("F32", [2, 1], 0, 8), "s": t("F16", [], 8, 10), "e": t("F64", [0], 10, 10)}, 10))
write("safetensors", "overlap", st({"x": t("F32", [2], 0, 8), "y": t("F32", [2], 4, 12)}, 12))
write("safetensors", "hole", st({"x": t("F32", [1], 0, 4), "y": t("F32", [1], 8, 12)}, 12))
write("safetensors", "duplicate", st('{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4))
write("safetensors", "wrapping-shape", st({"x": t("F32", [2**62, 4], 0, 0)}))
write("safetensors", "empty-with-large-side", st({"x": t("F32", [0, 2**63 - 1], 0, 0)}))
write("safetensors", "number-too-large", st('{"x":{"dtype":"F32","shape":[99999999999999999999999],"data_offsets":[0,4]}}', 4))
write("safetensors", "ten-gigabytes", st("{}", 0, 10_000_000_000))
write("safetensors", "length-of-all-ones", st("{}", 0, 2**64 - 1))
write("safetensors", "nested", st('{"x":' + "[" * 3000))
write("safetensors", "comment", st('{/*"*/"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'))
write("safetensors", "single-quotes", st("{'x\"':{'dtype':'U8','shape':[0],'data_offsets':[0,0]}}"))
write("safetensors", "zeros", st('{"x":{"dtype":"U8","shape":[' + "0," * 3000 + '0],"data_offsets":[0,0]}}'))
write("safetensors", "quotes", st('{"x\\"":{"dtype":"F4","shape":[2],"data_offsets":[0,1]},"[[[[[":{"dtype":"F4","shape":[2],"data_offsets":[1,2]}}', 2))
write("safetensors", "nul-in-name", st('{"x\\u0000y":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1))
write("safetensors", "all-types", st({d: t(d, [2], i * 16, i * 16 + 16) for i, d in enumerate(("F64", "I64", "U64", "C64"))}, 64))

linear = {"a.to_q.lora_A.weight": t("F32", [1, 3], 0, 12), "a.to_q.lora_B.weight": t("F32", [2, 1], 12, 20), "a.to_q.alpha": t("F32", [], 20, 24)}
tucker = {"lora_unet_b.lora_down.weight": t("F32", [1, 3, 1, 1], 0, 12), "lora_unet_b.lora_mid.weight": t("F32", [1, 1, 3, 3], 12, 48),
          "lora_unet_b.lora_up.weight": t("F16", [2, 1, 1, 1], 48, 52)}
write("lora", "linear", st(linear, 24))
write("lora", "tucker", st(tucker, 52))
write("lora", "peft-header", st({"__metadata__": {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 4, "unet.use_rslora": True, "unet.alpha_pattern": {"^a.to_q$": 2}})},
                                 **{k: v for k, v in linear.items() if "alpha" not in k}}, 20))
write("lora", "broken-header", st({"__metadata__": {"lora_adapter_metadata": "[[[{"}, **{k: v for k, v in linear.items() if "alpha" not in k}}, 20))
write("lora", "no-rank", st({"a.to_q.lora_A.weight": t("F32", [0, 3], 0, 0), "a.to_q.lora_B.weight": t("F32", [2, 0], 0, 0)}))
write("lora", "mid-of-other-rank", st({**tucker, "lora_unet_b.lora_mid.weight": t("F32", [1, 9, 1, 1], 12, 48)}, 52))
write("lora", "loha", st({"lora_unet_b.hada_w1_a": t("F32", [1], 0, 4)}, 4))

write("keymap", "true", b"# comment\na.*.{w} b*.{w}\n\n[w]\nweight weight\nbias b.0.w\n")
write("keymap", "circle", b"a.{w} a.{w}\n[w]\nx.{v} x.{v}\n[v]\ny.{w} y.{w}\n")
write("keymap", "braces", b"a.}{ b.}{\n{} {}\n[{}]\n")
write("keymap", "stars", b"******** ********\n*.* *.*\n")
write("keymap", "name", b"middle_block.1.transformer_blocks.0.attn1.to_q.weight")
