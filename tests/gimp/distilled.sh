#!/bin/sh
# distilled.sh: the model that comes along distilled in GIMP's window, from a folder of pictures to a picture by the LoRA. SPDX-License-Identifier: LGPL-3.0-or-later
#
# $FB_PICTURES is a folder of pictures with their captions. All settings are those that the page offers. Leaves distilled.safetensors, the job's log
# and distilled-*.png, a picture of the screen for each five minutes, in $FB_SHOTS, for the eye; it tests nothing:
#
#   FB_PICTURES=… ./dev shell meson compile -C build distilled
# shellcheck source-path=SCRIPTDIR
suite=distilled
. "$(dirname "$0")/window.sh"

gimp --no-data --no-fonts --stack-trace-mode=always >"$scratch/log" 2>&1 &
started="$started $!"
for _ in 1 2 3; do driver menu 'Models and Distillation...' 2>/dev/null && break; done
driver open || exit 1
focus '^Models and Distillation$'
xdotool key ctrl+Next
driver says 'A model that needs many steps teaches' || exit 1
focus '^Models and Distillation$'
xdotool key alt+p; sleep 0.5; xdotool type --delay 20 "$FB_PICTURES"
driver enabled 'Start' || exit 1
driver type 'Name' 'distilled'
shot distilled-00-form
driver press 'Start' || exit 1
begun=$(date +%s)

minutes=0
until driver says 'done: ' 2>/dev/null || [ "$minutes" -ge 120 ]; do
  passed=$((($(date +%s) - begun) / 60))
  if [ "$passed" -ge "$minutes" ]; then shot "distilled-$(printf %02d "$minutes")"; minutes=$((minutes + 5)); fi
done
echo "done after $((($(date +%s) - begun) / 60)) minutes"
shot distilled-done
find "$XDG_DATA_HOME/flashbrush" -name '*.safetensors' -path '*loras*' -exec cp '{}' "$FB_SHOTS/distilled.safetensors" ';'
find "$XDG_DATA_HOME/flashbrush" -name log.tsv -exec cp '{}' "$FB_SHOTS/distilled.tsv" ';'

driver press 'Use in Generate…' && driver enabled 'Strength of distilled' || exit 1
driver type 'Prompt' 'red heart, 3d'
driver press 'Generate' && driver enabled 'Insert'
shot distilled-used
cat "$scratch/log" >&2
