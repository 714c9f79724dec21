/* tests/harness/tap.c: reads what a test program reported. SPDX-License-Identifier: LGPL-3.0-or-later
 * The format is https://testanything.org/tap-version-14-specification.html; GLib writes the part of it that is read here.
 */
#include "tests/harness/tap.h"

#include <stdlib.h>
#include <string.h>

static void
case_free (FbTapCase *self)
{
  g_free (self->name);
  g_free (self->reason);
  g_free (self);
}

static void
add_case (FbTap *self, FbTapResult result, const char *name, const char *reason)
{
  FbTapCase *c = g_new0 (FbTapCase, 1);

  c->result = result;
  c->name   = g_strstrip (g_strdup (name));
  c->reason = reason != NULL && *reason != '\0' ? g_strstrip (g_strdup (reason)) : NULL;
  g_ptr_array_add (self->cases, c);
}

/* Cuts "# SKIP reason" off @text; the last one counts, a name may hold a "#" of its own */
static const char *
cut_skip (char *text)
{
  char *found = g_strrstr (text, "# SKIP");

  if (found == NULL)
    return NULL;

  *found = '\0';
  return found + strlen ("# SKIP");
}

static void
parse_plan (FbTap *self, char *line)
{
  const char *reason = cut_skip (line);

  self->planned = atoi (line + strlen ("1.."));
  if (self->planned == 0 && reason != NULL)
    {
      add_case (self, FB_TAP_SKIPPED, "all of it", reason);
      self->planned = 1;
    }
}

/* @text follows "ok" or "not ok": " 3 /core/name - why # SKIP reason"; GLib leaves the number out when an assertion fails */
static void
parse_case (FbTap *self, gboolean ok, char *text)
{
  FbTapResult  result = ok ? FB_TAP_PASSED : FB_TAP_FAILED;
  const char  *reason;
  char        *dash;

  text += strspn (text, " ");
  text += strspn (text, "0123456789");
  text += strspn (text, " -");

  reason = cut_skip (text);
  if (reason != NULL)
    result = FB_TAP_SKIPPED;
  else if (!ok && (dash = strstr (text, " - ")) != NULL)
    {
      *dash  = '\0';
      reason = dash + strlen (" - ");
    }

  add_case (self, result, text, reason);
}

FbTap *
fb_tap_parse (const char *text)
{
  g_auto(GStrv)  lines = g_strsplit (text, "\n", -1);
  FbTap         *self  = g_new0 (FbTap, 1);

  self->cases   = g_ptr_array_new_with_free_func ((GDestroyNotify) case_free);
  self->planned = -1;

  for (int i = 0; lines[i] != NULL; i++)
    {
      if (g_str_has_prefix (lines[i], "1.."))
        parse_plan (self, lines[i]);
      else if (g_str_has_prefix (lines[i], "ok "))
        parse_case (self, TRUE, lines[i] + strlen ("ok"));
      else if (g_str_has_prefix (lines[i], "not ok "))
        parse_case (self, FALSE, lines[i] + strlen ("not ok"));
    }

  return self;
}

void
fb_tap_free (FbTap *self)
{
  g_ptr_array_unref (self->cases);
  g_free (self);
}
