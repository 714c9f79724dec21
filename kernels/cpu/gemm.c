/* kernels/cpu/gemm.c: small matrix products by oneDNN's micro-kernels. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A brgemm micro-kernel runs within 2 % of the processor's peak from cache (108 of 111 GFLOP/s per core in f32, 223 in bf16 on the
 * reference machine), and leaves order, threads and layout to us: so one weight layout serves every shape, and sums never depend on the
 * number of threads. Processors without AVX2, and libraries without micro-kernels, get plain loops on the same tiles: dnnl_sgemm would sum
 * in an order of its own. */

#ifdef FB_HAVE_DNNL_UKERNEL
#include <oneapi/dnnl/dnnl_ukernel.h>
#endif

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/vector.h"

#define MANY 8192      /* 4 to 20 KB each */

struct FbGemm
{
  FbGemmShape   shape;
  size_t        scratch_bytes;
#ifdef FB_HAVE_DNNL_UKERNEL
  dnnl_brgemm_t brgemm;        /* NULL: by plain loops */
#endif
};

struct FbGemmSet
{
  GHashTable *kernels;         /* FbGemmShape (inside the value) → FbGemm */
  size_t      scratch_bytes;
};

static guint
shape_hash (gconstpointer key)
{
  const int *field = key;
  guint      hash  = 2166136261u;

  for (size_t i = 0; i < sizeof (FbGemmShape) / sizeof (int); i++)
    hash = (hash ^ (guint) field[i]) * 16777619u;
  return hash ^ (hash >> 15);
}

static gboolean
shape_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, sizeof (FbGemmShape)) == 0;
}

static void
gemm_free (gpointer data)
{
  FbGemm *gemm = data;

#ifdef FB_HAVE_DNNL_UKERNEL
  if (gemm->brgemm != NULL)
    dnnl_brgemm_destroy (gemm->brgemm);
#endif
  g_free (gemm);
}

FbGemmSet *
fb_gemm_set_new (void)
{
  FbGemmSet *set = g_new0 (FbGemmSet, 1);

  set->kernels = g_hash_table_new_full (shape_hash, shape_equal, NULL, gemm_free);
  return set;
}

void
fb_gemm_set_free (FbGemmSet *set)
{
  g_hash_table_unref (set->kernels);
  g_free (set);
}

gboolean
fb_gemm_set_supports (FbGemmSet *set, FbDtype dtype)
{
  return fb_gemm_get (set, &(FbGemmShape) { .dtype = dtype, .M = 16, .N = 64, .K = 64, .n_batch = 1, .lda = 64, .ldb = 64, .ldc = 64 }) != NULL;
}

size_t
fb_gemm_set_scratch_bytes (const FbGemmSet *set)
{
  return set->scratch_bytes;
}

void
fb_gemm_set_tidy (FbGemmSet *set)
{
  if (g_hash_table_size (set->kernels) > MANY)
    g_hash_table_remove_all (set->kernels);
}

#ifdef FB_HAVE_DNNL_UKERNEL
static gboolean
generate (FbGemm *gemm, dnnl_pack_type_t pack)
{
  const FbGemmShape *s    = &gemm->shape;
  dnnl_data_type_t   type = s->dtype == FB_DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
  dnnl_pack_type_t   got;

  return dnnl_brgemm_create (&gemm->brgemm, s->M, s->N, s->K, s->n_batch, s->lda, s->ldb, s->ldc, type, type, dnnl_f32) == dnnl_success
         && dnnl_brgemm_set_add_C (gemm->brgemm, s->add) == dnnl_success
         && dnnl_brgemm_finalize (gemm->brgemm) == dnnl_success
         && dnnl_brgemm_get_B_pack_type (gemm->brgemm, &got) == dnnl_success && got == pack
         && dnnl_brgemm_get_scratchpad_size (gemm->brgemm, &gemm->scratch_bytes) == dnnl_success
         && dnnl_brgemm_generate (gemm->brgemm) == dnnl_success;
}
#endif

