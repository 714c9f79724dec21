/* tests/core/model-fixture.h: the small SD 1.x checkpoint and what it should give. SPDX-License-Identifier: LGPL-3.0-or-later
 * The checkpoint and the expected values come from tests/golden/models/make.py. */
#pragma once

#include "core/formats/safetensors.h"
#include "core/models/model.h"

#define H 16      /* of the fixture's latents */
#define W 24

typedef struct
{
  char          *path;
  FbDevice      *dev;
  FbModel       *model;
  FbSafetensors *expected;
} ModelFixture;

typedef struct
{
  const char *name;
  void     (* func) (ModelFixture *f, gconstpointer data);
} ModelTest;

/* Adds them behind @prefix. @data: %NULL, or "half": with weights kept in 16 bits, where the device can */
void    model_add_tests    (const char *prefix, const ModelTest *tests, gsize n, const char *data);

/* (transfer full): the values that the other programs gave under @name; @n: (out) (optional) */
float * model_expected     (ModelFixture *f, const char *name, gsize *n);

/* ‖a − b‖ / ‖b‖ */
double  model_distance     (const float *a, const float *b, gsize n);

/* (transfer full): the fixture's step; %NULL with @error set */
float * model_denoise      (ModelFixture *f, GCancellable *cancellable, GError **error);
float * model_denoise_well (ModelFixture *f);

/* (transfer full): the fixture's prompts; %NULL with @error set */
float * model_encode_text      (ModelFixture *f, GError **error);
float * model_encode_text_well (ModelFixture *f);

void    model_set_loras    (ModelFixture *f, int n, const FbLoraUse *loras);
