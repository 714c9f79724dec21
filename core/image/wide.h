/* core/image/wide.h: loops as wide as the processor's registers. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

/* Before a function: compiled for x86-64-v3, too, and the right one is chosen when the program starts. Nothing is fused, so both give the same bits. */
#define FB_WIDE __attribute__ ((target_clones ("default", "arch=x86-64-v3")))
