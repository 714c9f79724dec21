/* tests/kernels/fake-cuda/runtime.c: the CUDA runtime on host memory: every copy and kernel is done when its call returns.
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Fresh memory is filled with NaN, guarded behind its end and counted, so that what is read before it is written, written past the end or
 * never freed shows. */

#include <cuda_runtime_api.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

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

cudaError_t
cudaGetDeviceCount (int *n)
{
  *n = 1;
  return cudaSuccess;
}

cudaError_t
cudaGetDeviceProperties (struct cudaDeviceProp *card, int ordinal)
{
  memset (card, 0, sizeof *card);
  strcpy (card->name, "Fake");
  card->major                = 8;
  card->minor                = 0;
  card->multiProcessorCount  = 1;
  card->totalGlobalMem       = CARD_BYTES;
  card->memoryPoolsSupported = 1;
  return cudaSuccess;
}

cudaError_t
cudaSetDevice (int ordinal)
{
  return ordinal == 0 ? cudaSuccess : cudaErrorInvalidDevice;
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

cudaError_t
cudaStreamSynchronize (cudaStream_t stream)
{
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
  return cudaSuccess;
}

cudaError_t
cudaEventSynchronize (cudaEvent_t event)
{
  return cudaSuccess;
}

cudaError_t
cudaMemPoolCreate (cudaMemPool_t *pool, const struct cudaMemPoolProps *props)
{
  g_assert (props->allocType == cudaMemAllocationTypePinned && props->location.type == cudaMemLocationTypeDevice && props->location.id == 0);
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
  memcpy (to, from, n_bytes);
  return cudaSuccess;
}

cudaError_t
cudaMemsetAsync (void *to, int value, size_t n_bytes, cudaStream_t stream)
{
  memset (to, value, n_bytes);
  return cudaSuccess;
}
