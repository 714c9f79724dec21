/* core/store/store-scan.h: finds models in folders. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/store/store.h"

void fb_store_entry_free (gpointer entry);

/* Appends what of @kind lies in @folder to @entries, sorted, and gives it names that are not taken there. A folder that does not exist or
 * cannot be read holds nothing. */
void fb_store_scan (GPtrArray *entries, FbStoreKind kind, const char *folder, gboolean is_embedded);
