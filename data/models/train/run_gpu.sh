#!/usr/bin/env bash
# data/models/train/run_gpu.sh: the starter models on one large GPU in 25 minutes. SPDX-License-Identifier: LGPL-3.0-or-later
# From the repository's root:
#   run_gpu.sh prepare TAR [PHOTOS]   here, before: packs the pictures and learns the vocabulary into build-train/ (ignored by git);
#                            with pack_photos.py's FOLDER also the photographs, and super-resolution is trained beside the rest
#   run_gpu.sh 1             on the GPU, 8.5 minutes: judge, autoencoder, preview autoencoder
#   run_gpu.sh 2             on the GPU, 9.5 minutes: text encoder and UNet
#   run_gpu.sh 3             on the GPU, 7 minutes: their last part, the few-step LoRA, the figures
#   run_gpu.sh unpack DIR    here, after each: puts what came back in DIR (NAME.tar.00, .01 …) into build-train/
# Each of 1, 2, 3 is one call of at most ten minutes and leaves everything in build-train/ for the next; what should come back
# lies in $OUT (build-train/out if that is not set): at most 8 files below 16 MiB, 64 MiB together.
set -eu
here=data/models/train work=build-train
[ -d "$here" ] || { echo "run this from the repository's root" >&2; exit 1; }
export OUT=${OUT:-$work/out} PYTHONUNBUFFERED=1 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
export TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-$PWD/$work/compiled}    # call 3 need not compile again what call 2 did
mkdir -p "$OUT"
# SPEED is a multiplier of every time budget, for trying this plan out; EXTRA goes to every training script (--toy, say).
train () {
  local script=$1 seconds
  seconds=$(python3 -c "print($2 * ${SPEED:-1})")
  shift 2
  echo "== $script, $seconds s"
  # shellcheck disable=SC2086
  python3 "$here/$script.py" --pack "$work/pack" --seconds "$seconds" "$@" ${EXTRA:-}
}
fast () {    # compiled; what a compiler cannot do (its backward pass fails late) is done eagerly in the time that is left
  local script=$1 seconds=$2 began=$SECONDS
  shift 2
  train "$script" "$seconds" "$@" --compile || train "$script" $((seconds - SECONDS + began)) "$@"
}
plan () { python3 -c "print($1 * ${SPEED:-1})"; }
beside () {    # beside SCRIPT …: on the photographs, in the background, if there are any; small networks leave room on a large card
  local script=$1 seconds
  [ -d "$work/photos" ] || return 0
  seconds=$(plan "$2")
  shift 2
  # shellcheck disable=SC2086
  python3 "$here/$script.py" --pack "$work/photos" --seconds "$seconds" "$@" ${EXTRA:-} >"$OUT/$script-photos.log" 2>&1 &
}
bring () {    # bring NAME PATH…: paths below build-train/ as NAME.tar.00, NAME.tar.01 …
  local name=$1
  shift
  tar -C "$work" -cf - "$@" | split -b 15M -d - "$OUT/$name.tar."
}

case ${1:-} in
  prepare)
    python3 "$here/pack.py" "$2" "$work/pack"
    python3 "$here/tokenizer.py" "$work/pack" "$work/tokenizer"
    [ -z "${3:-}" ] || python3 "$here/pack_photos.py" "$3" "$work/photos"
    ;;
  1)
    beside train_vae 430 --upscaler --out "$work/sr-vae" --batch 32 --white 1 --kl 1e-5 --gan-from 2
    train classifier 30 --out "$work/honest" --split train    # how well drawings it has not seen are recognised; thrown away
    train classifier 50 --out "$work/judge" --batch 512
    fast train_vae 325 --out "$work/vae" --classifier "$work/judge/classifier" --batch 96
    train train_taesd 65 --out "$work/taesd" --classifier "$work/judge/classifier" --vae "$work/vae/vae" --batch 64
    wait
    bring first judge/classifier honest/classifier/train.json vae/vae taesd/taesd $([ ! -d "$work/sr-vae/vae" ] || echo sr-vae/vae)
    cp "$work/vae/vae.png" "$work/taesd/taesd.png" "$OUT"
    ;;
  2)
    beside train_sr 540 --vae "$work/sr-vae/vae" --tokenizer "$work/tokenizer" --out "$work/sr" --batch 64
    fast train_t2i 550 --total "$(plan 625)" --out "$work/t2i" --vae "$work/vae/vae" --tokenizer "$work/tokenizer"
    wait
    bring second t2i/model/unet t2i/model/text_encoder $([ ! -d "$work/sr/model" ] || echo sr/model)
    cp "$work/t2i/t2i.png" "$OUT"
    ;;
  3)
    # continues exactly where state.pt is still there, otherwise from the exported weights
    fast train_t2i 170 --total "$(plan 625)" --out "$work/t2i" --resume "$([ -s "$work/t2i/state.pt" ] && echo "$work/t2i" || echo "$work/t2i/model")" \
      --vae "$work/vae/vae" --tokenizer "$work/tokenizer"
    fast distill_flash 190 --out "$work/flash" --model "$work/t2i/model"
    train evaluate 0 --out "$work/figures" --name teacher --model "$work/t2i/model" --classifier "$work/judge/classifier" --frechet 1000
    train evaluate 0 --out "$work/figures" --name student --model "$work/t2i/model" --classifier "$work/judge/classifier" --frechet 1000 \
      --lora "$work/flash/lora" --few --sample-steps 4
    bring third t2i/model/unet t2i/model/text_encoder flash/lora figures/teacher.json figures/student.json
    cp "$work/t2i/t2i.png" "$work/flash/flash.png" "$work/figures/student.png" "$OUT"
    ;;
  unpack)
    for first in "$2"/*.tar.00; do
      cat "${first%00}"[0-9][0-9] | tar -C "$work" -xf -
    done
    ;;
  *)
    sed -n '3,11s/^# \{0,1\}//p' "$0"
    exit 1
    ;;
esac
ls -l "$OUT" 2>/dev/null || true
