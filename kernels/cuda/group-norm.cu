/* kernels/cuda/group-norm.cu: kernels/group-norm.h. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A group is a narrow strip of channels, 4 to 80 wide, so a block per group would read a few bytes of every pixel's row and few blocks
 * would run. Here a block takes a chunk of the pixels and several whole groups. The first kernel leaves each chunk's mean and sum of squared
 * differences per group; the second joins them (Chan, Golub and LeVeque 1983) and normalises. Nothing is added up in an order that varies. */

#include "kernels/cuda/values.h"

#define BLOCK      256
#define MAX_CHUNKS 64        /* per image: with two to eight strips of groups they fill a card, and one warp joins them in two rounds */

/* What both kernels divide the picture by */
typedef struct
{
  int C, D;                  /* channels; channels per group */
  int n_groups;
  int strip;                 /* groups per block; divides @n_groups */
  int width;                 /* channels per block */
  int n_lines;               /* pixels that a block reads at a time */
  size_t P;                  /* pixels per image */
  size_t chunk;              /* pixels per block */
  int n_chunks;
} Layout;

/* Of one group in one chunk. The mean is f64: far from 0, f32 would round it by more than the deviation allows. */
typedef struct
{
  double mean, squares;
} Moments;

static Layout
make_layout (const FbTensor *x, int n_groups)
{
  Layout l;
  size_t least;

  l.C        = x->shape[x->n_dims - 1];
  l.D        = l.C / n_groups;
  l.n_groups = n_groups;
  l.strip    = 1;
  for (int strip = 1; strip <= n_groups && strip * l.D <= BLOCK; strip++)
    if (n_groups % strip == 0)
      l.strip = strip;
  l.width    = l.strip * l.D;
  l.n_lines  = MAX (1, BLOCK / l.width);
  l.P        = fb_tensor_n_elements (x) / x->shape[0] / l.C;
  least      = (size_t) 8 * l.n_lines;                                            /* eight loads per thread are worth starting a block */
  l.chunk    = MAX (least, (l.P + MAX_CHUNKS - 1) / MAX_CHUNKS);
  l.n_chunks = (int) ((l.P + l.chunk - 1) / l.chunk);
  return l;
}

/* n numbers with their mean and sum of squared differences, joined with others */
__device__ inline void
join (double *n, Moments *a, double n_b, Moments b)
{
  double total = *n + n_b;
  double delta = b.mean - a->mean;

  if (n_b == 0.0)
    return;
  a->mean    += delta * (n_b / total);
  a->squares += b.squares + delta * delta * (*n * n_b / total);
  *n          = total;
}

/* grid: chunks, strips, images. A thread owns one channel of its line; where a group is wider than the block, every 256th. */
template <typename T> __global__ void
moments_kernel (Moments *moments, const T *__restrict__ x, Layout l)
{
  __shared__ Moments per_thread[BLOCK];
  __shared__ double  counts[BLOCK];
  size_t  first = blockIdx.x * l.chunk;
  size_t  end   = first + l.chunk < l.P ? first + l.chunk : l.P;
  int     line  = l.width <= BLOCK ? threadIdx.x / l.width : 0;
  int     lane  = l.width <= BLOCK ? threadIdx.x % l.width : threadIdx.x;
  double  n     = 0.0;
  Moments mine  = { 0.0, 0.0 };

  if (line < l.n_lines)
    for (int c = lane; c < l.width; c += BLOCK)
      {
        const T *column = x + (size_t) blockIdx.z * l.P * l.C + blockIdx.y * l.width + c;
        float    origin = first + line < end ? widen (column[(first + line) * l.C]) : 0.0f;   /* sums from here do not cancel */
        float    sum = 0.0f, squares = 0.0f;
        int      count = 0;

        for (size_t p = first + line; p < end; p += l.n_lines)
          {
            float d = widen (column[p * l.C]) - origin;

            sum     += d;
            squares += d * d;
            count++;
          }
        if (count > 0)
          {
            Moments column_moments = { (double) origin + sum / count, squares - (double) sum * sum / count };

            join (&n, &mine, count, column_moments);
          }
      }

  per_thread[threadIdx.x] = mine;
  counts[threadIdx.x]     = n;
  __syncthreads ();

  if ((int) threadIdx.x < l.strip)
    {
      int     group  = threadIdx.x;
      Moments joined = { 0.0, 0.0 };
      double  total  = 0.0;

      for (int other_line = 0; other_line < l.n_lines; other_line++)
        for (int i = 0; i < (l.width <= BLOCK ? l.D : BLOCK); i++)
          {
            int thread = other_line * l.width + group * l.D + i;

            join (&total, &joined, counts[thread], per_thread[thread]);
          }
      moments[((size_t) blockIdx.z * l.n_groups + blockIdx.y * l.strip + group) * l.n_chunks + blockIdx.x] = joined;
    }
}

