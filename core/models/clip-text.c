/* core/models/clip-text.c: CLIP's text encoder. arXiv:2103.00020. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gi18n-lib.h>

#include "core/models/clip-text.h"
#include "core/models/config.h"

typedef struct
{
  FbNorm   norm1, norm2;
  FbLinear q, k, v, out;
  FbLinear fc1, fc2;
} Layer;

struct FbClipText
{
  FbClipTextConfig config;
  FbParams        *params;
  FbTable          tokens, positions;
  Layer           *layers;
  FbNorm           final_norm;
};

gboolean
fb_clip_text_config_parse (FbClipTextConfig *config, JsonObject *json, const char *path, GError **error)
{
  FbConfigReader r   = { .json = json, .path = path };
  const char    *act = fb_config_string (&r, "hidden_act", "quick_gelu");

  *config = (FbClipTextConfig) {
    .vocabulary  = fb_config_int (&r, "vocab_size", 1, 1000000, 49408),
    .width       = fb_config_int (&r, "hidden_size", 1, 65536, 512),
    .mlp_width   = fb_config_int (&r, "intermediate_size", 1, 262144, 2048),
    .n_layers    = fb_config_int (&r, "num_hidden_layers", 1, 1000, 12),
    .n_heads     = fb_config_int (&r, "num_attention_heads", 1, 1024, 8),
    .n_positions = fb_config_int (&r, "max_position_embeddings", 1, 65536, 77),
    .eps         = fb_config_double (&r, "layer_norm_eps", 1e-12, 1.0, 1e-5),
  };
  if (g_strcmp0 (act, "quick_gelu") == 0)
    config->activation = FB_ACT_QUICK_GELU;
  else if (g_strcmp0 (act, "gelu") == 0)
    config->activation = FB_ACT_GELU;
  else
    fb_config_unsupported (&r, "hidden_act", act);
  if (config->n_heads > 0 && config->width % config->n_heads != 0)
    fb_config_fail (&r, _("hidden_size is not a multiple of num_attention_heads"));

  return fb_config_finish (&r, error);
}

static void
layer_init (Layer *m, FbParams *params, const FbClipTextConfig *c)
{
  fb_params_layer_norm (params, &m->norm1, "layer_norm1", c->width, c->eps);
  fb_params_linear (params, &m->q, "self_attn.q_proj", c->width, c->width, TRUE);
  fb_params_linear (params, &m->k, "self_attn.k_proj", c->width, c->width, TRUE);
  fb_params_linear (params, &m->v, "self_attn.v_proj", c->width, c->width, TRUE);
  fb_params_linear (params, &m->out, "self_attn.out_proj", c->width, c->width, TRUE);
  fb_params_layer_norm (params, &m->norm2, "layer_norm2", c->width, c->eps);
  fb_params_linear (params, &m->fc1, "mlp.fc1", c->width, c->mlp_width, TRUE);
  fb_params_linear (params, &m->fc2, "mlp.fc2", c->mlp_width, c->width, TRUE);
}

FbClipText *
fb_clip_text_new (const FbClipTextConfig *config)
{
  FbClipText *m = g_new0 (FbClipText, 1);
  FbParams   *params = fb_params_new ();

  m->config = *config;
  m->params = params;
  m->layers = g_new0 (Layer, config->n_layers);

  fb_params_enter (params, "text_model.");
  fb_params_table (params, &m->tokens, "embeddings.token_embedding", config->vocabulary, config->width);
  fb_params_table (params, &m->positions, "embeddings.position_embedding", config->n_positions, config->width);
  for (int i = 0; i < config->n_layers; i++)
    {
      fb_params_enter (params, "encoder.layers.%d.", i);
      layer_init (&m->layers[i], params, config);
      fb_params_leave (params);
    }
  fb_params_layer_norm (params, &m->final_norm, "final_layer_norm", config->width, config->eps);
  fb_params_leave (params);

  return m;
}

void
fb_clip_text_free (FbClipText *m)
{
  if (m == NULL)
    return;

  fb_params_free (m->params);
  g_free (m->layers);
  g_free (m);
}

FbParams *
fb_clip_text_params (FbClipText *m)
{
  return m->params;
}

const FbClipTextConfig *
fb_clip_text_config (const FbClipText *m)
{
  return &m->config;
}

/* token + position, [n, n_positions, width]; a few hundred rows, so the host looks them up and no device holds the table */
static FbTensor *
embed (FbContext *ctx, const FbClipText *m, const int *ids, int n)
{
  const int         shape[] = { n, m->config.n_positions, m->config.width };
  g_autofree float *rows    = g_new0 (float, (size_t) shape[0] * shape[1] * shape[2]);

  for (int i = 0; i < n * m->config.n_positions; i++)
    {
      float *row = rows + (size_t) i * m->config.width;

      fb_table_add_row (&m->tokens, ids[i], row);
      fb_table_add_row (&m->positions, i % m->config.n_positions, row);
    }

  return fb_nn_upload (ctx, fb_nn_dtype (ctx), rows, 3, shape);
}

static FbTensor *
layer_forward (FbContext *ctx, const Layer *m, FbTensor *x, const FbClipTextConfig *c)
{
  FbTensor *h, *q, *k, *v;

  fb_nn_scope_begin (ctx);

  h = fb_nn_layer_norm (ctx, &m->norm1, x);
  q = fb_nn_linear (ctx, &m->q, h);
  k = fb_nn_linear (ctx, &m->k, h);
  v = fb_nn_linear (ctx, &m->v, h);
  h = fb_nn_attention (ctx, q, k, v, c->n_heads, TRUE);
  x = fb_nn_linear_add (ctx, &m->out, h, x);

  h = fb_nn_layer_norm (ctx, &m->norm2, x);
  h = fb_nn_linear_act (ctx, &m->fc1, h, c->activation);
  x = fb_nn_linear_add (ctx, &m->fc2, h, x);

  return fb_nn_scope_end (ctx, x);
}

FbTensor *
fb_clip_text_forward (FbContext *ctx, const FbClipText *m, const int *ids, int n, int skip, gboolean final_norm)
{
  FbTensor *x;

  g_assert (skip >= 0 && skip < m->config.n_layers);

  fb_nn_scope_begin (ctx);

  x = embed (ctx, m, ids, n);
  for (int i = 0; i < m->config.n_layers - skip; i++)
    x = fb_nn_then (ctx, x, layer_forward (ctx, &m->layers[i], x, &m->config));

  return fb_nn_scope_end (ctx, final_norm ? fb_nn_layer_norm (ctx, &m->final_norm, x) : x);
}
