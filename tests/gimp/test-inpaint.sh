#!/bin/sh
# test-inpaint.sh: Inpaint's dialog in GIMP's window, painted on with a pointer. SPDX-License-Identifier: LGPL-3.0-or-later
# Keeps pictures of the screen in $FB_SHOTS.
# shellcheck source-path=SCRIPTDIR
suite=inpaint
. "$(dirname "$0")/window.sh"

# point X Y: where on the screen a point of the canvas is, in hundredths of its width and height
point () { driver where Canvas | awk -v x="$1" -v y="$2" '{ print int ($1 + $3 * x / 100), int ($2 + $4 * y / 100) }'; }
# move X Y: the pointer, to a point of the canvas
move () { point "$1" "$2" | { read -r x y; xdotool mousemove "$x" "$y"; }; }
# stroke X0 Y0 X1 Y1: with the left button held
stroke ()
{
  move "$1" "$2"; xdotool mousedown 1
  move $((($1 + $3) / 2)) $((($2 + $4) / 2)); move "$3" "$4"
  xdotool mouseup 1
}
# remembers NAME TEXT: whether a text says just this
remembers () { [ "$(driver tell "$1" | cut -f1)" = "$2" ]; }
# masked TEXT: until the canvas says this of itself
masked () { for _ in $(seq 30); do said=$(driver tell Canvas) || return 1; case "$said" in *"$1"*) return 0 ;; esac; sleep 0.1; done; echo "$said"; return 1; }
mask_is_empty () { masked 'nothing is masked'; }
mask_is_there () { masked 'the mask is'; }
# the picture of the screen at one point of the canvas, as a colour
colour () { import -window root -crop "1x1+$(point "$1" "$2" | tr ' ' '+')" +repage -depth 8 rgb:- | od -An -tu1; }
is_white () { [ "$(colour "$1" "$2" | tr -s ' ')" = ' 255 255 255' ]; }
# gets_coloured X Y, gets_white X Y: within some seconds
gets_coloured () { for _ in $(seq 60); do is_white "$1" "$2" || return 0; sleep 0.1; done; return 1; }
gets_white ()    { for _ in $(seq 60); do is_white "$1" "$2" && return 0; sleep 0.1; done; return 1; }
# changes CMD...: whether the canvas's middle looks other after CMD
look () { import -window root -crop "160x120+$(point 40 40 | tr ' ' '+')" +repage rgb:- | sha256sum; }
changes () { was=$(look); "$@"; for _ in $(seq 40); do [ "$(look)" != "$was" ] && return 0; sleep 0.1; done; return 1; }

# size_is WIDTH HEIGHT: the image's
size_is ()
{
  rm -f "$scratch/size"
  batch "(let ((port (open-output-file \"$scratch/size\")))
           (write (cons (car (gimp-image-get-width 1)) (car (gimp-image-get-height 1))) port) (close-output-port port))"
  for _ in $(seq 50); do [ -s "$scratch/size" ] && break; sleep 0.1; done
  [ "$(cat "$scratch/size")" = "($1 . $2)" ]
}

# has_mask: whether the layer on top has one
has_mask ()
{
  batch "(let* ((layer (vector-ref (car (gimp-image-get-layers 1)) 0)) (port (open-output-file \"$scratch/mask\")))
           (write (car (gimp-layer-get-mask layer)) port) (close-output-port port))"
  for _ in $(seq 50); do [ -s "$scratch/mask" ] && break; sleep 0.1; done
  [ "$(cat "$scratch/mask")" -gt 0 ]
}

