#!/bin/sh
# test-shell.sh SOURCE: our scripts have nothing that shellcheck finds. SPDX-License-Identifier: LGPL-3.0-or-later
cd "$1" || exit 1
{ echo dev; echo .ci/run; find tools tests -name '*.sh'; } | xargs shellcheck -x
