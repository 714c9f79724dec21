#!/usr/bin/env bash
# on-card.sh [PART [ARGUMENT...]]: what tests/gpu/run packed, on a machine with a card: tests, sanitizer, benchmark, at most eight minutes in all.
# SPDX-License-Identifier: LGPL-3.0-or-later
# Lies beside package.tar.xz, or in the unpacked package as `run`. Results go to $OUT, else to results/ beside it: CARD-DATE.md and one log per
# part. A part that fails does not keep the next from running.
# PART: this one alone, with all the time. peers is the comparison with PyTorch, whose compiler wants more of it than the tests leave, and
# peers_cuda.py says what its arguments are; conformance takes TYPE/OP, for one op
# shellcheck disable=SC2317   # functions that part calls by their names
set -uo pipefail

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
if [ ! -d "$here/bin" ]; then
  unpacked=$(mktemp -d)
  # a machine without xz has Python
  tar -C "$unpacked" -xJf "$here/package.tar.xz" 2>/dev/null \
    || python3 -c 'import sys, tarfile; tarfile.open (sys.argv[1]).extractall (sys.argv[2])' "$here/package.tar.xz" "$unpacked" || exit 1
  # the starter model, which the package has no room for, where this folder lies in a checkout or the model beside it
  for starter in "$here/starter" "$here/../data/models/starter"; do
    if [ -d "$starter" ]; then ln -s "$(readlink -f "$starter")" "$unpacked/package/data/models/starter"; break; fi
  done
  OUT=${OUT:-$here/results} exec bash "$unpacked/package/run" "$@"
fi

out=${OUT:-$here/results}
mkdir -p "$out"
card=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
title="${card:-no card}, $(date -u +%F)"
results=$out/$(sed 's/, /-/; s/[^A-Za-z0-9.-]/-/g' <<<"$title")${1:+-$1}.md
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

# has_done_something LOG: a test that was not skipped, a figure, or the reason for none
has_done_something () { grep -v '# SKIP' "$1" | grep -q '^ok \|^BENCH \|: left out: '; }

# part NAME SECONDS COMMAND...: runs it within its time and what is left; its log, and a row of the table
part ()
{
  local name=$1 seconds=$2 left status start=$SECONDS summary result=passed
  shift 2
  left=$((limit - (SECONDS - started)))
  if [ $left -lt 5 ]; then echo "| $name | not run: the time was up | | |" >>"$results"; [ "$name" = peers ] || failed=$((failed + 1)); return; fi
  [ "$seconds" -le $left ] || seconds=$left

  export -f on_card
  export loader libraries here
  timeout --kill-after=5 "$seconds" bash -c '"$@"' bash "$@" >"$out/$name.log" 2>&1
  status=$?
  [ $status = 0 ] || result="failed, status $status"
  if [ $status = 0 ] && ! has_done_something "$out/$name.log"; then result="failed: it tested nothing"; fi
  [ "$result" = passed ] || failed=$((failed + 1))
  summary="$(grep -c '^ok ' "$out/$name.log") ok, $(grep -c '^not ok ' "$out/$name.log") not ok, $(grep -c '# SKIP' "$out/$name.log") skipped"
  echo "| $name | $result | $summary | $((SECONDS - start)) s |" >>"$results"
}

# all PROGRAM PREFIX DEPTH [ARGUMENT...]: its tests below PREFIX in one process, since each takes a while to find the card and its libraries. Where a
# test ends the process, or the card fails and with it all that follows, those that have DEPTH names in common once more, each in a process.
# GLib's -r takes all that begins so, its -p only what is named, and cases right below it.
all ()
{
  local program=$1 prefix=$2 depth=$3 only=() log status group
  shift 3
  [ "$prefix" = / ] || only=(-r "$prefix")
  log=$(mktemp)
  on_card "$program" "${only[@]}" "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  if ! grep -q '^ok \|^not ok ' "$log"; then echo "not ok: $program has no test below $prefix"; [ "$status" -gt 0 ] || status=1; fi
  if [ "$status" -gt 1 ] || grep -q 'The graphics card failed' "$log"; then
    echo "not ok: $program ended with status $status; once more, piece by piece"
    for group in $(on_card "$program" -l | sed -n 's|^#* *\(/[^ ]*\).*|\1|p' | grep "^$prefix" | cut -d/ -f "-$depth" | sort -u); do
      on_card "$program" -p "$group" "$@" || echo "not ok $group"
    done
  fi
  rm "$log"
  return "$status"
}

