/* tests/core/test-torch-random.c: our draws against torch.randn's. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * golden/torch-random/draws.txt was written by make.py beside it from PyTorch itself.
 */
#include "core/samplers/torch-random.h"

#include <gio/gio.h>
#include <math.h>
#include <string.h>

/* of the little-endian bytes, as make.py computes it */
static uint64_t
fnv1a (const float *x, size_t n)
{
  uint64_t h = UINT64_C (0xcbf29ce484222325);

  for (size_t i = 0; i < n; i++)
    {
      uint32_t bits;
      memcpy (&bits, &x[i], 4);
      for (int shift = 0; shift < 32; shift += 8)
        h = (h ^ ((bits >> shift) & 0xff)) * UINT64_C (0x100000001b3);
    }
  return h;
}

/* distance in units of the last place, for numbers of one sign */
static int64_t
ulps_from (float x, const char *hex)
{
  int32_t ours, theirs = (int32_t) (uint32_t) g_ascii_strtoull (hex, NULL, 16);

  memcpy (&ours, &x, 4);
  return ABS ((int64_t) ours - theirs);
}

static void
check_line (FbTorchRandom *random, const char *line, int64_t *worst)
{
  g_auto(GStrv)     field = g_strsplit (line, " ", -1);
  size_t            n;
  g_autofree float *x = NULL;

  g_assert_cmpuint (g_strv_length (field), ==, 5);
  if (strcmp (field[0], "-") != 0)
    fb_torch_random_init (random, field[0][0] == '-' ? (uint64_t) g_ascii_strtoll (field[0], NULL, 10)
                                                     : g_ascii_strtoull (field[0], NULL, 10));
  n = g_ascii_strtoull (field[1], NULL, 10);
  x = g_new (float, n);
  fb_torch_random_normal (random, x, n);

  for (int end = 0; end < 2; end++)
    {
      g_auto(GStrv) hex   = g_strsplit (field[3 + end], ",", -1);
      size_t        count = g_strv_length (hex);
      for (size_t i = 0; i < count; i++)
        *worst = MAX (*worst, ulps_from (x[end == 0 ? i : n - count + i], hex[i]));
    }
  if (n >= 16 && fnv1a (x, n) != g_ascii_strtoull (field[2], NULL, 16))
    g_error ("seed %s, %zu numbers: some bits differ", field[0], n);
}

static void
test_draws_are_torchs (void)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "golden", "torch-random", "draws.txt", NULL);
  g_autofree char *text = NULL;
  g_auto(GStrv)    lines = NULL;
  g_autoptr(GError) error = NULL;
  FbTorchRandom    random;
  int64_t          worst = 0;
  int              n_lines = 0;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    if (**line != '\0' && **line != '#')
      {
        check_line (&random, *line, &worst);
        n_lines++;
      }

  g_test_message ("%d draws, largest difference %" G_GINT64_FORMAT " ulp", n_lines, worst);
  g_assert_cmpint (n_lines, ==, 96);
  g_assert_cmpint (worst, <=, 1);           /* 0 where libm's double functions round as PyTorch's host's do */
}

static void
test_noise_is_transposed (void)
{
  FbTorchRandom a, b;
  float         planes[3 * 5 * 7], picture[3 * 5 * 7];

  fb_torch_random_init (&a, 5);
  fb_torch_random_init (&b, 5);
  fb_torch_random_normal (&a, planes, G_N_ELEMENTS (planes));
  fb_latents_noise (&b, picture, 3, 5, 7);
  for (int y = 0; y < 5; y++)
    for (int x = 0; x < 7; x++)
      for (int c = 0; c < 3; c++)
        g_assert_cmpfloat (picture[(y * 7 + x) * 3 + c], ==, planes[(c * 5 + y) * 7 + x]);
}

static void
test_a_copy_draws_the_same (void)
{
  FbTorchRandom a, b;
  float         x[20], y[20];

  fb_torch_random_init (&a, 99);
  fb_torch_random_normal (&a, x, 3);        /* leaves a spare */
  b = a;
  fb_torch_random_normal (&a, x, 20);
  fb_torch_random_normal (&b, y, 20);
  g_assert_cmpmem (x, sizeof x, y, sizeof y);
  fb_torch_random_normal (&a, x, 1);
  fb_torch_random_normal (&b, y, 1);
  g_assert_cmpfloat (x[0], ==, y[0]);
}

static void
test_the_numbers_are_normal (void)
{
  enum { N = 1 << 20 };
  g_autofree float *x = g_new (float, N);
  FbTorchRandom     random;
  double            mean = 0.0, square = 0.0, fourth = 0.0;

  fb_torch_random_init (&random, 3);
  fb_torch_random_normal (&random, x, N);
  for (int i = 0; i < N; i++)
    {
      g_assert_true (isfinite (x[i]));
      mean   += x[i] / N;
      square += (double) x[i] * x[i] / N;
      fourth += pow (x[i], 4) / N;
    }
  g_assert_cmpfloat (fabs (mean), <, 0.005);           /* five standard errors each */
  g_assert_cmpfloat (fabs (square - 1.0), <, 0.007);
  g_assert_cmpfloat (fabs (fourth - 3.0), <, 0.05);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/samplers/torch-random/draws-are-torchs", test_draws_are_torchs);
  g_test_add_func ("/core/samplers/torch-random/noise-is-transposed", test_noise_is_transposed);
  g_test_add_func ("/core/samplers/torch-random/a-copy-draws-the-same", test_a_copy_draws_the_same);
  g_test_add_func ("/core/samplers/torch-random/the-numbers-are-normal", test_the_numbers_are_normal);
  return g_test_run ();
}
