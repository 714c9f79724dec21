/* core/engine/settings.h: engine.conf. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#define FB_SETTINGS_MAX_THREADS 1024      /* of more, some systems cannot make stacks */

/**
 * FbSettings: the group [engine] of $XDG_CONFIG_HOME/flashbrush/engine.conf; absent keys take defaults
 * @threads: threads an op may use, 0 … 1024; 0 is one per physical core
 * @nice: how far jobs stand behind other programs, 0 … 19; 10
 * @memory_budget: bytes of models that stay loaded between jobs ("6GB", "800MB", or a share such as "50%" of the available memory); half
 * @idle_seconds: without work until the engine leaves, 0.1 … 1e6; 300
 * @hang_seconds: a cancelled job has to end before the engine gives itself up, 0.1 … 1e6; 30
 * @dtype: "auto", "f32", "bf16" or "f16"; what a request that says "auto" gets
 */
typedef struct
{
  int     threads;
  int     nice;
  guint64 memory_budget;
  double  idle_seconds;
  double  hang_seconds;
  char   *dtype;
} FbSettings;

/* A file that is not there is no error; an unknown key, a wrong type or a value out of range is, by its name (%FB_ENGINE_ERROR_SETTINGS). */
FbSettings * fb_settings_load (const char *path, GError **error);
void         fb_settings_free (FbSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbSettings, fb_settings_free)

/* (transfer full): the user's engine.conf */
char *       fb_settings_path (void);