# conformance [TYPE[/OP]...]: what begins so; types side by side, since most of the time goes into the reference's loops. Also says what cuDNN declines
conformance ()
{
  local status=0 below running=()
  export G_MESSAGES_DEBUG=all
  [ $# -gt 0 ] || set -- f32 f16 bf16
  for below; do all conformance "/kernels/cuda/$below" 5 & running+=($!); done
  for below in "${running[@]}"; do wait "$below" || status=1; done
  return "$status"
}

# memcheck and racecheck of our own kernels on the small cases
sanitize ()
{
  local tool=$1 op tests=()
  PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
  command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not installed"; return 77; }
  # cases that our own kernels compute: attention with 40 channels a head, and a convolution that cuDNN may decline
  for op in add concat cast geglu group-norm/odd layer-norm/odd attention/sd15-cross attention/clip-l upsample conv2d/odd-everything; do
    tests+=(-p "/kernels/cuda/f16/$op")
  done
  compute-sanitizer --tool "$tool" --error-exitcode 9 --target-processes all "$loader" --library-path "$libraries" "$here/bin/conformance" "${tests[@]}"
}

# cards: two that sum
cards () { FB_TEST_CARDS=1 on_card test-distill-cards -p /core/distill/cards/two-true-cards-sum; }

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
export -f all cards conformance sanitize peers
ends=$(($(date +%s) + limit))
export ends

{
  echo "# $title"
  echo
  echo "Driver $(nvidia-smi --query-gpu=driver_version,memory.total --format=csv,noheader 2>/dev/null | head -n 1); commit $(cat "$here/commit")."
  echo
  echo "| part | result | tests | time |"
  echo "| --- | --- | --- | --- |"
} >"$results"

skip=""
[ -d "$here/data/models/starter" ] || skip="-s /core/tasks/generate/bf16-is-within-40-decibels -s /core/tasks/generate/f16-is-within-40-decibels"
# what may take how many seconds: together no more than there are, so that each gets its own
plan=(
  "device      20  all test-device / 9"
  "recording   15  all test-recording / 9"
  "conformance 120 conformance"
  "networks    30  all test-networks / 9"
  "generate    30  all test-generate / 9 $skip"
  "model       15  all test-model / 9"
  "model-loras 15  all test-model-loras / 9"
  "model-steps 20  all test-model-steps / 9"
  "memcheck    45  sanitize memcheck"
  "racecheck   45  sanitize racecheck"
  "bench       115 on_card bench-cuda"
)
# what is left goes to these
[ "$(nvidia-smi -L 2>/dev/null | wc -l)" -lt 2 ] || plan+=("cards 60 cards")
plan+=("peers $limit peers")

n_parts=0
for row in "${plan[@]}"; do
  read -r name seconds command <<<"$row"
  [ $# = 0 ] || [ "$1" = "$name" ] || continue
  [ $# = 0 ] || seconds=$limit
  # shellcheck disable=SC2086   # words of a command
  part "$name" "$seconds" $command "${@:2}"
  n_parts=$((n_parts + 1))
done
if [ $n_parts = 0 ]; then echo "on-card: there is no part “$1”" >&2; exit 2; fi

{
  echo
  grep -hs '^| \|: not measured: \|: left out: ' "$out/peers.log"
  echo
  echo '```'
  grep -hs '^BENCH ' "$out/bench.log" "$out/peers.log"
  grep -h '^not ok\|^Bail out\|ERROR' "$out"/*.log | head -n 40
  grep -ho 'cuDNN has no engine for .*' "$out/conformance.log" 2>/dev/null | sort -u | head -n 40
  echo '```'
} >>"$results"
cat "$results"
exit $((failed > 0))
