/* core/distill/job-private.h: how a job's fields are read; for its neighbours here. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/job.h"

typedef enum { INT, INT64, DOUBLE, BOOL, STRING, CHOICE, LIST } FieldKind;

/**
 * Field: one of a job
 * @min, @max: of a number, or of a list's length
 * @choices: of a CHOICE, separated by blanks
 * @run: whether it has no part in what is computed
 */
typedef struct
{
  const char *name;
  FieldKind   kind;
  gsize       offset;
  double      min, max;
  const char *choices;
  gboolean    run;
} Field;

/* Sets FIELD: file, field, reason. Returns: %FALSE */
gboolean fb_distill_refuse (const char *path, const char *field, const char *reason, GError **error);

gboolean fb_distill_read_number (JsonNode *node, const char *path, const char *field, double min, double max, gboolean whole, double *value,
                                 GError **error);

/* @node: (nullable): without it, the job keeps its preset's phases, stretched to its steps */
gboolean fb_distill_read_phases (FbDistillJob *job, JsonNode *node, GError **error);
void     fb_distill_add_phases  (JsonBuilder *builder, const FbDistillJob *job);
