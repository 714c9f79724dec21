/* tests/gimp/test-arguments.c: seeds, LoRAs, sizes and records, without GIMP. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include <gio/gio.h>
#include <glib/gstdio.h>

#include "plugins/inpaint/args.h"
#include "plugins/upscale/args.h"
#include "tests/core/scratch.h"
#include "ui/plot.h"
#include "ui/record.h"
#include "ui/sampling-args.h"
#include "ui/size.h"

static const FbArg args[] =
{
  FB_ARGS_PROMPT,
  FB_ARGS_MODEL,
  FB_ARGS_SAMPLING,
  FB_ARGS_SIZE,
  FB_ARGS_RESULT,
  FB_ARG_END
};

static const char whole[] =
  "{\"prompt\":\"a \\\"red\\\" äpple\",\"seed\":9007199254740993,\"n-steps\":4,\"guidance-scale\":1,\"width\":128,"
  "\"loras\":[[\"ink=1\",0.5],[\"wash\",-1]],\"preview\":\"taesd\",\"model-hash\":\"abc\"}";

/* @taken: letters of what else is in the window */
static void
check_keys (const FbArg *table, const char *taken)
{
  g_autoptr(GString) keys = g_string_new (taken);

  for (const FbArg *arg = table; arg->name != NULL; arg++)
    {
      const char *mark = arg->label != NULL ? strchr (arg->label, '_') : NULL;

      if (mark == NULL)
        continue;
      if (strchr (keys->str, g_ascii_tolower (mark[1])) != NULL)
        g_error ("“%s” has a key that something else has too", arg->label);
      g_string_append_c (keys, g_ascii_tolower (mark[1]));
    }
}

/* Alt with a letter goes to one place: where two have it, it only goes round between them. */
static void
test_keys (void)
{
  static const FbArg generate_args[] =
  {
    FB_ARGS_PROMPT, FB_ARGS_MODEL, FB_ARGS_SAMPLING, FB_ARGS_SIZE, FB_ARG_DOUBLE ("strength", "Change b_y", "", 0, 1, 1), FB_ARG_BACKGROUND,
    FB_ARGS_RESULT, FB_ARG_END
  };

  check_keys (generate_args, "cegnix");                           /* the buttons in ui/dialog-window.c */
  check_keys (inpaint_args, "ceginlx");                           /* and Live */
  check_keys (upscale_args, "cegnix");
}

static void
test_seeds (void)
{
  static const char * const wrong[] = { "seven", "1.5", "-2", "9223372036854775808", "1 2", "0x10" };
  gint64                    seed    = 0;

  g_assert_true (fb_args_parse_seed (" 42 ", &seed, NULL));
  g_assert_cmpint (seed, ==, 42);
  g_assert_true (fb_args_parse_seed ("9223372036854775807", &seed, NULL));
  g_assert_cmpint (seed, ==, G_MAXINT64);
  g_assert_true (fb_args_parse_seed ("-1", &seed, NULL));
  g_assert_cmpint (seed, >=, 0);
  g_assert_cmpint (seed, <=, G_MAXUINT32);

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr(GError) error = NULL;

      g_assert_false (fb_args_parse_seed (wrong[i], &seed, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, wrong[i]));
    }
}

