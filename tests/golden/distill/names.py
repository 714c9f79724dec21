#!/usr/bin/env python3
"""What diffusers calls the tensors of a LoRA on every layer of a UNet, and their shapes. SPDX-License-Identifier: LGPL-3.0-or-later

Writes names-all.txt: a line per tensor, for ../pipeline/model, whose proj_in and proj_out are 1×1 convolutions as in Stable Diffusion 1.x: there,
peft's matrices have four dimensions, and load_lora_weights() refuses files where they have two. diffusers 0.42, peft 0.21; nothing is drawn.
"""
import os

from diffusers import UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

HERE = os.path.dirname(os.path.abspath(__file__))
TARGETS = ("to_q to_k to_v to_out.0 proj_in proj_out ff.net.0.proj ff.net.2 time_emb_proj conv_in conv_out conv1 conv2 conv_shortcut conv").split()


def main():
    unet = UNet2DConditionModel.from_pretrained(os.path.join(HERE, "..", "pipeline", "model"), subfolder="unet")
    unet.add_adapter(LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS))
    with open(os.path.join(HERE, "names-all.txt"), "w") as file:
        file.writelines(f"unet.{k} {'x'.join(map(str, v.shape))}\n" for k, v in sorted(get_peft_model_state_dict(unet).items()))


if __name__ == "__main__":
    main()
