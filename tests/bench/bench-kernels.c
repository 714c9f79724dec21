/* tests/bench/bench-kernels.c: each op of one SD 1.5 UNet step, of its gradients, and of one VAE decode, at 512 × 512, against the roofline.
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * bench-kernels [unet|backward|vae] [f32|bf16]: without arguments, all six. A line per shape; its share of the total counts how often it occurs.
 * The gradients are those that training a LoRA asks for: of every input, of the keys and values that come from the picture, and of no weight
 * but the LoRA's (rank 64, on the linear layers of attention). */

#include <math.h>
#include <string.h>

#include "kernels/device-private.h"
#include "tests/bench/roofline.h"

typedef enum { CONV, UP, LINEAR, LORA, ATTENTION, GROUP_NORM, LAYER_NORM, GEGLU, N_KINDS } Kind;

static const char * const kind_names[] = { "conv", "conv-up", "linear", "lora", "attention", "group-norm", "layer-norm", "geglu" };

/**
 * Shape:
 * @size: pixels per side of the input; @size² is the number of tokens
 * @in, @out: channels; of an attention the keys (0: as many as queries) and the heads' width D
 * @kernel, @stride: of a convolution
 * @count: how often the network has it
 */
typedef struct
{
  Kind kind;
  int  size, in, out, kernel, stride, count;
} Shape;

static const Shape unet[] =
{
  { CONV, 64, 4, 320, 3, 1, 1 },       { CONV, 64, 320, 320, 3, 1, 7 },    { CONV, 64, 960, 320, 3, 1, 1 },    { CONV, 64, 640, 320, 3, 1, 2 },
  { CONV, 64, 320, 4, 3, 1, 1 },       { CONV, 64, 960, 320, 1, 1, 1 },    { CONV, 64, 640, 320, 1, 1, 2 },    { CONV, 64, 320, 320, 3, 2, 1 },
  { CONV, 32, 320, 640, 3, 1, 1 },     { CONV, 32, 640, 640, 3, 1, 6 },    { CONV, 32, 1920, 640, 3, 1, 1 },   { CONV, 32, 1280, 640, 3, 1, 1 },
  { CONV, 32, 960, 640, 3, 1, 1 },     { CONV, 32, 320, 640, 1, 1, 1 },    { CONV, 32, 1920, 640, 1, 1, 1 },   { CONV, 32, 1280, 640, 1, 1, 1 },
  { CONV, 32, 960, 640, 1, 1, 1 },     { CONV, 32, 640, 640, 3, 2, 1 },
  { CONV, 16, 640, 1280, 3, 1, 1 },    { CONV, 16, 1280, 1280, 3, 1, 6 },  { CONV, 16, 2560, 1280, 3, 1, 2 },  { CONV, 16, 1920, 1280, 3, 1, 1 },
  { CONV, 16, 640, 1280, 1, 1, 1 },    { CONV, 16, 2560, 1280, 1, 1, 2 },  { CONV, 16, 1920, 1280, 1, 1, 1 },  { CONV, 16, 1280, 1280, 3, 2, 1 },
  { CONV, 8, 1280, 1280, 3, 1, 11 },   { CONV, 8, 2560, 1280, 3, 1, 3 },   { CONV, 8, 2560, 1280, 1, 1, 3 },
  { UP, 8, 1280, 1280, 3, 1, 1 },      { UP, 16, 1280, 1280, 3, 1, 1 },    { UP, 32, 640, 640, 3, 1, 1 },
  { LINEAR, 64, 320, 320, .count = 40 },  { LINEAR, 64, 320, 2560, .count = 5 },   { LINEAR, 64, 1280, 320, .count = 5 },
  { LINEAR, 32, 640, 640, .count = 40 },  { LINEAR, 32, 640, 5120, .count = 5 },   { LINEAR, 32, 2560, 640, .count = 5 },
  { LINEAR, 16, 1280, 1280, .count = 40 }, { LINEAR, 16, 1280, 10240, .count = 5 }, { LINEAR, 16, 5120, 1280, .count = 5 },
  { LINEAR, 8, 1280, 1280, .count = 8 },  { LINEAR, 8, 1280, 10240, .count = 1 },  { LINEAR, 8, 5120, 1280, .count = 1 },
  { ATTENTION, 64, 0, 40, .count = 5 },   { ATTENTION, 32, 0, 80, .count = 5 },    { ATTENTION, 16, 0, 160, .count = 5 },
  { ATTENTION, 8, 0, 160, .count = 1 },
  { ATTENTION, 64, 77, 40, .count = 5 },  { ATTENTION, 32, 77, 80, .count = 5 },   { ATTENTION, 16, 77, 160, .count = 5 },
  { GROUP_NORM, 64, 320, .count = 13 },   { GROUP_NORM, 64, 960, .count = 1 },     { GROUP_NORM, 64, 640, .count = 2 },
  { GROUP_NORM, 32, 640, .count = 13 },   { GROUP_NORM, 32, 1920, .count = 1 },    { GROUP_NORM, 32, 1280, .count = 1 },
  { GROUP_NORM, 16, 1280, .count = 13 },  { GROUP_NORM, 16, 2560, .count = 2 },
  { GROUP_NORM, 8, 1280, .count = 12 },   { GROUP_NORM, 8, 2560, .count = 3 },
  { LAYER_NORM, 64, 320, .count = 15 },   { LAYER_NORM, 32, 640, .count = 15 },    { LAYER_NORM, 16, 1280, .count = 15 },
  { GEGLU, 64, 1280, .count = 5 },        { GEGLU, 32, 2560, .count = 5 },         { GEGLU, 16, 5120, .count = 5 },
};

