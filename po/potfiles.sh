#!/bin/sh
# potfiles.sh SOURCE: prints the files with sentences to translate, sorted. SPDX-License-Identifier: LGPL-3.0-or-later
cd "$1" || exit 1
{
  grep -rlsE --include='*.[ch]' '(^|[^A-Za-z0-9_])(N?_|NC?_|C_|d?ngettext) ?\("' kernels core ui plugins
  ls data/*.in
} | LC_ALL=C sort
