/* tests/core/distill/test-autograd.c: gradients of whole networks against PyTorch's autograd. SPDX-License-Identifier: LGPL-3.0-or-later
 * Inputs, outputs and gradients come from tests/golden/gradients/make.py; the networks are those of tests/golden/models. */
#include <math.h>
#include <string.h>

#include "core/distill/discriminator.h"
#include "core/distill/lora-set.h"
#include "core/models/family.h"
#include "core/models/loader.h"
#include "core/nn/tape.h"

#define TOLERANCE   1e-3      /* relative to a tensor's norm, f32 */
#define BF16_FACTOR 1.5       /* our bf16 error over PyTorch's, both against f64; a few hundred roundings: the two differ by chance */

static const char * const attention[] = { "to_q", "to_k", "to_v", "to_out.0", NULL };
static const char * const all[]       = { "to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2",
                                          "linear_1", "linear_2", "time_emb_proj", NULL };

static const char * const entry[]     = { "conv_in", "to_q", NULL };

static const char * const convolutions[] = { "conv_in", "conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "conv_out",
                                             "proj_in", "proj_out", NULL };

typedef struct
{
  const char         *name, *model;
  const char * const *targets;
  const char         *file;
} UnetCase;

static const UnetCase unet_cases[] =
{
  { "folder",       "folder",   attention,    "unet.safetensors"         },
  { "odd",          "folder",   attention,    "unet.safetensors"         },  /* sizes that do not halve evenly */
  { "upscaler",     "upscaler", attention,    "unet.safetensors"         },  /* attention to the prompt only, class labels */
  { "xl",           "xl",       all,          "unet.safetensors"         },  /* additional embedding, several blocks per transformer, LoRA in every
                                                                                linear layer */
  { "convolutions", "folder",   convolutions, "convolutions.safetensors" },  /* an odd height, which a network that enlarges has to crop to */
  { "nine",         "../inpaint/unet-9", entry, "nine.safetensors"       },  /* nine channels in: latents, mask and the picture around it */
};

typedef struct
{
  const char *name;
  int         channels, side, n_parameters;
} HeadCase;

static const HeadCase head_cases[] =
{
  { "2x2",   6, 2,  3776    },
  { "3x5",   6, 3,  4096    },
  { "4x8",   6, 4,  4544    },
  { "8x8",   6, 8,  136896  },
  { "12x16", 6, 8,  136896  },
  { "16x16", 3, 16, 2118656 },
};

typedef struct
{
  const char *device;
  FbDtype     dtype;
  const void *item;
} Run;

typedef struct
{
  FbDevice      *dev;
  FbContext     *ctx;
  FbSafetensors *expected;
  const char    *prefix;
} Fixture;

/* Squares of what a tensor, or many as one vector, is off by, and of what it should be */
typedef struct
{
  double error, norm;
} Distance;

/* FALSE where the processor cannot compute so */
static gboolean
fixture_open (Fixture *f, const Run *run, const char *file, const char *prefix)
{
  g_autoptr(GError) error = NULL;
  g_autofree char  *path  = g_test_build_filename (G_TEST_DIST, "golden", "gradients", file, NULL);

  f->prefix = prefix;
  f->dev = fb_device_new (run->device, 1, &error);
  g_assert_no_error (error);
  if (!fb_device_supports (f->dev, run->dtype))
    {
      g_test_skip ("this processor does not multiply bf16");
      fb_device_unref (f->dev);
      return FALSE;
    }
  f->ctx = fb_nn_context_new (f->dev, run->dtype);
  f->expected = fb_safetensors_open (path, &error);
  g_assert_no_error (error);

  return TRUE;
}

static void
fixture_close (Fixture *f)
{
  g_autoptr(GError) error = NULL;

  fb_device_check (f->dev, &error);
  g_assert_no_error (error);
  fb_nn_context_free (f->ctx);
  fb_safetensors_unref (f->expected);
  g_assert_cmpuint (fb_device_bytes_in_use (f->dev), ==, 0);
  fb_device_unref (f->dev);
}

