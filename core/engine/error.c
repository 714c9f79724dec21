/* core/engine/error.c: names under which error codes cross the socket. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/error.h"

static const GDBusErrorEntry entries[] =
{
  { FB_ENGINE_ERROR_NO_SOCKET,    "org.flashbrush.Error.Engine.NoSocket"    },
  { FB_ENGINE_ERROR_NO_ENGINE,    "org.flashbrush.Error.Engine.NoEngine"    },
  { FB_ENGINE_ERROR_TIMED_OUT,    "org.flashbrush.Error.Engine.TimedOut"    },
  { FB_ENGINE_ERROR_DIED,         "org.flashbrush.Error.Engine.Died"        },
  { FB_ENGINE_ERROR_BUSY,         "org.flashbrush.Error.Engine.Busy"        },
  { FB_ENGINE_ERROR_LEAVING,      "org.flashbrush.Error.Engine.Leaving"     },
  { FB_ENGINE_ERROR_PROTOCOL,     "org.flashbrush.Error.Engine.Protocol"    },
  { FB_ENGINE_ERROR_UNKNOWN_KIND, "org.flashbrush.Error.Engine.UnknownKind" },
  { FB_ENGINE_ERROR_REQUEST,      "org.flashbrush.Error.Engine.Request"     },
  { FB_ENGINE_ERROR_PIXELS,       "org.flashbrush.Error.Engine.Pixels"      },
  { FB_ENGINE_ERROR_NO_MEMORY,    "org.flashbrush.Error.Engine.NoMemory"    },
  { FB_ENGINE_ERROR_HUNG,         "org.flashbrush.Error.Engine.Hung"        },
  { FB_ENGINE_ERROR_SETTINGS,     "org.flashbrush.Error.Engine.Settings"    },
};
G_STATIC_ASSERT (G_N_ELEMENTS (entries) == FB_ENGINE_N_ERRORS);

GQuark
fb_engine_error_quark (void)
{
  static gsize quark = 0;
  g_dbus_error_register_error_domain ("fb-engine-error-quark", &quark, entries, G_N_ELEMENTS (entries));
  return (GQuark) quark;
}
