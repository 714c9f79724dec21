/* tests/gimp/make-lora.c: writes a LoRA that changes nothing. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * flashbrush-make-lora FILE WIDTH [KEY VALUE]…: rank 1, zeros, for one layer of a UNet whose cross-attention is WIDTH wide (192 fits the model that
 * comes along, 768 Stable Diffusion 1.x); the pairs go into the header's metadata.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/formats/safetensors-writer.h"

int
main (int argc, char **argv)
{
  static const char              key[]  = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k";
  const gint64                   width  = argc > 2 ? CLAMP (atoi (argv[2]), 1, 4096) : 0;
  const gint64                   down[] = { 1, width }, up[] = { 256, 1 };
  g_autofree float              *zeros  = g_new0 (float, width + 256);
  g_autoptr(GError)              error  = NULL;
  g_autoptr(FbSafetensorsWriter) writer = width > 0 ? fb_safetensors_writer_new (argv[1]) : NULL;

  if (writer == NULL)
    {
      fprintf (stderr, "flashbrush-make-lora FILE WIDTH [KEY VALUE]...\n");
      return 2;
    }
  for (int i = 3; i + 1 < argc; i += 2)
    fb_safetensors_writer_set_metadata (writer, argv[i], argv[i + 1]);
  {
    g_autofree char *a = g_strconcat (key, ".lora_A.weight", NULL), *b = g_strconcat (key, ".lora_B.weight", NULL);

    fb_safetensors_writer_add (writer, a, FB_DTYPE_F32, 2, down);
    fb_safetensors_writer_add (writer, b, FB_DTYPE_F32, 2, up);
  }
  if (fb_safetensors_writer_write (writer, zeros, sizeof *zeros * (gsize) (width + 256), &error) && fb_safetensors_writer_finish (writer, &error))
    return 0;
  fprintf (stderr, "flashbrush-make-lora: %s\n", error->message);
  return 1;
}