/* (transfer full): @info (out) of the tensor PREFIX.NAME */
static float *
read_expected (Fixture *f, const char *name, const FbTensorInfo **info)
{
  g_autoptr(GError) error = NULL;
  g_autofree char  *full  = g_strconcat (f->prefix, ".", name, NULL);
  float            *values;

  *info = fb_safetensors_lookup (f->expected, full);
  g_assert_nonnull (*info);
  values = g_new (float, fb_tensor_info_n_elements (*info));
  fb_safetensors_read_f32 (f->expected, *info, 0, fb_tensor_info_n_elements (*info), values, NULL, &error);
  g_assert_no_error (error);

  return values;
}

static FbTensor *
input_as (Fixture *f, const char *name, FbDtype dtype)
{
  const FbTensorInfo *info;
  g_autofree float   *values = read_expected (f, name, &info);
  int                 shape[4];

  for (int i = 0; i < info->n_dims; i++)
    shape[i] = (int) info->shape[i];

  return fb_nn_upload (f->ctx, dtype, values, info->n_dims, shape);
}

static FbTensor *
input (Fixture *f, const char *name)
{
  return input_as (f, name, fb_nn_dtype (f->ctx));
}

/* @name's distance, for tensors of which every @stride'th of @n values is known */
static Distance
distance (Fixture *f, const char *name, const float *got, gsize n, gsize stride)
{
  const FbTensorInfo *info;
  g_autofree float   *want = read_expected (f, name, &info);
  Distance            d    = { 0.0, 0.0 };

  g_assert_cmpuint (fb_tensor_info_n_elements (info), ==, (n + stride - 1) / stride);
  for (gsize i = 0; i < n; i += stride)
    {
      const double w = want[i / stride];

      d.error += (got[i] - w) * (got[i] - w);
      d.norm += w * w;
    }

  return d;
}

/* In f32 as near as rounding allows, in bf16 as near as PyTorch's bf16 */
static void
assert_near (Fixture *f, const char *name, Distance d)
{
  const double error = sqrt (d.error / d.norm);
  double       limit = TOLERANCE;

  if (fb_nn_dtype (f->ctx) == FB_DTYPE_BF16)
    {
      const FbTensorInfo *info;
      g_autofree char    *bf16   = g_strconcat (name, ".bf16", NULL);
      g_autofree float   *theirs = read_expected (f, bf16, &info);

      limit = BF16_FACTOR * theirs[0];
    }
  g_test_message ("%s.%s: relative error %.2g of %.2g", f->prefix, name, error, limit);
  g_assert_cmpfloat (error, <=, limit);
}

static void
assert_tensor (Fixture *f, const char *name, FbTensor *t)
{
  g_autoptr(GError) error = NULL;
  g_autofree float *got   = NULL;

  fb_device_check (f->dev, &error);
  g_assert_no_error (error);
  g_assert_nonnull (t);
  got = g_new (float, fb_tensor_n_elements (t));
  fb_tensor_download (t, got, FB_DTYPE_F32);
  assert_near (f, name, distance (f, name, got, fb_tensor_n_elements (t), 1));
}

/* Each parameter's gradient in f32; in bf16 all as one vector, for single ones are noisy */
static void
assert_gradients (Fixture *f, GPtrArray *trainables, gboolean sampled)
{
  Distance all = { 0.0, 0.0 };

  for (guint i = 0; i < trainables->len; i++)
    {
      FbTrainable     *trainable = g_ptr_array_index (trainables, i);
      g_autofree char *name      = g_strconcat ("d.", trainable->name, NULL);
      const gsize      stride    = sampled ? (trainable->n + 511) / 512 : 1;
      const Distance   d         = distance (f, name, trainable->gradient, trainable->n, stride);

      if (fb_nn_dtype (f->ctx) == FB_DTYPE_F32)
        g_assert_cmpfloat (sqrt (d.error / d.norm), <=, TOLERANCE);
      all.error += d.error;
      all.norm += d.norm;
    }
  assert_near (f, "d", all);
}

