/* core/models/model-tokenizer.c: the tokenizer that belongs to a checkpoint. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gi18n-lib.h>

#include "core/models/model-private.h"
#include "core/text/clip-tokenizer.h"

const FbClipTokenizer *
fb_model_tokenizer (FbModel *model, GError **error)
{
  g_autofree char            *folder    = g_build_filename (model->path, "tokenizer", NULL);
  g_autoptr(FbClipTokenizer)  tokenizer = NULL;
  int                         n_known;

  if (model->tokenizer != NULL)
    return model->tokenizer;

  if (g_file_test (folder, G_FILE_TEST_IS_DIR))
    tokenizer = fb_clip_tokenizer_new_from_folder (folder, error);
  else
    tokenizer = fb_clip_tokenizer_new_standard (error);          /* single files bring none: theirs is the standard one */
  if (tokenizer == NULL)
    return NULL;

  n_known = fb_clip_text_config (model->text)->vocabulary;
  if (fb_clip_tokenizer_n_ids (tokenizer) > n_known)
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_SHAPE,
                   _("“%s” cannot be used: its tokenizer has %d tokens, its text encoder knows %d. Fetch the model again."),
                   model->path, fb_clip_tokenizer_n_ids (tokenizer), n_known);
      return NULL;
    }

  model->tokenizer = g_steal_pointer (&tokenizer);
  return model->tokenizer;
}
