#!/bin/bash
# test-dev.sh SOURCE: what ./dev says to a wrong command. SPDX-License-Identifier: LGPL-3.0-or-later
cd "$1" || exit 1
n=0
result () { n=$((n + 1)); if [ "$2" = 0 ]; then echo "ok $n $1"; else echo "not ok $n $1"; fi; }

# refused NAME SENTENCE ARGUMENT...: ./dev fails with this one sentence and nothing else
refused ()
{
  local name=$1 sentence=$2 said
  shift 2
  said=$(./dev "$@" 2>&1)
  local status=$?
  [ $status = 1 ] && [ "$said" = "dev: $sentence" ]
  local wrong=$?
  [ $wrong = 0 ] || echo "./dev $* ended with $status and said: $said" >&2
  result "/dev/$name" $wrong
}

refused an-unknown-command-is-named     "there is no command “paint”; ./dev help lists them" paint
refused a-seed-is-a-number              "--seed takes a whole number, not “blue”" demo --seed blue
refused steps-are-a-number              "--steps takes a whole number, not “-3”" demo --steps -3
refused an-option-needs-its-value       "--model needs a value" demo --model
refused an-unknown-option-is-named      "demo has no option --size; ./dev help lists them" demo --size 512
refused an-unknown-task-is-named        "there is no task “paint”; the tasks are: generate, inpaint, upscale" demo --task paint
refused a-picture-is-a-png              "-o takes a name that ends in .png, not “cat.jpg”" demo -o cat.jpg
refused a-missing-folder-is-named       "there is no folder nowhere to write nowhere/cat.png into" demo -o nowhere/cat.png
refused a-missing-image-is-named        "there is no file nowhere.png" demo --task inpaint nowhere.png
refused an-unknown-bench-is-named       "there is no bench “nothing”; ./dev bench lists them" bench nothing
refused install-knows-one-option        "install takes --prefix DIR and nothing else" install --user

for verb in demo gimp install uninstall test bench build shell po clean; do
  ./dev help | grep -qE "(^|  )\./dev $verb( |\$)"
  result "/dev/help-lists-$verb" $?
done

echo "1..$n"
