#!/bin/sh
# test-models-window.sh: the panel in GIMP's window, by keyboard and screen reader alone. SPDX-License-Identifier: LGPL-3.0-or-later
# Keeps pictures of the screen in $FB_SHOTS.
# shellcheck source-path=SCRIPTDIR
suite=models-window
. "$(dirname "$0")/window.sh"
mkdir "$scratch/downloads"
"$FB_MAKE_LORA" "$scratch/downloads/ink.safetensors" 192 modelspec.title "Ink" modelspec.trigger_phrase "ink wash" \
  modelspec.license CC0-1.0 flashbrush_sampler flash flashbrush_steps 4
echo 'just words' >"$scratch/downloads/notes.safetensors"
# choose_file TITLE PATH: in the file chooser that is open, by keyboard: "/" begins to type a place, once the chooser has answered
choose_file () { focus "$1"; xdotool key slash; sleep 1; xdotool type --delay 30 "${2#/}"; sleep 1; xdotool key Return; }

# large_lora PATH: four gigabytes, nearly all of them a hole, whose hash takes long enough to be cancelled
large_lora ()
{
  half=$((2048 * 1024 * 1024)); rank=$((half / 4 / 256)); key=unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k
  header="{\"$key.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[$rank,256],\"data_offsets\":[0,$half]},"
  header="$header\"$key.lora_B.weight\":{\"dtype\":\"F32\",\"shape\":[256,$rank],\"data_offsets\":[$half,$((2 * half))]}}"
  printf '%b' "\\0$(printf %o $((${#header} % 256)))\\0$(printf %o $((${#header} / 256)))\\0\\0\\0\\0\\0\\0" >"$1"
  printf %s "$header" >>"$1"
  truncate -s $((8 + ${#header} + 2 * half)) "$1"
}
large_lora "$scratch/downloads/zebra.safetensors"
# libgimp itself finds the pipe closed at times when a plug-in ends
is_quiet () { ! grep -E '^\(flashbrush.*:.*(CRITICAL|WARNING)' "$scratch/log" | grep -v 'gimp_flush(): error: Broken pipe'; }
sees_message () { for _ in $(seq 20); do xdotool search --onlyvisible --name '^GIMP Message$' >/dev/null 2>&1 && return; sleep 0.5; done; false; }
n_windows () { xdotool search --onlyvisible --name '^Models and Distillation$' | wc -l; }
# a second process comes, and goes
is_one_in_front () { sleep 4; [ "$(n_windows)" = 1 ] && [ "$(xdotool getactivewindow getwindowname)" = 'Models and Distillation' ]; }

gimp --no-data --no-fonts --stack-trace-mode=always >"$scratch/log" 2>&1 &
started="$started $!"

for _ in 1 2 3; do driver menu 'Models and Distillation...' 2>/dev/null && break; done
check opens-from-the-menu-without-an-image driver open
check lists-what-came-along driver says 'Starter (emoji, 128×128)'
check tells-the-family driver says 'Stable Diffusion 1.x'
check tells-what-suits-it driver says '6 steps, guidance 5'
check tells-the-licence driver says 'MIT and Apache-2.0'
check tells-what-it-runs-on driver says 'Runs on: processor (CPU)'
check shows-the-memory driver says 'Models in memory: 0 bytes'
check every-control-has-a-name driver unnamed
check what-came-along-cannot-be-removed driver disabled 'Remove…'
shot models-1-open
xdotool search --onlyvisible --name '^Models and Distillation$' windowminimize
check is-asked-for-again driver menu 'Models and Distillation...'
check is-there-once-and-comes-to-the-front is_one_in_front

focus '^Models and Distillation$'
xdotool key alt+v
check verifies-with-a-mnemonic driver says 'Verifying “Starter (emoji, 128×128)”: done'
xdotool key alt+l
check loads-with-a-mnemonic driver enabled 'Unload'
check tells-that-it-is-in-memory driver says 'in memory'
shot models-2-loaded
check unloads driver press 'Unload'
check tells-that-it-is-not driver says 'Models in memory: 0 bytes'

# from here on, GTK's own file chooser complains when a screen reader looks at it
check warns-of-nothing is_quiet
check asks-for-a-file driver press 'Add File…'
choose_file '^Choose a Model or LoRA$' "$scratch/downloads/ink.safetensors"
check brings-in-a-lora driver says 'Bringing in “ink”: done'
check shows-what-it-brought-in driver says 'ink wash'
check tells-that-it-is-for-few-steps driver says '4 steps, guidance 1'
check verifies-it driver press 'Verify'
check tells-which-model-it-fits driver says 'starter'
shot models-3-lora

check asks-for-a-large-file driver press 'Add File…'
choose_file '^Choose a Model or LoRA$' "$scratch/downloads/zebra.safetensors"
check brings-in-the-large-one driver says 'Bringing in “zebra”: done'
check begins-to-verify-it driver press 'Verify'
check tells-that-it-checks driver says 'Verifying “zebra”: Checking the files'
sleep 3
shot models-4-verifying
check can-be-cancelled driver press 'Cancel'
check tells-that-it-was-cancelled driver says 'Verifying “zebra”: cancelled'

check asks-for-another-file driver press 'Add File…'
choose_file '^Choose a Model or LoRA$' "$scratch/downloads/notes.safetensors"
check refuses-what-is-no-model driver says 'notes.safetensors”'
shot models-5-refused

"$FB_MAKE_LORA" "$scratch/downloads/wash.safetensors" 768
"$FB_DRAG" "$scratch/downloads/wash.safetensors" 2>/dev/null &
started="$started $!"
focus '^Drag$'
xdotool mousemove 1160 60 mousedown 1; sleep 0.3
xdotool mousemove 1100 300; sleep 0.3; xdotool mousemove 900 600; sleep 0.3; xdotool mousemove 890 600; sleep 0.5; xdotool mouseup 1
check takes-a-file-that-is-dropped driver says 'Bringing in “wash”: done'
check shows-what-was-dropped driver says "$scratch/downloads/wash.safetensors"
shot models-6-dropped

focus '^Models and Distillation$'
xdotool key alt+i; sleep 0.5; xdotool key Up; sleep 0.2; xdotool key Up
check goes-up-the-list-with-the-keyboard driver says 'Came with Flashbrush'
xdotool key Down
check goes-down-the-list-with-the-keyboard driver says "$scratch/downloads/ink.safetensors"

check opens-generate-with-it driver press 'Use in Generate…'
check takes-the-lora-along driver enabled 'Strength of ink'
shot models-7-generate
check is-asked-for-meanwhile driver menu 'Models and Distillation...'
check tells-that-it-is-busy sees_message
shot models-7-busy
focus '^GIMP Message$'
xdotool key Escape
focus '^Generate$'
xdotool key Escape
check comes-back driver enabled 'Add File…'

check asks-before-it-removes driver press 'Remove…'
check says-that-files-stay driver says 'Its files stay where they are'
shot models-8-remove
check forgets driver press 'Forget'
check is-not-listed-any-more driver says 'Removing “Ink”: done'
check leaves-the-file test -e "$scratch/downloads/ink.safetensors"
gone () { sleep 1; driver silent 'ink wash'; }
check shows-it-no-more gone
golden=$FLASHBRUSH_MODELS_PATH/../../tests/golden
mkdir "$scratch/downloads/painter"
for part in model_index.json scheduler text_encoder tokenizer vae; do ln -s "$golden/pipeline/model/$part" "$scratch/downloads/painter/$part"; done
ln -s "$golden/inpaint/unet-9" "$scratch/downloads/painter/unet"
check asks-for-a-model-by-its-index driver press 'Add File…'
choose_file '^Choose a Model or LoRA$' "$scratch/downloads/painter/model_index.json"
check hands-it-to-inpaint driver press 'Use in Inpaint…'
check says-how-to-paint-with-it driver says 'It paints into pictures: open one'
shot models-9-inpaint

focus '^Models and Distillation$'
xdotool key alt+a
check tells-what-a-distillation-needs driver says 'Needs at least'
shot models-10-distillation
xdotool key Escape
check closes-with-esc driver gone
echo "1..$n"
