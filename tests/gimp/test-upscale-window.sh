#!/bin/sh
# test-upscale-window.sh: Super-Resolution's dialog in GIMP's window, by screen reader alone. SPDX-License-Identifier: LGPL-3.0-or-later
# Keeps pictures of the screen in $FB_SHOTS.
# shellcheck source-path=SCRIPTDIR
suite=upscale-window
. "$(dirname "$0")/window.sh"

# ask SCHEME: what it gives
ask ()
{
  rm -f "$scratch/answer"
  batch "(let ((port (open-output-file \"$scratch/answer\"))) (write $1 port) (close-output-port port))"
  for _ in $(seq 50); do [ -s "$scratch/answer" ] && break; sleep 0.1; done
  cat "$scratch/answer"
}
images_are () { [ "$(ask '(vector-length (car (gimp-get-images)))')" = "$1" ]; }
newest_is () { [ "$(ask '(cons (car (gimp-image-get-width (vector-ref (car (gimp-get-images)) 0))) (car (gimp-image-get-height (vector-ref (car (gimp-get-images)) 0))))')" = "$1" ]; }
is_quiet () { ! grep -E '^\(flashbrush-upscale:.*(CRITICAL|WARNING)' "$scratch/log" | grep -v 'gimp_flush(): error: Broken pipe'; }

gimp --no-data --no-fonts --stack-trace-mode=always --batch-interpreter=plug-in-script-fu-eval -b '
  (let* ((image (car (gimp-image-new 60 40 RGB)))
         (layer (car (gimp-layer-new image "Base" 60 40 RGB-IMAGE 100 LAYER-MODE-NORMAL))))
    (gimp-image-insert-layer image layer 0 0)
    (gimp-drawable-fill layer FILL-WHITE)
    (gimp-image-clean-all image)
    (gimp-display-new image))' >"$scratch/log" 2>&1 &
started="$started $!"

for _ in $(seq 60); do layers_are 1 2>/dev/null && break; sleep 1; done
for _ in 1 2 3; do driver menu 'Super-Resolution...' 2>/dev/null && break; done
check opens-from-the-menu driver open
check says-what-it-costs driver says 'Needs about'
check says-what-the-small-model-cannot-do driver says 'makes photographs somewhat clearer'
check every-control-has-a-name driver unnamed
check needs-no-words driver enabled 'Generate'
shot upscale-1-open
driver set 'Scale' 7
check explains-too-much driver says 'between 1 and 4'
shot upscale-2-too-much
driver set 'Scale' 3
driver set 'Steps' 3
check can-begin driver says 'Needs about'
check begins driver press 'Generate'
check ends driver says 'Done'
check tells-the-size driver says '180 × 120'
shot upscale-3-done
check inserts driver press 'Insert'
check says-so driver says 'Inserted as the layer “Enlarged”'
check makes-a-new-image images_are 2
check of-that-size newest_is '(180 . 120)'
shot upscale-4-inserted
check closes driver press 'Close'
check is-gone driver gone
check warns-of-nothing is_quiet
echo "1..$n"
