/* tests/kernels/fake-cuda/capture.h: what the parts of the made-up card do while their stream is captured. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Whether it is: then nothing is done, and fb_fake_note() takes what would be; @data (transfer full) */
gboolean fb_fake_captures (void);
void     fb_fake_note     (void (* run) (void *data), void *data, GDestroyNotify free);

G_END_DECLS
