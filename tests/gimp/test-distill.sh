#!/bin/sh
# test-distill.sh: distillation's procedures in gimp-console, from Script-Fu, with the engine without models. SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/profile.sh"
export FB_TEST_STEP_MS=20
mkdir "$scratch/pictures"

cat >"$scratch/calls.scm" <<END
(define (nth n values) (list-ref values n))
(define (say name . values) (display (string-append name ":")) (for-each (lambda (value) (display " ") (display value)) values) (newline))
(define job (car (plug-in-flashbrush-distill #:pictures "$scratch/pictures" #:name "first" #:steps 50)))
(say "start" job)
(define second (car (plug-in-flashbrush-distill #:pictures "$scratch/pictures" #:name "second" #:preset "small")))
(say "pause" (car (plug-in-flashbrush-distill-pause #:job job)))
(let ((r (plug-in-flashbrush-distill-list)))
  (say "list" (nth 1 r) (nth 2 r) (nth 3 r) (vector-ref (nth 7 r) 0) (vector-ref (nth 7 r) 1)))
(say "stop" (car (plug-in-flashbrush-distill-stop #:job second)))
(say "resume" (car (plug-in-flashbrush-distill-resume #:job job)))
(define (wait-for n)
  (let ((state (car (nth 2 (plug-in-flashbrush-distill-list)))))
    (if (or (= n 0) (not (string=? state "running"))) state (wait-for (- n 1)))))
(say "end" (wait-for 1000))
(say "output" (car (nth 4 (plug-in-flashbrush-distill-list))))
(let ((r (plug-in-flashbrush-distill-list))) (say "measured" (vector-ref (nth 9 r) 0) (vector-ref (nth 10 r) 0)))
END

call ()
{
  timeout 100 gimp-console --no-interface --no-data --no-fonts --console-messages --quit --batch-interpreter=plug-in-script-fu-eval "$@"
}
call -b "(load \"$scratch/calls.scm\")" >"$scratch/out" 2>"$scratch/log"
status=$?

n=0
check () { n=$((n + 1)); name=$1; shift; if "$@"; then echo "ok $n /gimp/distill/$name"; else echo "not ok $n /gimp/distill/$name"; fi; }
printed () { grep -qxF -- "$1" "$scratch/out"; }
check starts        printed 'start: /jobs/first.json'
check pauses        printed 'pause: paused'
check lists         printed 'list: (first second) (paused running) (test test) 50.0 100.0'
check stops         printed 'stop: stopped'
check resumes       printed 'resume: running'
check comes-to-its-end printed 'end: done'
check tells-the-output printed 'output: /loras/first.safetensors'
check tells-time-and-memory printed 'measured: 1.0 1200000000.0'
check ends-well     test $status = 0

call -b '(plug-in-flashbrush-distill #:pictures "/no/such/folder" #:name "a")' >"$scratch/refusal" 2>&1
check refuses-a-folder-that-is-not-there grep -q '/no/such/folder' "$scratch/refusal"
call -b "(plug-in-flashbrush-distill #:pictures \"$scratch/pictures\" #:name \"large\" #:size 2048)" >"$scratch/refusal" 2>&1
check refuses-what-no-memory-would-do-for grep -q 'needs at least 77 GB of memory' "$scratch/refusal"
cat "$scratch/out" "$scratch/log" >&2
echo "1..$n"
