#!/bin/sh
# test-files.sh SOURCE: what holds for every file we write. SPDX-License-Identifier: LGPL-3.0-or-later
cd "$1" || exit 1
n=0

# check NAME FOUND: passes when nothing was found; shows what was
check ()
{
  n=$((n + 1))
  if [ -z "$2" ]; then echo "ok $n $1"; else echo "not ok $n $1"; echo "$2" >&2; fi
}

# The files we write ourselves: no builds, no weights, no outputs of other programs
everything () { find . -path './.git*' -prune -o -path './build*' -prune -o -path ./shared -prune -o -type f -print | sed 's|^\./||' | sort; }
ours ()       { everything | grep -vE '^(tests/golden|data/models)/'; }
code ()       { ours | grep -E '\.(c|h|cu|cuh)$'; }
scripts ()    { ours | grep -E '\.(sh|awk|scm)$|^dev$|^\.ci/run$'; everything | grep '\.py$'; }
texts ()      { everything | grep -vE '/(merges\.txt|vocab\.json)$'; }

# A source that no meson.build names is not built, a test program is not run; lists name tests without their "test-"
unbuilt ()
{
  code | grep '\.cu\?$' | while read -r file; do
    name=$(basename "$file") stem=$(basename "${file%.*}" | sed 's/^test-//; s/^bench-//; s/^fuzz-//')
    here=$(dirname "$file")
    grep -qsE "'([^']*/)?($name|$stem)'" "$here/meson.build" "$(dirname "$here")/meson.build" || echo "$file"
  done
}

check /files/each-names-its-licence "$({ code; scripts; } | xargs grep -L 'SPDX-License-Identifier: LGPL-3.0-or-later')"
check /files/none-holds-a-tab "$({ code; scripts; ours | grep -E '(meson\.build|\.md|\.xml)$'; } | xargs grep -nP '\t')"
check /files/no-line-ends-in-space "$({ code; scripts; } | xargs grep -nE '[[:space:]]+$')"
check /files/none-names-a-path-of-one-machine \
  "$(texts | xargs grep -nIE '(^|[^]A-Za-z0-9._}*)-])/(home|Users|work|root|opt)/[A-Za-z0-9._]+')"
check /files/meson-builds-each-source "$(unbuilt)"

echo "1..$n"
