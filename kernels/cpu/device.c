/* kernels/cpu/device.c: the processor as a device. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/vector.h"

FbVectorLevel
fb_vector_level (void)
{
#ifdef __x86_64__
  static gsize level = 0;                                        /* 1 more than the level, once known */

  if (g_once_init_enter (&level))
    {
      dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa ();

      if ((isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core && __builtin_cpu_supports ("x86-64-v4"))
        g_once_init_leave (&level, FB_VECTOR_AVX512 + 1);
      else if ((isa & dnnl_cpu_isa_avx2) == dnnl_cpu_isa_avx2 && __builtin_cpu_supports ("x86-64-v3"))
        g_once_init_leave (&level, FB_VECTOR_AVX2 + 1);
      else
        g_once_init_leave (&level, FB_VECTOR_BASE + 1);
    }
  return level - 1;
#else
  return FB_VECTOR_BASE;
#endif
}

static gboolean
cpu_open (FbDevice *dev, GError **error)
{
  FbCpu *cpu = g_new0 (FbCpu, 1);

  cpu->pool       = fb_pool_new ();
  cpu->kernels    = fb_gemm_set_new ();
  cpu->has_bf16   = fb_gemm_set_supports (cpu->kernels, FB_DTYPE_BF16);
  cpu->workspaces = g_new0 (void *, dev->n_threads);
  dev->state      = cpu;
  return TRUE;
}

static char *
cpu_describe (const FbDevice *dev)
{
  const dnnl_version_t *version = dnnl_version ();

  return g_strdup_printf ("oneDNN %d.%d.%d, instruction set %x", version->major, version->minor, version->patch,
                          (guint) dnnl_get_effective_cpu_isa ());
}

static void
drop_working_memory (FbDevice *dev)
{
  FbCpu *cpu = fb_cpu (dev);

  if (cpu->shared != NULL)
    fb_pool_give (cpu->pool, cpu->shared, cpu->shared_bytes);
  for (int i = 0; i < dev->n_threads; i++)
    if (cpu->workspaces[i] != NULL)
      fb_pool_give (cpu->pool, g_steal_pointer (&cpu->workspaces[i]), cpu->workspace_bytes);
  cpu->shared          = NULL;
  cpu->shared_bytes    = 0;
  cpu->workspace_bytes = 0;
}

static void
cpu_close (FbDevice *dev)
{
  FbCpu *cpu = fb_cpu (dev);

  drop_working_memory (dev);
  fb_gemm_set_free (cpu->kernels);
  fb_pool_free (cpu->pool);
  g_free (cpu->workspaces);
  g_free (cpu);
}

static FbDtype
cpu_best_dtype (const FbDevice *dev)
{
  return fb_cpu (dev)->has_bf16 ? FB_DTYPE_BF16 : FB_DTYPE_F32;
}

static gboolean
cpu_supports (const FbDevice *dev, FbDtype dtype)
{
  return dtype == FB_DTYPE_F32 || (dtype == FB_DTYPE_BF16 && fb_cpu (dev)->has_bf16);
}

static void *
cpu_alloc (FbDevice *dev, size_t n_bytes)
{
  return fb_pool_take (fb_cpu (dev)->pool, n_bytes);
}

static void
cpu_free (FbDevice *dev, void *data, size_t n_bytes)
{
  fb_pool_give (fb_cpu (dev)->pool, data, n_bytes);
}

static void
cpu_trim (FbDevice *dev)
{
  drop_working_memory (dev);
  fb_pool_trim (fb_cpu (dev)->pool);
}

static void
cpu_upload (FbDevice *dev, void *device, FbDtype device_dtype, const void *host, FbDtype host_dtype, size_t n)
{
  fb_dtype_convert (device, device_dtype, host, host_dtype, n);
}

static void
cpu_download (FbDevice *dev, void *host, FbDtype host_dtype, const void *device, FbDtype device_dtype, size_t n)
{
  fb_dtype_convert (host, host_dtype, device, device_dtype, n);
}

