/* tests/kernels/fake-cuda/capture.h: how the parts of the made-up card do their work. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Runs @run on @data (transfer full), with the card's memory at hand; while the stream is captured it is only noted. */
void fb_fake_do (void (* run) (void *data), void *data, GDestroyNotify free);

G_END_DECLS
