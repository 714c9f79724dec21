/* core/formats/model-error.h: what can be wrong with a model file. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

typedef enum
{
  FB_MODEL_ERROR_TRUNCATED,       /* file ends before the data its header promises */
  FB_MODEL_ERROR_BAD_HEADER,      /* header breaks its format's rules */
  FB_MODEL_ERROR_BAD_CONFIG,      /* a JSON file beside the weights cannot be used */
  FB_MODEL_ERROR_MISSING_TENSOR,  /* a tensor the model needs is not in the file */
  FB_MODEL_ERROR_SHAPE,           /* a tensor has another shape than the model needs */
  FB_MODEL_ERROR_DTYPE,           /* a tensor has an element type nobody here can read */
  FB_MODEL_ERROR_NOT_FINITE,      /* a tensor holds NaN or infinity */
  FB_MODEL_ERROR_FAMILY,          /* no family fits, or a LoRA fits another family */
  FB_MODEL_ERROR_PICKLE,          /* a pickled checkpoint */
  FB_MODEL_ERROR_NOT_FOUND,       /* no such model, component or file */
  FB_MODEL_ERROR_UNSUPPORTED,     /* recognised, but not supported: the message says what it is */
  FB_MODEL_ERROR_IO,              /* the system could not read or write: full disk, no permission … */
} FbModelError;
#define FB_MODEL_N_ERRORS (FB_MODEL_ERROR_IO + 1)

#define FB_MODEL_ERROR (fb_model_error_quark ())
GQuark fb_model_error_quark (void);

/* Sets @error from the errno value @code, with a sentence that names @path, the reason and, where there is one, a way out. */
void   fb_model_error_set_errno (GError **error, int code, const char *path, gboolean writing);
