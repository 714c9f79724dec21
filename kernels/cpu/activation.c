/* kernels/cpu/activation.c: kernels/activation.h in vector registers. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/vector.h"

#define CHUNK 1024       /* elements that pass through f32 at a time: 4 KB, in the first-level cache */

FB_INLINE void
activate_chunk_body (void *out, const void *x, size_t first, int n, FbDtype dtype, FbActivation act)
{
  float v[CHUNK];

  fb_load_row (v, x, first, n, dtype);
  fb_activate_row (v, n, act);
  fb_store_row (out, first, v, n, dtype);
}

FB_VECTOR_VARIANTS (activate_chunk, (void *out, const void *x, size_t first, int n, FbDtype dtype, FbActivation act), (out, x, first, n, dtype, act))

void
fb_cpu_activation (FbDevice *dev, FbTensor *out, const FbTensor *x, FbActivation act)
{
  size_t n = fb_tensor_n_elements (x);

#pragma omp parallel for num_threads(dev->n_threads)
  for (size_t i = 0; i < n; i += CHUNK)
    activate_chunk (out->data, x->data, i, MIN (CHUNK, n - i), x->dtype, act);
}

FB_INLINE void
slope_chunk_body (void *dx, const void *dy, const void *x, size_t first, int n, FbDtype dtype, FbActivation act)
{
  float v[CHUNK], g[CHUNK];

  fb_load_row (v, x, first, n, dtype);
  fb_load_row (g, dy, first, n, dtype);
  fb_slope_row (v, n, act);
#pragma omp simd
  for (int i = 0; i < n; i++)
    g[i] *= v[i];
  fb_store_row (dx, first, g, n, dtype);
}

FB_VECTOR_VARIANTS (slope_chunk, (void *dx, const void *dy, const void *x, size_t first, int n, FbDtype dtype, FbActivation act),
                    (dx, dy, x, first, n, dtype, act))

void
fb_cpu_activation_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x, FbActivation act)
{
  size_t n = fb_tensor_n_elements (x);

#pragma omp parallel for num_threads(dev->n_threads)
  for (size_t i = 0; i < n; i += CHUNK)
    slope_chunk (dx->data, dy->data, x->data, i, MIN (CHUNK, n - i), x->dtype, act);
}

FB_INLINE void
gate_chunk_body (void *out, size_t out_first, const void *x, size_t value_first, size_t gate_first, int n, FbDtype dtype)
{
  float value[CHUNK], gate[CHUNK];

  fb_load_row (value, x, value_first, n, dtype);
  fb_load_row (gate, x, gate_first, n, dtype);
  fb_activate_row (gate, n, FB_ACT_GELU);
#pragma omp simd
  for (int i = 0; i < n; i++)
    value[i] *= gate[i];
  fb_store_row (out, out_first, value, n, dtype);
}

FB_VECTOR_VARIANTS (gate_chunk,
                    (void *out, size_t out_first, const void *x, size_t value_first, size_t gate_first, int n, FbDtype dtype),
                    (out, out_first, x, value_first, gate_first, n, dtype))

void
fb_cpu_geglu (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  size_t C      = out->shape[out->n_dims - 1];
  size_t n_rows = fb_tensor_n_elements (out) / C;

#pragma omp parallel for num_threads(dev->n_threads)
  for (size_t row = 0; row < n_rows; row++)
    for (size_t c = 0; c < C; c += CHUNK)
      gate_chunk (out->data, row * C + c, x->data, row * 2 * C + c, row * 2 * C + C + c, MIN (CHUNK, C - c), x->dtype);
}

/* @first: of the output's gradient; @value, @gate: of input and gradient */
FB_INLINE void
ungate_chunk_body (void *dx, const void *dy, size_t first, const void *x, size_t value_first, size_t gate_first, int n, FbDtype dtype)
{
  float value[CHUNK], gate[CHUNK], g[CHUNK], slope[CHUNK];

  fb_load_row (value, x, value_first, n, dtype);
  fb_load_row (gate, x, gate_first, n, dtype);
  fb_load_row (slope, x, gate_first, n, dtype);
  fb_load_row (g, dy, first, n, dtype);
  fb_activate_row (gate, n, FB_ACT_GELU);
  fb_slope_row (slope, n, FB_ACT_GELU);
#pragma omp simd
  for (int i = 0; i < n; i++)
    {
      slope[i] *= g[i] * value[i];
      gate[i]  *= g[i];
    }
  fb_store_row (dx, value_first, gate, n, dtype);
  fb_store_row (dx, gate_first, slope, n, dtype);
}

FB_VECTOR_VARIANTS (ungate_chunk,
                    (void *dx, const void *dy, size_t first, const void *x, size_t value_first, size_t gate_first, int n, FbDtype dtype),
                    (dx, dy, first, x, value_first, gate_first, n, dtype))

void
fb_cpu_geglu_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x)
{
  size_t C      = dy->shape[dy->n_dims - 1];
  size_t n_rows = fb_tensor_n_elements (dy) / C;

#pragma omp parallel for num_threads(dev->n_threads)
  for (size_t row = 0; row < n_rows; row++)
    for (size_t c = 0; c < C; c += CHUNK)
      ungate_chunk (dx->data, dy->data, row * C + c, x->data, row * 2 * C + c, row * 2 * C + C + c, MIN (CHUNK, C - c), x->dtype);
}
