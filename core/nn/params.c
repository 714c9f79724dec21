/* core/nn/params.c: the named weights of a network. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/nn/params.h"

struct FbParams
{
  GArray     *list;        /* of FbParam */
  GHashTable *by_name;     /* FbParam.name -> index + 1 */
  GString    *prefix;
  GArray     *marks;       /* of gsize: @prefix's lengths before each enter */
};

void
fb_table_add_row (const FbTable *table, int row, float *out)
{
  const size_t     size   = fb_dtype_size (table->dtype);
  g_autofree float *values = g_new (float, table->width);

  g_assert (row >= 0 && row < table->n_rows);

  fb_dtype_convert (values, FB_DTYPE_F32, (const char *) table->rows + (size_t) row * table->width * size, table->dtype, table->width);
  for (int i = 0; i < table->width; i++)
    out[i] += values[i];
}

void
fb_param_empty (const FbParam *param)
{
  switch (param->kind)
    {
    case FB_PARAM_CONV2D:
    case FB_PARAM_CONV2D_UPSAMPLE:
    case FB_PARAM_LINEAR:
      g_clear_pointer (param->slot.weight, fb_weight_unref);
      break;
    case FB_PARAM_VECTOR:
      g_clear_pointer (param->slot.tensor, fb_tensor_unref);
      break;
    case FB_PARAM_TABLE:
      g_clear_pointer (&param->slot.table->rows, g_free);
      break;
    }
}

FbParams *
fb_params_new (void)
{
  FbParams *params = g_new0 (FbParams, 1);

  params->list = g_array_new (FALSE, FALSE, sizeof (FbParam));
  params->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  params->prefix = g_string_new (NULL);
  params->marks = g_array_new (FALSE, FALSE, sizeof (gsize));

  return params;
}

void
fb_params_free (FbParams *params)
{
  if (params == NULL)
    return;

  fb_params_clear (params);
  for (guint i = 0; i < params->list->len; i++)
    {
      FbParam *param = &g_array_index (params->list, FbParam, i);

      fb_param_set_trains (param, NULL, FALSE);
      g_free (param->name);
    }
  g_array_unref (params->list);
  g_hash_table_unref (params->by_name);
  g_string_free (params->prefix, TRUE);
  g_array_unref (params->marks);
  g_free (params);
}

void
fb_params_enter (FbParams *params, const char *format, ...)
{
  va_list args;

  g_array_append_val (params->marks, params->prefix->len);
  va_start (args, format);
  g_string_append_vprintf (params->prefix, format, args);
  va_end (args);
}

void
fb_params_leave (FbParams *params)
{
  g_assert (params->marks->len > 0);

  g_string_truncate (params->prefix, g_array_index (params->marks, gsize, params->marks->len - 1));
  g_array_set_size (params->marks, params->marks->len - 1);
}

/* Returns the new entry; valid until the next */
static FbParam *
add (FbParams *params, const char *name, const char *suffix, FbParamKind kind, int n_dims, const int *shape)
{
  FbParam param = { .name = g_strconcat (params->prefix->str, name, suffix, NULL), .kind = kind, .n_dims = n_dims, .n_elements = 1 };

  for (int i = 0; i < n_dims; i++)
    {
      param.shape[i] = shape[i];
      param.n_elements *= shape[i];
    }
  g_assert (fb_params_lookup (params, param.name) == NULL);

  g_array_append_val (params->list, param);
  g_hash_table_insert (params->by_name, param.name, GUINT_TO_POINTER (params->list->len));

  return &g_array_index (params->list, FbParam, params->list->len - 1);
}

static void
add_vector (FbParams *params, FbTensor **slot, FbTensor **gradient, const char *name, const char *suffix, int channels)
{
  FbParam *param = add (params, name, suffix, FB_PARAM_VECTOR, 1, &channels);

  param->slot.tensor = slot;
  param->gradient = gradient;
}

void
fb_params_conv2d (FbParams *params, FbConv2d *m, const char *name, int in_channels, int out_channels, int kernel)
{
  const int            pad = kernel / 2;
  const FbConv2dParams settings = { .stride = 1, .pad_top = pad, .pad_left = pad, .pad_bottom = pad, .pad_right = pad, .upsample = 1 };

  fb_params_conv2d_full (params, m, name, in_channels, out_channels, kernel, TRUE, &settings);
}

