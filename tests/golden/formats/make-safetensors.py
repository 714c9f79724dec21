#!/usr/bin/env python3
# Writes python.safetensors with the safetensors package (0.8.0), torch 2.15.0: every element type, a scalar, an empty tensor, metadata.
# The test knows the values: element i of each tensor is i - 2. SPDX-License-Identifier: LGPL-3.0-or-later
import os, torch
from safetensors.torch import save_file

here  = os.path.dirname(os.path.abspath(__file__))
types = dict(f32=torch.float32, f16=torch.float16, bf16=torch.bfloat16, f64=torch.float64, i64=torch.int64, i32=torch.int32,
             i16=torch.int16, i8=torch.int8, bool=torch.bool, f8_e4m3=torch.float8_e4m3fn, f8_e5m2=torch.float8_e5m2)
tensors = {name: (torch.arange(6, dtype=torch.float32) - 2).reshape(2, 3).to(t) for name, t in types.items()}
tensors["u8"]     = torch.arange(6, dtype=torch.uint8).reshape(2, 3)
tensors["scalar"] = torch.tensor(-2.0)
tensors["empty"]  = torch.zeros(0, 3)
tensors["nan"]    = torch.tensor([0.0, float("nan")])
tensors["inf16"]  = torch.tensor([0.0, float("inf")], dtype=torch.float16)
tensors["naïve “名”"] = torch.tensor([1.0])
save_file(tensors, f"{here}/python.safetensors", metadata={"format": "pt", "author": "naïve “名” \\ \n"})
