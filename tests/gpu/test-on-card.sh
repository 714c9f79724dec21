#!/usr/bin/env bash
# test-on-card.sh SOURCE BUILD MODULES: that on-card.sh runs tests, and says where there are none; with the made-up card of MODULES.
# SPDX-License-Identifier: LGPL-3.0-or-later
source=$1 build=$2 modules=$3
package=$(mktemp -d); trap 'rm -rf "$package"' EXIT
n=0
# check NAME COMMAND...: one test
check () { n=$((n + 1)); if "${@:2}"; then echo "ok $n /gpu/$1"; else echo "not ok $n /gpu/$1"; fi; }

# as tests/gpu/run packs it
mkdir "$package"/{bin,lib}
ln -s "$build"/tests/kernels/{conformance,test-recording} "$modules/flashbrush-cuda.so" "$package/bin/"
ln -s "$(ldd "$build/tests/kernels/conformance" | awk '/ld-linux/ { print $1 }')" "$package/lib/"
ln -s "$source/tests" "$package/tests"
cp "$source/tests/gpu/on-card.sh" "$package/run"
echo none >"$package/commit"

# run_part PART [ARGUMENT...]: on-card.sh's row of that part becomes $row
run_part ()
{
  OUT=$package/out "$package/run" "$@" >"$package/said" 2>&1
  row=$(grep "^| $1 " "$package/said") || cat "$package/said" >&2
}
row_has () { grep -q "$1" <<<"$row"; }
log_has () { grep -q "^ok .*$2" "$package/out/$1.log"; }
refuses () { ! "$@" >/dev/null 2>&1; }

run_part recording
check a-program-runs-its-tests row_has 'passed | [1-9][0-9]* ok, 0 not ok'
run_part conformance f16/layer-norm f32/layer-norm-backward-input
check conformance-passes row_has 'passed | [1-9][0-9]* ok, 0 not ok, 0 skipped'
check conformance-runs-what-begins-so log_has conformance /f16/layer-norm/
check conformance-runs-every-type log_has conformance /f32/layer-norm-backward-input/
run_part conformance f16/no-such-op
check a-part-without-a-test-fails row_has 'failed, status 1 | 0 ok'
FB_FAKE_CARDS=0 run_part conformance
check a-part-that-skips-all-fails row_has 'failed: it tested nothing | 3 ok, 0 not ok, 3 skipped'
check an-unknown-part-is-refused refuses env OUT="$package/out" "$package/run" no-such-part

# the parts' own times are no more than the whole
limit=$(sed -n 's/^limit=\([0-9]*\).*/\1/p' "$package/run")
sum=$(($(sed -n '/^plan=(/,/^)/ s/^  "[a-z-]* *\([0-9]*\) .*/\1/p' "$package/run" | paste -sd+)))
check every-part-has-its-time [ "$sum" -gt 400 -a "$sum" -le "$limit" ]
echo "1..$n"