void
fb_params_conv2d_full (FbParams *params, FbConv2d *m, const char *name, int in_channels, int out_channels, int kernel,
                       gboolean bias, const FbConv2dParams *settings)
{
  const int shape[] = { out_channels, in_channels, kernel, kernel };
  FbParam  *param   = add (params, name, ".weight", FB_PARAM_CONV2D, 4, shape);

  m->params = *settings;
  param->slot.weight = &m->weight;
  param->gradient = &m->dweight;
  param->lora = &m->lora;
  param->enlarges = settings->upsample > 1;
  if (param->enlarges)
    param->kind = FB_PARAM_CONV2D_UPSAMPLE;
  if (bias)
    add_vector (params, &m->bias, &m->dbias, name, ".bias", out_channels);
}

void
fb_params_linear (FbParams *params, FbLinear *m, const char *name, int in_channels, int out_channels, gboolean bias)
{
  const int shape[] = { out_channels, in_channels };
  FbParam  *param   = add (params, name, ".weight", FB_PARAM_LINEAR, 2, shape);

  param->slot.weight = &m->weight;
  param->gradient = &m->dweight;
  param->lora = &m->lora;
  if (bias)
    add_vector (params, &m->bias, &m->dbias, name, ".bias", out_channels);
}

void
fb_params_group_norm (FbParams *params, FbNorm *m, const char *name, int channels, int n_groups, float eps)
{
  m->n_groups = n_groups;
  m->eps = eps;
  add_vector (params, &m->weight, &m->dweight, name, ".weight", channels);
  add_vector (params, &m->bias, &m->dbias, name, ".bias", channels);
}

void
fb_params_layer_norm (FbParams *params, FbNorm *m, const char *name, int channels, float eps)
{
  fb_params_group_norm (params, m, name, channels, 1, eps);
}

void
fb_params_table (FbParams *params, FbTable *m, const char *name, int n_rows, int width)
{
  const int shape[] = { n_rows, width };

  m->n_rows = n_rows;
  m->width = width;
  add (params, name, ".weight", FB_PARAM_TABLE, 2, shape)->slot.table = m;
}

void
fb_params_weights (FbParams *params, FbTensor **weight, const char *name, int in_channels)
{
  const int shape[] = { 1, in_channels };

  add (params, name, ".weight", FB_PARAM_VECTOR, 2, shape)->slot.tensor = weight;
}

guint
fb_params_n (const FbParams *params)
{
  return params->list->len;
}

const FbParam *
fb_params_get (const FbParams *params, guint i)
{
  g_assert (i < params->list->len);

  return &g_array_index (params->list, FbParam, i);
}

const FbParam *
fb_params_lookup (const FbParams *params, const char *name)
{
  const guint i = GPOINTER_TO_UINT (g_hash_table_lookup (params->by_name, name));

  return i > 0 ? fb_params_get (params, i - 1) : NULL;
}

static const FbWeightKind weight_kinds[] =
{
  [FB_PARAM_CONV2D]          = FB_WEIGHT_CONV2D,
  [FB_PARAM_CONV2D_UPSAMPLE] = FB_WEIGHT_CONV2D_UPSAMPLE,
  [FB_PARAM_LINEAR]          = FB_WEIGHT_LINEAR,
};

void
fb_params_set_odd_sizes (FbParams *params, gboolean odd)
{
  for (guint i = 0; i < params->list->len; i++)
    {
      FbParam *param = &g_array_index (params->list, FbParam, i);

      if (param->enlarges)
        param->kind = odd ? FB_PARAM_CONV2D : FB_PARAM_CONV2D_UPSAMPLE;
    }
}

gboolean
fb_param_is_filled (const FbParam *param)
{
  switch (param->kind)
    {
    case FB_PARAM_VECTOR:
      return *param->slot.tensor != NULL;
    case FB_PARAM_TABLE:
      return param->slot.table->rows != NULL;
    default:
      return *param->slot.weight != NULL && fb_weight_kind (*param->slot.weight) == weight_kinds[param->kind];
    }
}

