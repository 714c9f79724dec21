#!/bin/bash
# test-installed.sh SOURCE BUILD: ./dev demo makes a picture, and what ./dev install puts somewhere else works there.
# SPDX-License-Identifier: LGPL-3.0-or-later
source=$1 build=$2 n=0
cd "$source" || exit 1

# a home of its own, in which an engine leaves soon
scratch=$(mktemp -d)
mkdir -p "$scratch/run" "$scratch/config/flashbrush" "$scratch/gimp"
chmod 700 "$scratch/run"
printf '[engine]\nidle-seconds=5\n' >"$scratch/config/flashbrush/engine.conf"
export XDG_RUNTIME_DIR=$scratch/run XDG_CONFIG_HOME=$scratch/config XDG_DATA_HOME=$scratch/data XDG_STATE_HOME=$scratch/state
unset FLASHBRUSH_ENGINE FLASHBRUSH_SOCKET FLASHBRUSH_REMOTE FLASHBRUSH_MODELS_PATH
trap 'rm -rf "$scratch"' EXIT

result () { n=$((n + 1)); if [ "$2" = 0 ]; then echo "ok $n $1"; else echo "not ok $n $1"; fi; }
says () { grep -qE "$1" "$scratch/said"; }
same_picture () { [ "$(convert "$1" rgb:- | sha256sum)" = "$(convert "$2" rgb:- | sha256sum)" ]; }

export FLASHBRUSH_BUILD=$build
./dev demo "house, flat" --seed 7 -o "$scratch/a picture.png" >"$scratch/said" 2>"$scratch/errors"
status=$?
cat "$scratch/said" "$scratch/errors" >&2
[ $status = 0 ] && identify "$scratch/a picture.png" >&2
result /dev/demo/makes-a-picture $?
says '^seed +7$' && says "^picture +$scratch/a picture.png$" && says '^start GIMP +[0-9.]+ s$' && says '^generate +[0-9.]+ s$'
result /dev/demo/tells-path-seed-and-times $?

./dev demo "house, flat" --seed 7 -o "$scratch/b.png" >&2 && same_picture "$scratch/a picture.png" "$scratch/b.png"
result /dev/demo/the-same-seed-makes-the-same-picture $?

./dev demo house --model "no such" -o "$scratch/c.png" >"$scratch/said" 2>&1
[ $? = 1 ] && says '^dev: GIMP made no picture\. There is no model “no such”\.' && [ ! -e "$scratch/c.png" ]
result /dev/demo/an-unknown-model-is-named $?

cp "$scratch/b.png" "$scratch/kept.png"
./dev demo house --model "no such" -o "$scratch/kept.png" >&2
cmp "$scratch/b.png" "$scratch/kept.png" >&2 && [ -z "$(find "$scratch" -maxdepth 1 -name '.*.png')" ]
result /dev/demo/an-earlier-picture-stays-where-there-is-no-new-one $?

./dev demo --task upscale "$scratch/b.png" --seed 7 -o "$scratch/large.png" >"$scratch/said" 2>"$scratch/errors" \
  && says '^upscale +[0-9.]+ s$' && [ "$(identify -format '%wx%h' "$scratch/large.png")" = 512x512 ] \
  && [ "$(convert "$scratch/large.png" -filter box -resize 25% "$scratch/b.png" -metric RMSE -compare -format '%[distortion]' info: | awk '{ print $1 < 0.05 }')" = 1 ]
result /dev/demo/four-times-as-large-and-the-same-picture $?

# a build folder of its own: the user's ./dev uninstall has to find what the user installed
export FLASHBRUSH_BUILD=$build/installed
prefix=$scratch/prefix
./dev install --prefix "$prefix" >&2
result /dev/install/succeeds $?

cat >"$scratch/gimp/gimprc" <<EOF
(plug-in-path "\${gimp_plug_in_dir}/plug-ins:$prefix/lib/gimp/3.0/plug-ins")
EOF
GIMP3_DIRECTORY=$scratch/gimp timeout 120 gimp-console --no-interface --no-data --no-fonts --quit \
  --batch-interpreter=plug-in-script-fu-eval \
  -b '(display (car (cadr (plug-in-flashbrush-generate #:run-mode RUN-NONINTERACTIVE #:prompt "house, flat" #:seed "7" #:destination "new-image")))) (newline)' \
  >"$scratch/said" 2>"$scratch/errors"
grep -qx 7 "$scratch/said"
result /dev/install/gimp-finds-plug-in-engine-and-model-there $?

if locale -a | grep -qi '^de_DE\.utf-\?8$'; then
  LC_ALL=de_DE.UTF-8 "$prefix/bin/flashbrush-engine" --help | grep -q Befehle
  result /dev/install/translations-are-found $?
else
  n=$((n + 1)); echo "ok $n /dev/install/translations-are-found # SKIP this system has no German locale"
fi

./dev uninstall >&2 && [ -z "$(find "$prefix" -type f -o -type l)" ]
result /dev/uninstall/leaves-no-file $?

echo "1..$n"
