/* tests/core/distill/test-lora-set.c: the LoRA that trains beside a network, and the discriminator's first values. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>

#include "core/distill/discriminator.h"
#include "core/distill/distill-error.h"
#include "core/distill/lora-set.h"
#include "core/nn/tape.h"

/* Two linear layers and a convolution: attn.to_q [8, 6], ff.into_q [6, 6], conv */
typedef struct
{
  FbDevice  *dev;
  FbContext *ctx;
  FbParams  *params;
  FbLinear   q, other;
  FbConv2d   conv;
} Network;

static void
network_init (Network *n, const char *device)
{
  g_autoptr(GError) error = NULL;

  *n = (Network) { .dev = fb_device_new (device, 1, &error) };
  g_assert_no_error (error);
  n->ctx = fb_nn_context_new (n->dev, FB_DTYPE_F32);
  n->params = fb_params_new ();
  fb_params_enter (n->params, "attn.");
  fb_params_linear (n->params, &n->q, "to_q", 6, 8, TRUE);
  fb_params_leave (n->params);
  fb_params_linear (n->params, &n->other, "ff.into_q", 6, 6, FALSE);
  fb_params_conv2d (n->params, &n->conv, "conv", 6, 6, 3);
  for (guint i = 0; i < fb_params_n (n->params); i++)
    {
      const FbParam    *param  = fb_params_get (n->params, i);
      g_autofree float *values = g_new (float, param->n_elements);

      for (gsize k = 0; k < param->n_elements; k++)
        values[k] = sinf ((float) (k + i));
      fb_param_fill (param, n->dev, FB_DTYPE_F32, values, FB_DTYPE_F32);
    }
}

static void
network_clear (Network *n)
{
  g_autoptr(GError) error = NULL;

  fb_device_check (n->dev, &error);
  g_assert_no_error (error);
  fb_nn_context_free (n->ctx);
  fb_params_free (n->params);
  g_assert_cmpuint (fb_device_bytes_in_use (n->dev), ==, 0);
  fb_device_unref (n->dev);
}

static FbLoraSet *
set_new (Network *n, int rank, double alpha, const char * const *targets, guint64 seed)
{
  const FbLoraSettings settings = { .rank = rank, .alpha = alpha, .targets = targets, .seed = seed };
  g_autoptr(GError)    error    = NULL;
  FbLoraSet           *set      = fb_lora_set_new (n->params, n->dev, FB_DTYPE_F32, &settings, &error);

  g_assert_no_error (error);
  return set;
}

static const char * const to_q[] = { "to_q", NULL };

static FbTrainable *
trainable (GPtrArray *trainables, guint i)
{
  return g_ptr_array_index (trainables, i);
}

/* [1, 2, 6] through to_q */
static void
run_q (Network *n, gboolean student, float out[16])
{
  const int shape[] = { 1, 2, 6 };
  float     x[12];

  for (int i = 0; i < 12; i++)
    x[i] = cosf ((float) i);
  fb_nn_set_lora_enabled (n->ctx, student);
  fb_tensor_download (fb_nn_linear (n->ctx, &n->q, fb_nn_upload (n->ctx, FB_DTYPE_F32, x, 3, shape)), out, FB_DTYPE_F32);
  fb_nn_reset (n->ctx);
}

static void
test_targets (gconstpointer device)
{
  static const char * const whole[] = { "attn.to_q", "ff.into_q", NULL };
  Network    n;
  FbLoraSet *set;
  GPtrArray *trainables;

  network_init (&n, device);
  set = set_new (&n, 2, 2.0, to_q, 1);
  trainables = fb_lora_set_trainables (set);
  g_assert_cmpuint (trainables->len, ==, 2);
  g_assert_cmpstr (trainable (trainables, 0)->name, ==, "attn.to_q.lora_A.weight");
  g_assert_cmpstr (trainable (trainables, 1)->name, ==, "attn.to_q.lora_B.weight");
  g_assert_cmpint (trainable (trainables, 0)->shape[0], ==, 2);
  g_assert_cmpint (trainable (trainables, 0)->shape[1], ==, 6);
  g_assert_cmpint (trainable (trainables, 1)->shape[0], ==, 8);
  g_assert_cmpint (trainable (trainables, 1)->shape[1], ==, 2);
  g_assert_nonnull (n.q.lora);
  g_assert_null (n.other.lora);
  fb_lora_set_free (set);
  g_assert_null (n.q.lora);

  set = set_new (&n, 2, 2.0, whole, 1);
  g_assert_cmpuint (fb_lora_set_trainables (set)->len, ==, 4);
  fb_lora_set_free (set);
  network_clear (&n);
}