/* The pixels × channels of one group in chunk @i */
__device__ inline double
count_of (const Layout &l, int i)
{
  size_t first = (size_t) i * l.chunk;

  return (double) ((l.P - first < l.chunk ? l.P - first : l.chunk) * l.D);
}

/* The whole group's mean, as a sum of two floats, and 1 / deviation; by one warp */
__device__ inline void
join_chunks (float *high, float *low, float *factor, const Moments *moments, const Layout &l, float eps)
{
  int    lane  = threadIdx.x % 32;
  double total = (double) (l.P * l.D);
  double mean  = 0.0, squares = 0.0;

  for (int i = lane; i < l.n_chunks; i += 32)
    mean += moments[i].mean * (count_of (l, i) / total);
  mean = warp_sum (mean);
  for (int i = lane; i < l.n_chunks; i += 32)
    squares += moments[i].squares + count_of (l, i) * (moments[i].mean - mean) * (moments[i].mean - mean);
  squares = warp_sum (squares);

  if (lane == 0)
    {
      *high   = (float) mean;
      *low    = (float) (mean - *high);
      *factor = (float) (1.0 / sqrt (squares / total + eps));
    }
}

/* grid as above; @out may be @x */
template <typename T> __global__ void
normalise_kernel (T *out, const T *x, const Moments *__restrict__ moments, const float *__restrict__ weight, const float *__restrict__ bias,
                  Layout l, float eps, FbActivation act)
{
  __shared__ float high[BLOCK], low[BLOCK], factor[BLOCK];                        /* a strip has at most BLOCK groups */
  size_t first = blockIdx.x * l.chunk;
  size_t end   = first + l.chunk < l.P ? first + l.chunk : l.P;
  int    line  = l.width <= BLOCK ? threadIdx.x / l.width : 0;
  int    lane  = l.width <= BLOCK ? threadIdx.x % l.width : threadIdx.x;

  for (int group = threadIdx.x / 32; group < l.strip; group += BLOCK / 32)
    join_chunks (&high[group], &low[group], &factor[group],
                 moments + ((size_t) blockIdx.z * l.n_groups + blockIdx.y * l.strip + group) * l.n_chunks, l, eps);
  __syncthreads ();

  if (line < l.n_lines)
    for (int c = lane; c < l.width; c += BLOCK)
      {
        int    channel = blockIdx.y * l.width + c;
        int    group   = c / l.D;
        float  w       = weight != NULL ? weight[channel] : 1.0f;
        float  b       = bias != NULL ? bias[channel] : 0.0f;
        size_t column  = (size_t) blockIdx.z * l.P * l.C + channel;

        for (size_t p = first + line; p < end; p += l.n_lines)
          {
            float v = (widen (x[column + p * l.C]) - high[group] - low[group]) * factor[group];

            out[column + p * l.C] = narrow<T> (activate (v * w + b, act));
          }
      }
}

extern "C" void
fb_cuda_group_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias,
                    int n_groups, float eps, FbActivation act)
{
  Layout       l       = make_layout (x, n_groups);
  size_t       n_bytes = (size_t) x->shape[0] * n_groups * l.n_chunks * sizeof (Moments);
  Moments     *moments = (Moments *) fb_device_alloc (dev, n_bytes);
  dim3         grid (l.n_chunks, n_groups / l.strip, x->shape[0]);
  const float *w       = weight != NULL ? (const float *) weight->data : NULL;
  const float *b       = bias != NULL ? (const float *) bias->data : NULL;

  if (moments == NULL)
    return;
  FB_BY_DTYPE (x->dtype, T,
               FB_LAUNCH (dev, moments_kernel<T>, grid, BLOCK, moments, (const T *) x->data, l);
               FB_LAUNCH (dev, normalise_kernel<T>, grid, BLOCK, (T *) out->data, (const T *) x->data, moments, w, b, l, eps, act));
  fb_device_free (dev, moments, n_bytes);
}

