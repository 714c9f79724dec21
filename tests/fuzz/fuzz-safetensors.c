/* tests/fuzz/fuzz-safetensors.c: any bytes as a safetensors file. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/formats/safetensors.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr(GBytes)        bytes = g_bytes_new_static (data, size);
  g_autoptr(GError)        error = NULL;
  g_autoptr(FbSafetensors) st    = fb_safetensors_parse (bytes, &error);

  g_assert ((st == NULL) == (error != NULL));
  for (guint i = 0; st != NULL && i < fb_safetensors_n_tensors (st); i++)
    {
      const FbTensorInfo *info  = fb_safetensors_tensor (st, i);
      guint64             n     = fb_tensor_info_n_elements (info);
      g_autofree char    *raw   = g_malloc (info->n_bytes + 1);
      g_autofree char    *shape = fb_tensor_info_shape_string (info);

      g_assert (info->n_bytes <= size && fb_safetensors_lookup (st, info->name) == info);
      g_assert (fb_safetensors_read (st, info, 0, info->n_bytes, raw, NULL, NULL));
      if (n <= size)                                           /* an empty tensor may have any other sizes */
        {
          g_autofree float *values = g_new (float, n + 1);

          fb_safetensors_read_f32 (st, info, 0, n, values, NULL, NULL);
        }
    }

  return 0;
}
