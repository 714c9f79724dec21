# tools/gimp.sh: GIMP with what was built here. SPDX-License-Identifier: LGPL-3.0-or-later
# GIMP runs with a profile of its own in the build folder: the user's own profile is neither read nor written.
# shellcheck shell=bash

profile=$build_dir/gimp-profile

# Builds, installs below the build folder, and gives GIMP a profile that finds it there
build_and_stage ()
{
  build "$installed"
  in_root meson install -C "$build_dir" --no-rebuild --only-changed --quiet >&2
  mkdir -p "$profile"
  [ -e "$profile/gimprc" ] || cat >"$profile/gimprc" <<EOF
(plug-in-path "\${gimp_dir}/plug-ins:\${gimp_plug_in_dir}/plug-ins:$stage/plug-ins")
(check-updates no)
(show-welcome-dialog no)
EOF
}

# --- demo --------------------------------------------------------------------------------------------------------------

# A string as Script-Fu writes it
scheme_string () { local s=${1//\\/\\\\}; echo "\"${s//\"/\\\"}\""; }

# Seconds from one $EPOCHREALTIME to another, as "1.2 s"
seconds () { awk -v from="${1/,/.}" -v to="${2/,/.}" 'BEGIN { printf "%.1f s", to - from }'; }

# timed NAME CMD...: runs CMD and says how long it took
timed () { local name=$1 since=$EPOCHREALTIME; shift; "$@"; printf '%-12s %s\n' "$name" "$(seconds "$since" "$EPOCHREALTIME")"; }

# Reads what demo.scm prints: says at once which stage has begun, and when it is over how long it took
tell_stages ()
{
  local since=$EPOCHREALTIME word rest seed=
  printf '%-12s ' 'start GIMP'
  while read -r word rest; do
    case "$word" in
      stage) printf '%s\n' "$(seconds "$since" "$EPOCHREALTIME")"; since=$EPOCHREALTIME
             if [ "$rest" = end ]; then printf '%-12s %s\n' seed "$seed"; return; fi
             printf '%-12s ' "$rest" ;;
      seed)  seed=$rest ;;
    esac
  done
  echo failed
}

# Options of demo, left in variables that the tasks below read
demo_options ()
{
  while [ $# -gt 0 ]; do
    case "$1" in
      --task|--prompt|--seed|--steps|--model|-o) [ $# -ge 2 ] || die "$1 needs a value"; ;;&
      --task)   task=$2; shift 2 ;;
      --prompt) prompt=$2; shift 2 ;;
      --seed)   seed=$2; shift 2 ;;
      --steps)  steps=$2; shift 2 ;;
      --model)  model=$2; shift 2 ;;
      -o)       out=$2; shift 2 ;;
      -*)       die "demo has no option $1; ./dev help lists them" ;;
      *)        rest+=("$1"); shift ;;
    esac
  done
  case "$task" in generate|inpaint|upscale) ;; *) die "there is no task “$task”; the tasks are: generate, inpaint, upscale" ;; esac
  [[ $seed =~ ^-?[0-9]+$ ]] || die "--seed takes a whole number, not “$seed”"
  [[ $steps =~ ^[0-9]*$ ]] || die "--steps takes a whole number, not “$steps”"
  case "$out" in *.png) ;; *) die "-o takes a name that ends in .png, not “$out”" ;; esac
  [ -d "$(dirname "$out")" ] || die "there is no folder $(dirname "$out") to write $out into"
  out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
  [ ! -e "$model" ] || model=$(readlink -f "$model")
}

# The arguments that all tasks have
demo_arguments ()
{
  echo -n "#:run-mode RUN-NONINTERACTIVE #:prompt $(scheme_string "$1") #:seed \"$seed\""
  [ -z "$steps" ] || echo -n " #:steps $steps"             # without it, the model's own number
  [ -z "$model" ] || echo -n " #:model $(scheme_string "$model")"
}

# existing FILE: where it is, as Script-Fu writes it; "" for no name
existing ()
{
  [ -z "$1" ] || [ -e "$1" ] || die "there is no file $1"
  scheme_string "$([ -z "$1" ] || readlink -f "$1")"
}

