/* tests/kernels/fake-cuda/runtime.c: the CUDA runtime on host memory: every copy and kernel is done when its call returns.
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Fresh memory is filled with NaN, guarded behind its end and counted, so that what is read before it is written, written past the end or
 * never freed shows. Only what the card does can reach it: a program that looks into it by itself crashes, as it would with a card. */

#include <cuda_runtime_api.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels/plan.h"
#include "tests/kernels/fake-cuda/capture.h"

#define CARD_BYTES  ((size_t) 2 << 30)
#define SPACE_BYTES (4 * CARD_BYTES)        /* addresses of all cards' memory; those in use alone take any */
#define GUARD_BYTES 64
#define SPARE_BYTES ((size_t) 512 << 20)    /* what a pool should keep at each wait, besides what is in use */

/**
 * Pool:
 * @taken: bytes
 * @threshold: beyond which it would give back what is free at the next wait
 */
typedef struct
{
  size_t taken;
  size_t threshold;
} Pool;

typedef struct
{
  size_t n_bytes;
  Pool  *pool;
} Block;

static char       *space;
static FbPlan     *places;                  /* in @space */
static GHashTable *blocks;                  /* of Block, by address */
static int         n_open;
static Pool       *newest;                  /* a device makes its events right after its pool */
static size_t      card_taken;              /* from all pools */

static void
open_memory (void)
{
  if (n_open++ == 0 && space != NULL && mprotect (space, fb_plan_extent (places), PROT_READ | PROT_WRITE) != 0)
    g_error ("the made-up card's memory does not open");
}

static void
close_memory (void)
{
  if (--n_open == 0 && space != NULL && mprotect (space, fb_plan_extent (places), PROT_NONE) != 0)
    g_error ("the made-up card's memory does not close");
}

cudaError_t
cudaGetLastError (void)
{
  return cudaSuccess;
}

const char *
cudaGetErrorString (cudaError_t status)
{
  return "a made-up failure";
}

/* FB_FAKE_CARDS, as the made-up driver says too */
static int
count_cards (void)
{
  const char *text = g_getenv ("FB_FAKE_CARDS");

  return text != NULL ? atoi (text) : 1;
}

cudaError_t
cudaGetDeviceCount (int *n)
{
  *n = count_cards ();
  return cudaSuccess;
}

cudaError_t
cudaGetDeviceProperties (struct cudaDeviceProp *card, int ordinal)       /* two are told apart by their capability; the last has the most memory */
{
  g_assert (ordinal >= 0 && ordinal < count_cards ());
  memset (card, 0, sizeof *card);
  strcpy (card->name, "Fake");
  card->major                = 8;
  card->minor                = ordinal % 10;
  card->multiProcessorCount  = 1;
  card->totalGlobalMem       = CARD_BYTES + (size_t) ordinal;
  card->memoryPoolsSupported = 1;
  return cudaSuccess;
}