static void
test_no_such_target (gconstpointer device)
{
  static const char * const targets[]  = { "to_q", "to_w", NULL };
  const FbLoraSettings      settings   = { .rank = 2, .alpha = 2.0, .targets = targets };
  g_autoptr(GError)         error      = NULL;
  Network                   n;

  network_init (&n, device);
  g_assert_null (fb_lora_set_new (n.params, n.dev, FB_DTYPE_F32, &settings, &error));
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_FIELD);
  g_assert_nonnull (strstr (error->message, "to_w"));
  g_assert_null (n.q.lora);
  network_clear (&n);
}

static void
test_begins_as_teacher (gconstpointer device)
{
  Network    n;
  FbLoraSet *set;
  float      teacher[16], student[16];

  network_init (&n, device);
  run_q (&n, FALSE, teacher);
  set = set_new (&n, 4, 8.0, to_q, 5);
  run_q (&n, TRUE, student);
  g_assert_cmpmem (teacher, sizeof teacher, student, sizeof student);

  trainable (fb_lora_set_trainables (set), 1)->values[0] = 1.0f;
  fb_trainables_push (fb_lora_set_trainables (set));
  run_q (&n, TRUE, student);
  g_assert_cmpfloat (fabsf (student[0] - teacher[0]), >, 1e-3);
  run_q (&n, FALSE, student);
  g_assert_cmpmem (teacher, sizeof teacher, student, sizeof student);
  fb_lora_set_free (set);
  network_clear (&n);
}

/* y += alpha / rank · B A x, worked out by hand */
static void
test_scale (gconstpointer device)
{
  Network      n;
  FbLoraSet   *set;
  FbTrainable *down, *up;
  float        teacher[16], student[16];

  network_init (&n, device);
  run_q (&n, FALSE, teacher);
  set = set_new (&n, 2, 3.0, to_q, 5);
  down = trainable (fb_lora_set_trainables (set), 0);
  up = trainable (fb_lora_set_trainables (set), 1);
  for (gsize i = 0; i < down->n; i++)
    down->values[i] = i == 0 ? 2.0f : 0.0f;
  up->values[2] = 0.5f;                                   /* row 1, column 0 */
  fb_trainables_push (fb_lora_set_trainables (set));
  run_q (&n, TRUE, student);
  for (int row = 0; row < 2; row++)
    for (int c = 0; c < 8; c++)
      g_assert_cmpfloat_with_epsilon (student[row * 8 + c] - teacher[row * 8 + c],
                                      c == 1 ? 1.5f * 0.5f * 2.0f * cosf (6.0f * (float) row) : 0.0f, 1e-5);
  fb_lora_set_free (set);
  network_clear (&n);
}

/* Same seed, same values; mean 0 and deviation 1 / rank */
static void
test_first_values (gconstpointer device)
{
  Network    n;
  FbLoraSet *set;
  float     *first;
  double     sum = 0.0, squares = 0.0;
  gsize      size;

  network_init (&n, device);
  set = set_new (&n, 64, 64.0, to_q, 5);
  size = trainable (fb_lora_set_trainables (set), 0)->n;
  first = g_memdup2 (trainable (fb_lora_set_trainables (set), 0)->values, size * sizeof (float));
  fb_lora_set_free (set);
  for (gsize i = 0; i < size; i++)
    {
      sum += first[i];
      squares += first[i] * first[i];
    }
  g_assert_cmpfloat (fabs (sum / size), <, 3.0 / 64.0 / sqrt ((double) size));
  g_assert_cmpfloat_with_epsilon (sqrt (squares / size), 1.0 / 64.0, 0.1 / 64.0);

  set = set_new (&n, 64, 64.0, to_q, 5);
  g_assert_cmpmem (first, size * sizeof (float), trainable (fb_lora_set_trainables (set), 0)->values, size * sizeof (float));
  fb_lora_set_free (set);
  set = set_new (&n, 64, 64.0, to_q, 6);
  g_assert_cmpint (memcmp (first, trainable (fb_lora_set_trainables (set), 0)->values, size * sizeof (float)), !=, 0);
  fb_lora_set_free (set);
  g_free (first);
  network_clear (&n);
}

