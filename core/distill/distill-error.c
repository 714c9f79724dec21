/* core/distill/distill-error.c: the error domain of training jobs. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/distill-error.h"

static const GDBusErrorEntry entries[] =
{
  { FB_DISTILL_ERROR_FIELD,       "org.flashbrush.Error.DistillField"       },
  { FB_DISTILL_ERROR_DATA,        "org.flashbrush.Error.DistillData"        },
  { FB_DISTILL_ERROR_LOCKED,      "org.flashbrush.Error.DistillLocked"      },
  { FB_DISTILL_ERROR_HOPELESS,    "org.flashbrush.Error.DistillHopeless"    },
  { FB_DISTILL_ERROR_NOT_FINITE,  "org.flashbrush.Error.DistillNotFinite"   },
  { FB_DISTILL_ERROR_CHECKPOINT,  "org.flashbrush.Error.DistillCheckpoint"  },
  { FB_DISTILL_ERROR_UNSUPPORTED, "org.flashbrush.Error.DistillUnsupported" },
  { FB_DISTILL_ERROR_TEAM,        "org.flashbrush.Error.DistillTeam"        },
  { FB_DISTILL_ERROR_ELSEWHERE,   "org.flashbrush.Error.DistillElsewhere"   },
};
G_STATIC_ASSERT (G_N_ELEMENTS (entries) == FB_DISTILL_N_ERRORS);

GQuark
fb_distill_error_quark (void)
{
  static gsize quark = 0;
  g_dbus_error_register_error_domain ("fb-distill-error-quark", &quark, entries, G_N_ELEMENTS (entries));
  return (GQuark) quark;
}
