/* tests/fuzz/fuzz-lora.c: any bytes as a LoRA for a model of two layers. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <unistd.h>

#include <glib/gstdio.h>

#include "core/formats/lora.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static const FbLoraModule modules[] =
{
  { "a.to_q", 2, { 2, 3 } },
  { "b",      4, { 2, 3, 3, 3 } },
};

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autofree char *path = NULL;
  int              fd   = g_file_open_tmp ("fuzz-XXXXXX.safetensors", &path, NULL);
  g_autoptr(FbLora) lora = NULL;

  g_assert (fd >= 0 && write (fd, data, size) == (gssize) size);
  close (fd);
  lora = fb_lora_open (path, NULL);
  if (lora != NULL && fb_lora_match (lora, "unet", modules, G_N_ELEMENTS (modules), NULL))
    {
      float         weight[2 * 3 * 3 * 3] = { 0 };
      g_auto(GStrv) left                  = fb_lora_unmatched (lora);

      for (guint m = 0; m < G_N_ELEMENTS (modules); m++)
        fb_lora_add_delta (lora, "unet", modules[m].path, 1.0f, weight, NULL, NULL);
    }
  g_unlink (path);

  return 0;
}
