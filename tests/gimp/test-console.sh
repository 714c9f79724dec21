#!/bin/sh
# test-console.sh: our procedures in gimp-console, called from Script-Fu and from C. SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/profile.sh"
export FB_TEST_TAP="$scratch/tap"

timeout 440 gimp-console --no-interface --no-data --no-fonts --console-messages --quit \
  --batch-interpreter=plug-in-script-fu-eval \
  -b '(let* ((r (plug-in-flashbrush-generate #:run-mode RUN-NONINTERACTIVE #:prompt "a red apple" #:seed "7")))
        (display "script-fu: ") (display (gimp-image-get-width (car r))) (display " ") (display (car (cadr r))) (newline)
        (gimp-image-delete (car r)))' \
  -b '(plug-in-flashbrush-checks)' \
  >"$scratch/out" 2>"$scratch/log"
status=$?

grep -v '^1\.\.' "$FB_TEST_TAP" 2>/dev/null
n=$(grep -c '^\(not \)\?ok ' "$FB_TEST_TAP" 2>/dev/null || true)
n=$((n + 1))
if grep -q '^script-fu: (\?128)\? 7' "$scratch/out"; then echo "ok $n /gimp/script-fu/calls-it-by-name"
else echo "not ok $n /gimp/script-fu/calls-it-by-name"; fi
n=$((n + 1))
if [ $status = 0 ] && grep -q '^1\.\.' "$FB_TEST_TAP"; then echo "ok $n /gimp/console/ends-well"
else echo "not ok $n /gimp/console/ends-well"; cat "$scratch/out" "$scratch/log" >&2; fi
n=$((n + 1))
# libgimp itself finds the pipe closed at times when a plug-in ends, GIMP's own plug-ins' too
if grep -E '^\(flashbrush-(generate|inpaint):.*(CRITICAL|WARNING)' "$scratch/log" | grep -v 'gimp_flush(): error: Broken pipe' >&2; then
  echo "not ok $n /gimp/console/our-plug-in-warns-of-nothing"
else echo "ok $n /gimp/console/our-plug-in-warns-of-nothing"; fi
echo "1..$n"
