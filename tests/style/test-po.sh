#!/bin/sh
# test-po.sh SOURCE: translators see every sentence. SPDX-License-Identifier: LGPL-3.0-or-later
cd "$1" || exit 1
n=0
result () { n=$((n + 1)); if [ "$2" = 0 ]; then echo "ok $n $1"; else echo "not ok $n $1"; fi; }

listed=$(grep -v '^#' po/POTFILES)
using=$(grep -rlE --include='*.[ch]' '(^|[^A-Za-z0-9_])(N?_|NC?_|C_|d?ngettext) ?\("' kernels core ui plugins; ls data/*.in)
using=$(echo "$using" | LC_ALL=C sort)
if [ "$listed" = "$using" ]; then result /po/potfiles-lists-the-sources-with-sentences-sorted 0
else
  printf '%s\n' "$listed" "--- POTFILES above, the sources with sentences below" "$using" >&2
  result /po/potfiles-lists-the-sources-with-sentences-sorted 1
fi

for catalogue in po/*.po; do
  language=$(basename "$catalogue" .po)
  msgfmt --check --output-file=/dev/null "$catalogue" >&2 && grep -qx "$language" po/LINGUAS
  result "/po/$language-is-well-formed-and-listed" $?
done

echo "1..$n"
