/* tests/core/distill/fake-nccl/nccl.c: as much of NCCL and of the CUDA runtime as core/distill/nccl/module.c calls, between threads, on host memory.
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * FB_FAKE_CARDS: how many cards there are; threads take them in turn. FB_FAKE_NCCL: "works", "refuses" to connect, or "breaks" when it sums. */

#include <cuda_runtime_api.h>
#include <nccl.h>
#include <stdlib.h>
#include <string.h>

#include "tests/core/distill/meeting.h"

/* nccl.h declares these for C++ */
ncclResult_t ncclGroupStart (void);
ncclResult_t ncclGroupEnd   (void);

/* All that connected with one key */
typedef struct
{
  Meeting meeting;
  gint    n_left;
} World;

struct ncclComm
{
  World   *world;
  int      rank;
  gboolean busy;                 /* it has not said yet that it is done */
};

static _Thread_local ncclComm_t grouped;
static _Thread_local gboolean   stream_is_busy;

static gboolean
is_to (const char *mode)
{
  return g_strcmp0 (g_getenv ("FB_FAKE_NCCL"), mode) == 0;
}

/* --- the runtime ----------------------------------------------------------------------------------------------------------- */

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
cudaPointerGetAttributes (struct cudaPointerAttributes *attributes, const void *data)
{
  static gint              n_threads = 0;
  static _Thread_local int number    = -1;

  if (number < 0)
    number = g_atomic_int_add (&n_threads, 1);
  memset (attributes, 0, sizeof *attributes);
  attributes->device = number % atoi (g_getenv ("FB_FAKE_CARDS"));
  return cudaSuccess;
}

cudaError_t
cudaGetDeviceProperties (struct cudaDeviceProp *card, int ordinal)
{
  memset (card, 0, sizeof *card);
  memset (&card->uuid, 1 + ordinal, sizeof card->uuid);
  return cudaSuccess;
}

cudaError_t
cudaSetDevice (int ordinal)
{
  return cudaSuccess;
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
cudaStreamQuery (cudaStream_t stream)
{
  const gboolean was_busy = stream_is_busy;

  stream_is_busy = FALSE;
  return was_busy ? cudaErrorNotReady : cudaSuccess;
}

/* --- the library ------------------------------------------------------------------------------------------------------------ */

const char *
ncclGetErrorString (ncclResult_t result)
{
  return result == ncclSystemError ? "a made-up refusal" : "a made-up break";
}

ncclResult_t
ncclGetUniqueId (ncclUniqueId *id)
{
  World *world = g_new0 (World, 1);

  memset (id, 0, sizeof *id);
  memcpy (id, &world, sizeof world);
  return ncclSuccess;
}

ncclResult_t
ncclCommInitRankConfig (ncclComm_t *comm, int n_ranks, ncclUniqueId id, int rank, ncclConfig_t *config)
{
  World *world;

  g_assert (config->blocking == 0);
  memcpy (&world, &id, sizeof world);
  g_atomic_int_inc (&world->n_left);
  *comm  = g_new (struct ncclComm, 1);
  **comm = (struct ncclComm) { world, rank, TRUE };
  g_mutex_lock (&world->meeting.lock);
  world->meeting.size = n_ranks;
  g_mutex_unlock (&world->meeting.lock);
  meet (&world->meeting);
  return is_to ("refuses") ? ncclSystemError : ncclInProgress;
}

ncclResult_t
ncclCommGetAsyncError (ncclComm_t comm, ncclResult_t *result)
{
  *result    = comm->busy ? ncclInProgress : ncclSuccess;
  comm->busy = FALSE;
  return ncclSuccess;
}

ncclResult_t
ncclGroupStart (void)
{
  grouped = NULL;
  return ncclSuccess;
}

ncclResult_t
ncclAllReduce (const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream)
{
  Meeting          *meeting = &comm->world->meeting;
  g_autofree float *sums    = g_new0 (float, n);

  g_assert (type == ncclFloat && op == ncclSum && stream != NULL && !comm->busy);
  if (is_to ("breaks"))
    return ncclRemoteError;

  grouped = comm;
  meeting->slots[comm->rank] = (void *) from;
  meet (meeting);
  for (int r = 0; r < meeting->size; r++)
    for (size_t i = 0; i < n; i++)
      sums[i] += ((const float *) meeting->slots[r])[i];
  meet (meeting);
  memcpy (to, sums, n * sizeof *sums);
  return ncclSuccess;
}

ncclResult_t
ncclGroupEnd (void)
{
  if (grouped == NULL)
    return ncclSuccess;
  grouped->busy  = TRUE;
  stream_is_busy = TRUE;
  return ncclInProgress;
}

ncclResult_t
ncclCommAbort (ncclComm_t comm)
{
  if (g_atomic_int_dec_and_test (&comm->world->n_left))
    g_free (comm->world);
  g_free (comm);
  return ncclSuccess;
}
