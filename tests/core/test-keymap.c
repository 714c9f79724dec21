/* tests/core/test-keymap.c: key maps against the names of real models. SPDX-License-Identifier: LGPL-3.0-or-later
 * tests/golden/formats/make-names.py made the lists, with diffusers' own conversion. */
#include <string.h>

#include "core/formats/keymap.h"

static const struct { const char *map, *section, *prefix, *list; int n; } cases[] =
{
  { "unet-ldm",      "",         "model.diffusion_model.", "names-unet-sd15",     686  },
  { "unet-ldm",      "",         "model.diffusion_model.", "names-unet-sdxl",     1680 },
  { "unet-ldm",      "",         "model.diffusion_model.", "names-unet-x4",       687  },
  { "vae-ldm",       "4 levels", "first_stage_model.",     "names-vae-sd15",      248  },
  { "vae-ldm",       "3 levels", "first_stage_model.",     "names-vae-x4",        204  },
  { "text-encoder",  "",         "",                       "names-text-encoder",  196  },
  { "taesd",         "encoder",  "",                       "names-taesd-encoder", 67   },
  { "taesd",         "decoder",  "",                       "names-taesd-decoder", 67   },
};

/* Pairs of words: theirs, ours. */
static char **
load_list (const char *name)
{
  g_autofree char  *file  = g_strconcat (name, ".txt", NULL);
  g_autofree char  *path  = g_test_build_filename (G_TEST_DIST, "golden", "formats", file, NULL);
  g_autoptr(GError) error = NULL;
  char             *text;
  char            **rows;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  rows = g_strsplit (text, "\n", -1);
  g_free (text);
  return rows;
}

static void
test_names_of_real_models (gconstpointer data)
{
  gsize              i     = GPOINTER_TO_SIZE (data);
  const FbKeymap    *map   = fb_keymap_get (cases[i].map);
  g_auto(GStrv)      rows  = load_list (cases[i].list);
  int                n     = 0;

  for (guint r = 0; rows[r] != NULL; r++)
    {
      g_auto(GStrv)    pair   = g_strsplit (rows[r], " ", 2);
      g_autofree char *ours   = NULL;
      g_auto(GStrv)    theirs = NULL;

      if (rows[r][0] == '#' || rows[r][0] == '\0')
        continue;
      g_assert_true (g_str_has_prefix (pair[0], cases[i].prefix));

      ours   = fb_keymap_to_ours (map, cases[i].section, pair[0] + strlen (cases[i].prefix));
      theirs = fb_keymap_to_theirs (map, cases[i].section, pair[1]);
      g_assert_cmpstr (ours, ==, pair[1]);
      g_assert_true (g_strv_contains ((const char * const *) theirs, pair[0] + strlen (cases[i].prefix)));
      n++;
    }

  g_assert_cmpint (n, ==, cases[i].n);
}

static void
test_old_vae_names (void)
{
  g_auto(GStrv) rows = load_list ("names-vae-legacy");
  int           n    = 0;

  for (guint r = 0; rows[r] != NULL; r++)
    {
      g_auto(GStrv)    pair = g_strsplit (rows[r], " ", 2);
      g_autofree char *ours = rows[r][0] == '#' || rows[r][0] == '\0' ? NULL
                                                                      : fb_keymap_to_ours (fb_keymap_get ("vae-diffusers"), "", pair[0]);

      if (ours != NULL)                             /* the map knows only the renamed ones */
        {
          g_assert_cmpstr (ours, ==, pair[1]);
          g_assert_cmpstr (ours, !=, pair[0]);
          n++;
        }
      else if (rows[r][0] != '#' && rows[r][0] != '\0')
        g_assert_cmpstr (pair[0], ==, pair[1]);
    }

  g_assert_cmpint (n, ==, 16);
}

static void
test_every_line_is_hit (void)
{
  static const char * const names[] = { "unet-ldm", "vae-ldm", "vae-diffusers", "text-encoder", "taesd" };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    test_names_of_real_models (GSIZE_TO_POINTER (i));
  test_old_vae_names ();

  for (guint m = 0; m < G_N_ELEMENTS (names); m++)
    for (guint i = 0; i < fb_keymap_n_lines (fb_keymap_get (names[m])); i++)
      if (fb_keymap_hits (fb_keymap_get (names[m]))[i] == 0)
        {
          g_test_message ("%s: pair %u meets no name", names[m], i + 1);
          g_test_fail ();
        }
}

static void
test_only_whole_names_match (void)
{
  static const char * const strangers[] =
  {
    "time_embed.0", "time_embed.0.weights", "xtime_embed.0.weight", "time_embed.0.weight.x", "time_embed.1.weight", "",
    "middle_block.1.transformer_blocks.x.norm1.weight", "middle_block.1.transformer_blocks..norm1.weight",
    "input_blocks.12.0.in_layers.0.weight", "middle_block.1.transformer_blocks.0.attn1.to_q.bias",
  };

  for (guint i = 0; i < G_N_ELEMENTS (strangers); i++)
    g_assert_null (fb_keymap_to_ours (fb_keymap_get ("unet-ldm"), "", strangers[i]));
}

static void
test_indices_are_carried_over (void)
{
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbKeymap) map   = fb_keymap_parse ("a.*.b.*.{rest} x*y*.{rest}\n[rest]\nc.* d*\n", &error);
  g_autofree char    *ours  = NULL;
  g_auto(GStrv)       back  = NULL;

  g_assert_no_error (error);
  ours = fb_keymap_to_ours (map, "", "a.12.b.0.c.345");
  back = fb_keymap_to_theirs (map, "", "x12y0.d345");
  g_assert_cmpstr (ours, ==, "x12y0.d345");
  g_assert_cmpuint (g_strv_length (back), ==, 1);
  g_assert_cmpstr (back[0], ==, "a.12.b.0.c.345");
}

static void
test_wrong_maps_are_refused (void)
{
  static const char * const texts[] =
  {
    "one", "one two three", "a.* b", "a b.*", "a.{x} b.{x}", "a.{x} b.{y}\n[x]\na a\n[y]\na a", "a.{x} b\n[x]\na a", "a.{x}.b a.{x}.b\n[x]\na a",
    "[x]\na a\n[x]\nb b", "a.{x} a.{x}\n[x]\nb.{x} b.{x}", "[x]\na.{y} a.{y}\n[z]\na a", "[", "[]", "[x", "*.*.*.*.* *.*.*.*.*",
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr(GError) error = NULL;

      g_assert_null (fb_keymap_parse (texts[i], &error));
      g_assert_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_PARSE);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/formats/keymap/only-whole-names-match", test_only_whole_names_match);
  g_test_add_func ("/core/formats/keymap/indices-are-carried-over", test_indices_are_carried_over);
  g_test_add_func ("/core/formats/keymap/wrong-maps-are-refused", test_wrong_maps_are_refused);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/core/formats/keymap/translates-as-diffusers-does/", cases[i].list + 6, NULL);
      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_names_of_real_models);
    }
  g_test_add_func ("/core/formats/keymap/old-vae-names-are-known", test_old_vae_names);
  g_test_add_func ("/core/formats/keymap/every-line-is-hit", test_every_line_is_hit);
  return g_test_run ();
}
