/* tests/core/test-inpaint-pieces.c: what goes through the network by itself, and at what size. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/inpaint-random.h"

#include <math.h>

static void
test_pieces_come_from_a_short_list_and_keep_their_shape (void)
{
  g_autoptr(GHashTable) sizes = g_hash_table_new (NULL, NULL);

  for (int w = 1; w < 5000; w = w * 5 / 4 + 1)
    for (int h = 1; h < 5000; h = h * 5 / 4 + 1)
      {
        FbPiece piece = { .crop = { 0, 0, w, h } };

        fb_piece_fit (&piece, 512, 0);
        g_hash_table_add (sizes, GINT_TO_POINTER (piece.width * 10000 + piece.height));
        g_assert_cmpint (piece.width % 64, ==, 0);
        g_assert_cmpint (piece.height % 64, ==, 0);
        g_assert_cmpint (piece.width * piece.height, <=, 512 * 512 * 3 / 2);
        g_assert_cmpint (piece.inner.x + piece.inner.width, <=, piece.width);
        g_assert_cmpint (piece.inner.y + piece.inner.height, <=, piece.height);
        if (MIN (piece.inner.width, piece.inner.height) > 64)
          g_assert_cmpfloat (fabs (log ((double) piece.inner.width / w * h / piece.inner.height)), <, 0.01);
      }
  g_assert_cmpuint (g_hash_table_size (sizes), <, 48);
}

static void
test_squares_of_the_models_size_are_not_scaled (void)
{
  static const int natives[] = { 128, 256, 512, 1024 };

  for (gsize i = 0; i < G_N_ELEMENTS (natives); i++)
    {
      FbPiece piece = { .crop = { 0, 0, natives[i], natives[i] } };

      fb_piece_fit (&piece, natives[i], 0);
      g_assert_cmpint (piece.width, ==, natives[i]);
      g_assert_cmpint (piece.height, ==, natives[i]);
      g_assert_cmpint (piece.inner.width, ==, natives[i]);
      fb_piece_fit (&piece, natives[i], 256);
      g_assert_cmpint (piece.width, ==, 256);
    }
}

static void
test_a_crop_comes_back_as_it_went (void)
{
  g_autoptr(FbImage) image = (state = 5, random_picture (100, 80, 1.0f));
  FbPiece            piece = { .crop = { 10, 20, 64, 48 }, .width = 64, .height = 64, .inner = { 0, 8, 64, 48 } };
  g_autoptr(FbImage) taken = fb_piece_take (&piece, image);
  g_autoptr(FbImage) given = fb_piece_give (&piece, taken, 64, 48, (FbRect) { 0, 0, 64, 48 });

  for (int y = 0; y < 48; y++)
    for (int i = 0; i < 64 * 3; i++)
      g_assert_cmpfloat_with_epsilon (given->pixels[y * 64 * 3 + i], image->pixels[((20 + y) * 100 + 10) * 3 + i], 1e-5);
}

static void
test_transparent_neighbours_do_not_darken (void)
{
  g_autoptr(FbImage) image = fb_image_new (64, 64, 4);
  FbPiece            piece = { .crop = { 0, 0, 64, 64 }, .width = 32, .height = 32, .inner = { 0, 0, 32, 32 } };
  g_autoptr(FbImage) taken = NULL;

  for (int i = 0; i < 64 * 64; i++)
    for (int c = 0; c < 4; c++)
      image->pixels[4 * i + c] = i % 64 < 31 ? 1.0f : 0.0f;
  taken = fb_piece_take (&piece, image);
  for (int i = 0; i < 32 * 32; i++)
    if (taken->pixels[4 * i + 3] > 0.1f)
      g_assert_cmpfloat_with_epsilon (taken->pixels[4 * i], 1.0, 1e-3);
}

static void
test_near_islands_are_one_piece_and_far_ones_several (void)
{
  static const struct { int width, n, stride, pieces; } cases[] =
  {
    {  600,  2,  100, 1 },
    { 6000,  2, 5000, 2 },
    { 6000,  3, 2500, 3 },
    { 6000,  3,   60, 1 },
    { 6000, 90,   60, 1 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(FbImage)  mask   = dots (cases[i].width, 512, cases[i].n, cases[i].stride);
      g_autoptr(FbPieces) pieces = fb_pieces_new (mask, &(FbView) { mask->width, mask->height, { 0, 0, mask->width, mask->height } }, 512, 0, FALSE);

      g_test_message ("case %d", (int) i);
      g_assert_cmpint (pieces->n, ==, cases[i].pieces);
      for (int k = 0; k < cases[i].n; k++)
        {
          const int     cell  = 20 / FB_PIECE_CELL * pieces->cells_x + (20 + k * cases[i].stride) / FB_PIECE_CELL;
          const int     owner = pieces->owners[cell];
          const FbRect *crop  = &pieces->pieces[owner].crop;

          g_assert_cmpint (owner, >=, 0);
          g_assert_cmpint (crop->x, <=, 20 + k * cases[i].stride);
          g_assert_cmpint (crop->x + crop->width, >=, 30 + k * cases[i].stride);
        }
    }
}

/* a hole at the right border and at no other is drawn with a margin there */
static void
test_margins_are_where_the_hole_meets_the_border (void)
{
  g_autoptr(FbImage)  mask   = fb_image_new (192, 192, 1);
  const FbView        view   = { 192, 192, { 0, 0, 192, 192 } };
  g_autoptr(FbPieces) plain  = NULL, mirrors = NULL;

  for (int i = 0; i < 192 * 192; i++)
    mask->pixels[i] = i % 192 >= 150 && i / 192 >= 80 && i / 192 < 120 ? 1.0f : 0.0f;
  plain   = fb_pieces_new (mask, &view, 128, 0, FALSE);
  mirrors = fb_pieces_new (mask, &view, 128, 0, TRUE);
  g_assert_cmpint (mirrors->n, ==, 1);
  g_assert_cmpint (plain->pieces[0].inner.width, ==, plain->pieces[0].width);
  g_assert_true (mirrors->pieces[0].margins.right);
  g_assert_false (mirrors->pieces[0].margins.left || mirrors->pieces[0].margins.top || mirrors->pieces[0].margins.bottom);
  g_assert_cmpint (mirrors->pieces[0].inner.x + mirrors->pieces[0].inner.width + 16, <=, mirrors->pieces[0].width);
  g_assert_cmpint (mirrors->pieces[0].inner.y + mirrors->pieces[0].inner.height, <=, mirrors->pieces[0].height);
}