# shown_at X Y: how much of the layer on top its mask lets through at a pixel of the image, 0 to 255, 0 beside the layer
shown_at ()
{
  rm -f "$scratch/shown"
  batch "(gimp-image-undo-freeze 1)
         (let* ((layer (vector-ref (car (gimp-image-get-layers 1)) 0)) (kept (car (gimp-selection-save 1)))
                (port (open-output-file \"$scratch/shown\")))
           (gimp-image-select-item 1 CHANNEL-OP-REPLACE (car (gimp-layer-get-mask layer)))
           (write (car (gimp-selection-value 1 $1 $2)) port) (close-output-port port)
           (gimp-image-select-item 1 CHANNEL-OP-REPLACE kept) (gimp-image-remove-channel 1 kept))
         (gimp-image-undo-thaw 1)"
  for _ in $(seq 50); do [ -s "$scratch/shown" ] && break; sleep 0.1; done
  cat "$scratch/shown"
}
# fill_base HOW: the lowest layer
fill_base () { batch "(let ((layers (car (gimp-image-get-layers 1)))) (gimp-drawable-fill (vector-ref layers (- (vector-length layers) 1)) $1))"; }
is_replaced () { [ "$(shown_at "$1" "$2")" = 255 ]; }
is_kept ()     { [ "$(shown_at "$1" "$2")" = 0 ]; }

gimp --no-data --no-fonts --stack-trace-mode=always --batch-interpreter=plug-in-script-fu-eval -b '
  (let* ((image (car (gimp-image-new 400 300 RGB)))
         (layer (car (gimp-layer-new image "Base" 400 300 RGB-IMAGE 100 LAYER-MODE-NORMAL))))
    (gimp-image-insert-layer image layer 0 0)
    (gimp-drawable-fill layer FILL-WHITE)
    (gimp-image-clean-all image)
    (gimp-display-new image))' >"$scratch/log" 2>&1 &
started="$started $!"

for _ in 1 2 3; do driver menu 'Inpaint...' 2>/dev/null && break; done
check opens-from-the-menu driver open
before=$(digest)
check every-control-has-a-name driver unnamed
check begins-without-a-mask mask_is_empty
check waits-for-a-mask driver disabled 'Generate'
shot inpaint-1-open

focus '^Inpaint$'
xdotool type --delay 20 'red apple'
stroke 45 45 55 55
check paints-with-the-pointer mask_is_there
check shows-the-mask gets_coloured 50 50
check can-begin-now driver enabled 'Generate'
shot inpaint-2-painted
xdotool key ctrl+z
check undoes-the-stroke-by-key mask_is_empty
check shows-the-picture-again gets_white 50 42
xdotool key ctrl+shift+z
check makes-it-again mask_is_there
check undoes-by-button driver press 'Undo stroke'
check is-empty-again mask_is_empty
check leaves-the-image-alone is_as_before

check takes-the-lasso driver press 'Lasso'
move 40 40; xdotool mousedown 1; move 60 40; move 60 60; move 40 60; xdotool mouseup 1
check fills-an-outline masked "the mask is 1"
check inverts driver press 'Invert mask'
check masks-the-rest masked 'the mask is 400 × 300 at 0, 0'
check clears driver press 'Clear mask'
check has-nothing mask_is_empty
check takes-the-eraser driver press 'Eraser'
check masks-all driver press 'Mask all'
stroke 50 50 50 51
check erases gets_white 51 53                                    # beside the brush's own cross
driver press 'Clear mask'
batch '(gimp-image-select-rectangle 1 CHANNEL-OP-REPLACE 150 100 100 80)'
check takes-the-selection driver press 'Mask from selection'
check has-its-bounds masked 'the mask is 100 × 80 at 150, 100'
batch '(gimp-selection-none 1)'
driver press 'Clear mask'

# keys alone
focus '^Inpaint$'
driver press 'Brush'
move 50 50; xdotool click 2                                     # the middle button focuses and paints nothing
xdotool key bracketleft bracketleft Return
check paints-by-keys mask_is_there
xdotool key shift+Right shift+Right shift+Right
check paints-a-line-by-keys masked 'the mask is'
xdotool key ctrl+z ctrl+z ctrl+z ctrl+z
check undoes-all-by-keys mask_is_empty
xdotool key r Return Down Down Down Down Down Right Right Right Right Right Return
check masks-a-rectangle-by-keys mask_is_there
xdotool key ctrl+z b
mask_is_empty >/dev/null

# live
driver press 'Live'
check shows-a-draft-after-a-stroke changes stroke 45 45 55 55
shot inpaint-3-draft
check refines-when-the-hand-rests driver says 'Done'
check keeps-the-result driver enabled 'Insert'
shot inpaint-4-refined
check follows-the-next-stroke changes stroke 50 40 50 60
check and-refines-again driver says 'Done'
check compares driver press 'Split'
sleep 0.3; shot inpaint-5-split
check shows-the-original driver press 'Original'
check shows-the-result driver press 'Result'
driver press 'Live'

driver set 'Pictures' 3
check makes-variations driver press 'Generate'
check finishes driver says 'Done'
check goes-on driver enabled 'Another Seed'
shot inpaint-6-variations
check inserts driver press 'Insert'
check says-so driver says 'Inserted as the layer “red apple”'
check adds-one-layer layers_are 2
shot inpaint-7-inserted
check gives-it-a-mask has_mask
check clears-the-mask-for-the-next mask_is_empty
check waits-for-the-next driver disabled 'Insert'
focus 'GIMP'
xdotool key ctrl+z
sleep 1
check one-undo-takes-it-back becomes_as_before

focus '^Inpaint$'
check brings-the-mask-back driver press 'Undo stroke'
driver type 'Prompt' 'slow red apple'
for step in 2 3 4; do
    check "starts-$step" driver press 'Generate'
    check "counts-to-step-$step" driver says "Step $step of 4"
    xdotool key Escape
    check "cancels-with-esc-at-step-$step" driver says 'Cancelled'
    check "leaves-the-image-alone-after-a-cancel-at-step-$step" is_as_before
done
driver press 'Generate'                                          # and no key behind it: with one just as the driver leaves the accessibility bus, GTK 3 crashes
driver press 'Cancel'
check cancels-at-once driver says 'Cancelled'
check leaves-the-image-alone-after-that-too is_as_before
driver type 'Prompt' 'fail'
check tries driver press 'Generate'
check shows-the-models-failure driver says 'no numbers'
shot inpaint-8-failure
check leaves-the-image-alone-after-a-failure is_as_before
driver type 'Prompt' 'green pear'
driver set 'Pictures' 1
driver press 'Generate'
check finishes-again driver says 'Done'
check inserts-again driver press 'Insert'
check says-so-again driver says 'Inserted as the layer “green pear”'

# all that is visible is the source now
focus 'GIMP'
fill_base FILL-FOREGROUND
driver press 'Live'
focus '^Inpaint$'
check drafts-from-what-has-just-changed changes stroke 45 45 55 55
check sees-what-has-changed gets_coloured 25 25
check refines-from-it driver says 'Done'
driver press 'Live'
focus 'GIMP'
fill_base FILL-WHITE
focus '^Inpaint$'
check sees-it-without-a-stroke gets_white 25 25
focus '^Inpaint$'
xdotool key Escape
check closes driver gone
driver menu 'Continue from This Layer...'
check continues driver open
check has-the-mask-that-was-painted mask_is_there
check has-the-prompt remembers 'Prompt' 'green pear'
check can-begin driver enabled 'Generate'
shot inpaint-9-continue
focus '^Inpaint$'
xdotool key Escape
check closes-again driver gone

# a larger canvas, with nothing painted
before=$(digest)
driver menu 'Inpaint...'
check opens-once-more driver open
driver press 'Clear mask'
mask_is_empty >/dev/null
driver type 'Prompt' 'blue sky'
driver press 'More settings'
check expands-for-one-use-only driver disabled 'Expand left'
focus '^Inpaint$'
xdotool key alt+w Home Down Down Down
check can-be-told-to-expand driver enabled 'Expand left'
driver press 'Clear mask'
check has-nothing-to-do driver disabled 'Generate'
driver set 'Expand left' 64
driver set 'Expand at the top' 32
check needs-no-mask driver enabled 'Generate'
check begins-beyond-the-canvas driver press 'Generate'
check has-drawn-it driver says 'Done'
shot inpaint-10-expand
check inserts-what-is-beyond driver press 'Insert'
check says-that-too driver says 'Inserted as the layer “blue sky”'
check has-enlarged-the-canvas size_is 464 332
focus 'GIMP'
xdotool key ctrl+z
sleep 1
check one-undo-takes-layer-and-canvas-back becomes_as_before
check has-its-size-again size_is 400 300
focus '^Inpaint$'
xdotool key Escape
check closes-at-last driver gone

# with a selection to begin with, which is neither a rectangle nor hard
batch '(gimp-image-select-ellipse 1 CHANNEL-OP-REPLACE 150 100 100 80) (gimp-selection-feather 1 4)'
before=$(digest)
driver menu 'Inpaint...'
check opens-with-a-selection driver open
check has-it-as-the-mask masked 'the mask is 10'
check is-as-soft-as-that masked ' at 14'
check shows-it-on-the-canvas gets_coloured 50 48
check shows-nothing-beside-it is_white 25 48
check has-no-step-to-take-it-back driver disabled 'Undo stroke'
focus '^Inpaint$'
xdotool key alt+w Home
driver type 'Prompt' 'red plum'
check can-begin-with-it driver enabled 'Generate'
check replaces-what-is-selected driver press 'Generate'
check has-replaced-it driver says 'Done'
shot inpaint-11-selection
check inserts-that driver press 'Insert'
check tells-so driver says 'Inserted as the layer “red plum”'
check shows-the-result-where-it-was-selected is_replaced 200 140
check keeps-what-is-left-of-it is_kept 110 140
check keeps-what-is-above-it is_kept 200 50
check keeps-what-is-in-the-corner is_kept 390 290
focus '^Inpaint$'
xdotool key Escape
check closes-after-that driver gone
focus 'GIMP'
xdotool key ctrl+z
sleep 1
check leaves-the-selection-and-the-rest becomes_as_before
check leaves-no-message-behind no_message
check warns-of-nothing warns_of_nothing
echo "1..$n"
