#!/bin/sh
# test-upscale.sh: Super-Resolution in gimp-console, called from C. SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/profile.sh"
export FB_TEST_TAP="$scratch/tap"

timeout 280 gimp-console --no-interface --no-data --no-fonts --console-messages --quit \
  --batch-interpreter=plug-in-script-fu-eval -b '(plug-in-flashbrush-checks)' >"$scratch/out" 2>"$scratch/log"
status=$?

grep -v '^1\.\.' "$FB_TEST_TAP" 2>/dev/null
n=$(grep -c '^\(not \)\?ok ' "$FB_TEST_TAP" 2>/dev/null || true)
n=$((n + 1))
if [ $status = 0 ] && grep -q '^1\.\.' "$FB_TEST_TAP"; then echo "ok $n /gimp/upscale/ends-well"
else echo "not ok $n /gimp/upscale/ends-well"; cat "$scratch/out" "$scratch/log" >&2; fi
n=$((n + 1))
if grep -E '^\(flashbrush-upscale:.*(CRITICAL|WARNING)' "$scratch/log" | grep -v 'gimp_flush(): error: Broken pipe' >&2; then
  echo "not ok $n /gimp/upscale/our-plug-in-warns-of-nothing"
else echo "ok $n /gimp/upscale/our-plug-in-warns-of-nothing"; fi
echo "1..$n"
