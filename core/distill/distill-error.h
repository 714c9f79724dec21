/* core/distill/distill-error.h: what can be wrong with a training job. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

typedef enum
{
  FB_DISTILL_ERROR_FIELD,         /* a field of the job file cannot be used; the message names it */
  FB_DISTILL_ERROR_DATA,          /* no pictures, no captions, none that can be read */
  FB_DISTILL_ERROR_LOCKED,        /* the job is running in another process */
  FB_DISTILL_ERROR_HOPELESS,      /* more memory or time than there is; the message has the figures */
  FB_DISTILL_ERROR_NOT_FINITE,    /* a loss or gradient is not a number; the state before it is kept */
  FB_DISTILL_ERROR_CHECKPOINT,    /* a checkpoint belongs to another job, machine or version */
  FB_DISTILL_ERROR_UNSUPPORTED,   /* asked for by the job, not there yet */
  FB_DISTILL_ERROR_TEAM,          /* several processes cannot train together here; the message says why */
  FB_DISTILL_ERROR_ELSEWHERE,     /* another process of the team has failed, and has the reason */
} FbDistillError;
#define FB_DISTILL_N_ERRORS (FB_DISTILL_ERROR_ELSEWHERE + 1)

#define FB_DISTILL_ERROR (fb_distill_error_quark ())
GQuark fb_distill_error_quark (void);
