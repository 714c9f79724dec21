/* tests/harness/tap.h: reads what a test program reported. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

typedef enum
{
  FB_TAP_PASSED,
  FB_TAP_FAILED,
  FB_TAP_SKIPPED,
} FbTapResult;

typedef struct
{
  FbTapResult  result;
  char        *name;      /* "/core/formats/safetensors/every-prefix-is-refused" */
  char        *reason;    /* (nullable): why it failed or was skipped, when the program said so */
} FbTapCase;

typedef struct
{
  GPtrArray *cases;       /* of FbTapCase, in the order of the output */
  int        planned;     /* how many cases the program announced; -1: it announced nothing, so this is not TAP */
} FbTap;

/**
 * fb_tap_parse:
 * @text: all a program wrote to its standard output
 *
 * Reads the flat TAP that GLib writes: a plan, and one line per case. A plan of no cases with a SKIP is one skipped
 * case. A case that is "not ok" has failed, whatever excuse follows. Everything else in @text is left alone.
 *
 * Returns: (transfer full): the cases; free with fb_tap_free()
 */
FbTap *fb_tap_parse (const char *text);

void fb_tap_free (FbTap *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbTap, fb_tap_free)
