#!/bin/sh
# sanitizers.sh SOURCE BUILD REPORT: the unit and golden tests under the address and undefined-behaviour sanitizers.
# SPDX-License-Identifier: LGPL-3.0-or-later
# The module for cards stays out: its stand-in for one switches stacks, which the address sanitizer takes for an overflow.
# GIMP, GTK and display tests stay out: what their libraries keep at exit is not ours to find.
set -eu
source=$1 build=$2 report=$3

# memory that runs out is an error we handle, not a bug
export ASAN_OPTIONS=detect_stack_use_after_return=1:abort_on_error=1:allocator_may_return_null=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export LSAN_OPTIONS=suppressions="$source/tests/slow/lsan.supp":print_suppressions=0

if [ ! -e "$build/build.ninja" ]; then
  meson setup --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false -Dcuda=disabled "$build" "$source"
fi
ninja -C "$build" --quiet
meson test -C "$build" --no-rebuild -t 5 --no-suite slow --no-suite bench --no-suite style --no-suite gimp || true
exec "$report" "$build/meson-logs/testlog.json"
