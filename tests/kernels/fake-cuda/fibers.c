/* tests/kernels/fake-cuda/fibers.c: the threads of a block, one after another. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <cuda_runtime.h>
#include <glib.h>
#include <setjmp.h>
#include <string.h>
#include <ucontext.h>

#define MOST_THREADS 1024
#define STACK_BYTES  (128 << 10)

typedef struct
{
  uint3 thread, block;
  dim3  block_size, grid_size;
  int   warp, lane;
} FbFakePlace;

extern FbFakePlace fb_fake_here;
void   fb_fake_run     (dim3 grid, dim3 block, void (* kernel) (void *data), void *data);
void   fb_fake_barrier (void);
void   fb_fake_warp    (void);
char * fb_fake_slot    (int lane);

typedef enum { READY, AT_WARP, AT_BARRIER, DONE } State;

typedef struct
{
  jmp_buf     resume;
  gboolean    started;
  State       state;
  FbFakePlace place;
} Fiber;

FbFakePlace fb_fake_here;

static Fiber       fibers[MOST_THREADS];
static char        slots[MOST_THREADS][64];
static Fiber      *current;
static jmp_buf     scheduler;
static void     (* run_kernel) (void *data);
static void       *kernel_data;

/* Back to the scheduler, which comes back when @state is over */
static void
leave (State state)
{
  Fiber *fiber = current;

  fiber->state = state;
  if (_setjmp (fiber->resume) == 0)
    _longjmp (scheduler, 1);
}

void
fb_fake_barrier (void)
{
  leave (AT_BARRIER);
}

void
fb_fake_warp (void)
{
  leave (AT_WARP);
}

char *
fb_fake_slot (int lane)
{
  return slots[fb_fake_here.warp * 32 + lane];
}

static void
fiber_main (void)
{
  for (;;)                                                        /* a fiber serves block after block */
    {
      run_kernel (kernel_data);
      leave (DONE);
    }
}

static void
resume (Fiber *fiber)
{
  static ucontext_t first, back;

  current      = fiber;
  fb_fake_here = fiber->place;
  if (_setjmp (scheduler) != 0)
    return;
  if (fiber->started)
    _longjmp (fiber->resume, 1);

  fiber->started = TRUE;
  getcontext (&first);
  first.uc_stack.ss_sp   = g_malloc (STACK_BYTES);                /* kept until the process ends */
  first.uc_stack.ss_size = STACK_BYTES;
  first.uc_link          = &back;
  makecontext (&first, fiber_main, 0);
  swapcontext (&back, &first);
}

/* Runs the threads of one warp until none can go on alone; whether any waits at the barrier */
static gboolean
run_warp (int first, int end)
{
  int n_ready, n_at_warp, n_at_barrier;

  do
    {
      n_ready = n_at_warp = n_at_barrier = 0;
      for (int i = first; i < end; i++)
        if (fibers[i].state == READY)
          resume (&fibers[i]);
      for (int i = first; i < end; i++)
        {
          n_at_warp    += fibers[i].state == AT_WARP;
          n_at_barrier += fibers[i].state == AT_BARRIER;
        }
      if (n_at_warp > 0)
        {
          g_assert_cmpint (n_at_warp, ==, end - first);           /* the kernels exchange with all lanes or none */
          for (int i = first; i < end; i++)
            fibers[i].state = READY;
          n_ready = n_at_warp;
        }
    }
  while (n_ready > 0);

  g_assert (n_at_barrier == 0 || n_at_barrier == end - first);
  return n_at_barrier > 0;
}

static void
run_block (int n_threads)
{
  int n_waiting;

  do
    {
      n_waiting = 0;
      for (int first = 0; first < n_threads; first += 32)
        n_waiting += run_warp (first, MIN (first + 32, n_threads));
      if (n_waiting > 0)
        {
          g_assert_cmpint (n_waiting, ==, (n_threads + 31) / 32);  /* a thread that left does not come to the barrier */
          for (int i = 0; i < n_threads; i++)
            fibers[i].state = READY;
        }
    }
  while (n_waiting > 0);
}

void
fb_fake_run (dim3 grid, dim3 block, void (* kernel) (void *data), void *data)
{
  int n_threads = (int) (block.x * block.y * block.z);

  g_assert (block.y == 1 && block.z == 1 && n_threads <= MOST_THREADS);
  g_assert (grid.x >= 1 && grid.y >= 1 && grid.z >= 1 && grid.y <= 65535 && grid.z <= 65535);

  run_kernel  = kernel;
  kernel_data = data;
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++)
        {
          for (int i = 0; i < n_threads; i++)
            {
              fibers[i].state = READY;
              fibers[i].place = (FbFakePlace) { { (unsigned) i, 0, 0 }, { x, y, z }, block, grid, i / 32, i % 32 };
            }
          run_block (n_threads);
        }
}