/* --- backward ------------------------------------------------------------------------------------------------------------ */

/* Of one channel: Σ g and Σ g · x̂, g being dy times the activation's slope */
typedef struct
{
  float g, gx;
} Sums;

/* What both backward kernels need of an element */
__device__ inline void
gradient_of (float *g, float *normal, float x, float dy, float high, float low, float factor, float w, float b, FbActivation act)
{
  *normal = (x - high - low) * factor;
  *g      = act == FB_ACT_NONE ? dy : dy * slope (*normal * w + b, act);
}

/* grid: chunks, strips, images. @sums: [images, chunks, C] */
template <typename T> __global__ void
sums_kernel (Sums *sums, const T *__restrict__ dy, const T *__restrict__ x, const Moments *__restrict__ moments,
             const float *__restrict__ weight, const float *__restrict__ bias, Layout l, float eps, FbActivation act)
{
  __shared__ float high[BLOCK], low[BLOCK], factor[BLOCK];
  __shared__ Sums  per_thread[BLOCK];
  size_t first = blockIdx.x * l.chunk;
  size_t end   = first + l.chunk < l.P ? first + l.chunk : l.P;
  int    line  = l.width <= BLOCK ? threadIdx.x / l.width : 0;
  int    lane  = l.width <= BLOCK ? threadIdx.x % l.width : threadIdx.x;
  Sums  *out   = sums + ((size_t) blockIdx.z * l.n_chunks + blockIdx.x) * l.C + blockIdx.y * l.width;

  for (int group = threadIdx.x / 32; group < l.strip; group += BLOCK / 32)
    join_chunks (&high[group], &low[group], &factor[group],
                 moments + ((size_t) blockIdx.z * l.n_groups + blockIdx.y * l.strip + group) * l.n_chunks, l, eps);
  __syncthreads ();

  for (int c0 = 0; c0 < l.width; c0 += BLOCK)                                     /* one round, but for a group wider than the block */
    {
      int  c    = c0 + lane;
      Sums mine = { 0.0f, 0.0f };

      if (line < l.n_lines && c < l.width)
        {
          int    channel = blockIdx.y * l.width + c, group = c / l.D;
          float  w       = weight != NULL ? weight[channel] : 1.0f;
          float  b       = bias != NULL ? bias[channel] : 0.0f;
          size_t column  = (size_t) blockIdx.z * l.P * l.C + channel;

          for (size_t p = first + line; p < end; p += l.n_lines)
            {
              float g, normal;

              gradient_of (&g, &normal, widen (x[column + p * l.C]), widen (dy[column + p * l.C]), high[group], low[group], factor[group],
                           w, b, act);
              mine.g  += g;
              mine.gx += g * normal;
            }
        }
      per_thread[threadIdx.x] = mine;
      __syncthreads ();
      if (line == 0 && c < l.width)
        {
          for (int other = 1; other < l.n_lines; other++)
            {
              mine.g  += per_thread[other * l.width + lane].g;
              mine.gx += per_thread[other * l.width + lane].gx;
            }
          out[c] = mine;
        }
      __syncthreads ();
    }
}

/* One thread per channel: over chunks, left in chunk 0 of each image, then over images */
__global__ void
join_sums_kernel (float *dweight, float *dbias, Sums *sums, int n_images, int n_chunks, int C)
{
  int  c   = blockIdx.x * blockDim.x + threadIdx.x;
  Sums all = { 0.0f, 0.0f };

  if (c >= C)
    return;

  for (int n = 0; n < n_images; n++)
    {
      Sums *image = sums + (size_t) n * n_chunks * C + c;
      Sums  one   = image[0];

      for (int i = 1; i < n_chunks; i++)
        {
          one.g  += image[(size_t) i * C].g;
          one.gx += image[(size_t) i * C].gx;
        }
      image[0] = one;
      all.g   += one.g;
      all.gx  += one.gx;
    }
  if (dweight != NULL)
    dweight[c] += all.gx;
  if (dbias != NULL)
    dbias[c] += all.g;
}

