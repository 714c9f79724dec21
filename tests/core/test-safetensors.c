/* tests/core/test-safetensors.c: reading and writing safetensors. SPDX-License-Identifier: LGPL-3.0-or-later
 * tests/golden/formats/python.safetensors is the safetensors package's own work (make-safetensors.py). */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/formats/safetensors-writer.h"
#include "core/formats/safetensors.h"
#include "tests/core/scratch.h"

static char *
golden_path (void)
{
  return g_test_build_filename (G_TEST_DIST, "golden", "formats", "python.safetensors", NULL);
}

static GBytes *
golden_bytes (void)
{
  g_autofree char  *path  = golden_path ();
  g_autoptr(GError) error = NULL;
  char             *data;
  gsize             n;

  g_file_get_contents (path, &data, &n, &error);
  g_assert_no_error (error);
  return g_bytes_new_take (data, n);
}

/* A file with the header @json and @n_data bytes of data. */
static GBytes *
file_with_header (const char *json, gsize n_data)
{
  GByteArray      *file   = g_byte_array_new ();
  guint64          length = GUINT64_TO_LE (strlen (json));
  g_autofree void *data   = g_malloc0 (n_data + 1);

  g_byte_array_append (file, (guint8 *) &length, 8);
  g_byte_array_append (file, (const guint8 *) json, strlen (json));
  g_byte_array_append (file, data, n_data);
  return g_byte_array_free_to_bytes (file);
}

static void
test_reads_what_python_wrote (void)
{
  static const char * const floats[] = { "f32", "f16", "bf16", "f64" };
  g_autofree char          *path     = golden_path ();
  g_autoptr(GError)         error    = NULL;
  g_autoptr(FbSafetensors)  st       = fb_safetensors_open (path, &error);
  const FbTensorInfo       *info;
  float                     x[6];
  gint64                    i64[6];
  guint8                    u8[6];

  g_assert_no_error (error);
  g_assert_cmpuint (fb_safetensors_n_tensors (st), ==, 17);
  g_assert_cmpstr (fb_safetensors_metadata (st, "format"), ==, "pt");
  g_assert_cmpstr (fb_safetensors_metadata (st, "author"), ==, "naïve “名” \\ \n");
  g_assert_null (fb_safetensors_metadata (st, "absent"));

  for (guint t = 0; t < G_N_ELEMENTS (floats); t++)
    {
      info = fb_safetensors_lookup (st, floats[t]);
      g_assert_cmpint (info->n_dims, ==, 2);
      g_assert_cmpint (info->shape[0], ==, 2);
      g_assert_cmpint (info->shape[1], ==, 3);
      g_assert_true (fb_safetensors_read_f32 (st, info, 0, 6, x, NULL, &error));
      for (int i = 0; i < 6; i++)
        g_assert_cmpfloat (x[i], ==, i - 2);
      g_assert_true (fb_safetensors_read_f32 (st, info, 4, 2, x, NULL, &error));       /* a part of it */
      g_assert_cmpfloat (x[1], ==, 3);
    }

  g_assert_true (fb_safetensors_read (st, fb_safetensors_lookup (st, "i64"), 0, sizeof i64, i64, NULL, &error));
  g_assert_cmpint (i64[0], ==, -2);
  g_assert_true (fb_safetensors_read (st, fb_safetensors_lookup (st, "u8"), 2, 4, u8, NULL, &error));
  g_assert_cmpint (u8[3], ==, 5);

  info = fb_safetensors_lookup (st, "scalar");
  g_assert_cmpint (info->n_dims, ==, 0);
  g_assert_true (fb_safetensors_read_f32 (st, info, 0, 1, x, NULL, &error));
  g_assert_cmpfloat (x[0], ==, -2);

  info = fb_safetensors_lookup (st, "empty");
  g_assert_cmpuint (fb_tensor_info_n_elements (info), ==, 0);
  g_assert_true (fb_safetensors_read_f32 (st, info, 0, 0, x, NULL, &error));

  g_assert_nonnull (fb_safetensors_lookup (st, "naïve “名”"));
  g_assert_null (fb_safetensors_lookup (st, "absent"));
}

