/* kernels/reference/attention.c: kernels/attention.h in f64, one row of scores at a time. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <math.h>

#include "kernels/reference/reference-private.h"

/* p [S] = softmax (scale · q kᵀ) for one token of one head; rows of @k are @C apart */
static void
weigh (double *p, const double *q, const double *k, size_t S, size_t D, size_t C, double scale)
{
  double largest = -INFINITY;
  double total   = 0.0;

  for (size_t s = 0; s < S; s++)
    {
      p[s] = 0.0;
      for (size_t d = 0; d < D; d++)
        p[s] += q[d] * k[s * C + d];
      p[s]   *= scale;
      largest = fmax (largest, p[s]);
    }

  for (size_t s = 0; s < S; s++)
    {
      p[s]   = exp (p[s] - largest);
      total += p[s];
    }

  for (size_t s = 0; s < S; s++)
    p[s] /= total;
}

/* out [D] = softmax (scale · q kᵀ) v */
static void
attend (double *out, const double *q, const double *k, const double *v, double *p, size_t S, size_t D, size_t C, double scale)
{
  weigh (p, q, k, S, D, C, scale);
  for (size_t d = 0; d < D; d++)
    out[d] = 0.0;
  for (size_t s = 0; s < S; s++)
    for (size_t d = 0; d < D; d++)
      out[d] += p[s] * v[s * C + d];
}

void
fb_reference_attention (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                        int n_heads, float scale, gboolean causal)
{
  g_autofree double *Q      = fb_reference_read (q);
  g_autofree double *K      = fb_reference_read (k);
  g_autofree double *V      = fb_reference_read (v);
  g_autofree double *result = g_new (double, fb_tensor_n_elements (out));
  size_t             N = q->shape[0], T = q->shape[1], C = q->shape[2], S = k->shape[1], D = C / n_heads;

#pragma omp parallel for collapse(2) num_threads(dev->n_threads)
  for (size_t n = 0; n < N; n++)
    for (size_t t = 0; t < T; t++)
      {
        g_autofree double *p = g_new (double, S);

        for (size_t h = 0; h < (size_t) n_heads && !fb_device_cancel_requested (dev); h++)
          attend (result + (n * T + t) * C + h * D, Q + (n * T + t) * C + h * D,
                  K + n * S * C + h * D, V + n * S * C + h * D, p, causal ? t + 1 : S, D, C, scale);
      }

  if (!fb_device_cancelled (dev))
    fb_reference_write (out, result);
}

/* One head of one image; all rows are @C apart */
typedef struct
{
  const double *q, *k, *v, *out, *dout;
  double       *dq, *dk, *dv;
} Head;

/* What token @t gives to the gradients; @p: S numbers */
static void
attend_backward (const Head *head, size_t t, double *p, size_t S, size_t D, size_t C, double scale)
{
  const double *dout  = head->dout + t * C;
  double        total = 0.0;

  weigh (p, head->q + t * C, head->k, S, D, C, scale);
  for (size_t d = 0; d < D; d++)
    total += dout[d] * head->out[t * C + d];

  for (size_t s = 0; s < S; s++)
    {
      double dp = 0.0, ds;

      for (size_t d = 0; d < D; d++)
        dp += dout[d] * head->v[s * C + d];
      ds = scale * p[s] * (dp - total);

      for (size_t d = 0; d < D; d++)
        {
          head->dq[t * C + d] += ds * head->k[s * C + d];
          head->dk[s * C + d] += ds * head->q[t * C + d];
          head->dv[s * C + d] += p[s] * dout[d];
        }
    }
}

void
fb_reference_attention_backward (FbDevice *dev, FbTensor *dq, FbTensor *dk, FbTensor *dv, const FbTensor *dout, const FbTensor *q,
                                 const FbTensor *k, const FbTensor *v, const FbTensor *out, int n_heads, float scale, gboolean causal)
{
  g_autofree double *Q    = fb_reference_read (q);
  g_autofree double *K    = fb_reference_read (k);
  g_autofree double *V    = fb_reference_read (v);
  g_autofree double *O    = fb_reference_read (out);
  g_autofree double *dO   = fb_reference_read (dout);
  g_autofree double *dQ   = g_new0 (double, fb_tensor_n_elements (q));
  g_autofree double *dK   = g_new0 (double, fb_tensor_n_elements (k));
  g_autofree double *dV   = g_new0 (double, fb_tensor_n_elements (v));
  size_t             N = q->shape[0], T = q->shape[1], C = q->shape[2], S = k->shape[1], D = C / n_heads;

#pragma omp parallel for collapse(2) num_threads(dev->n_threads)
  for (size_t n = 0; n < N; n++)
    for (size_t h = 0; h < (size_t) n_heads; h++)
      {
        size_t             of_q = n * T * C + h * D, of_k = n * S * C + h * D;
        Head               head = { Q + of_q, K + of_k, V + of_k, O + of_q, dO + of_q, dQ + of_q, dK + of_k, dV + of_k };
        g_autofree double *p    = g_new (double, S);

        for (size_t t = 0; t < T && !fb_device_cancel_requested (dev); t++)
          attend_backward (&head, t, p, causal ? t + 1 : S, D, C, scale);
      }

  if (fb_device_cancelled (dev))
    return;
  fb_reference_write (dq, dQ);
  if (dk != NULL)
    {
      fb_reference_write (dk, dK);
      fb_reference_write (dv, dV);
    }
}
