# tests/gimp/window.sh: GIMP's window on a display of its own, and what a test does in it. SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Reads $suite, the tests' name.
#
# The buses get a folder of their own: in the user's, the accessibility bus of another session would take this one's socket.
if [ -z "${FB_TEST_BUS:-}" ]; then
  FB_TEST_BUS=$(mktemp -d "${TMPDIR:-/tmp}/flashbrush-bus.XXXXXX")
  export FB_TEST_BUS
  XDG_RUNTIME_DIR=$FB_TEST_BUS XDG_CACHE_HOME=$FB_TEST_BUS dbus-run-session -- "$0" "$@" >"$FB_TEST_BUS/said"; status=$?
  grep -E '^(ok|not ok|#|1\.\.)' "$FB_TEST_BUS/said"               # what the buses' services say is no test
  rm -rf "$FB_TEST_BUS"
  exit "$status"
fi
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/profile.sh"
export FB_TEST_DIGEST="$scratch/digest" FB_TEST_GATE="$scratch/gate" FB_TEST_NO_MODELS="$scratch/no-models"
mkdir -p "$FB_SHOTS"

Xvfb -displayfd 3 -screen 0 1280x900x24 3>"$scratch/display" 2>/dev/null &
started="$started $!"
for _ in $(seq 100); do [ -s "$scratch/display" ] && break; sleep 0.1; done
DISPLAY=":$(cat "$scratch/display")"
export DISPLAY
openbox >/dev/null 2>&1 &
started="$started $!"

n=0
# check NAME CMD...: one test; CMD's own words go to the log. The first that fails is the last: the others go on from where it got to.
check ()
{
  n=$((n + 1)); name=$1; shift
  if "$@" >&2; then echo "ok $n /gimp/$suite/$name"; return; fi
  echo "not ok $n /gimp/$suite/$name"; echo "1..$n"
  shot "failed-$suite-$n"
  cat "$scratch/log" >&2                                # GIMP's, with the stack of a plug-in that crashed
  exit 1
}
driver () { "$FB_DRIVER" "$@"; }
shot ()   { import -window root "$FB_SHOTS/$1.png"; }

# batch SCHEME: runs Script-Fu in the GIMP that is open, which answers before it is done; the digest at its end tells that it is
batch ()
{
  rm -f "$FB_TEST_DIGEST"
  if ! gdbus call --session --timeout 30 --dest org.gimp.GIMP.UI --object-path /org/gimp/GIMP/UI \
    --method org.gimp.GIMP.UI.BatchRun plug-in-script-fu-eval "(begin $1 (plug-in-flashbrush-digest))" >/dev/null; then return 1; fi
  for _ in $(seq 600); do [ -e "$FB_TEST_DIGEST" ] && break; sleep 0.1; done
}
# digest: layers and SHA-256 of the image that is open
digest () { batch ''; cat "$FB_TEST_DIGEST"; }

# closes every image, as far as nobody else holds it
close_all ()
{
  batch '(do ((i 1 (+ i 1))) ((> i 9)) (if (= 1 (car (gimp-display-id-is-valid i))) (gimp-display-delete i)))'
}

no_message () { ! xdotool search --name '^GIMP Message$' >/dev/null 2>&1; }
layers_are () { [ "$(digest | cut -d' ' -f1)" = "$1" ]; }
# GIMP takes its time with a key
becomes_as_before () { for _ in $(seq 10); do is_as_before && return; done; false; }
is_as_before () { [ -n "$before" ] && [ "$(digest)" = "$before" ]; }
# a window that is just opening would take the focus back
focus () { sleep 1; xdotool search --onlyvisible --name "$1" windowactivate --sync >/dev/null; }
# warnings of our own plug-ins; libgimp itself finds the pipe closed at times when a plug-in ends
warns_of_nothing () { ! grep -E '^\(flashbrush-(generate|inpaint):.*(CRITICAL|WARNING)' "$scratch/log" | grep -v 'gimp_flush(): error: Broken pipe'; }

# the accessibility bus must be there when GIMP starts, or GIMP does without it
for _ in 1 2 3; do
  gdbus call --session --timeout 20 --dest org.a11y.Bus --object-path /org/a11y/bus --method org.a11y.Bus.GetAddress >/dev/null 2>&1 && break
done