/* Weights of LoRAs: down [64, C] and up [C, 64], whose gradients alone are taken */
static const Shape lora[] =
{
  { LORA, 64, 320, 64, .count = 40 },     { LORA, 64, 64, 320, .count = 40 },      { LORA, 32, 640, 64, .count = 40 },
  { LORA, 32, 64, 640, .count = 40 },     { LORA, 16, 1280, 64, .count = 40 },     { LORA, 16, 64, 1280, .count = 40 },
};

static const Shape vae[] =
{
  { CONV, 64, 4, 512, 3, 1, 1 },       { CONV, 64, 512, 512, 3, 1, 10 },   { UP, 64, 512, 512, 3, 1, 1 },
  { CONV, 128, 512, 512, 3, 1, 6 },    { UP, 128, 512, 512, 3, 1, 1 },
  { CONV, 256, 512, 256, 3, 1, 1 },    { CONV, 256, 256, 256, 3, 1, 5 },   { CONV, 256, 512, 256, 1, 1, 1 },   { UP, 256, 256, 256, 3, 1, 1 },
  { CONV, 512, 256, 128, 3, 1, 1 },    { CONV, 512, 128, 128, 3, 1, 5 },   { CONV, 512, 256, 128, 1, 1, 1 },   { CONV, 512, 128, 3, 3, 1, 1 },
  { LINEAR, 64, 512, 512, .count = 4 },   { ATTENTION, 64, 0, 512, .count = 1 },
  { GROUP_NORM, 64, 512, .count = 11 },   { GROUP_NORM, 128, 512, .count = 6 },    { GROUP_NORM, 256, 512, .count = 1 },
  { GROUP_NORM, 256, 256, .count = 5 },   { GROUP_NORM, 512, 256, .count = 1 },    { GROUP_NORM, 512, 128, .count = 6 },
};

static int
attention_heads (const Shape *s)
{
  return s->out == 512 ? 1 : 8;
}

/* As the paper counts: an enlarged convolution as if it ran on the enlarged picture; norms and the like not at all. An attention's gradients are
 * five products of the forward pass's size, or three without those of keys and values, where it has two. */
static double
flops_of (const Shape *s, gboolean backward)
{
  double T = (double) s->size * s->size;

  switch (s->kind)
    {
    case CONV:      return 2 * T * s->in * s->out * s->kernel * s->kernel / (s->stride * s->stride);
    case UP:        return 2 * T * 4 * s->in * s->out * s->kernel * s->kernel;
    case LINEAR:
    case LORA:      return 2 * T * s->in * s->out;
    case ATTENTION: return (!backward ? 4 : s->in > 0 ? 6 : 10) * T * (s->in > 0 ? s->in : T) * s->out * attention_heads (s);
    default:        return 0;
    }
}

