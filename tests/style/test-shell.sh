#!/bin/sh
# test-shell.sh SOURCE: our scripts have nothing that shellcheck finds. SPDX-License-Identifier: LGPL-3.0-or-later
cd "$1" || exit 1
find dev .ci/run tools tests -name '*.sh' -o -name dev -o -name run | sort | xargs shellcheck -x
