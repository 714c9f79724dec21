# tests/gimp/profile.sh: a GIMP with a profile, a home and an engine of its own. SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Read by the tests in this folder; leaves nothing behind but what they keep.

scratch=$(mktemp -d "${TMPDIR:-/tmp}/flashbrush-gimp.XXXXXX")
mkdir -m 700 "$scratch/run"
export HOME="$scratch/home" XDG_RUNTIME_DIR="$scratch/run" XDG_CONFIG_HOME="$scratch/config" XDG_CACHE_HOME="$scratch/cache" \
  XDG_DATA_HOME="$scratch/data" GIMP3_DIRECTORY="$scratch/gimp" TMPDIR="$scratch" LC_ALL=C.UTF-8
mkdir -p "$HOME" "$GIMP3_DIRECTORY/plug-ins"

# A plug-in sits in a folder of its own name; only ours and Script-Fu are of use here
plug_in () { mkdir -p "$GIMP3_DIRECTORY/plug-ins/$2/locale" && ln -s "$1" "$GIMP3_DIRECTORY/plug-ins/$2/$2"; }
plug_in "$FB_PLUGIN" flashbrush-generate
plug_in "$FB_INPAINT" flashbrush-inpaint
plug_in "$FB_MODELS_PLUGIN" flashbrush-models
plug_in "$FB_UPSCALE" flashbrush-upscale
plug_in "$FB_CHECKS" flashbrush-checks
ln -s "$FB_GIMP_PLUGINS/script-fu" "$GIMP3_DIRECTORY/plug-ins/script-fu"

cat >"$GIMP3_DIRECTORY/gimprc" <<END
(config-version "$(gimp-console --version | sed 's/.* //')")
(show-welcome-dialog no)
(check-updates no)
(plug-in-path "\${gimp_dir}/plug-ins")
END

# Ends what this test started: the processes in $started, and the engine, which nobody but this home's clients can reach
started=
clean_up ()
{
  for pid in $started; do kill "$pid" 2>/dev/null; done
  grep -lzxF "XDG_RUNTIME_DIR=$scratch/run" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ pid _; do
    [ "$pid" = $$ ] || kill "$pid" 2>/dev/null
  done
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