/* A second collect finds nothing new; gradients on the host add up. */
static void
test_collect (gconstpointer device)
{
  const int    shape[] = { 1, 2, 6 };
  float        ones[16], once;
  Network      n;
  FbLoraSet   *set;
  FbTrainable *up;

  network_init (&n, device);
  set = set_new (&n, 2, 4.0, to_q, 5);
  up = trainable (fb_lora_set_trainables (set), 1);
  for (int i = 0; i < 16; i++)
    ones[i] = 1.0f;
  fb_nn_set_lora_enabled (n.ctx, TRUE);

  for (int round = 1; round <= 2; round++)
    {
      g_autoptr(FbTape) tape = fb_tape_new (n.dev, G_MAXSIZE);
      FbTensor         *y;

      fb_nn_set_tape (n.ctx, tape);
      y = fb_nn_linear (n.ctx, &n.q, fb_nn_upload (n.ctx, FB_DTYPE_F32, ones, 3, shape));
      fb_nn_set_tape (n.ctx, NULL);
      fb_tape_backward (tape, y, fb_nn_upload (n.ctx, FB_DTYPE_F32, ones, 3, y->shape));
      fb_nn_reset (n.ctx);
      fb_trainable_collect (up);
      if (round == 1)
        {
          once = up->gradient[0];
          g_assert_cmpfloat (fabsf (once), >, 1e-3);
        }
      fb_trainable_collect (up);
      g_assert_cmpfloat_with_epsilon (up->gradient[0], (float) round * once, 1e-5);
    }
  fb_lora_set_free (set);
  network_clear (&n);
}

/* As many parameters as the published head for SD 1.5; all of them different, norms the identity */
static void
test_published_size (gconstpointer device)
{
  g_autoptr(GError) error = NULL;
  FbDevice         *dev   = fb_device_new (device, 1, &error);
  FbDiscriminator  *head  = fb_discriminator_new (dev, 1280, 8, 3);
  GPtrArray        *list  = fb_discriminator_trainables (head);
  gsize             n     = 0;

  for (guint i = 0; i < list->len; i++)
    {
      FbTrainable *t = trainable (list, i);
      double       squares = 0.0;

      n += t->n;
      for (gsize k = 0; k < t->n; k++)
        squares += t->values[k] * t->values[k];
      if (t->n_dims == 4 && t->n > 10000)
        g_assert_cmpfloat_with_epsilon (3.0 * squares * t->shape[1] * t->shape[2] * t->shape[3] / t->n, 1.0, 0.05);
      else if (g_str_equal (t->name, "stages.1.norm.weight"))
        g_assert_cmpfloat (squares, ==, (double) t->n);
      else if (g_str_equal (t->name, "stages.1.norm.bias"))
        g_assert_cmpfloat (squares, ==, 0.0);
    }
  g_assert_cmpuint (n, ==, 870720);

  fb_discriminator_free (head);
  g_assert_true (fb_device_check (dev, &error));
  fb_device_unref (dev);
}

int
main (int argc, char **argv)
{
  static const char * const devices[] = { "reference", "cpu" };
  static const struct { const char *name; void (* run) (gconstpointer device); } tests[] =
  {
    { "lora-set/hangs-on-what-its-targets-name",  test_targets           },
    { "lora-set/refuses-a-target-that-fits-none", test_no_such_target    },
    { "lora-set/begins-as-the-teacher",           test_begins_as_teacher },
    { "lora-set/scales-by-alpha-over-rank",       test_scale             },
    { "lora-set/first-values-follow-the-seed",    test_first_values      },
    { "trainable/collects-each-gradient-once",    test_collect           },
    { "discriminator/has-the-published-size",     test_published_size    },
  };

  g_test_init (&argc, &argv, NULL);

  for (gsize d = 0; d < G_N_ELEMENTS (devices); d++)
    for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
      {
        g_autofree char *path = g_strdup_printf ("/core/distill/%s/%s", tests[i].name, devices[d]);

        g_test_add_data_func (path, devices[d], tests[i].run);
      }

  return g_test_run ();
}
