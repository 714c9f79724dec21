/* tests/fuzz/fuzz-keymap.c: any text as a key map, and as a tensor's name. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/formats/keymap.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autofree char    *text  = g_strndup ((const char *) data, size);
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbKeymap) map   = fb_keymap_parse (text, &error);
  g_autofree char    *known = fb_keymap_to_ours (fb_keymap_get ("unet-ldm"), "", text);

  g_assert ((map == NULL) == (error != NULL));
  if (map != NULL)
    {
      g_autofree char *ours   = fb_keymap_to_ours (map, "", text);
      g_auto(GStrv)    theirs = fb_keymap_to_theirs (map, "", "a.0.weight");
    }

  return 0;
}
