/* kernels/cpu/gemm.h: small matrix products by oneDNN's micro-kernels. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/tensor.h"

/**
 * FbGemmShape:
 * @dtype: of A and B, F32 or BF16; C is f32
 * @add: C += instead of C =
 * @n_batch: number of pairs (A, B) whose products are summed
 * @lda, @ldb, @ldc: elements from row to row
 *
 * C [M, N] = Σ A_i [M, K] · B_i [K, N]. In bf16, K is even and B holds pairs of rows: B [K / 2, N, 2].
 */
typedef struct
{
  int dtype;
  int add;
  int M, N, K;
  int n_batch;
  int lda, ldb, ldc;
} FbGemmShape;

typedef struct FbGemm    FbGemm;      /* one generated kernel */
typedef struct FbGemmSet FbGemmSet;   /* those of a device; not thread-safe */

FbGemmSet *    fb_gemm_set_new  (void);
void           fb_gemm_set_free (FbGemmSet *set);

/* Whether kernels for @dtype can be made on this processor. */
gboolean       fb_gemm_set_supports (FbGemmSet *set, FbDtype dtype);
/* Bytes that fb_gemm_run() needs as scratch, for any kernel got so far. */
size_t         fb_gemm_set_scratch_bytes (const FbGemmSet *set);
/* Forgets all kernels when there are very many; between ops. */
void           fb_gemm_set_tidy (FbGemmSet *set);

/* (transfer none): valid until the set is tidied; %NULL where the library cannot make it. Takes 0.2 ms the first time. */
const FbGemm * fb_gemm_get (FbGemmSet *set, const FbGemmShape *shape);

/**
 * fb_gemm_run:
 * @offsets: n_batch pairs of byte offsets from @a and @b
 * @scratch: fb_gemm_set_scratch_bytes() of the calling thread
 */
void           fb_gemm_run (const FbGemm *gemm, const void *a, const void *b, const gint64 *offsets, float *c, void *scratch);

/* To be called by each thread after its last fb_gemm_run() of a parallel region. */
void           fb_gemm_thread_done (void);
