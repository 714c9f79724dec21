/* core/store/store-private.h: what a store remembers. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/store/store.h"

struct FbStore
{
  char       *conf;                         /* path of folders.conf */
  GStrv       folders[FB_STORE_N_KINDS];    /* added by the user */
  GStrv       hidden[FB_STORE_N_KINDS];     /* paths in those folders that the user does not want listed */
  GHashTable *defaults;                     /* task -> name or path of a model */
  GHashTable *known;                        /* path -> Known */
};

/* "models", "loras" …: of the folders, and of the keys in folders.conf */
extern const char * const fb_store_folder_names[FB_STORE_N_KINDS];

/* (transfer full): flashbrush/loras … in the user's data folder */
char *   fb_store_own_folder (FbStoreKind kind);

/* Writes folders.conf; what others wrote into it stays. Errors: IO. */
gboolean fb_store_save (FbStore *self, GError **error);

/* Puts a copy of @list without @without and with @with (both nullable) in the place of @list, unless folders.conf cannot be saved. */
gboolean fb_store_change_list (FbStore *self, GStrv *list, const char *without, const char *with, GError **error);
