#!/bin/sh
# test-dialog.sh: the dialog in GIMP's window, by keyboard and screen reader alone. SPDX-License-Identifier: LGPL-3.0-or-later
# Keeps pictures of the screen in $FB_SHOTS.
# shellcheck source-path=SCRIPTDIR
suite=dialog
. "$(dirname "$0")/window.sh"

# until two pictures of the screen differ where the preview is; the second is taken here
preview_changes ()
{
  for _ in $(seq 20); do
    shot "$2"
    differing=$(compare -metric AE -extract 300x250+760+200 "$FB_SHOTS/$1.png" "$FB_SHOTS/$2.png" null: 2>&1 | cut -d' ' -f1)
    [ "${differing%.*}" -gt 1000 ] && return
    sleep 0.5
  done
  false
}

has_reason () { driver tell 'Negative prompt' | grep -q 'guidance is 1'; }
# remembers NAME TEXT: whether a text says just this
remembers () { [ "$(driver tell "$1" | cut -f1)" = "$2" ]; }
# of the window, in pixels
height () { xdotool search --onlyvisible --name '^Generate$' getwindowgeometry --shell | sed -n 's/^HEIGHT=//p'; }
grows () { for _ in $(seq 50); do [ "$(height)" -gt "$folded" ] && return; sleep 0.1; done; false; }

gimp --no-data --no-fonts --stack-trace-mode=always --batch-interpreter=plug-in-script-fu-eval -b '
  (let* ((image (car (gimp-image-new 400 300 RGB)))
         (layer (car (gimp-layer-new image "Base" 400 300 RGB-IMAGE 100 LAYER-MODE-NORMAL))))
    (gimp-image-insert-layer image layer 0 0)
    (gimp-drawable-fill layer FILL-WHITE)
    (gimp-image-clean-all image)
    (gimp-display-new image))' >"$scratch/log" 2>&1 &
started="$started $!"

# a menu used while GIMP starts does nothing
for _ in $(seq 60); do layers_are 1 2>/dev/null && break; sleep 1; done
for _ in 1 2 3; do driver menu 'Generate...' 2>/dev/null && break; done
check opens-from-the-menu driver open
before=$(digest)

check says-what-it-costs driver says 'Takes about'
check says-what-the-small-model-cannot-do driver says 'for simple things like emoji'
check every-control-has-a-name driver unnamed
check greys-out-the-negative-prompt driver disabled 'Negative prompt'
check says-why has_reason
check waits-for-a-prompt driver disabled 'Generate'
shot 1-open

focus '^Generate$'
xdotool type --delay 20 'held red apple'
check takes-the-prompt-from-the-keyboard driver enabled 'Generate'
xdotool key ctrl+Return
check starts-with-ctrl-enter driver says 'Step 2 of 4'
sleep 0.2; shot 2-step-2
check tells-the-time-left driver says 's left'
touch "$FB_TEST_GATE"
check counts-the-steps driver says 'Step 4 of 4'
check shows-the-picture-forming preview_changes 2-step-2 3-step-4
xdotool key Escape
check cancels-with-esc driver says 'Cancelled'
check stays-open driver open
check inserts-nothing-after-a-cancel is_as_before

check takes-the-prompt-from-a-screen-reader driver type 'Prompt' 'red apple'
check generates driver press 'Generate'
check finishes driver says 'Done'
check offers-another-seed driver press 'Another Seed'
check makes-another driver enabled 'Another Seed'
shot 4-two-results
check inserts driver press 'Insert'
check says-so driver says 'Inserted as the layer “red apple”'
check adds-one-layer layers_are 2
shot 5-inserted
focus 'GIMP'
xdotool key ctrl+z
check one-undo-takes-it-back becomes_as_before