static FbTensor *
random_tensor (FbDevice *dev, FbDtype dtype, int n_dims, const int *shape)
{
  FbTensor         *t      = fb_tensor_new (dev, dtype, n_dims, shape);
  g_autofree float *values = g_new (float, fb_tensor_n_elements (t));
  guint32           state  = 1;

  for (size_t i = 0; i < fb_tensor_n_elements (t); i++)
    {
      state     = state * 1664525u + 1013904223u;
      values[i] = (gint32) state * 0x1p-31f;
    }
  fb_tensor_upload (t, values, FB_DTYPE_F32);
  return t;
}

/* What an op and its gradients read and write; @out serves as its own gradient */
typedef struct
{
  FbTensor *out, *x, *k, *v;
  FbTensor *dx, *dk, *dv, *dw;
  FbWeight *weight;
} Arguments;

static Arguments
make_arguments (FbDevice *dev, FbDtype dtype, const Shape *s, gboolean backward)
{
  int       side     = s->kind == UP ? s->size * 2 : s->kind == CONV ? s->size / s->stride : s->size;
  int       T        = s->size * s->size;
  int       C        = s->kind == ATTENTION ? s->out * attention_heads (s) : s->in;
  gboolean  matmul   = s->kind == CONV || s->kind == UP || s->kind == LINEAR || s->kind == LORA;
  int       C_out    = matmul ? s->out : C;
  Arguments a        = { 0 };

  if (s->kind == CONV || s->kind == UP || s->kind == GROUP_NORM)
    {
      a.x   = random_tensor (dev, dtype, 4, (int[]) { 1, s->size, s->size, C });
      a.out = fb_tensor_new_4d (dev, dtype, 1, side, side, C_out);
    }
  else
    {
      a.x   = random_tensor (dev, dtype, 3, (int[]) { 1, T, s->kind == GEGLU ? 2 * C : C });
      a.out = fb_tensor_new_3d (dev, dtype, 1, T, C_out);
    }
  if (s->kind == ATTENTION)
    {
      a.k = random_tensor (dev, dtype, 3, (int[]) { 1, s->in > 0 ? s->in : T, C });
      a.v = fb_tensor_ref (a.k);
    }
  if (backward)
    {
      g_autofree float *zeros = g_new0 (float, fb_tensor_n_elements (a.out));

      fb_tensor_upload (a.out, zeros, FB_DTYPE_F32);
      a.dx = fb_tensor_new (dev, dtype, a.x->n_dims, a.x->shape);
      if (s->kind == ATTENTION)
        {
          a.dk = fb_tensor_new (dev, dtype, 3, a.k->shape);
          a.dv = fb_tensor_new (dev, dtype, 3, a.k->shape);
        }
    }
  if (s->kind == LORA)
    {
      a.dw = random_tensor (dev, FB_DTYPE_F32, 2, (int[]) { s->out, s->in });
    }
  else if (matmul)
    {
      int               shape[4] = { s->out, s->in, s->kernel, s->kernel };
      size_t            n        = (size_t) s->out * s->in * MAX (1, s->kernel * s->kernel);
      g_autofree float *values   = g_new (float, n);

      for (size_t i = 0; i < n; i++)
        values[i] = sinf (i);
      a.weight = fb_weight_new (dev, s->kind == LINEAR ? FB_WEIGHT_LINEAR : s->kind == UP ? FB_WEIGHT_CONV2D_UPSAMPLE : FB_WEIGHT_CONV2D,
                                dtype, shape, values, FB_DTYPE_F32);
    }
  return a;
}