static void
test_loras (void)
{
  static const char * const wrong[] = { "", "=1", "ink=", "ink=loud", "ink=1x", "ink=nan", "ink=inf" };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr(GError) error    = NULL;
      g_autofree char  *name     = NULL;
      double            strength = 0.0;

      g_assert_false (fb_args_parse_lora (wrong[i], &name, &strength, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
      g_assert_null (name);
    }
}

static void
test_lora_round_trip (void)
{
  static const struct { const char *text, *name; double strength; } rows[] =
  {
    { "ink=0.8",      "ink",      0.8 },
    { "ink",          "ink",      1.0 },
    { "ink=0.123456789012345678", "ink", 0.123456789012345678 },
    { "/a/b=c.x=-1",  "/a/b=c.x", -1.0 },      /* the last "=" counts: a path may hold others */
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *name     = NULL;
      g_autofree char *text     = NULL;
      g_autofree char *again    = NULL;
      double           strength = 0.0;

      g_assert_true (fb_args_parse_lora (rows[i].text, &name, &strength, NULL));
      g_assert_cmpstr (name, ==, rows[i].name);
      g_assert_cmpfloat (strength, ==, rows[i].strength);
      text = fb_args_format_lora (name, strength);
      g_assert_true (fb_args_parse_lora (text, &again, &strength, NULL));
      g_assert_cmpstr (again, ==, rows[i].name);
      g_assert_cmpfloat (strength, ==, rows[i].strength);
    }
}

/* (transfer full) (nullable): the request of one argument, read from a property of the same name; fb_args_to_variant() asks no more of a configuration */
static GVariant *
request_of (FbArg arg, gpointer object, GError **error)
{
  const FbArg table[] = { arg, FB_ARG_END };

  return fb_args_to_variant (table, object, error);
}

static GVariant *
request_of_model (const char *name, GError **error)
{
  const FbArg              arg    = FB_ARG_MODEL ("name", "", "", "checkpoint");
  g_autoptr(GSimpleAction) object = g_object_new (G_TYPE_SIMPLE_ACTION, "name", name, NULL);

  return request_of (arg, object, error);
}

static GVariant *
request_of_lora (const char *name, GError **error)
{
  const FbArg       arg     = FB_ARG_LORAS ("names", "", "");
  const char       *names[] = { name, NULL };
  g_autoptr(GIcon)  object  = g_object_new (G_TYPE_THEMED_ICON, "names", names, NULL);

  return request_of (arg, object, error);
}

/* a checkpoint of such a name must not become the default one */
static void
test_no_utf8 (void)
{
  g_autoptr(GError) model = NULL, lora = NULL;

  g_assert_null (request_of_model ("/models/\xe4pfel.safetensors", &model));
  g_assert_error (model, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_cmpstr (model->message, ==, "“name” is not valid UTF-8 text at byte 8.");
  g_assert_null (request_of_lora ("t\xfcr=1", &lora));
  g_assert_error (lora, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_cmpstr (lora->message, ==, "“names” is not valid UTF-8 text at byte 1.");
}

static char *
model_meant (const char *name)
{
  g_autoptr(GError)   error   = NULL;
  g_autoptr(GVariant) request = request_of_model (name, &error);
  char               *meant   = NULL;

  g_assert_no_error (error);
  g_assert_true (g_variant_lookup (request, "name", "s", &meant));
  return meant;
}

/* the engine works in another folder than a script */
static void
test_relative_paths (void)
{
  g_autofree char     *before = g_get_current_dir ();
  g_autoptr(Scratch)   folder = scratch_new ();
  g_autofree char     *path   = g_build_filename (folder, "models", "x.safetensors", NULL);
  g_autofree char     *there  = NULL, *bare = NULL, *name = NULL, *gone = NULL;
  g_autoptr(GError)    error  = NULL;
  g_autoptr(GVariant)  loras  = NULL;
  g_autoptr(GVariant)  list   = NULL;
  const char          *lora   = NULL;
  double               strength;

  scratch_write (folder, "models/x.safetensors", "", 0);
  scratch_write (folder, "models/folder/model_index.json", "{}", 2);
  g_assert_no_errno (g_chdir (folder));
  there = model_meant ("models/x.safetensors");
  loras = request_of_lora ("./models/x.safetensors=0.5", &error);
  gone  = model_meant ("models/y.safetensors");
  g_assert_no_errno (g_chdir ("models"));
  bare  = model_meant ("x.safetensors");
  name  = model_meant ("folder");                                 /* may be one in the store */
  g_assert_no_errno (g_chdir (before));

  g_assert_cmpstr (there, ==, path);
  g_assert_cmpstr (bare, ==, path);
  g_assert_cmpstr (name, ==, "folder");
  g_assert_cmpstr (gone, ==, "models/y.safetensors");
  g_assert_no_error (error);
  list = g_variant_lookup_value (loras, "names", G_VARIANT_TYPE ("a(sd)"));
  g_variant_get_child (list, 0, "(&sd)", &lora, &strength);
  g_assert_cmpstr (lora, ==, path);
}

static void
test_sizes (void)
{
  static const struct { int place[2], model, size[2]; } rows[] =
  {
    { { 512, 512 },   512, { 512, 512 } },
    { { 1, 1 },       512, { 512, 512 } },       /* small places get the model's area */
    { { 4000, 4000 }, 512, { 768, 768 } },       /* large ones 1.5 times its side */
    { { 600, 400 },   512, { 640, 448 } },
    { { 9000, 10 },   512, { 896, 320 } },       /* at most three times as wide as high */
    { { 100, 60 },    128, { 160, 96 } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      int width, height;

      fb_size_choose (rows[i].place[0], rows[i].place[1], rows[i].model, rows[i].model, &width, &height);
      g_assert_cmpint (width, ==, rows[i].size[0]);
      g_assert_cmpint (height, ==, rows[i].size[1]);
    }
}

static void
test_size_list_is_short (void)
{
  g_autoptr(GHashTable) sizes = g_hash_table_new (NULL, NULL);

  for (int w = 1; w < 3000; w += 7)
    for (int h = 1; h < 3000; h += 11)
      {
        int width, height;

        fb_size_choose (w, h, 512, 512, &width, &height);
        g_assert_cmpint (width % 8, ==, 0);
        g_assert_cmpint (height % 8, ==, 0);
        g_hash_table_add (sizes, GINT_TO_POINTER (width << 16 | height));
      }
  g_assert_cmpint (g_hash_table_size (sizes), <=, 128);
}

static void
test_record (void)
{
  g_autoptr(GVariant)     values = fb_record_parse (whole, sizeof whole, args, NULL);
  g_autoptr(GVariantIter) loras  = NULL;
  const char             *text   = NULL;
  gint64                  seed   = 0;
  int                     steps  = 0;
  double                  number = 0.0;

  g_assert_nonnull (values);
  g_assert_true (g_variant_lookup (values, "prompt", "&s", &text));
  g_assert_cmpstr (text, ==, "a \"red\" äpple");
  g_assert_true (g_variant_lookup (values, "seed", "x", &seed));
  g_assert_cmpint (seed, ==, 9007199254740993);
  g_assert_true (g_variant_lookup (values, "n-steps", "i", &steps));
  g_assert_cmpint (steps, ==, 4);
  g_assert_true (g_variant_lookup (values, "guidance-scale", "d", &number));    /* JSON's 1 is a double where one is wanted */
  g_assert_true (g_variant_lookup (values, "loras", "a(sd)", &loras));
  g_assert_cmpint (g_variant_iter_n_children (loras), ==, 2);
  g_assert_false (g_variant_lookup (values, "model-hash", "&s", &text));        /* no row asks for it */
}

static void
test_record_prefixes (void)
{
  for (gsize n = 0; n < sizeof whole - 1; n++)
    {
      g_autofree char  *cut   = g_memdup2 (whole, n);
      g_autoptr(GError) error = NULL;

      g_assert_null (fb_record_parse (cut, n, args, &error));
      g_assert_error (error, FB_RECORD_ERROR, FB_RECORD_ERROR_DAMAGED);
    }
}

static void
test_record_hostile (void)
{
  static const char * const wrong[] =
  {
    "[]", "null", "1", "\"prompt\"", "{}", "{\"prompt\":1}", "{\"prompt\":[\"a\"]}", "{\"prompt\":null}",
    "{\"prompt\":\"a\",\"n-steps\":-1}", "{\"prompt\":\"a\",\"n-steps\":1001}", "{\"prompt\":\"a\",\"n-steps\":1e300}",
    "{\"prompt\":\"a\",\"seed\":-5}", "{\"prompt\":\"a\",\"width\":99999999999999999999}", "{\"prompt\":\"a\",\"count\":\"1\"}",
    "{\"prompt\":\"a\",\"loras\":\"ink=1\"}", "{\"prompt\":\"a\",\"loras\":[\"ink\"]}", "{\"prompt\":\"a\",\"loras\":[[\"ink\"]]}",
    "{\"prompt\":\"a\",\"loras\":[[\"ink\",\"1\"]]}", "{\"prompt\":\"a\",\"guidance-scale\":1e999}",
    "{\"prompt\":\"\xff\"}",
  };
  g_autofree char *deep = g_strnfill (100000, '[');

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr(GError) error = NULL;

      g_test_message ("%s", wrong[i]);
      g_assert_null (fb_record_parse (wrong[i], strlen (wrong[i]), args, &error));
      g_assert_error (error, FB_RECORD_ERROR, FB_RECORD_ERROR_DAMAGED);
    }
  g_assert_null (fb_record_parse (deep, strlen (deep), args, NULL));
}

static void
test_some_settings (void)
{
  static const char   some[] = "{\"loras\":[[\"ink\",1]],\"n-steps\":4,\"sampler\":\"flash\"}", wrong[] = "{\"n-steps\":\"four\"}";
  g_autoptr(GError)   error  = NULL;
  g_autoptr(GVariant) values = fb_record_parse_some (some, sizeof some - 1, args, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_n_children (values), ==, 3);
  g_assert_null (fb_record_parse (some, sizeof some - 1, args, NULL));           /* no record of a layer: it has no prompt */
  g_assert_null (fb_record_parse_some (wrong, sizeof wrong - 1, args, &error));
  g_assert_error (error, FB_RECORD_ERROR, FB_RECORD_ERROR_DAMAGED);
}

static void
test_means (void)
{
  static const double values[] = { 4.0, 2.0, 0.0, 10.0 };

  g_assert_cmpfloat (fb_plot_mean (values, 0, 3), ==, 4.0);
  g_assert_cmpfloat (fb_plot_mean (values, 1, 3), ==, 3.0);
  g_assert_cmpfloat (fb_plot_mean (values, 3, 3), ==, 4.0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/ui/args/each-key-leads-to-one-place", test_keys);
  g_test_add_func ("/ui/args/seeds-are-whole-numbers-from-0", test_seeds);
  g_test_add_func ("/ui/args/loras-need-a-name-and-a-number", test_loras);
  g_test_add_func ("/ui/args/loras-survive-a-round-trip", test_lora_round_trip);
  g_test_add_func ("/ui/args/what-is-no-utf-8-is-named", test_no_utf8);
  g_test_add_func ("/ui/args/relative-paths-start-where-the-script-is", test_relative_paths);
  g_test_add_func ("/ui/size/follows-the-place-within-the-models-range", test_sizes);
  g_test_add_func ("/ui/size/comes-from-a-short-list", test_size_list_is_short);
  g_test_add_func ("/ui/record/gives-the-rows-with-their-types", test_record);
  g_test_add_func ("/ui/record/every-prefix-is-refused", test_record_prefixes);
  g_test_add_func ("/ui/record/what-others-write-is-refused", test_record_hostile);
  g_test_add_func ("/ui/record/some-settings-need-no-prompt", test_some_settings);
  g_test_add_func ("/ui/plot/a-mean-is-over-what-there-is", test_means);

  return g_test_run ();
}