/* --- tiles --------------------------------------------------------------------------------------------------------------- */

static gboolean
is_in_a_tile (const FbTiles *tiles, int x, int y)
{
  for (int i = 0; i < tiles->n_x * tiles->n_y; i++)
    {
      const FbRect *c = &tiles->parts[i].rect;

      if (x >= c->x && x < c->x + c->width && y >= c->y && y < c->y + c->height)
        return TRUE;
    }
  return FALSE;
}

static void
test_tiles_cover_what_is_shown_in_more_detail (void)
{
  int n_with = 0, n_without = 0;

  state = 21;
  for (int k = 0; k < 300; k++)
    {
      const int    native = 64 * (1 + below (8));
      const int    width  = native / 2 + below (6 * native), height = native / 2 + below (6 * native);
      const int    w      = 1 + below (width), h = 1 + below (height);
      const FbRect bounds = { below (width - w + 1), below (height - h + 1), w, h };
      FbPiece      piece  = { .crop = { 0, 0, width, height } };
      FbTiles      tiles;
      double       coarse;

      fb_piece_fit (&piece, native, 0);
      coarse = (double) piece.inner.width / width;
      if (!fb_tiles_init (&tiles, &piece, bounds, width, height, native, FB_MAX_TILES))
        {
          g_assert_cmpint (tiles.n_x * tiles.n_y, ==, 0);
          n_without++;
          continue;
        }
      n_with++;
      g_assert_cmpint (tiles.n_x * tiles.n_y, >=, 1);
      g_assert_cmpint (tiles.n_x * tiles.n_y, <=, FB_MAX_TILES);
      for (int i = 0; i < tiles.n_x * tiles.n_y; i++)
        {
          const FbPiece *t = &tiles.pieces[i];

          g_assert_cmpint (t->crop.x, >=, 0);
          g_assert_cmpint (t->crop.y, >=, 0);
          g_assert_cmpint (t->crop.x + t->crop.width, <=, width);
          g_assert_cmpint (t->crop.y + t->crop.height, <=, height);
          g_assert_cmpfloat ((double) t->inner.width / t->crop.width, >, 1.3 * coarse);
          g_assert_cmpint (tiles.parts[i].rect.x, >=, t->crop.x);
          g_assert_cmpint (tiles.parts[i].rect.y, >=, t->crop.y);
          g_assert_cmpint (tiles.parts[i].rect.x + tiles.parts[i].rect.width, <=, t->crop.x + t->crop.width);
          g_assert_cmpint (tiles.parts[i].rect.y + tiles.parts[i].rect.height, <=, t->crop.y + t->crop.height);
          g_assert_cmpint (t->width * t->height, <=, 1.5 * native * native);
        }
      for (int n = 0; n < 200; n++)
        {
          const int x = bounds.x + below (w), y = bounds.y + below (h);

          g_assert_true (is_in_a_tile (&tiles, x, y));
        }
    }
  g_assert_cmpint (n_with, >, 50);
  g_assert_cmpint (n_without, >, 10);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add_func ("/core/tasks/inpaint-steps/" name, func)
  ADD ("pieces-come-from-a-short-list-and-keep-their-shape", test_pieces_come_from_a_short_list_and_keep_their_shape);
  ADD ("squares-of-the-models-size-are-not-scaled", test_squares_of_the_models_size_are_not_scaled);
  ADD ("a-crop-comes-back-as-it-went", test_a_crop_comes_back_as_it_went);
  ADD ("transparent-neighbours-do-not-darken", test_transparent_neighbours_do_not_darken);
  ADD ("near-islands-are-one-piece-and-far-ones-several", test_near_islands_are_one_piece_and_far_ones_several);
  ADD ("margins-are-where-the-hole-meets-the-border", test_margins_are_where_the_hole_meets_the_border);
  ADD ("tiles-cover-what-is-shown-in-more-detail", test_tiles_cover_what_is_shown_in_more_detail);

  return g_test_run ();
}
