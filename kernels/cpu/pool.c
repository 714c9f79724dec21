/* kernels/cpu/pool.c: memory that is kept for the next tensor. SPDX-License-Identifier: LGPL-3.0-or-later */

#define _GNU_SOURCE   /* MADV_HUGEPAGE */
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "kernels/cpu/pool.h"
#include "kernels/device.h"

#define HUGE_PAGE ((size_t) 2 << 20)
#define SMALL     ((size_t) 1 << 20)       /* below, malloc does as well */

typedef struct
{
  void  *data;
  size_t size;
} Block;

struct FbPool
{
  GQueue free;          /* of Block, last freed first: it is likeliest to be in the cache, and the oldest is dropped first */
  size_t free_bytes;
  size_t taken_bytes;   /* of blocks that are in use */
  size_t most_bytes;    /* the most there have been in use at once since the last trim */
};

/* Eight classes between two powers of two: blocks meet their next user although sizes differ a little, at most an eighth is unused */
static size_t
size_class (size_t n_bytes)
{
  size_t step = SMALL / 8;

  while (step * 16 < n_bytes)
    step *= 2;
  return (n_bytes + step - 1) / step * step;
}

static void *
map_block (size_t size)
{
  char *p = mmap (NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  char *aligned;

  if (p == MAP_FAILED)
    return NULL;

  aligned = (char *) (((size_t) p + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
  if (aligned > p)
    munmap (p, aligned - p);
  if (p + HUGE_PAGE > aligned)
    munmap (aligned + size, p + HUGE_PAGE - aligned);
  madvise (aligned, size, MADV_HUGEPAGE);
  return aligned;
}

FbPool *
fb_pool_new (void)
{
  return g_new0 (FbPool, 1);
}

void
fb_pool_free (FbPool *pool)
{
  fb_pool_trim (pool);
  g_free (pool);
}

static void
drop_link (FbPool *pool, GList *link)
{
  Block *block = link->data;

  g_queue_delete_link (&pool->free, link);
  pool->free_bytes -= block->size;
  g_free (block);
}

static void
unmap_oldest (FbPool *pool)
{
  Block *block = g_queue_peek_tail (&pool->free);

  munmap (block->data, block->size);
  drop_link (pool, g_queue_peek_tail_link (&pool->free));
}

/* Free blocks hardly make a process larger than the blocks it has needed at once, for these will be needed again. Without the little more, a UNet
 * step would map 80 MB anew at each of its heights: 2 % of its time. */
static void
keep_within_most (FbPool *pool)
{
  const size_t most = pool->most_bytes + pool->most_bytes / 16;

  while (pool->free_bytes > MIN (FB_DEVICE_MAX_SPARE, most - pool->taken_bytes))
    unmap_oldest (pool);
}

/* @size more bytes are in use. */
static void
count_taken (FbPool *pool, size_t size)
{
  pool->taken_bytes += size;
  pool->most_bytes   = MAX (pool->most_bytes, pool->taken_bytes);
}

void *
fb_pool_take (FbPool *pool, size_t n_bytes)
{
  size_t size;
  void  *data;

  if (n_bytes < SMALL)
    return aligned_alloc (64, (n_bytes + 63) / 64 * 64);
  if (n_bytes > G_MAXSSIZE - HUGE_PAGE)
    return NULL;

  size = size_class (n_bytes);
  for (GList *link = pool->free.head; link != NULL; link = link->next)
    {
      Block *block = link->data;

      if (block->size == size)
        {
          data = block->data;
          drop_link (pool, link);
          count_taken (pool, size);
          return data;
        }
    }

  count_taken (pool, size);
  keep_within_most (pool);
  data = map_block (size);
  if (data == NULL && pool->free_bytes > 0)
    {
      fb_pool_trim (pool);
      data = map_block (size);
    }
  if (data == NULL)
    pool->taken_bytes -= size;
  return data;
}

void
fb_pool_give (FbPool *pool, void *data, size_t n_bytes)
{
  Block *block;

  if (n_bytes < SMALL)
    {
      free (data);
      return;
    }

  block       = g_new (Block, 1);
  block->data = data;
  block->size = size_class (n_bytes);
  g_queue_push_head (&pool->free, block);
  pool->free_bytes  += block->size;
  pool->taken_bytes -= block->size;
  keep_within_most (pool);
}

void
fb_pool_trim (FbPool *pool)
{
  while (!g_queue_is_empty (&pool->free))
    unmap_oldest (pool);
  pool->most_bytes = pool->taken_bytes;
  malloc_trim (0);
}
