#!/bin/sh
# test-po.sh SOURCE: translators see every sentence. SPDX-License-Identifier: LGPL-3.0-or-later
cd "$1" || exit 1
n=0
result () { n=$((n + 1)); if [ "$2" = 0 ]; then echo "ok $n $1"; else echo "not ok $n $1"; fi; }

sh po/potfiles.sh . | diff -u po/POTFILES - >&2 || { echo "to mend it: po/potfiles.sh . >po/POTFILES" >&2; false; }
result /po/potfiles-lists-the-sources-with-sentences-sorted $?

# xgettext stops at GLib's macros for formats and loses the rest of the sentence; it knows those of <inttypes.h>
cut=$(xgettext --from-code=UTF-8 -k_ -kN_ -f po/POTFILES -o - 2>/dev/null | grep -E '%"$')
[ -z "$cut" ] || { echo "cut short by a macro: $cut" >&2; false; }
result /po/sentences-are-whole $?

for catalogue in po/*.po; do
  language=$(basename "$catalogue" .po)
  msgfmt --check --output-file=/dev/null "$catalogue" >&2 && grep -qx "$language" po/LINGUAS
  result "/po/$language-is-well-formed-and-listed" $?
done

echo "1..$n"
