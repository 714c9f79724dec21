#!/bin/sh
# test-models.sh: the models' procedures in gimp-console, from Script-Fu. SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/profile.sh"

mkdir "$scratch/downloads" "$scratch/many"
ink="$scratch/downloads/ink.safetensors"
"$FB_MAKE_LORA" "$ink" 192 modelspec.license CC0-1.0 flashbrush_sampler flash flashbrush_steps 4
"$FB_MAKE_LORA" "$scratch/many/a.safetensors" 768
"$FB_MAKE_LORA" "$scratch/many/b.safetensors" 768
ln -s "$FLASHBRUSH_MODELS_PATH/starter" "$scratch/downloads/mine"
echo 'just words' >"$scratch/downloads/notes.safetensors"

# say NAME EXPRESSION: prints a line "NAME: value"; nth counts return values from 0; a failure is told in the procedure's words
cat >"$scratch/calls.scm" <<END
(define (nth n values) (list-ref values n))
(define (say name . values) (display (string-append name ":")) (for-each (lambda (value) (display " ") (display value)) values) (newline))
(define (has word text) (if (string-search text word) "yes" "no"))
(define (string-search text word)
  (let ((n (string-length word)))
    (let loop ((i 0))
      (cond ((> (+ i n) (string-length text)) #f) ((string=? (substring text i (+ i n)) word) #t) (else (loop (+ i 1)))))))
(let ((r (plug-in-flashbrush-models-list #:kind "any")))
  (say "list" (car (nth 0 r)) (car (nth 1 r)) (car (nth 2 r)) (length (nth 0 r)) (vector-length (nth 6 r)) (if (> (vector-ref (nth 6 r) 0) 1e6) "large" "small")))
(let ((r (plug-in-flashbrush-models-describe #:model "STARTER" #:kind "checkpoint")))
  (say "describe" (nth 3 r) (nth 5 r) (nth 6 r) (nth 12 r) (nth 13 r) (nth 14 r)))
(let ((r (plug-in-flashbrush-models-import #:path "$ink" #:copy TRUE)))
  (say "import-lora" (nth 0 r) (nth 1 r) (nth 2 r) (nth 3 r)))
(let ((r (plug-in-flashbrush-models-describe #:model "ink" #:kind "lora")))
  (say "describe-lora" (nth 6 r) (nth 12 r) (nth 13 r) (string=? (nth 10 r) "")))
(let ((r (plug-in-flashbrush-models-verify #:model "ink" #:kind "lora")))
  (say "verify-lora" (string-length (nth 0 r)) (nth 1 r)))
(let ((r (plug-in-flashbrush-models-import #:path "$scratch/downloads/mine" #:kind "any")))
  (say "import-model" (nth 0 r) (nth 1 r) (nth 2 r) (nth 3 r)))
(let ((r (plug-in-flashbrush-models-import #:path "$scratch/many")))
  (say "import-folder" (nth 1 r) (nth 3 r)))
(plug-in-flashbrush-models-set-default #:task "generate" #:model "mine")
(let ((r (plug-in-flashbrush-models-describe #:model "mine")))
  (say "default" (car (nth 17 r))))
(say "load" (if (> (car (plug-in-flashbrush-models-load #:model "mine")) 1e6) "large" "small"))
(let ((r (plug-in-flashbrush-models-memory)))
  (say "memory" (length (nth 0 r)) (if (> (vector-ref (nth 1 r) 0) 1e6) "large" "small") (if (> (nth 2 r) 1e6) "large" "small")))
(say "unload" (car (plug-in-flashbrush-models-unload)))
(say "remove-model" (car (plug-in-flashbrush-models-remove #:model "mine" #:kind "checkpoint")))
(say "remove-lora" (car (plug-in-flashbrush-models-remove #:model "ink" #:kind "lora")))
(say "remove-one-of-many" (car (plug-in-flashbrush-models-remove #:model "a" #:kind "lora")))
(say "left" (nth 0 (plug-in-flashbrush-models-list #:kind "any")))
END

call ()
{
  timeout 100 gimp-console --no-interface --no-data --no-fonts --console-messages --quit --batch-interpreter=plug-in-script-fu-eval "$@"
}
call -b "(load \"$scratch/calls.scm\")" >"$scratch/out" 2>"$scratch/log"
status=$?

n=0
check () { n=$((n + 1)); name=$1; shift; if "$@"; then echo "ok $n /gimp/models/$name"; else echo "not ok $n /gimp/models/$name"; fi; }
printed () { grep -qxF -- "$1" "$scratch/out"; }

check lists-what-came-along         printed 'list: starter checkpoint sd-1.5 2 2 large'
check describes-a-model             printed 'describe: sd-1.5 F16 MIT and Apache-2.0 dpmpp-2m 6 5.0'
check brings-in-a-lora              printed 'import-lora: ink lora sd-1.5 1'
check tells-what-suits-a-lora       printed 'describe-lora: CC0-1.0 flash 4 #t'
check verifies-a-lora               printed 'verify-lora: 64 (starter)'
check brings-in-a-model             printed 'import-model: mine checkpoint sd-1.5 1'
check brings-in-a-folder            printed 'import-folder: lora 2'
check chooses-a-default             printed 'default: generate'
check loads                         printed 'load: large'
check shows-memory                  printed 'memory: 1 large large'
check unloads                       printed 'unload: 1'
check forgets-a-model               printed 'remove-model: 0'
check deletes-its-own-copy          printed 'remove-lora: 1'
check forgets-one-of-many           printed 'remove-one-of-many: 0'
check lists-what-is-left            printed 'left: (starter starter-upscale b)'
check leaves-files-elsewhere-alone  test -e "$ink" -a -e "$scratch/many/a.safetensors" -a -d "$scratch/downloads/mine/unet"
check ends-well                     test $status = 0

# refuses NAME WORD SCHEME: the call fails with one sentence that has WORD
refuses ()
{
  call -b "$3" >"$scratch/refusal" 2>&1
  check "refuses/$1" grep -q -e "$2" "$scratch/refusal"
}
refuses a-file-that-is-none 'notes.safetensors.*\.$' "(plug-in-flashbrush-models-import #:path \"$scratch/downloads/notes.safetensors\")"
refuses an-unknown-name 'Did you mean “starter”?' '(plug-in-flashbrush-models-load #:model "startr")'
refuses the-window-without-one 'only opens a window' '(plug-in-flashbrush-models #:run-mode RUN-NONINTERACTIVE)'

n=$((n + 1))
# libgimp itself finds the pipe closed at times when a plug-in ends
if grep -E '^\(flashbrush-models:.*(CRITICAL|WARNING)' "$scratch/log" | grep -v 'gimp_flush(): error: Broken pipe' >&2; then
  echo "not ok $n /gimp/models/warns-of-nothing"
else echo "ok $n /gimp/models/warns-of-nothing"; fi
cat "$scratch/out" "$scratch/log" >&2
echo "1..$n"
