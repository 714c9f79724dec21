#!/bin/sh
# on-display.sh: runs a program on a display of its own. SPDX-License-Identifier: LGPL-3.0-or-later
scratch=$(mktemp -d "${TMPDIR:-/tmp}/flashbrush-display.XXXXXX")
Xvfb -displayfd 3 -screen 0 640x480x24 3>"$scratch/display" 2>/dev/null &
xvfb=$!
trap 'kill $xvfb; rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
for _ in $(seq 100); do [ -s "$scratch/display" ] && break; sleep 0.1; done
DISPLAY=":$(cat "$scratch/display")" GDK_BACKEND=x11 NO_AT_BRIDGE=1 "$@"
