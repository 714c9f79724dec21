# tools/build.sh: building and testing. SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=bash

build_dir=${FLASHBRUSH_BUILD:-$here/build}
stage=$build_dir/stage                                        # the prefix of what is built here: demo, gimp and tests run it

# Sets a build folder up, anew when its options changed, and builds it. One at a time: two runs may start together.
configure_and_build='
  set -eu
  source=$1 what=$2 dir=$3; shift 3
  mkdir -p "$dir"
  exec 9>"$dir/.dev-lock"; flock 9
  if [ ! -e "$dir/build.ninja" ] || [ "$(cat "$dir/.dev-options" 2>/dev/null)" != "$*" ]; then
    echo "dev: configuring $dir" >&2
    if [ -e "$dir/build.ninja" ]; then again=--reconfigure; else again=; fi
    meson setup $again "$@" "$dir" "$source" >"$dir/.dev-setup.log" 2>&1 ||
      meson setup --wipe "$@" "$dir" "$source" >"$dir/.dev-setup.log" 2>&1 || { cat "$dir/.dev-setup.log" >&2; exit 1; }
    echo "$*" >"$dir/.dev-options"
    echo "dev: building" >&2
  fi
  ninja -C "$dir" build.ninja >"$dir/.dev-setup.log" 2>&1 || { cat "$dir/.dev-setup.log" >&2; exit 1; }
  targets=all
  [ "$what" = all ] || targets=$(python3 -c "$what" "$dir")
  if [ -t 2 ]; then ninja -C "$dir" $targets >&2; else ninja -C "$dir" --quiet $targets >&2; fi
'

# prints what ninja has to make before an installation: all that a person who draws needs, and no test
installed='
import json, os, sys
targets = json.load(open(sys.argv[1] + "/meson-info/intro-targets.json"))
print(*(os.path.relpath(file, sys.argv[1]) for t in targets if t["installed"] for file in t["filename"]))
'

# build_in WHAT DIR OPTION...: builds "all" or "$installed" into DIR with these meson options
build_in () { in_root sh -c "$configure_and_build" sh "$here" "$@"; }

# build WHAT: the same into build/
build () { build_in "$1" "$build_dir" --prefix="$stage" -Dplugindir="$stage/plug-ins" --buildtype=debugoptimized; }

cmd_build () { build all; }

# test [SUITE|TEST...]: without a name, everything but the suites that take long. The last line is the count alone.
cmd_test ()
{
  local tests=$build_dir/meson-info/intro-tests.json log=testlog suites name args=() chosen=() named=() status=0
  build all

  suites=$(grep -o '"flashbrush:[^"]*"' "$tests" | tr -d '"' | cut -d: -f2 | sort -u)
  [ $# -gt 0 ] || args+=(--no-suite slow --no-suite bench)
  for name; do
    if grep -qxF -e "$name" <<<"$suites"; then chosen+=(--suite "$name")
    elif grep -qF -e "\"name\": \"$name\"" "$tests"; then named+=("$name")
    else die "there is no suite or test “$name”; the suites are $(tr '\n' ' ' <<<"$suites")"; fi
    log=$log-$name
  done

  if [ ${#chosen[@]} -gt 0 ] && [ ${#named[@]} -gt 0 ]; then    # to meson, both together are what is in both
    mapfile -t -O ${#named[@]} named < <(in_root meson test -C "$build_dir" --no-rebuild --list "${chosen[@]}" 2>/dev/null | sed -n 's|.* / ||p')
    chosen=()
  fi
  args+=("${chosen[@]}" "${named[@]}")

  in_root meson test -C "$build_dir" --no-rebuild --logbase "$log" "${args[@]}" >&2 || status=1
  in_root "$build_dir/tests/harness/report" "$build_dir/meson-logs/$log.json" || status=1
  return $status
}

# po: writes the list of sources with sentences to translate, and brings the catalogues up to date with them
cmd_po ()
{
  sh "$here/po/potfiles.sh" "$here" >"$here/po/POTFILES"
  build all
  in_root ninja -C "$build_dir" --quiet flashbrush-update-po >&2
}
