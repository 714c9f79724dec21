/* core/formats/model-error.c: the error domain of model files. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/formats/model-error.h"

#include <errno.h>

#include <glib/gi18n-lib.h>

static const GDBusErrorEntry entries[] =
{
  { FB_MODEL_ERROR_TRUNCATED,      "org.flashbrush.Error.Truncated"     },
  { FB_MODEL_ERROR_BAD_HEADER,     "org.flashbrush.Error.BadHeader"     },
  { FB_MODEL_ERROR_BAD_CONFIG,     "org.flashbrush.Error.BadConfig"     },
  { FB_MODEL_ERROR_MISSING_TENSOR, "org.flashbrush.Error.MissingTensor" },
  { FB_MODEL_ERROR_SHAPE,          "org.flashbrush.Error.Shape"         },
  { FB_MODEL_ERROR_DTYPE,          "org.flashbrush.Error.Dtype"         },
  { FB_MODEL_ERROR_NOT_FINITE,     "org.flashbrush.Error.NotFinite"     },
  { FB_MODEL_ERROR_FAMILY,         "org.flashbrush.Error.Family"        },
  { FB_MODEL_ERROR_PICKLE,         "org.flashbrush.Error.Pickle"        },
  { FB_MODEL_ERROR_NOT_FOUND,      "org.flashbrush.Error.NotFound"      },
  { FB_MODEL_ERROR_UNSUPPORTED,    "org.flashbrush.Error.Unsupported"   },
  { FB_MODEL_ERROR_IO,             "org.flashbrush.Error.ModelIo"       },
};
G_STATIC_ASSERT (G_N_ELEMENTS (entries) == FB_MODEL_N_ERRORS);

GQuark
fb_model_error_quark (void)
{
  static gsize quark = 0;
  g_dbus_error_register_error_domain ("fb-model-error-quark", &quark, entries, G_N_ELEMENTS (entries));
  return (GQuark) quark;
}

void
fb_model_error_set_errno (GError **error, int code, const char *path, gboolean writing)
{
  switch (code)
    {
    case ENOENT:
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND,
                   writing ? _("“%s” could not be written: the folder does not exist. Create it or choose another one.")
                           : _("“%s” does not exist. Check the name, or choose another file."), path);
      break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO,
                   _("“%s” could not be written: the disk is full. Free some space or choose another folder."), path);
      break;
    case EROFS:
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO,
                   _("“%s” could not be written: the disk is read-only. Choose another folder."), path);
      break;
    case EACCES:
    case EPERM:
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO,
                   writing ? _("“%s” could not be written: permission denied. Choose a folder that belongs to you.")
                           : _("“%s” could not be read: permission denied. Ask its owner for access, or copy the file."), path);
      break;
    default:
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO,
                   writing ? _("“%s” could not be written: %s.") : _("“%s” could not be read: %s."), path, g_strerror (code));
    }
}
