#!/usr/bin/env bash
# on-card.sh [peers [ARGUMENT...]]: what tests/gpu/run packed, on a machine with a card: tests, sanitizer, benchmark, at most eight minutes in all.
# SPDX-License-Identifier: LGPL-3.0-or-later
# Lies beside package.tar.xz, or in the unpacked package as `run`. Results go to $OUT, else to results/ beside it: results.md and one log per
# part. A part that fails does not keep the next from running.
# peers: nothing but the comparison with PyTorch, whose compiler wants more time than the tests leave; peers_cuda.py says what the arguments are
# shellcheck disable=SC2317   # functions that part calls by their names
set -uo pipefail

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
if [ ! -d "$here/bin" ]; then
  unpacked=$(mktemp -d)
  # a machine without xz has Python
  tar -C "$unpacked" -xJf "$here/package.tar.xz" 2>/dev/null \
    || python3 -c 'import sys, tarfile; tarfile.open (sys.argv[1]).extractall (sys.argv[2])' "$here/package.tar.xz" "$unpacked" || exit 1
  OUT=${OUT:-$here/results} exec bash "$unpacked/package/run" "$@"
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

# all PROGRAM PREFIX DEPTH [ARGUMENT...]: its tests below PREFIX in one process, since each takes a while to find the card and its libraries. Where a
# test ends the process, or the card fails and with it all that follows, those that have DEPTH names in common once more, each in a process.
all ()
{
  local program=$1 prefix=$2 depth=$3 only=() log status group
  shift 3
  [ "$prefix" = / ] || only=(-p "$prefix")
  log=$(mktemp)
  on_card "$program" "${only[@]}" "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  if [ "$status" -gt 1 ] || grep -q 'The graphics card failed' "$log"; then
    echo "not ok: $program ended with status $status; once more, piece by piece"
    for group in $(on_card "$program" -l | sed -n 's|^#* *\(/[^ ]*\).*|\1|p' | grep "^$prefix" | cut -d/ -f "-$depth" | sort -u); do
      on_card "$program" -p "$group" "$@" || echo "not ok $group"
    done
  fi
  rm "$log"
  return "$status"
}

# Also says what cuDNN declines
conformance ()
{
  local status=0 type
  export G_MESSAGES_DEBUG=all
  for type in f32 f16 bf16; do all conformance "/kernels/cuda/$type" 5 || status=1; done
  return "$status"
}

# memcheck and racecheck of our own kernels on the small cases
sanitize ()
{
  local tool=$1 op tests=()
  command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not installed"; return 77; }
  # cases that our own kernels compute: attention with 40 channels a head, and a convolution that cuDNN may decline
  for op in add concat cast geglu group-norm/odd layer-norm/odd attention/sd15-cross attention/clip-l upsample conv2d/odd-everything; do
    tests+=(-p "/kernels/cuda/f16/$op")
  done
  compute-sanitizer --tool "$tool" --error-exitcode 9 --target-processes all "$loader" --library-path "$libraries" "$here/bin/conformance" "${tests[@]}"
}
# peers ARGUMENT...: PyTorch's speed beside ours
peers ()
{
  local ours="" ours_distill=""
  python3 -c 'import torch' || { echo "generation, distillation: left out: this machine has no PyTorch"; return 0; }
  for wheel in "$here"/python/*.whl; do
    [ ! -e "$wheel" ] || python3 -c 'import sys, zipfile; zipfile.ZipFile (sys.argv[1]).extractall (sys.argv[2])' "$wheel" "$here/python"
  done
  printf -v ours '%q ' "$loader" --library-path "$libraries" "$here/bin/bench-cuda"
  printf -v ours_distill '%q ' "$loader" --library-path "$libraries" "$here/bin/bench-distill"
  PYTHONPATH=${PYTHONPATH:+$PYTHONPATH:}$here/python python3 "$here/tests/bench/peers_cuda.py" --ours "$ours" --ours-distill "$ours_distill" \
    --seconds $((ends - $(date +%s) - 5)) "$@"
}
export -f all conformance sanitize peers
ends=$(($(date +%s) + limit))
export ends

{
  echo "# $(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1), $(date -u +%F)"
  echo
  echo "Driver $(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -n 1), $(nvidia-smi --query-gpu=memory.total --format=csv,noheader | head -n 1); commit $(cat "$here/commit")."
  echo
  echo "| part | result | tests | time |"
  echo "| --- | --- | --- | --- |"
} >"$results"

skip=()
[ -d "$here/data/models/starter" ] || skip=(-s /core/tasks/generate/bf16-is-within-40-decibels -s /core/tasks/generate/f16-is-within-40-decibels)

if [ "${1:-}" = peers ]; then
  part peers 470 "$@"
else
  part device      30  all test-device / 9
  part recording   20  all test-recording / 9
  part conformance 150 conformance
  part networks    40  all test-networks / 9
  part model       20  all test-model / 9
  part model-loras 20  all test-model-loras / 9
  part model-steps 30  all test-model-steps / 9
  part generate    40  all test-generate / 9 "${skip[@]}"
  part bench       180 on_card bench-cuda
  if [ "$(nvidia-smi -L | wc -l)" -ge 2 ]; then part cards 60 env FB_TEST_CARDS=1 bash -c 'on_card test-distill-cards -p /core/distill/cards/two-true-cards-sum'; fi
  part memcheck    60  sanitize memcheck
  part racecheck   60  sanitize racecheck
  part peers      470  peers
fi

{
  echo
  grep -h '^| \|: not measured: \|: left out: ' "$out/peers.log"
  echo
  echo '```'
  grep -hs '^BENCH ' "$out/bench.log" "$out/peers.log"
  grep -h '^not ok\|^Bail out\|ERROR' "$out"/*.log | head -n 40
  grep -ho 'cuDNN has no engine for .*' "$out/conformance.log" 2>/dev/null | sort -u | head -n 40
  echo '```'
} >>"$results"
cat "$results"
exit $((failed > 0))