# run_demo SCHEME: runs it in GIMP without a window, after demo.scm. It writes $part, which becomes $out: an earlier picture stays where no new one comes
run_demo ()
{
  timed prepare prepare
  timed build build_and_stage
  trap 'rm -f "$part"' EXIT
  in_root env GIMP3_DIRECTORY="$profile" gimp-console --no-interface --no-data --no-fonts \
    --console-messages --batch-interpreter=plug-in-script-fu-eval --quit \
    -b "(begin (load $(scheme_string "$here/tools/demo.scm")) $1)" 2>"$log" | tell_stages || true
  [ -s "$part" ] || die "GIMP made no picture. $(reason_in "$log")"
  mv -f "$part" "$out"
}

# What a task works on where no image is named, as Script-Fu
demo_sample='(lambda () (plug-in-flashbrush-generate #:run-mode RUN-NONINTERACTIVE #:prompt "cat face, noto" #:seed "7"))'

demo_generate ()
{
  run_demo "(demo (lambda () (plug-in-flashbrush-generate $(demo_arguments "${rest[0]:-${prompt:-cat face, noto}}")
             #:destination \"new-image\")) $(scheme_string "$part"))"
}

demo_inpaint ()
{
  local use=fill mask
  [ -n "$prompt" ] || use=remove
  if [ "${rest[1]:-none}" = none ]; then rest[1]=""; fi
  mask=$(existing "${rest[1]}") || exit 1
  run_demo "(demo-inpaint $demo_sample $image $mask (lambda (image layer) (plug-in-flashbrush-inpaint $(demo_arguments "$prompt")
             #:image image #:drawables (vector layer) #:use \"$use\")) $(scheme_string "$before") $(scheme_string "$part"))"
}

demo_upscale ()
{
  run_demo "(demo-upscale $demo_sample $image (lambda (image layer) (plug-in-flashbrush-upscale $(demo_arguments "$prompt")
             #:image image #:drawables (vector layer) #:destination \"new-image\")) $(scheme_string "$before") $(scheme_string "$part"))"
}

# demo [PROMPT], demo --task inpaint [IMAGE [MASK]], demo --task upscale [IMAGE]; the options are in ./dev help
cmd_demo ()
{
  local task=generate prompt="" seed=-1 steps="" model="" out=demo.png log=$build_dir/demo.log before image rest=()
  demo_options "$@"
  part=$(dirname "$out")/.$(basename "$out" .png).$$.png                # global: the trap at the end reads it
  before=${out%.png}-before.png
  if [ "$task" != generate ]; then image=$(existing "${rest[0]:-}") || exit 1; fi
  "demo_$task"
  if [ "$task" != generate ]; then printf '%-12s %s\n' before "$([ -n "${rest[0]:-}" ] && readlink -f "${rest[0]}" || echo "$before")"; fi
  printf '%-12s %s\n' picture "$out"
}

# What stands in GIMP's log as the reason of a failed call, else where to look
reason_in ()
{
  local reason
  reason=$(sed -n 's/^Error: \(Procedure execution of [a-z0-9-]* failed[^:]*: \)\?//p' "$1" | head -n 1)
  reason=${reason%% }
  echo "${reason:-Its log says why: $1}"
}

# --- GIMP's window -----------------------------------------------------------------------------------------------------

# Runs GIMP on the display there is; else on one of its own, with a window manager, that ends with GIMP
run_gimp='
  set -eu
  log=$1; shift
  if [ -n "${WAYLAND_DISPLAY:-}" ] || [ -n "${DISPLAY:-}" ]; then exec dbus-run-session -- gimp --new-instance "$@" >"$log" 2>&1; fi

  number=$(mktemp)
  Xvfb -displayfd 9 -screen 0 1600x1000x24 -nolisten tcp 9>"$number" 2>/dev/null & server=$!
  trap "kill $server 2>/dev/null; rm -f $number" EXIT
  trap "exit 130" INT TERM HUP
  while [ ! -s "$number" ]; do kill -0 $server || exit 1; sleep 0.1; done
  DISPLAY=:$(cat "$number"); export DISPLAY
  openbox >"$log" 2>&1 &
  echo "dev: there is no display, so GIMP opens on one without a screen, $DISPLAY; a look at it:" >&2
  echo "dev:   DISPLAY=$DISPLAY ./dev shell import -window root screenshot.png" >&2
  dbus-run-session -- gimp --new-instance "$@" >"$log" 2>&1
'

# gimp [FILE...]: GIMP's window with our plug-ins in Filters > Flashbrush
cmd_gimp ()
{
  local log=$build_dir/gimp.log
  build_and_stage
  in_root env GIMP3_DIRECTORY="$profile" sh -c "$run_gimp" sh "$log" "$@" || die "GIMP ended with an error; its log is $log"
}
