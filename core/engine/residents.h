/* core/engine/residents.h: models that stay in memory between jobs. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

/**
 * FbResidents: objects by key, least recently used first out. Only the worker thread takes, adds and drops; any thread may list.
 */
typedef struct FbResidents FbResidents;

/* bytes that @object holds now; called on the worker thread */
typedef guint64 (* FbResidentBytesFunc) (gpointer object);

FbResidents * fb_residents_new  (guint64 budget);
void          fb_residents_free (FbResidents *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbResidents, fb_residents_free)

/* (transfer none) (nullable): the object under @key, which becomes the most recently used */
gpointer fb_residents_get  (FbResidents *self, const char *key);

/**
 * fb_residents_add:
 * @key: not there yet
 * @info: a{sv} for fb_residents_list(), which adds "bytes"; a floating reference is taken
 * @object: (transfer full)
 */
void     fb_residents_add  (FbResidents *self, const char *key, GVariant *info, gpointer object, FbResidentBytesFunc bytes, GDestroyNotify free_func);

/* Drops @key, or everything where @key is %NULL. Returns: how many objects went */
int      fb_residents_drop (FbResidents *self, const char *key);

/**
 * fb_residents_settle:
 *
 * Measures what is held now and drops the least recently used until the budget holds. Called after each job: while a job runs, its model may exceed
 * the budget, and is then dropped at the end.
 */
void     fb_residents_settle (FbResidents *self);

/**
 * fb_residents_make_room:
 * @keep: (nullable): never dropped
 * @needed: bytes a job is about to take
 * @available: bytes the system can give now
 *
 * Drops the least recently used until @needed fits into what is available, or nothing is left to drop. Returns: @available, with what was dropped
 */
guint64  fb_residents_make_room (FbResidents *self, const char *keep, guint64 needed, guint64 available);

/* Any thread: */
gboolean fb_residents_has   (FbResidents *self, const char *key);
guint64  fb_residents_bytes (FbResidents *self);
guint64  fb_residents_budget (const FbResidents *self);

/* Returns: (transfer floating): aa{sv}, most recently used first */
GVariant * fb_residents_list (FbResidents *self);
