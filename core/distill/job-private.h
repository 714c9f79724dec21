/* core/distill/job-private.h: how a job's fields are read; for its neighbours here. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/job.h"

typedef enum { INT, INT64, DOUBLE, BOOL, STRING, CHOICE, LIST } FieldKind;

/* What a change of a field means for a job that goes on */
typedef enum
{
  COMPUTED = 1 << 0,      /* it is another job */
  TUNED    = 1 << 1,      /* the rest is learned in another way; what was learned stays good */
  DATA     = 1 << 2,      /* says where something lies, whose contents are compared instead */
  RUN      = 1 << 3,      /* nothing: it has no part in what is computed */
} FieldPart;

/**
 * Field: one of a job
 * @min, @max: of a number, or of a list's length
 * @choices: of a CHOICE, separated by blanks
 */
typedef struct
{
  const char *name;
  FieldKind   kind;
  gsize       offset;
  double      min, max;
  const char *choices;
  FieldPart   part;
} Field;

/* Sets FIELD: file, field, reason. Returns: %FALSE */
gboolean fb_distill_refuse (const char *path, const char *field, const char *reason, GError **error);

gboolean fb_distill_read_number (JsonNode *node, const char *path, const char *field, double min, double max, gboolean whole, double *value,
                                 GError **error);

/* @node: (nullable): without it, the job keeps its preset's phases, stretched to its steps */
gboolean fb_distill_read_phases (FbDistillJob *job, JsonNode *node, GError **error);
void     fb_distill_add_phases  (JsonBuilder *builder, const FbDistillJob *job);