focus '^Generate$'
driver type 'Prompt' 'late apple'
driver type 'Seed' '77'
check starts-a-job-that-ends-late driver press 'Generate'
check shows-its-picture-before-its-end driver says 'seed 77'
check inserts-before-its-end driver press 'Insert'
check says-that-it-is-inserted driver says 'Inserted as the layer “late apple”'
says_hash () { batch "(let ((out (open-output-file \"$scratch/record\")))
  (write (gimp-item-get-parasite (vector-ref (car (gimp-image-get-layers 1)) 0) \"flashbrush-parameters\") out) (close-output-port out))"
  grep -c model-hash "$scratch/record"; }
has_hash () { for _ in $(seq 50); do [ "$(says_hash)" = "$1" ] && return; sleep 0.2; done; false; }
check knows-no-hash-yet has_hash 0
touch "$FB_TEST_GATE.end"
check has-the-hash-afterwards has_hash 1
focus 'GIMP'
xdotool key ctrl+z
check one-undo-takes-that-back-too becomes_as_before
driver type 'Prompt' 'red apple'
driver type 'Seed' '-1'

focus '^Generate$'
folded=$(height)
check unfolds-more-settings driver press 'More settings'
check grows-with-them grows
check folds-them-away driver press 'More settings'

batch '(gimp-floating-sel-attach (car (gimp-layer-new 1 "Floating" 50 50 RGBA-IMAGE 100 LAYER-MODE-NORMAL)) 2)'
check inserts-beside-a-floating-selection driver press 'Insert'
check says-what-floats driver says 'floating selection'
check offers-a-new-image-instead driver enabled 'New Image'
shot 6-floating
batch '(gimp-image-remove-layer 1 (car (gimp-image-get-floating-sel 1)))'
check leaves-the-rest-as-it-was is_as_before

focus '^Generate$'
driver set 'Width' 100
check explains-a-wrong-size driver says 'multiple of 8'
check tries-it driver press 'Generate'
sleep 0.5; shot 7-wrong-size
driver set 'Width' 0
driver type 'Prompt' 'fail'
check starts driver press 'Generate'
check shows-the-models-failure driver says 'no numbers'
shot 8-failure
driver type 'Prompt' 'crash'
check starts-once-more driver press 'Generate'
check tells-of-an-engine-that-crashed driver says 'Failed'
shot 9-crash
driver type 'Prompt' 'red apple'
check works-again driver press 'Generate'
check finishes-again driver says 'Done'

focus '^Generate$'
xdotool key alt+o; sleep 0.5; xdotool key Return                # the mnemonic opens the list, its first entry is “ink”
check takes-a-lora-from-the-keyboard driver enabled 'Strength of ink'
check takes-its-strength driver set 'Strength of ink' 0.5
check generates-with-it driver press 'Generate'
check counts-what-fits driver says '190 of 192 layers'
shot 10-lora

batch '(gimp-image-remove-layer 1 2)'
check inserts-after-the-layer-was-deleted driver press 'Insert'
check says-that-it-was-deleted driver says 'deleted meanwhile'
batch '(gimp-image-convert-grayscale 1)'
check inserts-after-the-type-changed driver press 'Insert'
check says-that-it-became-gray driver says 'became grayscale'
shot 11-gray
check offers-to-insert-anyway driver press 'Insert Anyway'
check says-that-it-did driver says 'Inserted as the layer'
check adds-it layers_are 1

close_all
check inserts-into-a-closed-image driver press 'Insert'
check says-that-it-was-closed driver says 'closed meanwhile'
shot 12-closed
check offers-a-new-image driver press 'New Image'
check takes-it driver says 'Inserted as the layer'
focus '^Generate$'
xdotool key Escape
check closes-with-esc driver gone
check leaves-no-message-behind no_message

touch "$FB_TEST_NO_MODELS"
close_all
# GIMP may still be busy with closing the image when the menu is used first
open_from_menu () { driver menu 'Generate...'; driver open || { driver menu 'Generate...'; driver open; }; }
check opens-without-an-image open_from_menu
check explains-itself-without-a-model driver says 'There is no model yet'
check works-without-an-image driver says 'No image is open'
shot 13-no-model
check remembers-the-prompt remembers 'Prompt' 'red apple'
check remembers-the-lora driver enabled 'Strength of ink'
check offers-a-reset driver press 'Reset'
check resets driver press 'Reset to Factory Defaults'
check forgets-the-prompt remembers 'Prompt' ''
focus '^Generate$'
xdotool key Escape Escape
check closes-again driver gone
check warns-of-nothing warns_of_nothing
echo "1..$n"
