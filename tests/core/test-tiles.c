/* tests/core/test-tiles.c: large pictures in tiles. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>

#include "core/models/tiles.h"
#include "tests/core/model-fixture.h"

/* A network that only copies, at 8× or 1/8 the size */
static gboolean
copy_tile (const float *in, int height, int width, float *out, gpointer data, GError **error)
{
  const FbTiles *t = data;

  for (int y = 0; y < height * t->out_scale; y++)
    for (int x = 0; x < width * t->out_scale; x++)
      out[y * width * t->out_scale + x] = in[y * t->in_scale / t->out_scale * width * t->in_scale + x * t->in_scale / t->out_scale];

  return TRUE;
}

static void
test_tiles_add_up (ModelFixture *f, gconstpointer data)
{
  static const int sizes[][3] = { { 5, 9, 16 }, { 17, 40, 16 }, { 16, 17, 16 }, { 64, 31, 10 }, { 3, 100, 1 }, { 50, 50, 49 } };

  for (gsize i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (int up = 0; up < 2; up++)
      {
        FbTiles           t    = { sizes[i][0], sizes[i][1], sizes[i][2], up ? 1 : 8, 1, up ? 8 : 1, 1 };
        const gsize       n_in = (gsize) t.height * t.width * t.in_scale * t.in_scale;
        const gsize       n    = (gsize) t.height * t.width * t.out_scale * t.out_scale;
        g_autofree float *in   = g_new (float, n_in);
        g_autofree float *want = g_new (float, n);
        g_autofree float *got  = g_new (float, n);

        for (gsize k = 0; k < n_in; k++)
          in[k] = sinf (k * 0.37f) + 2.0f;
        copy_tile (in, t.height, t.width, want, &t, NULL);
        g_assert_true (fb_tiles_run (&t, in, got, copy_tile, &t, NULL));
        for (gsize k = 0; k < n; k++)
          g_assert_cmpfloat_with_epsilon (got[k], want[k], 1e-5);
      }
}

/* A network that sees each tile in a light of its own, by turns dark and light */
static gboolean
tint_tile (const float *in, int height, int width, float *out, gpointer data, GError **error)
{
  int *n = data;

  for (int i = 0; i < height * width; i++)
    out[i] = *n % 2;
  (*n)++;

  return TRUE;
}

static void
test_no_edge_shows_between_tiles (ModelFixture *f, gconstpointer data)
{
  enum { TILE = 16 };
  const FbTiles     t     = { TILE, 100, TILE, 1, 1, 1, 1 };
  g_autofree float *in    = g_new0 (float, TILE * 100);
  g_autofree float *out   = g_new (float, TILE * 100);
  int               n     = 0;
  float             low = 1.0f, high = 0.0f, step = 0.0f;

  g_assert_true (fb_tiles_run (&t, in, out, tint_tile, &n, NULL));
  g_assert_cmpint (n, ==, fb_tiles_count (TILE, 100, TILE));
  for (int x = 0; x < 100; x++)
    {
      low  = MIN (low, out[x]);
      high = MAX (high, out[x]);
      step = x > 0 ? MAX (step, fabsf (out[x] - out[x - 1])) : 0.0f;
    }
  g_assert_cmpfloat (high - low, >, 0.9);
  g_assert_cmpfloat (step, <=, 4.0 / TILE + 1e-6);               /* an overlap is a quarter of a tile or more */
}

/* An autoencoder normalises over what it sees, so tiles differ from the whole; with a tile as large as the picture they must not. */
static void
test_tile_as_large_as_the_picture_changes_nothing (ModelFixture *f, gconstpointer data)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *latents = g_new (float, 12 * 20 * 4);
  g_autofree float *whole   = g_new (float, 96 * 160 * 3);
  g_autofree float *tiled   = g_new (float, 96 * 160 * 3);

  for (int i = 0; i < 12 * 20 * 4; i++)
    latents[i] = sinf (i * i);
  g_assert_true (fb_model_decode (f->model, latents, 12, 20, 0, whole, NULL, &error));
  g_assert_true (fb_model_decode (f->model, latents, 12, 20, 20, tiled, NULL, &error));
  g_assert_cmpmem (whole, 96 * 160 * 12, tiled, 96 * 160 * 12);
  g_assert_true (fb_model_decode (f->model, latents, 12, 20, 12, tiled, NULL, &error));
  g_assert_cmpfloat (model_distance (tiled, whole, 96 * 160 * 3), <, 0.5);
}

int
main (int argc, char **argv)
{
  static const ModelTest tests[] =
  {
    { "tiles-add-up",                                 test_tiles_add_up },
    { "no-edge-shows-between-tiles",                  test_no_edge_shows_between_tiles },
    { "tile-as-large-as-the-picture-changes-nothing", test_tile_as_large_as_the_picture_changes_nothing },
  };

  g_test_init (&argc, &argv, NULL);

  model_add_tests ("/core/models/tiles/", tests, G_N_ELEMENTS (tests), NULL);

  return g_test_run ();
}
