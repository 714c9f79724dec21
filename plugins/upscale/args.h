/* plugins/upscale/args.h: the arguments. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "ui/sampling-args.h"

static const FbArgChoice faithful_choices[] =
{
  { "pixels", N_("Every pixel: for a clean picture") },
  { "tones",  N_("Tones and colors: to remove noise or compression") },
  { "none",   N_("Nothing: as the network draws it") },
  { NULL }
};

static const FbArgChoice steps_choices[] =
{
  { "none",   N_("None") },
  { "linear", N_("Rough") },
  { NULL }
};

static const FbArgChoice enlarged_choices[] =
{
  { "new-image", N_("New image") },
  { "new-layer", N_("New layer, around the same center") },
  { NULL }
};

static const FbArg upscale_args[] =
{
  FB_ARG_TEXT ("prompt", N_("_Prompt"), N_("What the picture shows, where that helps; may be empty"), 2),
  FB_ARG_TEXT ("negative-prompt", N_("Negati_ve prompt"), N_("What the picture should not show"), 2),
  FB_ARG_MODEL ("model", N_("_Model"), N_("Name of a model for super-resolution, or path of its folder; empty for the default"), "checkpoint"),
  FB_ARG_LORAS ("loras", N_("L_oRAs"), N_("LoRA files that change the model, each as NAME=STRENGTH")),
  FB_ARG_MODEL ("vae", N_("Autoencoder"), N_("Replaces the model's own autoencoder (VAE); empty for its own"), "vae"),
  FB_ARGS_SAMPLING,
  FB_ARGS_COUNT,
  FB_ARG_AUTO_DOUBLE ("scale", NULL, N_("_Scale"), N_("Pixels made of one, per side, 1 to 4; 0 for as many as the model makes"), 8.0),
  { FB_ARG_KIND_INT, "noise-level", N_("Noise _level"),
    N_("How little the picture is trusted: 1 wholly, 350 hardly at all; 0 for the model's own value"), 0, 999, 0, .zero_is_auto = TRUE, .omits_zero = TRUE },
  FB_ARG_CHOICE ("faithful", N_("Faith_ful to"), N_("What of the picture the result keeps to"), "pixels", faithful_choices),
  FB_ARG_CHOICE ("preview", N_("Live preview"), N_("How the picture is shown while it forms"), "linear", steps_choices),
  FB_ARG_LOCAL_CHOICE ("destination", N_("_Keep as"), N_("Where the result goes"), "new-image", enlarged_choices),
  FB_ARG_END
};
