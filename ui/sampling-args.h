/* ui/sampling-args.h: rows of arguments that every generating plug-in has. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib/gi18n-lib.h>

#include "ui/args.h"

#define FB_ARGS_PROMPT \
  FB_ARG_TEXT ("prompt", N_("_Prompt"), \
               N_("What the picture shows; (word:1.3) gives a word more weight, [word] less"), 4), \
  FB_ARG_TEXT ("negative-prompt", N_("Negati_ve prompt"), N_("What the picture should not show"), 2)

#define FB_ARGS_MODEL \
  FB_ARG_MODEL ("model", N_("_Model"), N_("Name of a model, or path of a file or folder; empty for the default"), "checkpoint"), \
  FB_ARG_LORAS ("loras", N_("L_oRAs"), N_("LoRA files that change the model, each as NAME=STRENGTH")), \
  FB_ARG_MODEL ("vae", N_("Autoencoder"), N_("Replaces the model's own autoencoder (VAE); empty for its own"), "vae"), \
  FB_ARG_MODEL ("taesd", N_("Tiny decoder"), N_("TAESD for previews and drafts; empty for the one beside the model or among yours"), "taesd")

static const FbArgChoice fb_spacing_choices[] G_GNUC_UNUSED =
{
  { "auto",     N_("The model's or sampler's own") },
  { "trailing", N_("Trailing") },
  { "leading",  N_("Leading") },
  { "linspace", N_("Linear") },
  { NULL }
};

#define FB_ARGS_SAMPLING \
  FB_ARG_AUTO_INT ("steps", "n-steps", N_("S_teps"), N_("Denoising steps; 0 for the model's own number"), 1000), \
  FB_ARG_AUTO_DOUBLE ("guidance-scale", NULL, N_("Guid_ance"), \
                      N_("How strictly the prompt is followed; 1 is without guidance and twice as fast, 0 the model's own value"), \
                      100.0), \
  FB_ARG_SAMPLER ("sampler", N_("Sampler"), N_("Name of the sampler; empty for the model's own")), \
  FB_ARG_CHOICE ("timestep-spacing", N_("Timesteps"), N_("How the steps are spread between noise and picture"), "auto", fb_spacing_choices), \
  FB_ARG_INT ("clip-skip", N_("CLIP skip"), N_("Last layers of the text encoder to leave out"), 0, 11, 0), \
  FB_ARG_SEED ("seed", N_("See_d"), N_("Number that the noise is drawn from; -1 draws a new one each time"))

#define FB_ARGS_COUNT \
  FB_ARG_INT ("count", N_("Pict_ures"), N_("How many pictures to make, with seeds that follow each other"), 1, 64, 1)

#define FB_ARGS_SIZE \
  FB_ARG_AUTO_INT ("width", NULL, N_("_Width"), \
                   N_("Pixels, a multiple of 8; 0 takes the selection's shape or the model's own size"), 8192), \
  FB_ARG_AUTO_INT ("height", NULL, N_("_Height"), \
                   N_("Pixels, a multiple of 8; 0 takes the selection's shape or the model's own size"), 8192), \
  FB_ARGS_COUNT

static const FbArgChoice fb_preview_choices[] G_GNUC_UNUSED =
{
  { "none",   N_("None") },
  { "linear", N_("Rough") },
  { "taesd",  N_("Fine, with TAESD where the model has it") },
  { NULL }
};

static const FbArgChoice fb_decoder_choices[] G_GNUC_UNUSED =
{
  { "full",  N_("The model's autoencoder") },
  { "taesd", N_("TAESD: faster, less exact") },
  { NULL }
};

static const FbArgChoice fb_background_choices[] G_GNUC_UNUSED =
{
  { "keep",        N_("As it is") },
  { "transparent", N_("Transparent, where it is plain") },
  { NULL }
};

#define FB_ARG_BACKGROUND \
  FB_ARG_CHOICE ("background", N_("_Background"), N_("Cuts a thing out of a plain background: a sticker, as a layer with a layer mask"), "keep", \
                 fb_background_choices)

static const FbArgChoice fb_destination_choices[] G_GNUC_UNUSED =
{
  { "new-layer", N_("New layer") },
  { "new-image", N_("New image") },
  { NULL }
};

#define FB_ARGS_DECODING \
  FB_ARG_CHOICE ("preview", N_("Live preview"), N_("How the picture is shown while it forms"), "taesd", fb_preview_choices), \
  FB_ARG_CHOICE ("decoder", N_("Decoder"), N_("What makes the finished picture from the latents"), "full", fb_decoder_choices)

#define FB_ARGS_RESULT \
  FB_ARGS_DECODING, \
  { FB_ARG_KIND_CHOICE, "destination", N_("_Keep as"), N_("Where the result goes"), .text = "new-layer", \
    .choices = fb_destination_choices, .is_local = TRUE }
