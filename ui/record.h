/* ui/record.h: what made a layer, kept on the layer. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A persistent parasite "flashbrush-parameters" holds one JSON object: the engine's report on the picture. It travels in
 * XCF files that others made, so nothing read back is trusted: only keys of the plug-in's own table are taken, each with
 * its type and range checked.
 */
#pragma once

#include <libgimp/gimp.h>

#include "ui/args.h"

#define FB_RECORD_PARASITE "flashbrush-parameters"
#define FB_RECORD_MASK     "flashbrush-mask"

typedef enum
{
  FB_RECORD_ERROR_NONE,        /* the layer has no record */
  FB_RECORD_ERROR_DAMAGED,     /* it has one that is not ours, or not whole */
} FbRecordError;

#define FB_RECORD_ERROR (fb_record_error_quark ())
GQuark     fb_record_error_quark (void);

/* Writes @parameters, an a{sv}, on @item. */
void       fb_record_write (GimpItem *item, GVariant *parameters);

/**
 * fb_record_read:
 * @args: the table whose keys are wanted
 *
 * Returns: (transfer full): a{sv} with the rows of @args that the record has, of the rows' types, or %NULL with
 * %FB_RECORD_ERROR; the sentence names the layer.
 */
GVariant * fb_record_read  (GimpItem *item, const FbArg *args, GError **error);

/* The same from JSON text of @size bytes. */
GVariant * fb_record_parse (const char *text, gsize size, const FbArg *args, GError **error);

/* The same from a text that need not have a prompt. */
GVariant * fb_record_parse_some (const char *text, gsize size, const FbArg *args, GError **error);

/* (transfer full) (nullable): the record as it is on @item */
GBytes *   fb_record_get   (GimpItem *item);

/**
 * fb_record_complete:
 * @known: what fb_record_get() gave
 * @parameters: those that @known lacks are added, as no step of the undo history
 *
 * Does nothing when @item has another record by now, or none: it was undone, or another picture put into its place.
 */
void       fb_record_complete (GimpItem *item, GBytes *known, GVariant *parameters);

/* What was painted to make the layer, as fb_mask_pack() gives it; %NULL where there is none. */
void       fb_record_write_mask (GimpItem *item, GBytes *mask);
GBytes *   fb_record_read_mask  (GimpItem *item);
