/* core/engine/error.h: what can go wrong between engine and client. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

typedef enum
{
  FB_ENGINE_ERROR_NO_SOCKET,      /* neither the runtime folder nor the cache folder can hold the socket */
  FB_ENGINE_ERROR_NO_ENGINE,      /* the engine could not be started, or nobody answers at the socket */
  FB_ENGINE_ERROR_TIMED_OUT,      /* the engine stopped answering */
  FB_ENGINE_ERROR_DIED,           /* the connection was lost: the engine crashed or was killed */
  FB_ENGINE_ERROR_BUSY,           /* an engine of another version still works for other clients; or too many jobs wait */
  FB_ENGINE_ERROR_LEAVING,        /* the engine takes no more jobs; ask again and a new one is started */
  FB_ENGINE_ERROR_PROTOCOL,       /* a message that no client or engine of ours sends */
  FB_ENGINE_ERROR_UNKNOWN_KIND,   /* no such kind of job */
  FB_ENGINE_ERROR_REQUEST,        /* a key of the request is missing, has the wrong type, or is out of range */
  FB_ENGINE_ERROR_PIXELS,         /* a picture with impossible sizes, or whose data isn't what was promised */
  FB_ENGINE_ERROR_NO_MEMORY,      /* the estimate exceeds what is available */
  FB_ENGINE_ERROR_HUNG,           /* a cancelled job did not end; the engine gave itself up */
  FB_ENGINE_ERROR_SETTINGS,       /* a key of engine.conf */
} FbEngineError;
#define FB_ENGINE_N_ERRORS (FB_ENGINE_ERROR_SETTINGS + 1)

/* Registered with GDBus, so that codes cross the socket. */
#define FB_ENGINE_ERROR (fb_engine_error_quark ())
GQuark fb_engine_error_quark (void);
