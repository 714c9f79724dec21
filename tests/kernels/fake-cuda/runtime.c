/* tests/kernels/fake-cuda/runtime.c: the CUDA runtime on host memory: every copy and kernel is done when its call returns.
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Fresh memory is filled with NaN, guarded behind its end and counted, so that what is read before it is written, written past the end or
 * never freed shows. */

#include <cuda_runtime_api.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/fake-cuda/capture.h"

#define CARD_BYTES  ((size_t) 2 << 30)
#define GUARD_BYTES 64
#define HEAD_BYTES  256                     /* before each block: what it is; as much as keeps the card's alignment */

typedef struct
{
  size_t n_bytes;
  size_t *taken;                            /* its pool's */
} Head;

G_STATIC_ASSERT (sizeof (Head) <= HEAD_BYTES);

static size_t card_taken;                   /* from all pools */

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

gboolean
fb_fake_captures (void)
{
  return captured != NULL;
}

void
fb_fake_note (void (* run) (void *data), void *data, GDestroyNotify free)
{
  Node node = { run, data, free };

  g_array_append_val (captured, node);
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
  for (guint i = 0; i < nodes->len; i++)
    g_array_index (nodes, Node, i).run (g_array_index (nodes, Node, i).data);
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
  *event = (cudaEvent_t) g_malloc (1);
  return cudaSuccess;
}

cudaError_t
cudaEventDestroy (cudaEvent_t event)
{
  g_free (event);
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
  g_assert (captured == NULL);
  return cudaSuccess;
}

cudaError_t
cudaMemPoolCreate (cudaMemPool_t *pool, const struct cudaMemPoolProps *props)
{
  g_assert (props->allocType == cudaMemAllocationTypePinned && props->location.type == cudaMemLocationTypeDevice);
  *pool = (cudaMemPool_t) g_new0 (size_t, 1);                     /* the bytes that are taken from it */
  return cudaSuccess;
}

cudaError_t
cudaMemPoolSetAttribute (cudaMemPool_t pool, enum cudaMemPoolAttr attribute, void *value)
{
  return cudaSuccess;
}

cudaError_t
cudaMemPoolGetAttribute (cudaMemPool_t pool, enum cudaMemPoolAttr attribute, void *value)
{
  g_assert (attribute == cudaMemPoolAttrReservedMemCurrent || attribute == cudaMemPoolAttrUsedMemCurrent);
  *(guint64 *) value = *(size_t *) pool;                          /* it keeps nothing that is freed */
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
  g_assert_cmpuint (*(size_t *) pool, ==, 0);
  g_free (pool);
  return cudaSuccess;
}

cudaError_t
cudaMallocFromPoolAsync (void **data, size_t n_bytes, cudaMemPool_t pool, cudaStream_t stream)
{
  size_t *taken = (size_t *) pool;
  size_t  size  = (n_bytes + 255) / 256 * 256;
  char   *block;

  g_assert (captured == NULL);
  if (n_bytes > CARD_BYTES || *taken + n_bytes > CARD_BYTES)
    return cudaErrorMemoryAllocation;

  block = aligned_alloc (256, HEAD_BYTES + size + 256);
  *(Head *) (void *) block = (Head) { n_bytes, taken };
  memset (block + HEAD_BYTES, 0xff, n_bytes);
  memset (block + HEAD_BYTES + n_bytes, 0xa5, GUARD_BYTES);
  *taken += n_bytes;
  card_taken += n_bytes;
  *data  = block + HEAD_BYTES;
  return cudaSuccess;
}

cudaError_t
cudaFreeAsync (void *data, cudaStream_t stream)
{
  char *block = (char *) data - HEAD_BYTES;
  Head  head  = *(Head *) (void *) block;

  g_assert (captured == NULL);
  for (size_t i = 0; i < GUARD_BYTES; i++)
    g_assert_cmphex ((guchar) block[HEAD_BYTES + head.n_bytes + i], ==, 0xa5);
  *head.taken -= head.n_bytes;
  card_taken -= head.n_bytes;
  free (block);
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
  memcpy (to, from, n_bytes);
  return cudaSuccess;
}

cudaError_t
cudaMemsetAsync (void *to, int value, size_t n_bytes, cudaStream_t stream)
{
  g_assert (captured == NULL);
  memset (to, value, n_bytes);
  return cudaSuccess;
}
