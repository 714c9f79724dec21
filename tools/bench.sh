# tools/bench.sh: measuring. SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=bash

bench_dir=$here/build-bench                                   # apart from build/: it is optimised in full
peers_env=$cache/peers-$(sha256sum "$here/tests/bench/requirements.txt" | cut -c1-12)

list_benches ()
{
  local file
  for file in "$here"/tests/bench/bench-*.c; do
    [ -e "$file" ] || continue
    sed -n '1s|^/\* *tests/bench/bench-\([^:]*\)\.c: *\(.*\)$|\1\t\2|p' "$file" | sed 's| *SPDX-License.*||; s| *\*/$||' \
      | while IFS=$'\t' read -r name what; do printf '  %-12s %s\n' "$name" "$what"; done
  done
  printf '  %-12s %s\n' peers "one UNet step against PyTorch and OpenVINO, in a virtual environment of theirs"
  printf '  %-12s %s\n' peers-cuda "that part of cuda which times PyTorch on the card; --device cpu --tiny tries it without one"
  printf '  %-12s %s\n' starter "how well and how fast the model that comes along draws, judged in the same environment"
}

# PyTorch, diffusers, PEFT and OpenVINO from PyPI, in the cache folder; made anew when the list of them changes
prepare_peers ()
{
  [ -e "$peers_env/.ready" ] && return
  say "setting up PyTorch, diffusers, PEFT and OpenVINO in $peers_env (once, several GB)"
  rm -rf "$peers_env"
  in_root python3 -m venv "$peers_env"
  in_root "$peers_env/bin/pip" install --quiet --requirement "$here/tests/bench/requirements.txt" >&2 \
    || die "pip could not install the other programs (its reason is above)"
  touch "$peers_env/.ready"
}

# compare_on_card [ARGUMENT...]: pictures and training iterations against PyTorch's
compare_on_card ()
{
  prepare_peers
  in_root "$peers_env/bin/python" "$here/tests/bench/peers_cuda.py" --ours "$bench_dir/tests/bench/bench-cuda" \
    --ours-distill "$bench_dir/tests/bench/bench-distill" "$@"
}

# bench [NAME [ARGUMENT...]]: runs one benchmark; without a name, lists them
cmd_bench ()
{
  local name=${1:-}
  if [ -z "$name" ]; then echo "./dev bench NAME, where NAME is one of"; list_benches; return; fi
  shift
  case "$name" in
    peers|peers-cuda|starter) ;;
    *) [ -e "$here/tests/bench/bench-$name.c" ] || die "there is no bench “$name”; ./dev bench lists them" ;;
  esac

  build_in all "$bench_dir" --prefix="$bench_dir/stage" --buildtype=release
  in_root meson install -C "$bench_dir" --no-rebuild --only-changed --quiet >&2
  if [ "$name" = peers ]; then
    prepare_peers
    in_root "$peers_env/bin/python" "$here/tests/bench/peers.py" --ours "$bench_dir/tests/bench/bench-unet" "$@"
  elif [ "$name" = starter ]; then
    prepare_peers
    in_root "$peers_env/bin/python" "$here/tests/bench/starter.py" --engine "$bench_dir/stage/bin/flashbrush-engine" \
      --model "$here/data/models/starter" --upscaler "$here/data/models/starter-upscale" "$@"
  elif [ "$name" = peers-cuda ]; then
    compare_on_card "$@"
  elif [ "$name" = distill ]; then
    prepare_peers
    in_root "$peers_env/bin/python" "$here/tests/bench/peers_distill.py" --ours "$bench_dir/tests/bench/bench-distill" \
      --engine "$bench_dir/stage/bin/flashbrush-engine" "$@"
  else
    in_root env GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}" "$bench_dir/tests/bench/bench-$name" "$@"   # as the engine sets it
    [ "$name" != cuda ] || compare_on_card
  fi
}
