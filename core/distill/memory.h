/* core/distill/memory.h: the most memory that a job takes. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

/**
 * fb_memory_mark, fb_memory_peak:
 *
 * The first forgets the most memory that the process has had until now. Where the system cannot forget, the second tells of all its life.
 *
 * Returns: bytes that the process has now; bytes it has had at most since the mark; 0 where the system does not say
 */
guint64 fb_memory_mark (void);
guint64 fb_memory_peak (void);
