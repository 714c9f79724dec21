/* kernels/cpu/pool.h: memory that is kept for the next tensor. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

/**
 * FbPool:
 *
 * A network allocates tensors of the same few sizes over and over. Given back to the system, 100 MB cost some 25,000 page faults the next
 * time, more than the op that fills them. Freed blocks stay here, up to a limit, and a block of the same size class takes their place.
 */
typedef struct FbPool FbPool;

FbPool * fb_pool_new   (void);
void     fb_pool_free  (FbPool *pool);

/* Memory aligned to 64 bytes, or NULL. @n_bytes given back must be those asked for. */
void *   fb_pool_take  (FbPool *pool, size_t n_bytes);
void     fb_pool_give  (FbPool *pool, void *data, size_t n_bytes);
/* Gives all free blocks back to the system. */
void     fb_pool_trim  (FbPool *pool);