static void
add_bytes (GByteArray *bytes, FbTensor *t)
{
  g_autofree float *values = g_new (float, fb_tensor_n_elements (t));

  fb_tensor_download (t, values, FB_DTYPE_F32);
  g_byte_array_append (bytes, (const guint8 *) values, (guint) (fb_tensor_n_elements (t) * sizeof (float)));
}

/* make.py's formula() */
static void
set_formula (FbTrainable *trainable, int k, double scale, double offset)
{
  for (gsize i = 0; i < trainable->n; i++)
    trainable->values[i] = (float) (offset + scale * sin (0.7 * (double) i + k));
}

/* make.py's Discriminator */
static void
set_head (GPtrArray *trainables)
{
  for (guint k = 0; k < trainables->len; k++)
    {
      FbTrainable   *trainable = g_ptr_array_index (trainables, k);
      const gboolean norm      = strstr (trainable->name, ".norm.") != NULL && g_str_has_suffix (trainable->name, ".weight");

      set_formula (trainable, (int) k, trainable->n_dims == 1 ? 0.1 : 2.0 / sqrt ((double) trainable->n / trainable->shape[0]), norm ? 1.0 : 0.0);
    }
  fb_trainables_push (trainables);
}

static FbUnet *
load_unet (Fixture *f, const UnetCase *item)
{
  g_autoptr(GError)       error      = NULL;
  g_autofree char        *path       = g_test_build_filename (G_TEST_DIST, "golden", "models", item->model, NULL);
  g_autoptr(FbCheckpoint) checkpoint = fb_checkpoint_open (path, "unet", &error);
  FbUnetConfig            config;
  FbUnet                 *unet;
  FbLoader                loader;

  g_assert_no_error (error);
  fb_family_unet_config (fb_family_lookup ("sd-1.5"), checkpoint, &config, &error);
  g_assert_no_error (error);
  unet = fb_unet_new (&config);
  fb_params_set_odd_sizes (fb_unet_params (unet), TRUE);
  loader = (FbLoader) { .params = fb_unet_params (unet), .checkpoint = checkpoint, .dev = f->dev, .dtype = fb_nn_dtype (f->ctx) };
  fb_loader_fill (&loader, NULL, NULL, NULL, &error);
  g_assert_no_error (error);

  return unet;
}

static void
set_loras (GPtrArray *trainables)
{
  for (guint i = 0; i < trainables->len; i++)
    {
      FbTrainable *trainable = g_ptr_array_index (trainables, i);
      int          k         = 0;

      for (const char *c = trainable->name; *c != '\0'; c++)
        k += *c;
      set_formula (trainable, k, strstr (trainable->name, "lora_A") != NULL ? 0.3 : 0.2, 0.0);
    }
  fb_trainables_push (trainables);
}

