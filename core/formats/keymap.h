/* core/formats/keymap.h: translates tensor names between programs. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

/**
 * FbKeymap:
 *
 * A table of name pairs, one "theirs ours" per line, as data/keymaps/README explains: `*` stands for an index that is carried over, and
 * a `{section}` at the end of both for any line of that section. A name is translated only if it matches as a whole.
 */
typedef struct FbKeymap FbKeymap;

/**
 * fb_keymap_get:
 * @name: "unet-ldm", "vae-ldm" …: the base name of a file in data/keymaps/; built in, so that no file is needed at run time
 *
 * Returns: (transfer none): lives as long as the process.
 */
const FbKeymap * fb_keymap_get (const char *name);

/* (transfer full) (nullable): our name for their @name, by the lines of @section ("" is what stands before the first heading). */
char *  fb_keymap_to_ours   (const FbKeymap *map, const char *section, const char *name);
/* (transfer full): all their names for our @name; several lines may lead to one name. %NULL-terminated. */
char ** fb_keymap_to_theirs (const FbKeymap *map, const char *section, const char *name);

/* For tests and fuzzing: a map from text, or %NULL with %G_KEY_FILE_ERROR_PARSE. */
FbKeymap * fb_keymap_parse (const char *text, GError **error);
void       fb_keymap_free  (FbKeymap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbKeymap, fb_keymap_free)

/* For tests: how many name pairs there are, and how often each has been used to translate into our names. */
guint         fb_keymap_n_lines (const FbKeymap *map);
const guint * fb_keymap_hits    (const FbKeymap *map);
