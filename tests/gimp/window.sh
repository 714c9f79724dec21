# tests/gimp/window.sh: GIMP's window on a display of its own, and what a test does in it. SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Reads $suite, the tests' name. X server, window manager, accessibility bus and GIMP answer when they like, and on a busy machine one of them at times
# too late. So a session in which a check failed is told as a comment and the next one decides; a fault of ours fails in all three.
if [ -z "${FB_TEST_SESSION:-}" ]; then
  said=$(mktemp)
  XDG_RUNTIME_DIR=$(mktemp -d)                                  # or sessions that run beside each other share an accessibility bus
  export XDG_RUNTIME_DIR
  for FB_TEST_SESSION in 1 2 3; do
    export FB_TEST_SESSION
    dbus-run-session -- "$0" "$@" >"$said"; status=$?
    if [ $status -eq 0 ] && ! grep -q '^not ok' "$said"; then break; fi
    [ $FB_TEST_SESSION -eq 3 ] || grep '^not ok' "$said" | sed "s/^/# session $FB_TEST_SESSION: /"
  done
  cat "$said"; rm -rf "$said" "$XDG_RUNTIME_DIR"
  exit "$status"
fi
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/profile.sh"
export FB_TEST_DIGEST="$scratch/digest" FB_TEST_NO_MODELS="$scratch/no-models"
mkdir -p "$FB_SHOTS"

Xvfb -displayfd 3 -screen 0 1280x900x24 3>"$scratch/display" 2>/dev/null &
started="$started $!"
for _ in $(seq 100); do [ -s "$scratch/display" ] && break; sleep 0.1; done
DISPLAY=":$(cat "$scratch/display")"
export DISPLAY
openbox >/dev/null 2>&1 &
started="$started $!"

n=0
# check NAME CMD...: one test; CMD's own words go to the log
check ()
{
  n=$((n + 1)); name=$1; shift
  if "$@" >&2; then echo "ok $n /gimp/$suite/$name"; else echo "not ok $n /gimp/$suite/$name"; shot "failed-$suite-$n"; fi
}
driver () { "$FB_DRIVER" "$@"; }
shot ()   { import -window root "$FB_SHOTS/$1.png"; }

# batch SCHEME: runs Script-Fu in the GIMP that is open, which answers before it is done
batch ()
{
  gdbus call --session --timeout 30 --dest org.gimp.GIMP.UI --object-path /org/gimp/GIMP/UI \
    --method org.gimp.GIMP.UI.BatchRun plug-in-script-fu-eval "$1" >/dev/null
  sleep 1
}
# digest: layers and SHA-256 of the image that is open
digest ()
{
  rm -f "$FB_TEST_DIGEST"
  batch '(plug-in-flashbrush-digest)'
  for _ in $(seq 100); do [ -e "$FB_TEST_DIGEST" ] && break; sleep 0.1; done
  cat "$FB_TEST_DIGEST"
}

# closes every image, as far as nobody else holds it
close_all ()
{
  batch '(do ((i 1 (+ i 1))) ((> i 9)) (if (= 1 (car (gimp-display-id-is-valid i))) (gimp-display-delete i)))'
}

no_message () { ! xdotool search --name '^GIMP Message$' >/dev/null 2>&1; }
layers_are () { [ "$(digest | cut -d' ' -f1)" = "$1" ]; }
is_as_before () { [ -n "$before" ] && [ "$(digest)" = "$before" ]; }
# a window that is just opening would take the focus back
focus () { sleep 1; xdotool search --onlyvisible --name "$1" windowactivate --sync >/dev/null; }
# warnings of our own plug-ins; libgimp itself finds the pipe closed at times when a plug-in ends
warns_of_nothing () { ! grep -E '^\(flashbrush-(generate|inpaint):.*(CRITICAL|WARNING)' "$scratch/log" | grep -v 'gimp_flush(): error: Broken pipe'; }

# the accessibility bus must be there when GIMP starts, or GIMP does without it
for _ in 1 2 3; do
  gdbus call --session --timeout 20 --dest org.a11y.Bus --object-path /org/a11y/bus --method org.a11y.Bus.GetAddress >/dev/null 2>&1 && break
done
