/* core/formats/lora-delta.c: adds a LoRA's change to a weight. SPDX-License-Identifier: LGPL-3.0-or-later
 * Source: arXiv:2106.09685, section 4.1, ΔW = alpha / rank · B A, with B the file's up and A its down; convolutions flattened to
 * matrices, and arXiv:2108.06098, appendix A, for the Tucker core (mid). */
#include "core/formats/lora-private.h"

/* The whole tensor as floats; NULL with @error set. */
static float *
read_part (FbLora *self, const FbTensorInfo *info, GCancellable *cancellable, GError **error)
{
  guint64          n    = fb_tensor_info_n_elements (info);
  g_autofree float *data = g_new (float, n);

  if (!fb_safetensors_read_f32 (self->file, info, 0, n, data, cancellable, error))
    return NULL;
  return g_steal_pointer (&data);
}

/* row += a0 r0 + a1 r1 + a2 r2 + a3 r3: four rows of down at a time, so that the sum is loaded and stored a quarter as often */
static void
add_rows (float *restrict row, const float *restrict rows, const float *a, size_t n)
{
  const float *restrict r0 = rows, *restrict r1 = rows + n, *restrict r2 = rows + 2 * n, *restrict r3 = rows + 3 * n;

#pragma omp simd
  for (size_t i = 0; i < n; i++)
    row[i] += (a[0] * r0[i] + a[1] * r1[i]) + (a[2] * r2[i] + a[3] * r3[i]);
}

static void
add_row (float *restrict row, const float *restrict other, float a, size_t n)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++)
    row[i] += a * other[i];
}

/* row [n] = Σ_p a[p] · matrix[p], matrix [rank, n] */
static void
row_times_matrix (float *row, const float *a, const float *matrix, int rank, size_t n)
{
  int p = 0;

  for (size_t i = 0; i < n; i++)
    row[i] = 0.0f;
  for (; p + 4 <= rank; p += 4)
    add_rows (row, matrix + p * n, a + p, n);
  for (; p < rank; p++)
    add_row (row, matrix + p * n, a[p], n);
}

/* mid [r, r, K] and down [r, in] to one down [r, in, K]: out[p, i, k] = Σ_q mid[p, q, k] down[q, i] */
static float *
contract (const float *mid, const float *down, int rank, int n_in, int n_kernel)
{
  float *out = g_new0 (float, (size_t) rank * n_in * n_kernel);

  for (int p = 0; p < rank; p++)
    for (int q = 0; q < rank; q++)
      for (int i = 0; i < n_in; i++)
        for (int k = 0; k < n_kernel; k++)
          out[((size_t) p * n_in + i) * n_kernel + k] += mid[((size_t) p * rank + q) * n_kernel + k] * down[(size_t) q * n_in + i];

  return out;
}

gboolean
fb_lora_add_delta (FbLora *self, const char *component, const char *module, float strength, float *weight, GCancellable *cancellable,
                   GError **error)
{
  g_autofree char   *place = g_strdup_printf ("%s %s", component, module);
  const FbLoraLayer *layer = g_hash_table_lookup (self->matched, place);
  g_autofree float  *down  = NULL, *mid = NULL, *up = NULL, *row = NULL;
  size_t             n;
  float              factor;

  if (layer == NULL)
    return TRUE;

  down = read_part (self, layer->part[FB_LORA_DOWN], cancellable, error);
  up   = down != NULL ? read_part (self, layer->part[FB_LORA_UP], cancellable, error) : NULL;
  if (up == NULL)
    return FALSE;
  if (layer->part[FB_LORA_MID] != NULL)
    {
      float *whole;

      mid = read_part (self, layer->part[FB_LORA_MID], cancellable, error);
      if (mid == NULL)
        return FALSE;
      whole = contract (mid, down, layer->rank, layer->n_in, layer->n_kernel);
      g_free (down);
      down = whole;
    }

  n      = (size_t) layer->n_in * layer->n_kernel;
  row    = g_new (float, n);
  factor = strength * layer->scale;
  for (int o = 0; o < layer->n_out; o++)
    {
      if (g_cancellable_set_error_if_cancelled (cancellable, error))
        return FALSE;
      row_times_matrix (row, up + (size_t) o * layer->rank, down, layer->rank, n);
      add_row (weight + o * n, row, factor, n);
    }

  return TRUE;
}
