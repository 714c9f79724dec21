/* tests/bench/roofline.c: what oneDNN reaches on this machine at its best. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/bench/roofline.h"

#include <oneapi/dnnl/dnnl.h>

#define N_RUNS 7

#define DNNL(call) g_assert_cmpint ((call), ==, dnnl_success)

/* kernel 0: a matrix product of [size · size, C] and [C, K]; else a convolution of a size × size picture with padding kernel / 2 */
typedef struct
{
  int size, C, K, kernel;
} Case;

static const Case cases[] =
{
  { 64, 320, 320, 3 },  { 32, 640, 640, 3 },  { 16, 1280, 1280, 3 },
  { 128, 512, 512, 3 }, { 64, 512, 512, 3 },
  { 64, 320, 2560, 0 }, { 32, 640, 5120, 0 }, { 32, 2560, 640, 0 }, { 64, 1024, 1024, 0 },
};

static dnnl_memory_t
random_memory (dnnl_engine_t engine, const_dnnl_memory_desc_t wanted)
{
  dnnl_memory_desc_t plain;
  dnnl_memory_t      memory;
  size_t             n_bytes = dnnl_memory_desc_get_size (wanted);
  guint16           *data;

  DNNL (dnnl_memory_desc_clone (&plain, wanted));
  DNNL (dnnl_memory_create (&memory, plain, engine, DNNL_MEMORY_ALLOCATE));
  DNNL (dnnl_memory_get_data_handle (memory, (void **) &data));
  for (size_t i = 0; i < n_bytes / 2; i++)          /* as bf16, or as the upper and lower half of an f32: between ½ and 2 in size */
    data[i] = (i * 2654435761u >> 16 & 0x807f) | 0x3f00 | (i * 40503u >> 3 & 0x0080);
  DNNL (dnnl_memory_desc_destroy (plain));

  return memory;
}

static dnnl_primitive_desc_t
describe (dnnl_engine_t engine, const Case *c, dnnl_data_type_t type)
{
  dnnl_primitive_desc_t pd;
  dnnl_memory_desc_t    src, weights, dst;

  if (c->kernel == 0)
    {
      DNNL (dnnl_memory_desc_create_with_tag (&src, 2, (dnnl_dims_t) { c->size * c->size, c->C }, type, dnnl_ab));
      DNNL (dnnl_memory_desc_create_with_tag (&weights, 2, (dnnl_dims_t) { c->C, c->K }, type, dnnl_format_tag_any));
      DNNL (dnnl_memory_desc_create_with_tag (&dst, 2, (dnnl_dims_t) { c->size * c->size, c->K }, type, dnnl_ab));
      DNNL (dnnl_matmul_primitive_desc_create (&pd, engine, src, weights, NULL, dst, NULL));
    }
  else
    {
      dnnl_dims_t strides = { 1, 1 }, dilates = { 0, 0 }, pad = { c->kernel / 2, c->kernel / 2 };

      DNNL (dnnl_memory_desc_create_with_tag (&src, 4, (dnnl_dims_t) { 1, c->C, c->size, c->size }, type, dnnl_nhwc));
      DNNL (dnnl_memory_desc_create_with_tag (&weights, 4, (dnnl_dims_t) { c->K, c->C, c->kernel, c->kernel }, type, dnnl_format_tag_any));
      DNNL (dnnl_memory_desc_create_with_tag (&dst, 4, (dnnl_dims_t) { 1, c->K, c->size, c->size }, type, dnnl_nhwc));
      DNNL (dnnl_convolution_forward_primitive_desc_create (&pd, engine, dnnl_forward_inference, dnnl_convolution_direct,
                                                            src, weights, NULL, dst, strides, dilates, pad, pad, NULL));
    }
  dnnl_memory_desc_destroy (src);
  dnnl_memory_desc_destroy (weights);
  dnnl_memory_desc_destroy (dst);

  return pd;
}

static double
case_rate (dnnl_engine_t engine, dnnl_stream_t stream, const Case *c, dnnl_data_type_t type)
{
  static const dnnl_query_t queries[] = { dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md };
  static const int          roles[]   = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST };
  dnnl_primitive_desc_t     pd        = describe (engine, c, type);
  dnnl_primitive_t          primitive;
  dnnl_exec_arg_t           args[3];
  double                    best      = 0.0;
  double                    flop      = 2.0 * c->size * c->size * c->C * c->K * (c->kernel ? c->kernel * c->kernel : 1);

  for (int i = 0; i < 3; i++)
    {
      args[i].arg    = roles[i];
      args[i].memory = random_memory (engine, dnnl_primitive_desc_query_md (pd, queries[i], 0));
    }
  DNNL (dnnl_primitive_create (&primitive, pd));

  for (int run = 0; run < N_RUNS + 1; run++)        /* the first generates code and warms caches */
    {
      gint64 start = g_get_monotonic_time ();

      DNNL (dnnl_primitive_execute (primitive, stream, 3, args));
      DNNL (dnnl_stream_wait (stream));
      if (run > 0)
        best = MAX (best, flop / ((g_get_monotonic_time () - start) * 1e-6));
    }

  for (int i = 0; i < 3; i++)
    dnnl_memory_destroy (args[i].memory);
  dnnl_primitive_destroy (primitive);
  dnnl_primitive_desc_destroy (pd);

  return best;
}

double
fb_roofline (FbDtype dtype)
{
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  double        best = 0.0;

  DNNL (dnnl_engine_create (&engine, dnnl_cpu, 0));
  DNNL (dnnl_stream_create (&stream, engine, dnnl_stream_in_order));
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    best = MAX (best, case_rate (engine, stream, &cases[i], dtype == FB_DTYPE_BF16 ? dnnl_bf16 : dnnl_f32));
  dnnl_stream_destroy (stream);
  dnnl_engine_destroy (engine);

  return best;
}
