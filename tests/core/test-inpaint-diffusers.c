/* tests/core/test-inpaint-diffusers.c: inpainting against diffusers' pipeline; tests/golden/inpaint/make.py made pictures and the inpainting model.
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/inpaint-fixture.h"
#include "tests/core/inpaint-request.h"
#include "tests/core/scratch.h"

#include <json-glib/json-glib.h>
#include <math.h>

#define TOLERANCE 1e-4       /* ‖a − b‖ / ‖b‖ of the final picture in f32 */

/* the adapter that the case names, if any */
static void
use_lora (FbModel *model, JsonObject *c)
{
  g_autoptr(GError)  error = NULL;
  g_autofree char   *path  = NULL;
  FbLoraUse          use;
  int                n_reports;

  if (!json_object_has_member (c, "lora"))
    return;
  path = inpaint_golden_path ("inpaint", json_object_get_string_member (c, "lora"));
  use  = (FbLoraUse) { path, json_object_get_double_member (c, "lora_strength") };
  fb_model_set_loras (model, &use, 1, NULL, &error);
  g_assert_no_error (error);
  g_assert_null (fb_model_lora_reports (model, &n_reports)->unmatched[0]);
}

static void
test_equals_diffusers (gconstpointer data)
{
  JsonObject           *c       = (JsonObject *) data;
  const gboolean        nine    = json_object_get_boolean_member (c, "nine");
  g_autofree char      *path    = inpaint_golden_path ("inpaint", json_object_get_string_member (c, "file"));
  char                 *folder  = inpaint_model_folder (nine);
  g_autoptr(FbModel)    model   = inpaint_open_model (folder);
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (48, 40, 3), inpaint_box_mask (48, 40, (FbRect) { 16, 8, 24, 24 }, 1.0f));
  FbGenerate           *g       = request->generate;
  g_auto(FbDiffusion)   job     = { .request = g, .model = model, .info = fb_model_info (model) };
  g_autoptr(FbImage)    drawn   = NULL;
  g_autoptr(GError)     error   = NULL;
  g_autofree char      *bytes   = NULL;
  FbTorchRandom         random;
  gsize                 n_bytes;
  const float          *expected;
  double                off = 0.0, norm = 0.0;

  g_free (g->prompt);
  g->prompt = g_strdup ("a red apple, 3d");
  g_free (g->negative_prompt);
  g->negative_prompt = g_strdup ("blue");
  g_free (g->sampler);
  g->sampler = g_strdup (json_object_get_string_member (c, "sampler"));
  g_free (g->timestep_spacing);
  g->timestep_spacing = g_strdup (json_object_get_string_member (c, "spacing"));
  g->n_steps          = json_object_get_int_member (c, "steps");
  g->strength         = json_object_get_double_member (c, "strength");
  g->guidance_scale   = json_object_get_double_member (c, "guidance_scale");
  request->route      = nine ? FB_ROUTE_INPAINT_MODEL : FB_ROUTE_MASKED_LATENTS;
  request->fill       = FB_FILL_NOISE;
  g_assert_true (fb_inpaint_resolve (request, model, &error));
  g->width  = 48;
  g->height = 40;
  use_lora (model, c);
  fb_diffusion_set_size (&job);
  g_assert_true (fb_diffusion_encode_prompts (&job, &error));

  fb_torch_random_init (&random, json_object_get_int_member (c, "seed"));
  drawn = fb_inpaint_draw (&job, request, request->image, request->image, request->mask->pixels, &random, &error);
  g_assert_no_error (error);

  g_assert_true (g_file_get_contents (path, &bytes, &n_bytes, &error));
  g_assert_cmpuint (n_bytes, ==, (5 * 6 * 4 + 48 * 40 * 3) * sizeof (float));
  expected = (const float *) bytes + 5 * 6 * 4;
  for (int i = 0; i < 48 * 40 * 3; i++)
    {
      off  += pow ((double) drawn->pixels[i] - expected[i], 2.0);
      norm += pow (expected[i], 2.0);
    }
  g_test_message ("relative error %g", sqrt (off / norm));
  g_assert_cmpfloat (sqrt (off / norm), <, TOLERANCE);
  fb_model_free (g_steal_pointer (&model));
  scratch_free (folder);
}

static void
add_golden_cases (JsonParser *parser)
{
  g_autoptr(GError)  error = NULL;
  g_autofree char   *path  = inpaint_golden_path ("inpaint", "cases.json");
  JsonArray         *cases;

  g_assert_true (json_parser_load_from_file (parser, path, &error));
  cases = json_object_get_array_member (json_node_get_object (json_parser_get_root (parser)), "cases");
  for (guint i = 0; i < json_array_get_length (cases); i++)
    {
      JsonObject      *c    = json_array_get_object_element (cases, i);
      const char      *file = json_object_get_string_member (c, "file");
      g_autofree char *name = g_strdup_printf ("/core/tasks/inpaint/equals-diffusers/%.*s", (int) (strlen (file) - 4), file);

      g_test_add_data_func (name, c, test_equals_diffusers);
    }
}

int
main (int argc, char **argv)
{
  g_autoptr(JsonParser) parser = json_parser_new ();

  g_test_init (&argc, &argv, NULL);
  add_golden_cases (parser);

  return g_test_run ();
}
