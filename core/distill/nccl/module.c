/* core/distill/nccl/module.c: sums over graphics cards by NCCL. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Source: NVIDIA Collective Communications Library, version 2.28: “Fault Tolerance” for communicators that don't block. Here they must not: where
 * one process fails, the others would wait in the library for ever. */
#include <cuda_runtime_api.h>
#include <nccl.h>
#include <string.h>

#include "core/distill/cards.h"

#define PATIENCE     120               /* seconds */
#define SHORTEST_NAP 20                /* microseconds */
#define LONGEST_NAP  1000

G_STATIC_ASSERT (sizeof (ncclUniqueId) == FB_CARDS_KEY_SIZE);
G_STATIC_ASSERT (sizeof (cudaUUID_t) == FB_CARDS_NAME_SIZE);

typedef struct
{
  int          ordinal;
  cudaStream_t stream;
  ncclComm_t   comm;
} Link;

static const char *
reason_of (ncclResult_t result)
{
  return result == ncclSuccess ? NULL : result == ncclInProgress ? "the other processes do not answer" : ncclGetErrorString (result);
}

static const char *
cuda_reason_of (cudaError_t status)
{
  cudaGetLastError ();
  return status == cudaSuccess ? NULL : cudaGetErrorString (status);
}

static const char *
make_key (void *key)
{
  return reason_of (ncclGetUniqueId (key));
}

/* The runtime's number of the card whose memory @data is */
static cudaError_t
find_card (const void *data, int *ordinal)
{
  struct cudaPointerAttributes attributes = { 0 };
  cudaError_t                  status = cudaPointerGetAttributes (&attributes, data);

  *ordinal = attributes.device;
  return status;
}

static const char *
name_card (const void *data, void *name)
{
  struct cudaDeviceProp card;
  int                   ordinal;
  cudaError_t           status = find_card (data, &ordinal);

  if (status == cudaSuccess)
    status = cudaGetDeviceProperties (&card, ordinal);
  if (status == cudaSuccess)
    memcpy (name, &card.uuid, sizeof card.uuid);
  return cuda_reason_of (status);
}

/* Sleeps, a little longer each time; FALSE when it has lasted too long since @start */
static gboolean
nap (gulong *length, gint64 start)
{
  g_usleep (*length);
  *length = MIN (2 * *length, LONGEST_NAP);
  return g_get_monotonic_time () - start < PATIENCE * G_USEC_PER_SEC;
}

/* Waits until what the library was asked for is under way; gives its result */
static ncclResult_t
settle (ncclComm_t comm, gint64 start)
{
  ncclResult_t state  = ncclInProgress;
  gulong       length = SHORTEST_NAP;

  while (ncclCommGetAsyncError (comm, &state) == ncclSuccess && state == ncclInProgress && nap (&length, start))
    continue;
  return state;
}

static void
disconnect (void *data)
{
  Link *self = data;

  cudaSetDevice (self->ordinal);
  if (self->comm != NULL)
    ncclCommAbort (self->comm);                        /* waits for nobody */
  if (self->stream != NULL)
    cudaStreamDestroy (self->stream);
  cudaGetLastError ();
  g_free (self);
}

static const char *
connect_card (void **link, const void *data, const void *key, int rank, int n_ranks)
{
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  Link        *self   = g_new0 (Link, 1);
  cudaError_t  status = find_card (data, &self->ordinal);
  ncclUniqueId id;
  ncclResult_t result;
  const char  *reason;

  if (status == cudaSuccess)
    status = cudaSetDevice (self->ordinal);
  if (status == cudaSuccess)
    status = cudaStreamCreateWithFlags (&self->stream, cudaStreamNonBlocking);
  reason = cuda_reason_of (status);
  if (reason == NULL)
    {
      config.blocking = 0;
      memcpy (&id, key, sizeof id);
      result = ncclCommInitRankConfig (&self->comm, n_ranks, id, rank, &config);
      if (result == ncclInProgress)
        result = settle (self->comm, g_get_monotonic_time ());
      reason = reason_of (result);
    }

  if (reason == NULL)
    *link = self;
  else
    disconnect (self);
  return reason;
}

/* All in one launch: NCCL joins what stands in a group */
static ncclResult_t
give (Link *self, float *const *data, const size_t *n, size_t n_tensors, gint64 start)
{
  ncclResult_t result = ncclGroupStart (), last;

  for (size_t i = 0; i < n_tensors && result == ncclSuccess; i++)
    {
      result = ncclAllReduce (data[i], data[i], n[i], ncclFloat, ncclSum, self->comm, self->stream);
      if (result == ncclInProgress)
        result = ncclSuccess;
    }
  last = ncclGroupEnd ();
  if (result == ncclSuccess)
    result = last;
  return result == ncclInProgress ? settle (self->comm, start) : result;
}

static const char *
sum (void *link, float *const *data, const size_t *n, size_t n_tensors)
{
  Link        *self   = link;
  gint64       start  = g_get_monotonic_time ();
  gulong       length = SHORTEST_NAP;
  cudaError_t  status = cudaSetDevice (self->ordinal);
  ncclResult_t result;

  if (status != cudaSuccess)
    return cuda_reason_of (status);
  result = give (self, data, n, n_tensors, start);
  if (result != ncclSuccess)
    return reason_of (result);

  while ((status = cudaStreamQuery (self->stream)) == cudaErrorNotReady)
    {
      const gboolean goes_on = nap (&length, start);

      if (ncclCommGetAsyncError (self->comm, &result) != ncclSuccess || result != ncclSuccess || !goes_on)
        return reason_of (goes_on ? result : ncclInProgress);
    }
  return cuda_reason_of (status);
}

__attribute__ ((visibility ("default"))) extern const FbCardsModule fb_cards_module;

const FbCardsModule fb_cards_module = { sizeof fb_cards_module, make_key, name_card, connect_card, sum, disconnect };