/* grid: chunks, strips, images; @dx may be @dy */
template <typename T> __global__ void
group_norm_backward_kernel (T *dx, const T *dy, const T *__restrict__ x, const Moments *__restrict__ moments, const Sums *__restrict__ sums,
                            const float *__restrict__ weight, const float *__restrict__ bias, Layout l, float eps, FbActivation act)
{
  __shared__ float high[BLOCK], low[BLOCK], factor[BLOCK], mean[BLOCK], mean_x[BLOCK];
  size_t first = blockIdx.x * l.chunk;
  size_t end   = first + l.chunk < l.P ? first + l.chunk : l.P;
  int    line  = l.width <= BLOCK ? threadIdx.x / l.width : 0;
  int    lane  = l.width <= BLOCK ? threadIdx.x % l.width : threadIdx.x;

  for (int group = threadIdx.x / 32; group < l.strip; group += BLOCK / 32)
    {
      float total = 0.0f, total_x = 0.0f;

      join_chunks (&high[group], &low[group], &factor[group],
                   moments + ((size_t) blockIdx.z * l.n_groups + blockIdx.y * l.strip + group) * l.n_chunks, l, eps);
      for (int i = threadIdx.x % 32; i < l.D; i += 32)
        {
          int   channel = blockIdx.y * l.width + group * l.D + i;
          Sums  one     = sums[(size_t) blockIdx.z * l.n_chunks * l.C + channel];
          float w       = weight != NULL ? weight[channel] : 1.0f;

          total   += one.g * w;
          total_x += one.gx * w;
        }
      total   = warp_sum (total);
      total_x = warp_sum (total_x);
      if (threadIdx.x % 32 == 0)
        {
          mean[group]   = total / ((float) l.P * l.D);
          mean_x[group] = total_x / ((float) l.P * l.D);
        }
    }
  __syncthreads ();

  if (line < l.n_lines)
    for (int c = lane; c < l.width; c += BLOCK)
      {
        int    channel = blockIdx.y * l.width + c, group = c / l.D;
        float  w       = weight != NULL ? weight[channel] : 1.0f;
        float  b       = bias != NULL ? bias[channel] : 0.0f;
        size_t column  = (size_t) blockIdx.z * l.P * l.C + channel;

        for (size_t p = first + line; p < end; p += l.n_lines)
          {
            float g, normal;

            gradient_of (&g, &normal, widen (x[column + p * l.C]), widen (dy[column + p * l.C]), high[group], low[group], factor[group],
                         w, b, act);
            dx[column + p * l.C] = narrow<T> ((g * w - mean[group] - normal * mean_x[group]) * factor[group]);
          }
      }
}

extern "C" void
fb_cuda_group_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                             const FbTensor *weight, const FbTensor *bias, int n_groups, float eps, FbActivation act)
{
  Layout       l            = make_layout (x, n_groups);
  int          N            = x->shape[0];
  size_t       moment_bytes = (size_t) N * n_groups * l.n_chunks * sizeof (Moments);
  size_t       sum_bytes    = (size_t) N * l.n_chunks * l.C * sizeof (Sums);
  Moments     *moments      = (Moments *) fb_device_alloc (dev, moment_bytes);
  Sums        *sums         = (Sums *) fb_device_alloc (dev, sum_bytes);
  dim3         grid (l.n_chunks, n_groups / l.strip, N);
  const float *w            = weight != NULL ? (const float *) weight->data : NULL;
  const float *b            = bias != NULL ? (const float *) bias->data : NULL;
  float       *dw           = dweight != NULL ? (float *) dweight->data : NULL;
  float       *db           = dbias != NULL ? (float *) dbias->data : NULL;

  if (dev->failure == NULL)
    FB_BY_DTYPE (x->dtype, T,
                 const T *in  = (const T *) x->data;
                 const T *out = (const T *) dy->data;

                 FB_LAUNCH (dev, moments_kernel<T>, grid, BLOCK, moments, in, l);
                 FB_LAUNCH (dev, sums_kernel<T>, grid, BLOCK, sums, out, in, moments, w, b, l, eps, act);
                 FB_LAUNCH (dev, join_sums_kernel, (unsigned) (l.C + 127) / 128, 128, dw, db, sums, N, l.n_chunks, l.C);
                 FB_LAUNCH (dev, group_norm_backward_kernel<T>, grid, BLOCK, (T *) dx->data, out, in, moments, sums, w, b, l, eps, act))
  fb_device_free (dev, sums, sum_bytes);
  fb_device_free (dev, moments, moment_bytes);
}
