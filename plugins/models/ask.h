/* plugins/models/ask.h: questions and jobs for the engine that are waited for. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimp.h>

#include "core/engine/client.h"

/**
 * fb_ask_models, fb_ask_loaded, fb_ask_capabilities: (blocking)
 *
 * Returns: (transfer full): as the client's functions of these names give it
 */
GVariant * fb_ask_models       (FbEngineClient *client, GError **error);
GVariant * fb_ask_loaded       (FbEngineClient *client, GError **error);
GVariant * fb_ask_capabilities (FbEngineClient *client, GError **error);

/**
 * fb_ask_job: (blocking)
 * @request: a{sv}; a floating reference is taken
 *
 * Runs a job that makes no pictures while GIMP shows its progress.
 *
 * Returns: (transfer full): what it gives
 */
GVariant * fb_ask_job          (FbEngineClient *client, const char *kind, GVariant *request, GError **error);

/* (transfer full): of what fb_ask_models() gave, the entry called @name (case does not matter) or lying there, of @kind or, for "", any;
 * %NULL with @error */
GVariant * fb_ask_find         (GVariant *models, const char *kind, const char *name, GError **error);
