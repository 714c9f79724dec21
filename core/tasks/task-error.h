/* core/tasks/task-error.h: what can be wrong with a request. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

typedef enum
{
  FB_TASK_ERROR_FIELD,      /* a field of the request has a value that cannot be used; the message names it */
  FB_TASK_ERROR_MEMORY,     /* the job needs more memory than there is; the message has the estimate */
} FbTaskError;
#define FB_TASK_N_ERRORS (FB_TASK_ERROR_MEMORY + 1)

#define FB_TASK_ERROR (fb_task_error_quark ())
GQuark   fb_task_error_quark (void);

/* Sets MEMORY: there is none for a picture of that size. Returns: %FALSE */
gboolean fb_task_no_memory   (int width, int height, GError **error);