const FbGemm *
fb_gemm_get (FbGemmSet *set, const FbGemmShape *shape)
{
  FbGemm  *gemm  = g_hash_table_lookup (set->kernels, shape);
  gboolean ready = shape->dtype == FB_DTYPE_F32;

  if (gemm != NULL)
    return gemm;

  gemm        = g_new0 (FbGemm, 1);
  gemm->shape = *shape;
#ifdef FB_HAVE_DNNL_UKERNEL
  if (generate (gemm, shape->dtype == FB_DTYPE_BF16 ? dnnl_pack_type_pack32 : dnnl_pack_type_no_trans))
    {
      ready              = TRUE;
      set->scratch_bytes = MAX (set->scratch_bytes, gemm->scratch_bytes);
    }
  else if (gemm->brgemm != NULL)
    {
      dnnl_brgemm_destroy (gemm->brgemm);
      gemm->brgemm = NULL;
    }
#endif
  if (!ready)
    {
      gemm_free (gemm);
      return NULL;
    }

  g_hash_table_insert (set->kernels, &gemm->shape, gemm);
  return gemm;
}

/* @rows ≤ 4 rows by @columns ≤ 16 columns, whose sums stay in registers when both are constants */
FB_INLINE void
sum_patch (const FbGemmShape *s, const char *a, const char *b, const gint64 *offsets, float *c, int rows, int columns)
{
  float sum[4][16] = { 0 };

  for (int i = 0; i < s->n_batch; i++)
    {
      const float *x = (const float *) (a + offsets[2 * i]);
      const float *w = (const float *) (b + offsets[2 * i + 1]);

      for (int k = 0; k < s->K; k++)
        for (int m = 0; m < rows; m++)
          {
#pragma omp simd
            for (int n = 0; n < columns; n++)
              sum[m][n] += x[(size_t) m * s->lda + k] * w[(size_t) k * s->ldb + n];
          }
    }

  for (int m = 0; m < rows; m++)
    for (int n = 0; n < columns; n++)
      c[(size_t) m * s->ldc + n] = sum[m][n] + (s->add ? c[(size_t) m * s->ldc + n] : 0.0f);
}

FB_INLINE void
run_plainly_body (const FbGemmShape *s, const char *a, const char *b, const gint64 *offsets, float *c)
{
  for (int m = 0; m < s->M; m += 4)
    for (int n = 0; n < s->N; n += 16)
      {
        int         rows    = MIN (4, s->M - m);
        int         columns = MIN (16, s->N - n);
        const char *x       = a + (size_t) m * s->lda * sizeof (float);
        const char *w       = b + n * sizeof (float);
        float      *to      = c + (size_t) m * s->ldc + n;

        if (rows == 4 && columns == 16)
          sum_patch (s, x, w, offsets, to, 4, 16);
        else
          sum_patch (s, x, w, offsets, to, rows, columns);
      }
}

FB_VECTOR_VARIANTS (run_plainly, (const FbGemmShape *s, const char *a, const char *b, const gint64 *offsets, float *c), (s, a, b, offsets, c))

void
fb_gemm_run (const FbGemm *gemm, const void *a, const void *b, const gint64 *offsets, float *c, void *scratch)
{
#ifdef FB_HAVE_DNNL_UKERNEL
  if (gemm->brgemm != NULL)
    {
      dnnl_brgemm_set_hw_context (gemm->brgemm);
      dnnl_brgemm_execute (gemm->brgemm, a, b, (const dnnl_dim_t *) offsets, c, scratch);
      return;
    }
#endif
  run_plainly (&gemm->shape, a, b, offsets, c);
}

void
fb_gemm_thread_done (void)
{
#ifdef FB_HAVE_DNNL_UKERNEL
  dnnl_brgemm_release_hw_context ();
#endif
}