void
fb_param_fill_half (const FbParam *param, FbDevice *dev, const void *data, FbDtype data_dtype)
{
  switch (param->kind)
    {
    case FB_PARAM_CONV2D:
    case FB_PARAM_CONV2D_UPSAMPLE:
    case FB_PARAM_LINEAR:
      fb_param_empty (param);
      *param->slot.weight = fb_weight_new_half (dev, weight_kinds[param->kind], param->shape, data, data_dtype);
      break;
    case FB_PARAM_VECTOR:
      fb_param_fill (param, dev, FB_DTYPE_F32, data, data_dtype);
      break;
    case FB_PARAM_TABLE:
      fb_param_fill (param, dev, data_dtype, data, data_dtype);       /* its rows are widened one by one */
      break;
    }
}

void
fb_param_fill (const FbParam *param, FbDevice *dev, FbDtype dtype, const void *data, FbDtype data_dtype)
{
  fb_param_empty (param);
  switch (param->kind)
    {
    case FB_PARAM_CONV2D:
    case FB_PARAM_CONV2D_UPSAMPLE:
    case FB_PARAM_LINEAR:
      *param->slot.weight = fb_weight_new (dev, weight_kinds[param->kind], dtype, param->shape, data, data_dtype);
      break;
    case FB_PARAM_VECTOR:
      *param->slot.tensor = fb_tensor_new (dev, FB_DTYPE_F32, param->n_dims, param->shape);
      fb_tensor_upload (*param->slot.tensor, data, data_dtype);
      break;
    case FB_PARAM_TABLE:
      param->slot.table->dtype = dtype;
      param->slot.table->rows = g_malloc0 (param->n_elements * fb_dtype_size (dtype));
      if (data != NULL)
        fb_dtype_convert (param->slot.table->rows, dtype, data, data_dtype, param->n_elements);
      break;
    }
}

void
fb_param_set_trains (const FbParam *param, FbDevice *dev, gboolean trains)
{
  if (param->gradient == NULL)
    return;

  g_clear_pointer (param->gradient, fb_tensor_unref);
  if (trains)
    {
      g_autofree float *zeros = g_new0 (float, param->n_elements);

      *param->gradient = fb_tensor_new (dev, FB_DTYPE_F32, param->n_dims, param->shape);
      fb_tensor_upload (*param->gradient, zeros, FB_DTYPE_F32);
    }
}

void
fb_params_clear (FbParams *params)
{
  for (guint i = 0; i < params->list->len; i++)
    fb_param_empty (&g_array_index (params->list, FbParam, i));
}

void
fb_params_fill_with_nothing (FbParams *params, FbDevice *dev, FbDtype dtype)
{
  for (guint i = 0; i < fb_params_n (params); i++)
    fb_param_fill (fb_params_get (params, i), dev, dtype, NULL, dtype);
}

guint64
fb_param_bytes (const FbParam *param, FbDtype dtype)
{
  const guint64 size = (guint64) param->n_elements * fb_dtype_size (param->kind == FB_PARAM_VECTOR ? FB_DTYPE_F32 : dtype);

  return param->kind == FB_PARAM_CONV2D_UPSAMPLE ? size * 16 / 9 : size;       /* a 3×3 kernel folds into four 2×2 ones */
}

guint64
fb_param_half_bytes (const FbParam *param)
{
  return (guint64) param->n_elements * (param->kind == FB_PARAM_VECTOR ? sizeof (float) : sizeof (guint16));      /* kernels are folded later */
}

guint64
fb_params_bytes (const FbParams *params, FbDtype dtype)
{
  guint64 bytes = 0;

  for (guint i = 0; i < params->list->len; i++)
    bytes += fb_param_bytes (&g_array_index (params->list, FbParam, i), dtype);

  return bytes;
}

guint64
fb_params_held_bytes (const FbParams *params, gboolean with_tables)
{
  guint64 bytes = 0;

  for (guint i = 0; i < params->list->len; i++)
    {
      const FbParam *param = &g_array_index (params->list, FbParam, i);

      if (!fb_param_is_filled (param))
        continue;
      if (param->kind == FB_PARAM_VECTOR)
        bytes += (*param->slot.tensor)->n_bytes;
      else if (param->kind != FB_PARAM_TABLE)
        bytes += fb_weight_n_bytes (*param->slot.weight);
      else if (with_tables)
        bytes += param->n_elements * fb_dtype_size (param->slot.table->dtype);
    }

  return bytes;
}