cudaError_t
cudaSetDevice (int ordinal)
{
  return ordinal >= 0 && ordinal < count_cards () ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t
cudaStreamCreateWithFlags (cudaStream_t *stream, unsigned flags)
{
  *stream = (cudaStream_t) g_malloc (1);
  return cudaSuccess;
}

cudaError_t
cudaStreamDestroy (cudaStream_t stream)
{
  g_free (stream);
  return cudaSuccess;
}

/* --- graphs: while the stream is captured, what would be done is noted --------------------------------------------------- */

typedef struct
{
  void         (* run) (void *data);
  void          *data;
  GDestroyNotify free;
} Node;

static GArray *captured;                    /* of Node; NULL while things are done at once */

void
fb_fake_do (void (* run) (void *data), void *data, GDestroyNotify free)
{
  Node node = { run, data, free };

  if (captured != NULL)
    {
      g_array_append_val (captured, node);
      return;
    }
  open_memory ();
  run (data);
  close_memory ();
  free (data);
}

static void
node_clear (gpointer data)
{
  Node *node = data;

  node->free (node->data);
}

static gboolean
is_to_fail (const char *where)
{
  return g_strcmp0 (g_getenv ("FB_FAKE_CAPTURE_FAILS"), where) == 0;
}

cudaError_t
cudaStreamBeginCapture (cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
  g_assert (captured == NULL && mode == cudaStreamCaptureModeThreadLocal);
  if (is_to_fail ("begin"))
    return cudaErrorStreamCaptureUnsupported;

  captured = g_array_new (FALSE, FALSE, sizeof (Node));
  g_array_set_clear_func (captured, node_clear);
  return cudaSuccess;
}

cudaError_t
cudaStreamEndCapture (cudaStream_t stream, cudaGraph_t *graph)
{
  GArray *nodes = g_steal_pointer (&captured);

  g_assert (nodes != NULL);
  if (is_to_fail ("end"))
    {
      g_array_unref (nodes);
      return cudaErrorStreamCaptureInvalidated;
    }
  *graph = (cudaGraph_t) nodes;
  return cudaSuccess;
}

cudaError_t
cudaGraphInstantiate (cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
  if (is_to_fail ("instantiate"))
    return cudaErrorMemoryAllocation;

  *exec = (cudaGraphExec_t) g_array_ref ((GArray *) graph);
  return cudaSuccess;
}

cudaError_t
cudaGraphLaunch (cudaGraphExec_t exec, cudaStream_t stream)
{
  const GArray *nodes = (GArray *) exec;

  g_assert (captured == NULL);
  open_memory ();
  for (guint i = 0; i < nodes->len; i++)
    g_array_index (nodes, Node, i).run (g_array_index (nodes, Node, i).data);
  close_memory ();
  return cudaSuccess;
}

cudaError_t
cudaGraphDestroy (cudaGraph_t graph)
{
  g_array_unref ((GArray *) graph);
  return cudaSuccess;
}

cudaError_t
cudaGraphExecDestroy (cudaGraphExec_t exec)
{
  g_array_unref ((GArray *) exec);
  return cudaSuccess;
}

/* --- the rest: nothing of it belongs into a captured stream ---------------------------------------------------------------- */

cudaError_t
cudaStreamSynchronize (cudaStream_t stream)
{
  g_assert (captured == NULL);
  return cudaSuccess;
}

cudaError_t
cudaEventCreateWithFlags (cudaEvent_t *event, unsigned flags)
{
  *event = (cudaEvent_t) newest;
  return cudaSuccess;
}

cudaError_t
cudaEventDestroy (cudaEvent_t event)
{
  return cudaSuccess;
}

cudaError_t
cudaEventRecord (cudaEvent_t event, cudaStream_t stream)
{
  g_assert (captured == NULL);
  return cudaSuccess;
}

cudaError_t
cudaEventSynchronize (cudaEvent_t event)
{
  const Pool *pool = (const Pool *) event;

  g_assert (captured == NULL);
  g_assert_cmpuint (pool->threshold, >=, pool->taken + SPARE_BYTES);
  return cudaSuccess;
}

cudaError_t
cudaMemPoolCreate (cudaMemPool_t *pool, const struct cudaMemPoolProps *props)
{
  g_assert (props->allocType == cudaMemAllocationTypePinned && props->location.type == cudaMemLocationTypeDevice);
  newest = g_new0 (Pool, 1);
  *pool  = (cudaMemPool_t) newest;
  return cudaSuccess;
}

cudaError_t
cudaMemPoolSetAttribute (cudaMemPool_t pool, enum cudaMemPoolAttr attribute, void *value)
{
  g_assert (captured == NULL && attribute == cudaMemPoolAttrReleaseThreshold);
  ((Pool *) pool)->threshold = *(guint64 *) value;
  return cudaSuccess;
}

cudaError_t
cudaMemPoolGetAttribute (cudaMemPool_t pool, enum cudaMemPoolAttr attribute, void *value)
{
  g_assert (attribute == cudaMemPoolAttrReservedMemCurrent || attribute == cudaMemPoolAttrUsedMemCurrent);
  *(guint64 *) value = ((Pool *) pool)->taken;                    /* it keeps nothing that is freed */
  return cudaSuccess;
}

cudaError_t
cudaMemGetInfo (size_t *free, size_t *total)
{
  *free  = CARD_BYTES - card_taken;
  *total = CARD_BYTES;
  return cudaSuccess;
}

cudaError_t
cudaMemPoolTrimTo (cudaMemPool_t pool, size_t n_bytes)
{
  g_assert (captured == NULL);
  return cudaSuccess;
}

cudaError_t
cudaMemPoolDestroy (cudaMemPool_t pool)
{
  g_assert_cmpuint (((Pool *) pool)->taken, ==, 0);
  g_free (pool);
  return cudaSuccess;
}

cudaError_t
cudaMallocFromPoolAsync (void **data, size_t n_bytes, cudaMemPool_t pool, cudaStream_t stream)
{
  Block *block;
  size_t offset;

  g_assert (captured == NULL);
  if (n_bytes > CARD_BYTES || ((Pool *) pool)->taken + n_bytes > CARD_BYTES)
    return cudaErrorMemoryAllocation;

  if (space == NULL)
    {
      space  = mmap (NULL, SPACE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      places = fb_plan_new ();
      blocks = g_hash_table_new_full (NULL, NULL, NULL, g_free);
      g_assert (space != MAP_FAILED);
    }
  offset = fb_plan_take (places, n_bytes + GUARD_BYTES);
  g_assert (offset + n_bytes + GUARD_BYTES <= SPACE_BYTES);
  open_memory ();
  memset (space + offset, 0xff, n_bytes);
  memset (space + offset + n_bytes, 0xa5, GUARD_BYTES);
  close_memory ();

  block  = g_new (Block, 1);
  *block = (Block) { n_bytes, (Pool *) pool };
  g_hash_table_insert (blocks, space + offset, block);
  block->pool->taken += n_bytes;
  card_taken         += n_bytes;
  *data = space + offset;
  return cudaSuccess;
}

cudaError_t
cudaFreeAsync (void *data, cudaStream_t stream)
{
  const Block *block = g_hash_table_lookup (blocks, data);

  g_assert (captured == NULL && block != NULL);
  open_memory ();
  for (size_t i = 0; i < GUARD_BYTES; i++)
    g_assert_cmphex (((guchar *) data)[block->n_bytes + i], ==, 0xa5);
  close_memory ();
  block->pool->taken -= block->n_bytes;
  card_taken         -= block->n_bytes;
  fb_plan_give (places, (size_t) ((char *) data - space));
  g_hash_table_remove (blocks, data);
  return cudaSuccess;
}

cudaError_t
cudaHostAlloc (void **data, size_t n_bytes, unsigned flags)
{
  *data = g_malloc (n_bytes);
  return cudaSuccess;
}

cudaError_t
cudaFreeHost (void *data)
{
  g_free (data);
  return cudaSuccess;
}

cudaError_t
cudaMemcpyAsync (void *to, const void *from, size_t n_bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
  g_assert (captured == NULL);
  open_memory ();
  memcpy (to, from, n_bytes);
  close_memory ();
  return cudaSuccess;
}

cudaError_t
cudaMemsetAsync (void *to, int value, size_t n_bytes, cudaStream_t stream)
{
  g_assert (captured == NULL);
  open_memory ();
  memset (to, value, n_bytes);
  close_memory ();
  return cudaSuccess;
}