/* The student: the output, and the gradients of all LoRA matrices and of the latents, which are added to @bytes */
static void
check_student (Fixture *f, FbUnet *unet, const Run *run, const FbUnetConditions *conditions, gsize memory_budget, GByteArray *bytes)
{
  const UnetCase      *item     = run->item;
  const FbLoraSettings settings = { .rank = 2, .alpha = 3.0, .targets = item->targets };
  g_autoptr(GError)    error    = NULL;
  g_autoptr(FbLoraSet) set      = fb_lora_set_new (fb_unet_params (unet), f->dev, fb_nn_dtype (f->ctx), &settings, &error);
  g_autoptr(FbTape)    tape     = fb_tape_new (f->dev, memory_budget);
  FbTensor            *x        = input (f, "x");
  GPtrArray           *trainables;
  FbTensor            *y;

  g_assert_no_error (error);
  trainables = fb_lora_set_trainables (set);
  set_loras (trainables);

  fb_tape_watch (tape, x);
  fb_nn_set_tape (f->ctx, tape);
  fb_nn_set_lora_enabled (f->ctx, TRUE);
  y = fb_unet_forward (f->ctx, unet, x, conditions);
  fb_nn_set_lora_enabled (f->ctx, FALSE);
  fb_nn_set_tape (f->ctx, NULL);
  assert_tensor (f, "y", y);

  fb_tape_backward (tape, y, input_as (f, "dy", FB_DTYPE_F32));
  assert_tensor (f, "dx", fb_tape_gradient (tape, x));
  fb_trainables_collect (trainables);
  assert_gradients (f, trainables, FALSE);
  for (guint i = 0; i < trainables->len; i++)
    {
      FbTrainable *trainable = g_ptr_array_index (trainables, i);

      g_byte_array_append (bytes, (const guint8 *) trainable->gradient, (guint) (trainable->n * sizeof (float)));
    }
  add_bytes (bytes, fb_tape_gradient (tape, x));
}

/* The frozen network up to its mid block with a discriminator on it: the way of the adversarial loss to the latents */
static void
check_features (Fixture *f, FbUnet *unet, const FbUnetConditions *conditions, gsize memory_budget, GByteArray *bytes)
{
  g_autoptr(FbTape)          tape = fb_tape_new (f->dev, memory_budget);
  g_autoptr(FbContext)       wide = fb_nn_context_new (f->dev, FB_DTYPE_F32);
  g_autoptr(FbDiscriminator) head = NULL;
  const FbTensorInfo        *info;
  g_autofree float          *dlogits = read_expected (f, "features.dlogits", &info);
  g_autofree float          *logits  = NULL;
  FbTensor                  *x       = input (f, "x");
  FbTensor                  *features, *patches;
  int                        height, width;

  fb_unet_feature_size (unet, x->shape[1], x->shape[2], &height, &width);
  head = fb_discriminator_new (f->dev, fb_unet_feature_channels (unet), MIN (height, width), 0);
  set_head (fb_discriminator_trainables (head));

  fb_tape_watch (tape, x);
  fb_tape_freeze (tape);
  fb_nn_set_tape (f->ctx, tape);
  fb_nn_set_tape (wide, tape);
  features = fb_unet_forward_features (f->ctx, unet, x, conditions);
  patches = fb_discriminator_forward (wide, head, features);
  fb_nn_set_tape (f->ctx, NULL);
  assert_tensor (f, "features", features);
  g_assert_cmpint (features->shape[1], ==, height);
  g_assert_cmpint (features->shape[2], ==, width);

  logits = g_new (float, x->shape[0]);
  fb_discriminator_logits (patches, logits);
  if (fb_nn_dtype (f->ctx) == FB_DTYPE_F32)
    assert_near (f, "features.logits", distance (f, "features.logits", logits, x->shape[0], 1));
  fb_tape_backward (tape, patches, fb_discriminator_dlogits (wide, patches, dlogits));
  assert_tensor (f, "features.dx", fb_tape_gradient (tape, x));
  add_bytes (bytes, fb_tape_gradient (tape, x));
}

