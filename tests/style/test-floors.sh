#!/bin/sh
# test-floors.sh SOURCE: includes point down the floors: plugins, ui, core/engine, core, kernels.
# SPDX-License-Identifier: LGPL-3.0-or-later
cd "$1" || exit 1
n=0

# result NAME STATUS: one line of TAP
result () { n=$((n + 1)); if [ "$2" = 0 ]; then echo "ok $n $1"; else echo "not ok $n $1"; fi; }

# refused FILE INCLUDE: such a line in such a file has to be found
refused ()
{
  if echo "$1:1:#include $2" | awk -f tests/style/floors.awk >/dev/null; then result "/floors/$1-may-not-include-$2" 1
  else result "/floors/$1-may-not-include-$2" 0; fi
}

# allowed FILE INCLUDE: such a line is right
allowed () { echo "$1:1:#include $2" | awk -f tests/style/floors.awk >/dev/null; result "/floors/$1-may-include-$2" $?; }

grep -rnE --include='*.[ch]' --include='*.cu' --include='*.cuh' '^[[:space:]]*#[[:space:]]*include' kernels core ui plugins \
  | awk -f tests/style/floors.awk >&2
result /floors/every-include-in-the-tree-points-down $?

refused kernels/cpu/conv2d.c        '"core/nn/context.h"'
refused kernels/linear.c            '<oneapi/dnnl/dnnl.h>'
refused kernels/linear.c            '<gio/gio.h>'
refused core/nn/linear.c            '"core/models/unet.h"'
refused core/models/unet.c          '"core/tasks/generate.h"'
refused core/tasks/generate.c       '"core/engine/client.h"'
refused core/engine/job.c           '"kernels/device.h"'
refused core/text/clip.c            '<gegl.h>'
refused core/engine/job.c           '<gtk/gtk.h>'
refused core/models/unet.c          '"ui/preview.h"'
refused ui/preview.c                '"core/samplers/lcm.h"'
refused ui/preview.c                '"plugins/generate/generate.h"'
refused plugins/generate/generate.c '"core/tasks/generate.h"'
refused core/tasks/generate.c       '"core/models/unet-private.h"'
refused core/models/unet.c          '"unet.h"'

allowed kernels/cpu/conv2d.c        '<oneapi/dnnl/dnnl.h>'
allowed kernels/cpu/conv2d.c        '"kernels/device-private.h"'
allowed core/models/unet.c          '"core/nn/linear.h"'
allowed core/models/unet.c          '"core/models/unet-private.h"'
allowed core/engine/job.c           '"core/tasks/generate.h"'
allowed plugins/generate/generate.c '"core/engine/client.h"'
allowed ui/preview.c                '<gtk/gtk.h>'

echo "1..$n"
