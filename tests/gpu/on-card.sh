#!/usr/bin/env bash
# on-card.sh: what tests/gpu/run packed, on a machine with a card: tests, sanitizer, benchmark, at most eight minutes in all.
# SPDX-License-Identifier: LGPL-3.0-or-later
# Lies beside package.tar.xz, or in the unpacked package as `run`. Results go to $OUT, else to results/ beside it: results.md and one log per
# part. A part that fails does not keep the next from running.
# shellcheck disable=SC2317   # functions that part calls by their names
set -uo pipefail

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
if [ ! -d "$here/bin" ]; then
  unpacked=$(mktemp -d)
  # a machine without xz has Python
  tar -C "$unpacked" -xJf "$here/package.tar.xz" 2>/dev/null \
    || python3 -c 'import sys, tarfile; tarfile.open (sys.argv[1]).extractall (sys.argv[2])' "$here/package.tar.xz" "$unpacked" || exit 1
  exec bash "$unpacked/package/run"
fi

out=${OUT:-$here/results}
mkdir -p "$out"
results=$out/results.md
started=$SECONDS
limit=470                                                     # seconds of the eight minutes

# --- NVIDIA's libraries: the toolkit's folder, else where pip puts them ------------------------------------------------------

folders=()
for pattern in "${CUDA_HOME:-/usr/local/cuda}/lib64" /usr/local/cuda*/lib64 /usr/local/cuda*/targets/*/lib /usr/lib/x86_64-linux-gnu/nvidia \
               /opt/*/lib/python3*/site-packages/nvidia/*/lib /opt/*/.venv/lib/python3*/site-packages/nvidia/*/lib \
               "$(python3 -c 'import sysconfig; print (sysconfig.get_paths ()["purelib"])' 2>/dev/null)"/nvidia/*/lib; do
  [ -d "$pattern" ] && folders+=("$pattern")
done
# of a folder full of the system's own libraries, the driver's alone, and NCCL
mkdir -p "$here/driver"
for folder in /usr/local/nvidia/lib64 /usr/lib/x86_64-linux-gnu /usr/lib64; do
  if [ -e "$folder/libcuda.so.1" ]; then ln -sf "$folder"/libcuda.so* "$folder"/libnvidia-*.so* "$here/driver/"; break; fi
done
for folder in /usr/lib/x86_64-linux-gnu /usr/lib64; do
  if [ -e "$folder/libnccl.so.2" ]; then ln -sf "$folder"/libnccl.so* "$here/driver/"; break; fi
done
libraries=$here/lib:$here/driver$(printf ':%s' "${folders[@]}")
loader=$(echo "$here"/lib/ld-linux-*)

# on_card PROGRAM [ARGUMENT...]: with our loader and libraries; what it finds them by stays out of the environment of other programs
on_card () { "$loader" --library-path "$libraries" "$here/bin/$1" "${@:2}"; }

export FLASHBRUSH_MODULES=$here/bin FLASHBRUSH_DEVICE=cuda FB_TEST_DEVICES=cuda G_TEST_SRCDIR=$here/tests G_DEBUG=fatal-criticals
export NVIDIA_TF32_OVERRIDE=0 XDG_CACHE_HOME=${XDG_CACHE_HOME:-$here/cache}

# --- parts -------------------------------------------------------------------------------------------------------------------

failed=0

# part NAME SECONDS COMMAND...: runs it within its time and what is left; its log, and a row of the table
part ()
{
  local name=$1 seconds=$2 left status start=$SECONDS summary
  shift 2
  left=$((limit - (SECONDS - started)))
  if [ $left -lt 5 ]; then echo "| $name | not run: the time was up | | |" >>"$results"; failed=$((failed + 1)); return; fi
  [ "$seconds" -le $left ] || seconds=$left

  export -f on_card
  export loader libraries here
  timeout --kill-after=5 "$seconds" bash -c '"$@"' bash "$@" >"$out/$name.log" 2>&1
  status=$?
  summary="$(grep -c '^ok ' "$out/$name.log") ok, $(grep -c '^not ok ' "$out/$name.log") not ok, $(grep -c '# SKIP' "$out/$name.log") skipped"
  [ $status = 0 ] || failed=$((failed + 1))
  echo "| $name | $([ $status = 0 ] && echo passed || echo "failed, status $status") | $summary | $((SECONDS - start)) s |" >>"$results"
}

# Every case on its own, so that one that aborts does not hide the rest: lists them, and runs an op at a time. What cuDNN declines is in the log.
conformance ()
{
  local status=0 op ops
  ops=$(on_card conformance -l | sed -n 's|^#* *\(/kernels/cuda/[^/]*/[^/]*\)/.*|\1|p' | sort -u)
  [ -n "$ops" ] || { echo "not ok: the device did not open"; on_card conformance; return 1; }
  for op in $ops; do
    G_MESSAGES_DEBUG=all on_card conformance -p "$op" || { echo "not ok $op"; status=1; }
  done
  return "$status"
}

# memcheck and racecheck of our own kernels on the small cases
sanitize ()
{
  local tool=$1 op status=0
  command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not installed"; return 77; }
  # cases that our own kernels compute: attention with 40 channels a head, and a convolution that cuDNN may decline
  for op in add concat cast geglu group-norm/odd layer-norm/odd attention/sd15-cross attention/clip-l upsample conv2d/odd-everything; do
    compute-sanitizer --tool "$tool" --error-exitcode 9 --target-processes all "$loader" --library-path "$libraries" "$here/bin/conformance" \
      -p "/kernels/cuda/f16/$op" || { echo "not ok $tool $op"; status=1; }
  done
  return "$status"
}
export -f conformance sanitize

{
  echo "# $(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1), $(date -u +%F)"
  echo
  echo "Driver $(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -n 1), $(nvidia-smi --query-gpu=memory.total --format=csv,noheader | head -n 1); commit $(cat "$here/commit")."
  echo
  echo "| part | result | tests | time |"
  echo "| --- | --- | --- | --- |"
} >"$results"

skip=()
[ -d "$here/data/models/starter" ] || skip=(-s /core/tasks/generate/bf16-is-within-40-decibels)

part device      30  on_card test-device
part recording   20  on_card test-recording
part conformance 150 conformance
part networks    40  on_card test-networks
part model       20  on_card test-model
part model-loras 20  on_card test-model-loras
part model-steps 30  on_card test-model-steps
part generate    40  on_card test-generate "${skip[@]}"
part bench       180 on_card bench-cuda
if [ "$(nvidia-smi -L | wc -l)" -ge 2 ]; then part cards 60 env FB_TEST_CARDS=1 bash -c 'on_card test-distill-cards -p /core/distill/cards/two-true-cards-sum'; fi
part memcheck    60  sanitize memcheck
part racecheck   60  sanitize racecheck

{
  echo
  echo '```'
  grep -h '^BENCH ' "$out/bench.log"
  grep -h '^not ok\|^Bail out\|ERROR' "$out"/*.log | head -n 40
  grep -ho 'cuDNN has no engine for .*' "$out/conformance.log" | sort -u | head -n 40
  echo '```'
} >>"$results"
cat "$results"
exit $((failed > 0))
