/* core/store/store-scan.h: finds models in folders. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/store/store.h"

typedef enum
{
  FB_STORE_EMBEDDED,
  FB_STORE_OWN,           /* links that lead nowhere are listed here, so that they can be removed */
  FB_STORE_ADDED,
} FbStorePlace;

/* Appends what of @kind lies in @folder to @entries, sorted, without the paths in @hidden, and gives it names that are not taken there. A folder
 * that does not exist or cannot be read holds nothing. */
void fb_store_scan (GPtrArray *entries, FbStoreKind kind, const char *folder, FbStorePlace place, const char * const *hidden);

/* Whether @path is a folder that is one entry of @kind: a diffusers model … */
gboolean fb_store_is_entry_folder (FbStoreKind kind, const char *path);