static void
test_other_types_are_refused_when_read (void)
{
  static const struct { const char *tensor, *type; } cases[] =
  {
    { "f8_e4m3", "F8_E4M3" }, { "f8_e5m2", "F8_E5M2" }, { "bool", "BOOL" }, { "i8", "I8" }, { "i16", "I16" }, { "i32", "I32" }, { "u8", "U8" },
  };
  g_autofree char          *path = golden_path ();
  g_autoptr(FbSafetensors)  st   = fb_safetensors_open (path, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GError)   error = NULL;
      const FbTensorInfo *info  = fb_safetensors_lookup (st, cases[i].tensor);
      float               x[6];

      g_assert_cmpstr (info->dtype_name, ==, cases[i].type);
      g_assert_false (fb_safetensors_read_f32 (st, info, 0, 6, x, NULL, &error));
      g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_DTYPE);
      g_assert_nonnull (strstr (error->message, cases[i].type));
      g_assert_nonnull (strstr (error->message, cases[i].tensor));
    }
}

static void
test_nan_and_infinity_are_refused (void)
{
  g_autofree char          *path   = golden_path ();
  g_autoptr(FbSafetensors)  st     = fb_safetensors_open (path, NULL);
  static const char * const names[] = { "nan", "inf16" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr(GError)   error = NULL, error_raw = NULL;
      const FbTensorInfo *info  = fb_safetensors_lookup (st, names[i]);
      float               x[2];

      g_assert_false (fb_safetensors_read_f32 (st, info, 0, 2, x, NULL, &error));
      g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FINITE);
      g_assert_nonnull (strstr (error->message, names[i]));
      g_assert_nonnull (strstr (error->message, path));
      g_assert_false (fb_safetensors_read_finite (st, info, x, NULL, &error_raw));
      g_assert_error (error_raw, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FINITE);
    }
}

static void
test_every_prefix_is_refused (void)
{
  g_autoptr(GBytes) whole = golden_bytes ();

  for (gsize n = 0; n < g_bytes_get_size (whole); n++)
    {
      g_autoptr(GBytes) cut   = g_bytes_new_from_bytes (whole, 0, n);
      g_autoptr(GError) error = NULL;

      g_assert_null (fb_safetensors_parse (cut, &error));
      g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_TRUNCATED);
    }
}

static void
test_changed_bytes_do_no_harm (void)
{
  g_autoptr(GBytes) whole = golden_bytes ();
  gsize             size;
  const guint8     *data  = g_bytes_get_data (whole, &size);
  g_autoptr(GRand)  rand  = g_rand_new_with_seed (1);
  int               n_bad = 0;

  for (int round = 0; round < 20000; round++)
    {
      guint8                  *copy   = g_memdup2 (data, size);
      g_autoptr(GBytes)        bytes  = g_bytes_new_take (copy, size);
      g_autoptr(GError)        error  = NULL;
      g_autoptr(FbSafetensors) st     = NULL;

      for (int k = g_rand_int_range (rand, 1, 4); k > 0; k--)
        copy[g_rand_int_range (rand, 0, size)] = g_rand_int_range (rand, 0, 256);
      st = fb_safetensors_parse (bytes, &error);
      g_assert_true ((st == NULL) == (error != NULL));
      n_bad += st == NULL;
      for (guint i = 0; st != NULL && i < fb_safetensors_n_tensors (st); i++)
        {
          const FbTensorInfo *info = fb_safetensors_tensor (st, i);
          g_autofree void    *dst  = g_malloc (info->n_bytes + 1);

          g_assert_true (fb_safetensors_read (st, info, 0, info->n_bytes, dst, NULL, NULL));
        }
    }

  g_assert_cmpint (n_bad, >, 5000);
}

