/* core/store/about.h: what a model's files say about it. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/store/store.h"

/**
 * FbAbout: read from headers and small text files, never from weights; texts are one line of at most 200 letters
 * @title: (nullable): flashbrush.json's "title" in a model's folder, "modelspec.title" in a file's header
 * @family: (nullable): "sd-1.5" …; of a LoRA, what it fits
 * @base: (nullable): what a LoRA itself says it was made for
 * @precision: (nullable): the type most of the weights have in the file: "F16" …
 * @licence: (nullable): flashbrush.json's "license", the model card's (README.md), or "modelspec.license"
 * @trigger: (nullable): words that call a LoRA up: "modelspec.trigger_phrase"
 * @sampler, @n_steps, @guidance_scale: (nullable), 0, 0: what suits it: flashbrush.json, the header's "flashbrush_sampler", "flashbrush_steps" and
 *   "flashbrush_guidance_scale", a known name (LCM, Flash), or, for models, the family's
 * @few_steps: whether that is a sampler for few steps
 * @files: the weights' and configurations' files, for hashing; %NULL-terminated, never empty
 * @problem: (nullable): why it cannot be used
 */
typedef struct FbAbout
{
  char       *title;
  const char *family;
  char       *base;
  char       *precision;
  char       *licence;
  char       *trigger;
  char       *sampler;
  int         n_steps;
  double      guidance_scale;
  gboolean    few_steps;
  char      **files;
  GError     *problem;
} FbAbout;

/* (transfer full): never %NULL */
FbAbout * fb_about_read (FbStoreKind kind, const char *path);
void      fb_about_free (FbAbout *about);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbAbout, fb_about_free)

/**
 * fb_about_find_kind:
 * @path: a file or folder that somebody wants to bring in
 * @kind: (out): what it is; a file that is a whole model counts as one, whatever else is in it
 *
 * Returns: %FALSE with @error set to the reason why it is none of the kinds.
 */
gboolean  fb_about_find_kind (const char *path, FbStoreKind *kind, GError **error);

/* (transfer full): the weights' and configurations' files of an entry, for hashing; %NULL-terminated, never empty */
char **   fb_about_files (FbStoreKind kind, const char *path);
