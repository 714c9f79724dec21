/* core/engine/catalogue.h: what is installed, in the protocol's words. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/job-kind.h"
#include "core/store/store.h"

/* (transfer full): as fb_engine_client_list_models_finish() says; on the clerk's thread */
GVariant *   fb_catalogue_list      (FbWorkshop *workshop, GCancellable *cancellable, GError **error);

/* "checkpoint", "lora", "vae", "taesd" */
const char * fb_catalogue_kind_name (FbStoreKind kind);

/* @kind: (out): FB_STORE_N_KINDS for "". %FB_ENGINE_ERROR_REQUEST for a name that is none. */
gboolean     fb_catalogue_find_kind (const char *name, FbStoreKind *kind, GError **error);

/* (transfer none) (nullable): what people call a family of models, untranslated; %NULL for one that is not known. @family: (nullable) */
const char * fb_catalogue_family_label (const char *family);