gboolean
fb_cpu_reserve_shared (FbDevice *dev, size_t n_bytes)
{
  FbCpu *cpu = fb_cpu (dev);

  if (n_bytes <= cpu->shared_bytes)
    return TRUE;

  if (cpu->shared != NULL)
    fb_pool_give (cpu->pool, cpu->shared, cpu->shared_bytes);
  cpu->shared       = fb_pool_take (cpu->pool, n_bytes);
  cpu->shared_bytes = cpu->shared != NULL ? n_bytes : 0;
  if (cpu->shared == NULL)
    fb_device_fail_no_memory (dev, n_bytes);
  return cpu->shared != NULL;
}

gboolean
fb_cpu_reserve_workspaces (FbDevice *dev, size_t n_bytes)
{
  FbCpu *cpu = fb_cpu (dev);

  n_bytes += fb_gemm_set_scratch_bytes (cpu->kernels) + 64;
  if (n_bytes <= cpu->workspace_bytes)
    return TRUE;

  for (int i = 0; i < dev->n_threads; i++)
    {
      if (cpu->workspaces[i] != NULL)
        fb_pool_give (cpu->pool, cpu->workspaces[i], cpu->workspace_bytes);
      cpu->workspaces[i] = NULL;
    }
  cpu->workspace_bytes = n_bytes;
  for (int i = 0; i < dev->n_threads; i++)
    {
      cpu->workspaces[i] = fb_pool_take (cpu->pool, n_bytes);
      if (cpu->workspaces[i] == NULL)
        {
          drop_working_memory (dev);
          fb_device_fail_no_memory (dev, n_bytes);
          return FALSE;
        }
    }
  return TRUE;
}

char *
fb_cpu_workspace (FbDevice *dev)
{
  return fb_cpu (dev)->workspaces[omp_get_thread_num ()];
}

const FbDeviceOps fb_cpu_ops =
{
  .name        = "cpu",
  .open        = cpu_open,
  .close       = cpu_close,
  .best_dtype  = cpu_best_dtype,
  .supports    = cpu_supports,
  .describe    = cpu_describe,
  .alloc       = cpu_alloc,
  .free        = cpu_free,
  .trim        = cpu_trim,
  .upload      = cpu_upload,
  .download    = cpu_download,
  .widens      = TRUE,
  .pack        = fb_cpu_pack,
  .free_packed = fb_cpu_free_packed,
  .activation  = fb_cpu_activation,
  .geglu       = fb_cpu_geglu,
  .conv2d      = fb_cpu_conv2d,
  .linear      = fb_cpu_linear,
  .attention   = fb_cpu_attention,
  .group_norm  = fb_cpu_group_norm,
  .layer_norm  = fb_cpu_layer_norm,
  .add         = fb_cpu_add,
  .concat      = fb_cpu_concat,
  .upsample    = fb_cpu_upsample,
  .cast        = fb_cpu_cast,
  .max_pool    = fb_cpu_max_pool,

  .feature_distance = fb_cpu_feature_distance,

  .activation_backward    = fb_cpu_activation_backward,
  .geglu_backward         = fb_cpu_geglu_backward,
  .conv2d_backward_input  = fb_cpu_conv2d_backward_input,
  .conv2d_backward_weight = fb_cpu_conv2d_backward_weight,
  .linear_backward_input  = fb_cpu_linear_backward_input,
  .linear_backward_weight = fb_cpu_linear_backward_weight,
  .bias_backward          = fb_cpu_bias_backward,
  .attention_backward     = fb_cpu_attention_backward,
  .group_norm_backward    = fb_cpu_group_norm_backward,
  .layer_norm_backward    = fb_cpu_layer_norm_backward,
  .concat_backward        = fb_cpu_concat_backward,
  .upsample_backward      = fb_cpu_upsample_backward,
  .max_pool_backward      = fb_cpu_max_pool_backward,

  .feature_distance_backward = fb_cpu_feature_distance_backward,
};

void
fb_device_share_threads (const FbDevice *dev)
{
  omp_set_num_threads (dev->n_threads);
}