static void
run (FbDevice *dev, const Shape *s, const Arguments *a)
{
  int            pad    = s->kernel / 2;
  FbConv2dParams params = { MAX (1, s->stride), pad, pad, pad, pad, s->kind == UP ? 2 : 1 };

  switch (s->kind)
    {
    case CONV:
    case UP:         fb_op_conv2d (dev, a->out, a->x, a->weight, NULL, NULL, &params, FB_ACT_NONE); break;
    case LINEAR:     fb_op_linear (dev, a->out, a->x, a->weight, NULL, NULL, FB_ACT_NONE); break;
    case ATTENTION:  fb_op_attention (dev, a->out, a->x, a->k, a->v, attention_heads (s), 1 / sqrtf (s->out), FALSE); break;
    case GROUP_NORM: fb_op_group_norm (dev, a->out, a->x, NULL, NULL, 32, 1e-5f, FB_ACT_SILU); break;
    case LAYER_NORM: fb_op_layer_norm (dev, a->out, a->x, NULL, NULL, 1e-5f); break;
    case GEGLU:      fb_op_geglu (dev, a->out, a->x); break;
    default:         g_assert_not_reached ();
    }
}

static void
run_backward (FbDevice *dev, const Shape *s, const Arguments *a)
{
  int            pad    = s->kernel / 2;
  FbConv2dParams params = { MAX (1, s->stride), pad, pad, pad, pad, s->kind == UP ? 2 : 1 };
  gboolean       frozen = s->in > 0;                             /* keys and values of the text */

  switch (s->kind)
    {
    case CONV:
    case UP:         fb_op_conv2d_backward_input (dev, a->dx, a->out, a->weight, &params, NULL); break;
    case LINEAR:     fb_op_linear_backward_input (dev, a->dx, a->out, a->weight, NULL); break;
    case LORA:       fb_op_linear_backward_weight (dev, a->dw, a->out, a->x); break;
    case ATTENTION:  fb_op_attention_backward (dev, a->dx, frozen ? NULL : a->dk, frozen ? NULL : a->dv, a->out, a->x, a->k, a->v, a->out,
                                               attention_heads (s), 1 / sqrtf (s->out), FALSE); break;
    case GROUP_NORM: fb_op_group_norm_backward (dev, a->dx, NULL, NULL, a->out, a->x, NULL, NULL, 32, 1e-5f, FB_ACT_SILU); break;
    case LAYER_NORM: fb_op_layer_norm_backward (dev, a->dx, NULL, NULL, a->out, a->x, NULL, NULL, 1e-5f); break;
    case GEGLU:      fb_op_geglu_backward (dev, a->dx, a->out, a->x); break;
    default:         g_assert_not_reached ();
    }
}

/* Seconds of the fastest run: other programs on the machine only ever add to it */
static double
time_shape (FbDevice *dev, FbDtype dtype, const Shape *s, gboolean backward)
{
  Arguments         a     = make_arguments (dev, dtype, s, backward);
  void           (* op) (FbDevice *, const Shape *, const Arguments *) = backward ? run_backward : run;
  g_autoptr(GError) error = NULL;
  double            best = G_MAXDOUBLE, total = 0;

  op (dev, s, &a);                                               /* kernels are generated in the first run */
  for (int i = 0; i < 50 && (i < 3 || total < 0.2); i++)
    {
      gint64 start = g_get_monotonic_time ();
      double seconds;

      op (dev, s, &a);
      seconds = (g_get_monotonic_time () - start) * 1e-6;
      total  += seconds;
      best    = MIN (best, seconds);
    }

  fb_device_check (dev, &error);
  g_assert_no_error (error);
  fb_tensor_unref (a.out);
  fb_tensor_unref (a.x);
  g_clear_pointer (&a.k, fb_tensor_unref);
  g_clear_pointer (&a.v, fb_tensor_unref);
  g_clear_pointer (&a.dx, fb_tensor_unref);
  g_clear_pointer (&a.dk, fb_tensor_unref);
  g_clear_pointer (&a.dv, fb_tensor_unref);
  g_clear_pointer (&a.dw, fb_tensor_unref);
  g_clear_pointer (&a.weight, fb_weight_unref);
  return best;
}

typedef struct
{
  double seconds[N_KINDS], flops[N_KINDS];
} Sums;

