#!/bin/sh
# test-po.sh SOURCE: translators see every sentence. SPDX-License-Identifier: LGPL-3.0-or-later
cd "$1" || exit 1
n=0
result () { n=$((n + 1)); if [ "$2" = 0 ]; then echo "ok $n $1"; else echo "not ok $n $1"; fi; }

sh po/potfiles.sh . | diff -u po/POTFILES - >&2 || { echo "to mend it: po/potfiles.sh . >po/POTFILES" >&2; false; }
result /po/potfiles-lists-the-sources-with-sentences-sorted $?

for catalogue in po/*.po; do
  language=$(basename "$catalogue" .po)
  msgfmt --check --output-file=/dev/null "$catalogue" >&2 && grep -qx "$language" po/LINGUAS
  result "/po/$language-is-well-formed-and-listed" $?
done

echo "1..$n"