/* With all values kept, with some, and with every block running again: the same bits */
static void
test_unet (gconstpointer data)
{
  static const gsize budgets[] = { G_MAXSIZE, 300000, 0 };
  const Run         *run  = data;
  const UnetCase    *item = run->item;
  const FbTensorInfo *info;
  Fixture            f;
  FbUnet            *unet;
  FbUnetConditions   conditions = { .class_label = 20 };
  g_autofree float  *timestep = NULL, *pooled = NULL, *time_ids = NULL;
  g_autoptr(GByteArray) first = NULL;

  if (!fixture_open (&f, run, item->file, item->name))
    return;
  unet = load_unet (&f, item);
  timestep = read_expected (&f, "timestep", &info);
  conditions.timestep = timestep[0];
  conditions.context = input (&f, "context");
  if (fb_unet_config (unet)->time_id_width > 0)
    {
      conditions.pooled = pooled = read_expected (&f, "text_embeds", &info);
      conditions.time_ids = time_ids = read_expected (&f, "time_ids", &info);
    }

  for (gsize i = 0; i < G_N_ELEMENTS (budgets); i++)
    {
      g_autoptr(GByteArray) bytes = g_byte_array_new ();

      check_student (&f, unet, run, &conditions, budgets[i], bytes);
      check_features (&f, unet, &conditions, budgets[i], bytes);
      if (i == 0)
        first = g_steal_pointer (&bytes);
      else
        g_assert_cmpmem (first->data, first->len, bytes->data, bytes->len);
    }

  fb_unet_free (unet);
  fixture_close (&f);
}

static void
test_head (gconstpointer data)
{
  const Run          *run  = data;
  const HeadCase     *item = run->item;
  const FbTensorInfo *info;
  Fixture             f;
  FbDiscriminator    *head;
  FbTape             *tape;
  GPtrArray          *trainables;
  g_autofree float   *dlogits = NULL;
  float               logits[2];
  gsize               n = 0;
  FbTensor           *x, *patches;

  if (!fixture_open (&f, run, "discriminator.safetensors", item->name))
    return;
  head = fb_discriminator_new (f.dev, item->channels, item->side, 0);
  trainables = fb_discriminator_trainables (head);
  set_head (trainables);
  tape = fb_tape_new (f.dev, G_MAXSIZE);
  x = input (&f, "x");
  dlogits = read_expected (&f, "dlogits", &info);

  fb_tape_watch (tape, x);
  fb_nn_set_tape (f.ctx, tape);
  patches = fb_discriminator_forward (f.ctx, head, x);
  fb_nn_set_tape (f.ctx, NULL);
  fb_discriminator_logits (patches, logits);
  assert_near (&f, "logits", distance (&f, "logits", logits, 2, 1));

  fb_tape_backward (tape, patches, fb_discriminator_dlogits (f.ctx, patches, dlogits));
  assert_tensor (&f, "dx", fb_tape_gradient (tape, x));
  fb_trainables_collect (trainables);
  assert_gradients (&f, trainables, TRUE);
  for (guint i = 0; i < trainables->len; i++)
    n += ((FbTrainable *) g_ptr_array_index (trainables, i))->n;
  g_assert_cmpuint (n, ==, item->n_parameters);

  fb_tape_free (tape);
  fb_discriminator_free (head);
  fixture_close (&f);
}

static void
add (const char *what, const char *name, const Run *run, GTestDataFunc func)
{
  g_autofree char *path = g_strdup_printf ("/core/distill/%s/%s/%s-%s", what, name, run->device, fb_dtype_name (run->dtype));

  g_test_add_data_func_full (path, g_memdup2 (run, sizeof *run), func, g_free);
}

int
main (int argc, char **argv)
{
  static const Run modes[] =
  {
    { "reference", FB_DTYPE_F32  },
    { "reference", FB_DTYPE_BF16 },
    { "cpu",       FB_DTYPE_F32  },
    { "cpu",       FB_DTYPE_BF16 },
  };

  g_test_init (&argc, &argv, NULL);

  for (gsize m = 0; m < G_N_ELEMENTS (modes); m++)
    {
      Run run = modes[m];

      for (gsize i = 0; i < G_N_ELEMENTS (unet_cases); i++)
        {
          run.item = &unet_cases[i];
          add ("autograd", unet_cases[i].name, &run, test_unet);
        }
      for (gsize i = 0; i < G_N_ELEMENTS (head_cases) && run.dtype == FB_DTYPE_F32; i++)
        {
          run.item = &head_cases[i];
          add ("discriminator", head_cases[i].name, &run, test_head);
        }
    }

  return g_test_run ();
}