static void
bench_shapes (FbDevice *dev, FbDtype dtype, const Shape *shapes, size_t n_shapes, gboolean backward, double roofline, Sums *sums)
{
  for (size_t i = 0; i < n_shapes; i++)
    {
      const Shape *s     = &shapes[i];
      double       t     = time_shape (dev, dtype, s, backward);
      double       flops = flops_of (s, backward);

      sums->seconds[s->kind] += s->count * t;
      sums->flops[s->kind]   += s->count * flops;
      g_print ("%-10s %4d %5d %5d %d/%d %2d ×  %9.3f ms", kind_names[s->kind], s->size, s->in, s->out, s->kernel, s->stride, s->count, t * 1e3);
      if (flops > 0)
        g_print ("  %6.0f GFLOP/s  %3.0f %%", flops / t * 1e-9, 100 * flops / t / roofline);
      g_print ("\n");
    }
}

static void
bench (FbDevice *dev, const char *name, FbDtype dtype, const Shape *shapes, size_t n_shapes, gboolean backward)
{
  double roofline = fb_roofline (dtype);
  double all = 0, all_flops = 0, again;
  Sums   sums = { 0 };

  g_print ("\n%s, %s: roofline %.0f GFLOP/s\n", name, fb_dtype_name (dtype), roofline * 1e-9);
  bench_shapes (dev, dtype, shapes, n_shapes, backward, roofline, &sums);
  if (backward)
    bench_shapes (dev, dtype, lora, G_N_ELEMENTS (lora), TRUE, roofline, &sums);

  again    = fb_roofline (dtype);                                /* the machine may have been shared in between */
  roofline = MAX (roofline, again);
  for (int kind = 0; kind < N_KINDS; kind++)
    {
      all       += sums.seconds[kind];
      all_flops += sums.flops[kind];
      if (sums.seconds[kind] > 0)
        g_print ("%-10s %7.1f ms, %6.1f GFLOP, at the roofline %7.1f ms\n", kind_names[kind], sums.seconds[kind] * 1e3, sums.flops[kind] * 1e-9,
                 sums.flops[kind] / roofline * 1e3);
    }
  g_print ("%s, %s: %.1f ms for %.0f GFLOP, %.2f times the roofline's %.1f ms (%.0f GFLOP/s)\n", name, fb_dtype_name (dtype), all * 1e3,
           all_flops * 1e-9, all / (all_flops / roofline), all_flops / roofline * 1e3, roofline * 1e-9);
}

/* Whether the arguments name parts of this kind, but not this one */
static gboolean
left_out (int argc, char **argv, const char * const *names, const char *name)
{
  gboolean others = FALSE;

  for (int i = 1; i < argc; i++)
    {
      if (strcmp (argv[i], name) == 0)
        return FALSE;
      others |= g_strv_contains (names, argv[i]);
    }
  return others;
}

int
main (int argc, char **argv)
{
  static const char * const parts[]  = { "unet", "backward", "vae", NULL };
  static const char * const dtypes[] = { "f32", "bf16", NULL };
  g_autoptr(GError)         error    = NULL;
  g_autoptr(FbDevice)       dev      = fb_device_new ("cpu", g_getenv ("OMP_NUM_THREADS") ? atoi (g_getenv ("OMP_NUM_THREADS")) : 0, &error);

  g_assert_no_error (error);
  for (FbDtype dtype = FB_DTYPE_F32; dtype <= FB_DTYPE_BF16; dtype++)
    {
      if (!fb_device_supports (dev, dtype) || left_out (argc, argv, dtypes, fb_dtype_name (dtype)))
        continue;
      if (!left_out (argc, argv, parts, "unet"))
        bench (dev, "unet", dtype, unet, G_N_ELEMENTS (unet), FALSE);
      if (!left_out (argc, argv, parts, "backward"))
        bench (dev, "backward", dtype, unet, G_N_ELEMENTS (unet), TRUE);
      if (!left_out (argc, argv, parts, "vae"))
        bench (dev, "vae", dtype, vae, G_N_ELEMENTS (vae), FALSE);
    }
  return 0;
}
