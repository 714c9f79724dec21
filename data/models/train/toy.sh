#!/usr/bin/env bash
# data/models/train/toy.sh: every script once, small, on one CPU thread. SPDX-License-Identifier: LGPL-3.0-or-later
# usage: toy.sh TAR FOLDER [PHOTOS]   (PHOTOS: what pack_photos.py reads; about five minutes; PYTHON names the interpreter, check.py needs diffusers in it)
# Proves that the scripts run, that a killed training continues to the very same weights, and that diffusers reads the result.
# The pictures mean nothing yet: only right way up and plausible colours can be seen in FOLDER/vae/vae.png.
set -eu
tar=$1 out=$2 here=$(cd "$(dirname "$0")" && pwd)
run () { nice -n 19 "${PYTHON:-python3}" -u "$here/$1.py" "${@:2}"; }
small=(--pack "$out/pack" --toy --threads 1 --device cpu --size 64)
mkdir -p "$out"

run pack "$tar" "$out/pack" | tail -n 1
run tokenizer "$out/pack" "$out/tokenizer"
run classifier "${small[@]}" --out "$out/judge" --limit 200 --batch 16 --steps 12
run train_vae "${small[@]}" --out "$out/vae" --limit 12 --batch 6 --crop 64 --steps 200 --lr 4e-3 --gan-from 0.8 --white 1 \
  --classifier "$out/judge/classifier"
run train_taesd "${small[@]}" --out "$out/taesd" --limit 12 --batch 6 --steps 100 --lr 4e-3 --vae "$out/vae/vae" --classifier "$out/judge/classifier"

t2i=(train_t2i "${small[@]}" --limit 12 --batch 8 --views 2 --captions 4 --vae "$out/vae/vae" --tokenizer "$out/tokenizer"
     --steps 40 --save-every 5 --seconds 600)
run "${t2i[@]}" --out "$out/whole"
exec_run () { exec nice -n 19 "${PYTHON:-python3}" -u "$here/$1.py" "${@:2}"; }    # so that $! is Python and no shell before it
exec_run "${t2i[@]}" --out "$out/cut" &
pid=$!
until [ -s "$out/cut/state.pt" ]; do sleep 0.1; done
sleep 1.5
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
run "${t2i[@]}" --out "$out/cut" --resume "$out/cut"
for part in unet/diffusion_pytorch_model text_encoder/model; do
  cmp "$out/whole/model/$part.safetensors" "$out/cut/model/$part.safetensors"
done
echo "cut short or not: the same weights, bit for bit"

run travel "$out/whole/model" "$out/small"
run "${t2i[@]}" --out "$out/again" --resume "$out/small" --steps 5
run distill_flash "${small[@]}" --out "$out/flash" --limit 12 --batch 4 --steps 16 --reuse 2 --k 8 --rank 4 --lr 1e-3 --model "$out/whole/model"
run evaluate "${small[@]}" --out "$out/evaluation" --limit 8 --batch 8 --model "$out/whole/model" --lora "$out/flash/lora" --few \
  --sample-steps 4 --classifier "$out/judge/classifier" --frechet 8
run check --model "$out/whole/model" --out "$out/check.png" --lora "$out/flash/lora" 2>/dev/null

if [ -n "${3:-}" ]; then
  photos=(--pack "$out/photos" --toy --threads 1 --device cpu --limit 12)
  run pack_photos "$3" "$out/photos" | tail -n 1
  run train_vae "${photos[@]}" --upscaler --out "$out/sr-vae" --batch 4 --crop 64 --steps 40 --gan-from 2 --white 1
  run train_sr "${photos[@]}" --out "$out/sr" --batch 4 --steps 20 --vae "$out/sr-vae/vae" --tokenizer "$out/tokenizer"
  run evaluate_sr --pack "$out/photos" --model "$out/sr/model" --judge "$out/judge/classifier" --tiles 4
  run check --upscaler "$out/sr/model" 2>/dev/null
fi
