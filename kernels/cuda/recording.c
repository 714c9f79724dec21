/* kernels/cuda/recording.c: recordings as CUDA graphs. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The stream is captured: what is launched becomes nodes of a graph in its order. The temporary tensors lie in a block that was allocated
 * before (kernels/recording.c), so that no allocation is captured and no graph owns memory. */
#include "kernels/cuda/cuda-private.h"

/**
 * Recorded:
 * @n_moves: of the workspace, when it was recorded
 */
typedef struct
{
  cudaGraphExec_t graph;
  guint           n_moves;
} Recorded;

/* FLASHBRUSH_CUDA_GRAPHS=0 leaves them out: to tell what they save, and for a driver that has trouble with them */
gboolean
fb_cuda_record_begin (FbDevice *dev)
{
  FbCuda *cuda = fb_cuda (dev);

  if (g_strcmp0 (g_getenv ("FLASHBRUSH_CUDA_GRAPHS"), "0") == 0)
    return FALSE;

  /* of this thread alone: another may be asking a second device what memory there is */
  cuda->records = cudaSetDevice (cuda->ordinal) == cudaSuccess &&
                  cudaStreamBeginCapture (cuda->stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess;
  cudaGetLastError ();
  return cuda->records;
}

void *
fb_cuda_record_end (FbDevice *dev)
{
  FbCuda          *cuda   = fb_cuda (dev);
  cudaGraph_t      graph  = NULL;
  cudaGraphExec_t  ready  = NULL;
  cudaError_t      status = cudaStreamEndCapture (cuda->stream, &graph);
  Recorded        *recorded;

  cuda->records = FALSE;
  if (status == cudaSuccess && dev->failure == NULL)
    status = cudaGraphInstantiate (&ready, graph, 0);
  if (graph != NULL)
    cudaGraphDestroy (graph);
  cudaGetLastError ();
  if (status != cudaSuccess || ready == NULL)
    {
      g_debug ("no graph: %s", dev->failure != NULL ? dev->failure->message : cudaGetErrorString (status));
      return NULL;
    }

  recorded = g_new0 (Recorded, 1);
  recorded->graph = ready;
  recorded->n_moves = cuda->n_moves;
  cuda->n_recordings++;
  return recorded;
}

gboolean
fb_cuda_replay (FbDevice *dev, void *data)
{
  FbCuda         *cuda     = fb_cuda (dev);
  const Recorded *recorded = data;

  if (recorded->n_moves != cuda->n_moves)
    return FALSE;
  if (fb_cuda_ready (dev))
    FB_CUDA (dev, cudaGraphLaunch (recorded->graph, cuda->stream));
  return TRUE;
}

void
fb_cuda_free_recorded (FbDevice *dev, void *data)
{
  FbCuda   *cuda     = fb_cuda (dev);
  Recorded *recorded = data;

  cudaSetDevice (cuda->ordinal);
  cudaStreamSynchronize (cuda->stream);                /* it may still run */
  cudaGraphExecDestroy (recorded->graph);
  cudaGetLastError ();
  cuda->n_recordings--;
  g_free (recorded);
}
