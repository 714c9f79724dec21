/* core/formats/lora-names.c: how programs spell the layers of a LoRA. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/formats/lora-private.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "core/formats/keymap.h"

static const struct { const char *suffix; FbLoraPart part; } endings[] =
{
  { ".lora_down.weight",              FB_LORA_DOWN  },    /* kohya */
  { ".lora_up.weight",                FB_LORA_UP    },
  { ".lora_mid.weight",               FB_LORA_MID   },
  { ".alpha",                         FB_LORA_ALPHA },
  { ".lora_A.weight",                 FB_LORA_DOWN  },    /* PEFT */
  { ".lora_B.weight",                 FB_LORA_UP    },
  { ".lora_A.default.weight",         FB_LORA_DOWN  },
  { ".lora_B.default.weight",         FB_LORA_UP    },
  { ".lora.down.weight",              FB_LORA_DOWN  },    /* diffusers */
  { ".lora.up.weight",                FB_LORA_UP    },
  { "_lora.down.weight",              FB_LORA_DOWN  },    /* diffusers' attention processors */
  { "_lora.up.weight",                FB_LORA_UP    },
  { ".lora_linear_layer.down.weight", FB_LORA_DOWN  },    /* diffusers' text encoders */
  { ".lora_linear_layer.up.weight",   FB_LORA_UP    },
};

/* What only other kinds of adapters have in a name. @at_end: nothing may follow. */
static const struct { const char *mark; gboolean at_end; const char *kind; } refused[] =
{
  { ".hada_",                 FALSE, "LoHa"                             },
  { ".lokr_",                 FALSE, "LoKr"                             },
  { ".oft_",                  FALSE, "OFT"                              },
  { ".boft_",                 FALSE, "BOFT"                             },
  { ".vera_",                 FALSE, "VeRA"                             },
  { ".ia3_l",                 FALSE, "IA³"                              },
  { ".on_input",              TRUE,  "IA³"                              },
  { ".dora_scale",            TRUE,  "DoRA"                             },
  { ".lora_magnitude_vector", FALSE, "DoRA"                             },
  { ".a1.weight",             TRUE,  "GLoRA"                            },
  { ".b1.weight",             TRUE,  "GLoRA"                            },
  { ".lora_embedding_",       FALSE, N_("LoRA with changed embeddings") },
  { ".lora_B.bias",           TRUE,  N_("LoRA with biases")             },
  { ".lora_up.bias",          TRUE,  N_("LoRA with biases")             },
  { ".diff",                  TRUE,  N_("set of full weight changes")   },
  { ".diff_b",                TRUE,  N_("set of full weight changes")   },
  { ".set_weight",            TRUE,  N_("set of replaced weights")      },
  { ".w_norm",                TRUE,  N_("LoRA with trained norms")      },
  { ".b_norm",                TRUE,  N_("LoRA with trained norms")      },
};

gboolean
fb_lora_split_name (const char *name, gsize *key_length, FbLoraPart *part)
{
  for (guint i = 0; i < G_N_ELEMENTS (endings); i++)
    if (g_str_has_suffix (name, endings[i].suffix))
      {
        *key_length = strlen (name) - strlen (endings[i].suffix);
        *part       = endings[i].part;
        return TRUE;
      }

  return FALSE;
}

const char *
fb_lora_refused_kind (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    if (refused[i].at_end ? g_str_has_suffix (name, refused[i].mark) : strstr (name, refused[i].mark) != NULL)
      return _(refused[i].kind);

  return NULL;
}

static void
add (GPtrArray *keys, const char *prefix, const char *name)
{
  g_ptr_array_add (keys, g_strconcat (prefix, name, NULL));
}

/* kohya's: all dots become underscores */
static void
add_flat (GPtrArray *keys, const char *prefix, const char *name)
{
  g_ptr_array_add (keys, g_strdelimit (g_strconcat (prefix, name, NULL), ".", '_'));
  g_assert (strchr (prefix, '.') == NULL);
}

/* "….attn1.to_out.0" -> "….attn1." and "to_out", the name that attention processors used; FALSE for what is no attention. */
static gboolean
split_attention (const char *module, char **parent, char **leaf)
{
  static const struct { const char *end, *leaf; } leaves[] =
  {
    { ".to_q",   "to_q" }, { ".to_k",   "to_k" }, { ".to_v",   "to_v" }, { ".to_out.0", "to_out" },
    { ".q_proj", "to_q" }, { ".k_proj", "to_k" }, { ".v_proj", "to_v" }, { ".out_proj", "to_out" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (leaves); i++)
    if (g_str_has_suffix (module, leaves[i].end))
      {
        *parent = g_strndup (module, strlen (module) - strlen (leaves[i].end) + 1);
        *leaf   = g_strdup (leaves[i].leaf);
        return TRUE;
      }

  return FALSE;
}

static void
add_unet (GPtrArray *keys, const char *module)
{
  static const char * const prefixes[] = { "", "unet.", "base_model.model.", "unet.base_model.model." };
  g_autofree char *weight = g_strconcat (module, ".weight", NULL);
  g_auto(GStrv)    ldm    = fb_keymap_to_theirs (fb_keymap_get ("unet-ldm"), "", weight);
  g_autofree char *parent = NULL;
  g_autofree char *leaf   = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++)
    add (keys, prefixes[i], module);
  if (split_attention (module, &parent, &leaf))
    {
      g_autofree char *plain     = g_strconcat (parent, leaf, NULL);
      g_autofree char *processor = g_strconcat (parent, "processor.", leaf, NULL);

      add (keys, "", processor);
      add (keys, "unet.", processor);
      if (strcmp (plain, module) != 0)
        {
          add (keys, "", plain);
          add (keys, "unet.", plain);
        }
    }

  add_flat (keys, "lora_unet_", module);
  add_flat (keys, "lycoris_", module);
  for (guint i = 0; ldm[i] != NULL; i++)
    {
      ldm[i][strlen (ldm[i]) - strlen (".weight")] = '\0';
      add_flat (keys, "lora_unet_", ldm[i]);
      add (keys, "diffusion_model.", ldm[i]);
    }
}

static void
add_text_encoder (GPtrArray *keys, const char *component, const char *module)
{
  gboolean         first  = strcmp (component, "text_encoder") == 0;
  g_autofree char *dotted = g_strconcat (component, ".", NULL);
  g_autofree char *peft   = g_strconcat (component, ".base_model.model.", NULL);
  g_autofree char *parent = NULL;
  g_autofree char *leaf   = NULL;

  add (keys, dotted, module);
  add (keys, peft, module);
  if (g_str_has_prefix (module, "text_model."))               /* transformers 5 leaves it out */
    {
      add (keys, dotted, module + strlen ("text_model."));
      add (keys, peft, module + strlen ("text_model."));
    }
  if (split_attention (module, &parent, &leaf))
    {
      g_autofree char *old = g_strconcat (parent, leaf, NULL);

      add (keys, dotted, old);
    }

  if (first)
    {
      add (keys, "", module);
      add (keys, "base_model.model.", module);
      add_flat (keys, "lora_te_", module);
    }
  add_flat (keys, first ? "lora_te1_" : "lora_te2_", module);
}

char **
fb_lora_spellings (const char *component, const char *module)
{
  GPtrArray *keys = g_ptr_array_new ();

  if (strcmp (component, "unet") == 0)
    add_unet (keys, module);
  else
    add_text_encoder (keys, component, module);

  g_ptr_array_add (keys, NULL);
  return (char **) g_ptr_array_free (keys, FALSE);
}
