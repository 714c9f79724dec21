#!/bin/sh
# test-distill-window.sh: the page for distillation, by keyboard and screen reader alone, with the engine without models.
# SPDX-License-Identifier: LGPL-3.0-or-later
# Keeps pictures of the screen in $FB_SHOTS.
# shellcheck source-path=SCRIPTDIR
suite=distill-window
. "$(dirname "$0")/window.sh"
export FB_TEST_STEP_MS=200 FB_TEST_MEASURE=20
mkdir "$scratch/pictures"
remembers () { [ "$(driver tell "$1" | cut -f1)" = "$2" ]; }
tells () { driver tell "$1" | grep -q "$2"; }

gimp --no-data --no-fonts --stack-trace-mode=always >"$scratch/log" 2>&1 &
started="$started $!"

for _ in 1 2 3; do driver menu 'Models and Distillation...' 2>/dev/null && break; done
check opens driver open
check lists-models driver says 'Test stripes'
check names-the-card-it-runs-on driver says 'Runs on: Test Card 9000'
focus '^Models and Distillation$'
xdotool key ctrl+Next
check shows-the-form driver says 'A model that needs many steps teaches'
check every-control-has-a-name driver unnamed
check waits-for-pictures-and-a-name driver disabled 'Start'
check says-what-it-waits-for driver says 'Choose a folder of pictures.'
check tells-the-memory-before-the-start driver says 'Needs at least 300.0'
check tells-the-pictures driver says '12 pictures, 3 of them without a caption.'
shot distill-1-form
check takes-a-size driver set 'Size' 2048
check refuses-what-no-memory-would-do-for driver says '“New job” needs at least 77'
check takes-the-size-back driver set 'Size' 0
check tells-the-memory-again driver says 'Needs at least 300.0'

focus '^Models and Distillation$'
xdotool key alt+p; sleep 0.5; xdotool type --delay 20 "$scratch/pictures"
check takes-the-folder-from-the-keyboard driver enabled 'Start'
check takes-a-name-from-it remembers 'Name' 'pictures-flash'
check takes-another-name driver type 'Name' 'ember'
check starts driver press 'Start'
check says-that-it-measures-first driver says 'measuring the first iteration'
shot distill-2-measuring
check tells-what-it-measured driver says '0.2 s per iteration, about 20 s in all; 1.2'
check shows-the-job driver says 'running'
check tells-the-time-left driver says 's left'
sleep 6
check draws-the-curves tells 'Distance to the teacher' 'at step'
check shows-a-sample tells 'Sample' 'Sample after'
check says-what-the-sample-shows driver says 'pictures first, then the student'
shot distill-3-running
check pauses driver press 'Pause'
check says-that-it-is-paused driver says 'paused'
check resumes driver press 'Resume'
check says-that-it-runs-again driver says 'running'
shot distill-4-resumed
check stops driver press 'Stop'
check says-that-it-was-stopped driver says 'stopped'
check offers-the-result driver enabled 'Use in Generate…'

focus '^Models and Distillation$'
xdotool key alt+j; sleep 0.5; xdotool key Up
check goes-back-to-the-form-with-the-keyboard driver says 'A model that needs many steps teaches'
driver type 'Name' 'fail'
check starts-one-that-fails driver press 'Start'
check tells-why-it-failed driver says 'The loss of step 11 is no number.'
check offers-what-it-has-learned driver enabled 'Stop'
shot distill-5-failed

focus '^Models and Distillation$'
xdotool key alt+j; sleep 0.5; xdotool key Up
check goes-to-the-first-job-with-the-keyboard driver says 'ember'
check opens-generate-with-the-result driver press 'Use in Generate…'
check takes-the-lora-along driver enabled 'Strength of ink'
focus '^Generate$'
xdotool key Escape
check comes-back driver says 'ember'

last_step () { driver tell 'Distance to the teacher' | sed -n 's/.*at step //p'; }
before () { sleep 1; step=$(last_step); [ "${step:-0}" -lt "$1" ]; }
old=$(last_step)
check asks-before-it-removes driver press 'Remove…'
check removes driver press 'Delete'
check goes-back-to-the-form driver says 'A model that needs many steps teaches'
driver type 'Name' 'ember'
check starts-another-of-that-name driver press 'Start'
check begins-its-curves-anew before "$old"
focus '^Models and Distillation$'
xdotool key Escape
check closes-with-esc driver gone
cat "$scratch/log" >&2
echo "1..$n"
