/* plugins/inpaint/args.h: the arguments. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "ui/sampling-args.h"

#define EXPAND_MAX 16384      /* pixels to one side */

static const FbArgChoice use_choices[] =
{
  { "fill",       N_("Fill with what the prompt says") },
  { "remove",     N_("Remove") },
  { "background", N_("Replace all that is not masked") },
  { "expand",     N_("Expand: fill what is transparent") },
  { "refine",     N_("Refine what is there") },
  { NULL }
};

static const FbArgChoice mask_choices[] =
{
  { "selection",  N_("Selection") },
  { "channel",    N_("Channel") },
  { "layer",      N_("Layer") },
  { "layer-mask", N_("Layer mask") },
  { NULL }
};

static const FbArgChoice source_choices[] =
{
  { "layer",   N_("The layer") },
  { "visible", N_("All that is visible") },
  { NULL }
};

static const FbArgChoice context_choices[] =
{
  { "auto", N_("Automatic") },
  { "mask", N_("The mask and little more") },
  { "all",  N_("The whole image") },
  { NULL }
};

static const FbArgChoice fill_choices[] =
{
  { "auto",     N_("Automatic") },
  { "original", N_("What is there") },
  { "neutral",  N_("Gray") },
  { "blur",     N_("Blurred colors") },
  { "border",   N_("Colors of the border") },
  { "noise",    N_("Noise") },
  { NULL }
};

static const FbArgChoice route_choices[] =
{
  { "auto",           N_("Automatic") },
  { "inpaint-model",  N_("Inpainting model") },
  { "masked-latents", N_("Any model, the rest kept") },
  { "differential",   N_("Any model, soft mask as strength") },
  { NULL }
};

static const FbArgChoice passes_choices[] =
{
  { "auto", N_("Automatic") },
  { "one",  N_("One") },
  { "two",  N_("Two: a second one adds detail") },
  { NULL }
};

static const FbArgChoice inpaint_destination_choices[] =
{
  { "new-layer", N_("New layer with a mask") },
  { "in-place",  N_("In the layer itself") },
  { NULL }
};

static const FbArg inpaint_args[] =
{
  FB_ARG_CHOICE ("use", N_("_What to do"), N_("What becomes of the masked part"), "fill", use_choices),
  FB_ARGS_PROMPT,
  FB_ARG_LOCAL_CHOICE ("mask-from", N_("Mask f_rom"), N_("What marks the part to be repainted; white or selected is repainted"), "selection", mask_choices),
  FB_ARG_LOCAL_STRING ("mask-name", N_("Its name"), N_("Name of the channel or the layer; for a layer mask of the layer that has it, empty for the chosen one"), ""),
  FB_ARG_LOCAL_INT ("expand-left", N_("Expand left"), N_("Pixels that “Expand” adds to the canvas on its left"), 0, EXPAND_MAX, 0),
  FB_ARG_LOCAL_INT ("expand-right", N_("Expand right"), N_("Pixels that “Expand” adds to the canvas on its right"), 0, EXPAND_MAX, 0),
  FB_ARG_LOCAL_INT ("expand-top", N_("Expand at the top"), N_("Pixels that “Expand” adds to the canvas above"), 0, EXPAND_MAX, 0),
  FB_ARG_LOCAL_INT ("expand-bottom", N_("Expand at the bottom"), N_("Pixels that “Expand” adds to the canvas below"), 0, EXPAND_MAX, 0),
  FB_ARGS_MODEL,
  FB_ARGS_SAMPLING,
  FB_ARGS_COUNT,
  FB_ARG_OPTIONAL_DOUBLE ("strength", N_("Change b_y"),
                          N_("How much of what is there is changed: 1 ignores it, near 0 keeps it; 0 takes what suits the use"), 1.0),
  FB_ARG_DOUBLE ("feather", N_("So_ft edge"),
                 N_("Width of the transition around the mask, as a part of the mask's size; 0 takes the mask as it is"), 0.0, 0.5, 0.1),
  FB_ARG_OPTIONAL_DOUBLE ("grow", N_("Grow"), N_("How far around the mask all is repainted, as a part of the mask's size; 0 follows the soft edge"), 0.5),
  FB_ARG_OPTIONAL_DOUBLE ("blend", N_("Blend"), N_("Width of the blend at the outer end, as a part of the mask's size; 0 follows the soft edge"), 0.5),
  FB_ARG_CHOICE ("fill", N_("Start from"), N_("What the masked part is filled with before it is repainted"), "auto", fill_choices),
  FB_ARG_CHOICE ("route", N_("Method"), N_("How the model is told what to keep"), "auto", route_choices),
  FB_ARG_BOOL ("match-colors", "match-colours", N_("Match colors"), N_("Bring the result's colors to those around the mask"), TRUE),
  FB_ARG_LOCAL_CHOICE ("source", N_("Look at"), N_("What the model sees of the image"), "layer", source_choices),
  FB_ARG_LOCAL_CHOICE ("context", N_("Surroundings"), N_("How much around the mask the model sees"), "auto", context_choices),
  FB_ARG_AUTO_INT ("resolution", NULL, N_("Resolution"), N_("Side of the square whose pixels the model works on; 0 for its own size"), 2048),
  FB_ARG_CHOICE ("passes", N_("Passes"), N_("Whether what was drawn small is drawn over once more in the detail of the image"), "auto", passes_choices),
  FB_ARGS_DECODING,
  FB_ARG_LOCAL_CHOICE ("destination", N_("_Keep as"), N_("Where the result goes"), "new-layer", inpaint_destination_choices),
  FB_ARG_END
};
