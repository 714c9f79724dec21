/* tests/kernels/fake-cuda/attention.c: the made-up cuDNN's attention, by plain loops. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "tests/kernels/fake-cuda/graph.h"

#include <math.h>

enum { Q, K, V, OUT, SCALE, STATISTICS };

#define MOST_CHANNELS 128            /* of a head: wider ones are for others to compute */

gboolean
fb_fake_has_attention (const FbFakeGraph *graph)
{
  const FbFakeTensor *t = graph->tensors;

  for (int i = 0; i < 4; i++)
    {
      g_assert (t[V].sizes[i] == t[K].sizes[i] && t[OUT].sizes[i] == t[Q].sizes[i]);
      g_assert (i == 2 || t[K].sizes[i] == t[Q].sizes[i]);
      g_assert (t[i].strides[3] == 1 && t[i].dtype == t[Q].dtype);
    }
  return t[Q].dtype != FB_DTYPE_F32 && t[Q].sizes[3] % 8 == 0 && t[Q].sizes[3] <= MOST_CHANNELS;
}

/* An odd number of keys is declined only now */
cudnnStatus_t
fb_fake_may_attend (const FbFakeGraph *graph)
{
  return graph->tensors[K].sizes[2] % 2 == 0 ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED_SHAPE;
}

/* The softmax weights [S] of query @t of head @h of image @n; returns the logarithm of the sum of their exponentials */
static double
weigh (const FbFakeCall *call, const float *q, const float *k, gint64 n, gint64 h, gint64 t, double *weights)
{
  const FbFakeTensor *tensors = call->graph.tensors;
  const gint64        S       = tensors[K].sizes[2], D = tensors[K].sizes[3];
  double              largest = -INFINITY, total = 0.0;

  for (gint64 s = 0; s < S; s++)
    {
      weights[s] = 0.0;
      for (gint64 d = 0; d < D; d++)
        weights[s] += (double) q[fb_fake_place (&tensors[Q], n, h, t, d)] * k[fb_fake_place (&tensors[K], n, h, s, d)];
      weights[s] *= call->numbers[SCALE];
      largest = MAX (largest, weights[s]);
    }
  for (gint64 s = 0; s < S; s++)
    total += weights[s] = exp (weights[s] - largest);
  for (gint64 s = 0; s < S; s++)
    weights[s] /= total;
  return largest + log (total);
}

void
fb_fake_attend (void *data)
{
  const FbFakeCall   *call    = data;
  const FbFakeTensor *tensors = call->graph.tensors;
  const gint64       *sizes   = tensors[Q].sizes;
  g_autofree float   *q       = fb_fake_read (&tensors[Q], call->data[Q]);
  g_autofree float   *k       = fb_fake_read (&tensors[K], call->data[K]);
  g_autofree float   *v       = fb_fake_read (&tensors[V], call->data[V]);
  g_autofree float   *out     = g_new0 (float, fb_fake_n_elements (&tensors[OUT]));
  g_autofree double  *weights = g_new (double, tensors[K].sizes[2]);

  for (gint64 n = 0; n < sizes[0]; n++)
    for (gint64 h = 0; h < sizes[1]; h++)
      for (gint64 t = 0; t < sizes[2]; t++)
        {
          const double sum_of_all = weigh (call, q, k, n, h, t, weights);

          if (call->graph.n_tensors > STATISTICS)
            ((float *) call->data[STATISTICS])[fb_fake_place (&tensors[STATISTICS], n, h, t, 0)] = (float) sum_of_all;
          for (gint64 d = 0; d < sizes[3]; d++)
            {
              double sum = 0.0;

              for (gint64 s = 0; s < tensors[K].sizes[2]; s++)
                sum += weights[s] * v[fb_fake_place (&tensors[V], n, h, s, d)];
              out[fb_fake_place (&tensors[OUT], n, h, t, d)] = (float) sum;
            }
        }
  fb_dtype_convert (call->data[OUT], tensors[OUT].dtype, out, FB_DTYPE_F32, fb_fake_n_elements (&tensors[OUT]));
}