#define T(name, dtype, shape, offsets) "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct { const char *name, *json; gsize n_data; FbModelError code; } lies[] =
{
  { "overlap",            "{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[2]", "[4,12]") "}", 12, FB_MODEL_ERROR_BAD_HEADER },
  { "same-place",         "{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[2]", "[0,8]") "}", 8, FB_MODEL_ERROR_BAD_HEADER },
  { "hole",               "{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[8,12]") "}", 12, FB_MODEL_ERROR_BAD_HEADER },
  { "hole-at-start",      "{" T("a", "F32", "[1]", "[4,8]") "}", 8, FB_MODEL_ERROR_BAD_HEADER },
  { "rest-at-end",        "{" T("a", "F32", "[1]", "[0,4]") "}", 5, FB_MODEL_ERROR_BAD_HEADER },
  { "no-tensor-but-data", "{}", 4, FB_MODEL_ERROR_BAD_HEADER },
  { "out-of-file",        "{" T("a", "F32", "[3]", "[0,12]") "}", 8, FB_MODEL_ERROR_TRUNCATED },
  { "far-out-of-file",    "{" T("a", "U8", "[1152921504606846975]", "[0,1152921504606846975]") "}", 8, FB_MODEL_ERROR_TRUNCATED },
  { "backwards",          "{" T("a", "F32", "[1]", "[8,4]") "}", 8, FB_MODEL_ERROR_BAD_HEADER },
  { "negative-offset",    "{" T("a", "F32", "[1]", "[-4,0]") "}", 4, FB_MODEL_ERROR_BAD_HEADER },
  { "three-offsets",      "{" T("a", "F32", "[1]", "[0,4,8]") "}", 8, FB_MODEL_ERROR_BAD_HEADER },
  { "fraction",           "{" T("a", "F32", "[1]", "[0,4.0]") "}", 4, FB_MODEL_ERROR_BAD_HEADER },
  { "wrong-shape",        "{" T("a", "F32", "[2]", "[0,4]") "}", 4, FB_MODEL_ERROR_BAD_HEADER },
  { "wrapping-shape",     "{" T("a", "F32", "[4611686018427387904,4]", "[0,0]") "}", 0, FB_MODEL_ERROR_BAD_HEADER },
  { "wrapping-bytes",     "{" T("a", "F32", "[4611686018427387904]", "[0,0]") "}", 0, FB_MODEL_ERROR_BAD_HEADER },
  { "wrapping-to-right",  "{" T("a", "F32", "[4294967296,4294967296,1]", "[0,0]") "}", 0, FB_MODEL_ERROR_BAD_HEADER },
  { "negative-shape",     "{" T("a", "F32", "[-1,-1]", "[0,4]") "}", 4, FB_MODEL_ERROR_BAD_HEADER },
  { "nine-dimensions",    "{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, FB_MODEL_ERROR_BAD_HEADER },
  { "half-a-byte",        "{" T("a", "F4", "[1]", "[0,1]") "}", 1, FB_MODEL_ERROR_BAD_HEADER },
  { "unknown-type",       "{" T("a", "F33", "[1]", "[0,4]") "}", 4, FB_MODEL_ERROR_DTYPE },
  { "no-type",            "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, FB_MODEL_ERROR_DTYPE },
  { "type-is-a-number",   "{\"a\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, FB_MODEL_ERROR_DTYPE },
  { "no-shape",           "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, FB_MODEL_ERROR_BAD_HEADER },
  { "no-offsets",         "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, FB_MODEL_ERROR_BAD_HEADER },
  { "tensor-is-null",     "{\"a\":null}", 0, FB_MODEL_ERROR_BAD_HEADER },
  { "duplicate",          "{" T("a", "F32", "[1]", "[0,4]") "," T("a", "F32", "[1]", "[4,8]") "}", 8, FB_MODEL_ERROR_BAD_HEADER },
  { "duplicate-escaped",  "{" T("a", "F32", "[1]", "[0,4]") "," T("\\u0061", "F32", "[1]", "[0,4]") "}", 4, FB_MODEL_ERROR_BAD_HEADER },
  { "duplicate-member",   "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, FB_MODEL_ERROR_BAD_HEADER },
  { "control-in-name",    "{" T("a\\n", "F32", "[1]", "[0,4]") "}", 4, FB_MODEL_ERROR_BAD_HEADER },
  { "metadata-number",    "{\"__metadata__\":{\"a\":1}}", 0, FB_MODEL_ERROR_BAD_HEADER },
  { "metadata-array",     "{\"__metadata__\":[]}", 0, FB_MODEL_ERROR_BAD_HEADER },
  { "array",              "[1]", 0, FB_MODEL_ERROR_BAD_HEADER },
  { "not-json",           "{\"a\"", 0, FB_MODEL_ERROR_BAD_HEADER },
  { "two-objects",        "{}{}", 0, FB_MODEL_ERROR_BAD_HEADER },
  { "not-utf-8",          "{\"\xff\":{}}", 0, FB_MODEL_ERROR_BAD_HEADER },
  { "comment",            "{/*\"*/}", 0, FB_MODEL_ERROR_BAD_HEADER },
  { "single-quotes",      "{'__metadata__':{}}", 0, FB_MODEL_ERROR_BAD_HEADER },
  { "one-byte",           "{", 0, FB_MODEL_ERROR_BAD_HEADER },
  { "empty",              "", 0, FB_MODEL_ERROR_BAD_HEADER },
};

static void
test_lying_header (gconstpointer data)
{
  gsize             i     = GPOINTER_TO_SIZE (data);
  g_autoptr(GBytes) bytes = file_with_header (lies[i].json, lies[i].n_data);
  g_autoptr(GError) error = NULL;

  g_assert_null (fb_safetensors_parse (bytes, &error));
  g_assert_error (error, FB_MODEL_ERROR, (int) lies[i].code);
}

static void
test_true_oddities_are_accepted (void)
{
  static const struct { const char *json; gsize n_data; guint n; } cases[] =
  {
    { "{}      ", 0, 0 },                                                                                   /* padded, nothing in it */
    { "{\"__metadata__\":null," T("a", "F32", "[]", "[0,4]") "}", 4, 1 },
    { "{" T("b", "F32", "[1]", "[0,4]") "," T("e", "F32", "[0]", "[4,4]") "," T("c", "F32", "[1]", "[4,8]") "}", 8, 3 },
    { "{" T("a", "F4", "[2]", "[0,1]") "}", 1, 1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GBytes)        bytes = file_with_header (cases[i].json, cases[i].n_data);
      g_autoptr(GError)        error = NULL;
      g_autoptr(FbSafetensors) st    = fb_safetensors_parse (bytes, &error);

      g_assert_no_error (error);
      g_assert_cmpuint (fb_safetensors_n_tensors (st), ==, cases[i].n);
    }
}

static void
test_ten_gigabyte_header_is_refused (void)
{
  const guint64     length = GUINT64_TO_LE (10000000000u);
  g_autoptr(GBytes) bytes  = g_bytes_new (&length, 8);
  g_autoptr(GError) error  = NULL;

  g_assert_null (fb_safetensors_parse (bytes, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_HEADER);
}

static void
test_deep_nesting_is_refused (void)
{
  g_autofree char  *deep  = g_strnfill (2000000, '[');
  g_autoptr(GBytes) bytes = NULL;
  g_autoptr(GError) error = NULL;

  memcpy (deep, "{\"a\":", 5);
  bytes = file_with_header (deep, 0);
  g_assert_null (fb_safetensors_parse (bytes, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_HEADER);
}

/* A tree of it would take gigabytes; and so would one that a comment hides from whoever counts. */
static void
test_a_header_of_zeros_is_refused (void)
{
  static const char *const starts[] = { "{\"a\":{\"shape\":[0", "{/*\"*/\"a\":{\"shape\":[0", "{'\"':0,\"a\":{\"shape\":[0" };

  for (guint i = 0; i < G_N_ELEMENTS (starts); i++)
    {
      const gsize       n_start = strlen (starts[i]), n = 8u << 20;
      g_autofree char  *json    = g_malloc (n + 1);
      g_autoptr(GBytes) bytes   = NULL;
      g_autoptr(GError) error   = NULL;

      memcpy (json, starts[i], n_start);
      for (gsize k = n_start; k < n; k++)
        json[k] = (k - n_start) % 2 == 0 ? ',' : '0';
      json[n] = '\0';
      bytes   = file_with_header (json, 0);
      g_assert_null (fb_safetensors_parse (bytes, &error));
      g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_HEADER);
      g_assert_nonnull (strstr (error->message, i == 0 ? "lists more values" : "not part of it"));
    }
}

static void
test_other_formats_are_named (void)
{
  static const struct { const char *name, *content; FbModelError code; const char *word; } cases[] =
  {
    { "a.ckpt",        "PK\003\004    ",                FB_MODEL_ERROR_PICKLE,      "pickle"   },
    { "a.PT",          "\x80\x02}q        ",            FB_MODEL_ERROR_PICKLE,      "pickle"   },
    { "a.bin",         "x",                             FB_MODEL_ERROR_PICKLE,      "convert"  },
    { "b.safetensors", "PK\003\004zip zip zip",         FB_MODEL_ERROR_PICKLE,      "pickle"   },
    { "c.safetensors", "GGUF\003   llama   ",           FB_MODEL_ERROR_UNSUPPORTED, "GGUF"     },
    { "d.safetensors", "version https://git-lfs.github.com/spec/v1\n", FB_MODEL_ERROR_BAD_HEADER, "git lfs pull" },
    { "e.safetensors", "<!DOCTYPE html><html>",         FB_MODEL_ERROR_BAD_HEADER,  "web page" },
  };
  g_autoptr(Scratch) folder = scratch_new ();

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char  *path  = g_build_filename (folder, cases[i].name, NULL);
      g_autoptr(GError) error = NULL;

      scratch_write (folder, cases[i].name, cases[i].content, strlen (cases[i].content));
      g_assert_null (fb_safetensors_open (path, &error));
      g_assert_error (error, FB_MODEL_ERROR, (int) cases[i].code);
      g_assert_nonnull (strstr (error->message, cases[i].word));
      g_assert_nonnull (strstr (error->message, path));
    }
}

static void
test_what_is_no_file_is_refused (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *absent = g_build_filename (folder, "absent.safetensors", NULL);
  g_autofree char   *pipe   = g_build_filename (folder, "pipe.safetensors", NULL);
  const char        *paths[] = { folder, absent, pipe };

  g_assert_cmpint (mkfifo (pipe, 0600), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      g_autoptr(GError) error = NULL;

      g_assert_null (fb_safetensors_open (paths[i], &error));
      g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
    }
}

static void
test_truncation_while_open_is_an_error (void)
{
  g_autoptr(Scratch)       folder = scratch_new ();
  g_autoptr(GBytes)        whole  = golden_bytes ();
  g_autofree char         *path   = g_build_filename (folder, "model.safetensors", NULL);
  g_autoptr(GError)        error  = NULL;
  g_autoptr(FbSafetensors) st     = NULL;
  const FbTensorInfo      *info;
  float                    x[6];

  scratch_write (folder, "model.safetensors", g_bytes_get_data (whole, NULL), g_bytes_get_size (whole));
  st = fb_safetensors_open (path, &error);
  g_assert_no_error (error);

  info = fb_safetensors_lookup (st, "bf16");
  g_assert_cmpint (truncate (path, info->offset + 5), ==, 0);
  g_assert_true (fb_safetensors_read_f32 (st, fb_safetensors_lookup (st, "f32"), 0, 6, x, NULL, &error));
  g_assert_false (fb_safetensors_read_f32 (st, info, 0, 6, x, NULL, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_TRUNCATED);
  g_assert_nonnull (strstr (error->message, "bf16"));
  g_assert_nonnull (strstr (error->message, path));
}

static void
test_cancelled_read_says_so (void)
{
  g_autofree char         *path        = golden_path ();
  g_autoptr(FbSafetensors) st          = fb_safetensors_open (path, NULL);
  g_autoptr(GCancellable)  cancellable = g_cancellable_new ();
  g_autoptr(GError)        error       = NULL;
  float                    x[6];

  g_cancellable_cancel (cancellable);
  g_assert_false (fb_safetensors_read_f32 (st, fb_safetensors_lookup (st, "f32"), 0, 6, x, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* Writes two tensors and metadata to @path. */
static gboolean
write_example (const char *path, gsize n_large, GError **error)
{
  g_autoptr(FbSafetensorsWriter) writer = fb_safetensors_writer_new (path);
  const float                    small  = 7.0f;
  g_autofree float              *large  = g_new (float, n_large);

  for (gsize i = 0; i < n_large; i++)
    large[i] = i;

  fb_safetensors_writer_set_metadata (writer, "format", "pt");
  fb_safetensors_writer_set_metadata (writer, "author", "“名” \\ \n");
  fb_safetensors_writer_add (writer, "small", FB_DTYPE_F32, 0, NULL);
  fb_safetensors_writer_add (writer, "“large”", FB_DTYPE_F32, 2, (gint64[]) { 1, n_large });
  return fb_safetensors_writer_write (writer, &small, 4, error) &&
         fb_safetensors_writer_write (writer, large, 4 * (n_large / 2), error) &&
         fb_safetensors_writer_write (writer, large + n_large / 2, 4 * (n_large - n_large / 2), error) &&
         fb_safetensors_writer_finish (writer, error);
}

static void
test_reads_what_it_wrote (void)
{
  g_autoptr(Scratch)       folder = scratch_new ();
  g_autofree char         *path   = g_build_filename (folder, "out.safetensors", NULL);
  g_autoptr(GError)        error  = NULL;
  g_autoptr(FbSafetensors) st     = NULL;
  g_autofree float        *x      = g_new (float, 3000001);
  const FbTensorInfo      *info;

  scratch_write (folder, "out.safetensors", "old", 3);              /* a file of that name is replaced */
  g_assert_true (write_example (path, 3000001, &error));            /* larger than one chunk of reading */
  g_assert_cmpint (scratch_count (folder), ==, 1);

  st = fb_safetensors_open (path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (fb_safetensors_metadata (st, "author"), ==, "“名” \\ \n");
  g_assert_true (fb_safetensors_read_f32 (st, fb_safetensors_lookup (st, "small"), 0, 1, x, NULL, &error));
  g_assert_cmpfloat (x[0], ==, 7);
  info = fb_safetensors_lookup (st, "“large”");
  g_assert_cmpuint (info->offset % 4, ==, 0);
  g_assert_true (fb_safetensors_read_f32 (st, info, 0, 3000001, x, NULL, &error));
  for (int i = 0; i < 3000001; i++)
    g_assert_true (x[i] == (float) i);
}

static void
test_unfinished_file_leaves_nothing (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *path   = g_build_filename (folder, "out.safetensors", NULL);
  g_autoptr(GError)  error  = NULL;

  {
    g_autoptr(FbSafetensorsWriter) writer = fb_safetensors_writer_new (path);

    fb_safetensors_writer_add (writer, "a", FB_DTYPE_F16, 1, (gint64[]) { 2 });
    g_assert_true (fb_safetensors_writer_write (writer, "\0\0", 2, &error));
    g_assert_cmpint (scratch_count (folder), ==, 1);
  }

  g_assert_cmpint (scratch_count (folder), ==, 0);
}

static void
test_full_disk_is_named_and_leaves_nothing (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *path   = g_build_filename (folder, "out.safetensors", NULL);
  g_autoptr(GError)  error  = NULL;
  struct rlimit      before, limit;

  /* A limit on file size gives a write the same fate as a full disk does, without one */
  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &before), ==, 0);
  limit          = before;
  limit.rlim_cur = 1000000;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  g_assert_false (write_example (path, 1000000, &error));
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &before), ==, 0);

  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO);
  g_assert_nonnull (strstr (error->message, "disk is full"));
  g_assert_nonnull (strstr (error->message, path));
  g_assert_cmpint (scratch_count (folder), ==, 0);
}

static void
test_writing_into_no_folder_fails (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *path   = g_build_filename (folder, "absent", "out.safetensors", NULL);
  g_autoptr(GError)  error  = NULL;

  g_assert_false (write_example (path, 10, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, path));
}

static void
test_error_codes_cross_the_bus (void)
{
  for (int code = 0; code < FB_MODEL_N_ERRORS; code++)
    {
      g_autoptr(GError) error = g_error_new_literal (FB_MODEL_ERROR, code, "text");
      g_autofree char  *name  = g_dbus_error_encode_gerror (error);
      g_autoptr(GError) back  = g_dbus_error_new_for_dbus_error (name, "text");

      g_assert_true (g_str_has_prefix (name, "org.flashbrush.Error."));
      g_assert_error (back, FB_MODEL_ERROR, code);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add_func ("/core/formats/safetensors/" name, function)
  ADD ("reads-what-python-wrote", test_reads_what_python_wrote);
  ADD ("other-types-are-refused-when-read", test_other_types_are_refused_when_read);
  ADD ("nan-and-infinity-are-refused", test_nan_and_infinity_are_refused);
  ADD ("every-prefix-is-refused", test_every_prefix_is_refused);
  ADD ("changed-bytes-do-no-harm", test_changed_bytes_do_no_harm);
  for (gsize i = 0; i < G_N_ELEMENTS (lies); i++)
    {
      g_autofree char *path = g_strconcat ("/core/formats/safetensors/lying-header-is-refused/", lies[i].name, NULL);
      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_lying_header);
    }
  ADD ("true-oddities-are-accepted", test_true_oddities_are_accepted);
  ADD ("ten-gigabyte-header-is-refused", test_ten_gigabyte_header_is_refused);
  ADD ("deep-nesting-is-refused", test_deep_nesting_is_refused);
  ADD ("a-header-of-zeros-is-refused", test_a_header_of_zeros_is_refused);
  ADD ("other-formats-are-named", test_other_formats_are_named);
  ADD ("what-is-no-file-is-refused", test_what_is_no_file_is_refused);
  ADD ("truncation-while-open-is-an-error", test_truncation_while_open_is_an_error);
  ADD ("cancelled-read-says-so", test_cancelled_read_says_so);
  ADD ("reads-what-it-wrote", test_reads_what_it_wrote);
  ADD ("unfinished-file-leaves-nothing", test_unfinished_file_leaves_nothing);
  ADD ("full-disk-is-named-and-leaves-nothing", test_full_disk_is_named_and_leaves_nothing);
  ADD ("writing-into-no-folder-fails", test_writing_into_no_folder_fails);
  ADD ("error-codes-cross-the-bus", test_error_codes_cross_the_bus);
  return g_test_run ();
}
