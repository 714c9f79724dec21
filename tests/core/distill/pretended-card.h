/* tests/core/distill/pretended-card.h: the processor in a card's place, with NCCL between threads. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/device-private.h"

/* (transfer full): computes as "cpu" does, and is called "cuda"; one thread */
static inline FbDevice *
pretended_card_new (void)
{
  static FbDeviceOps  ops;
  static gsize        ready;
  FbDevice           *dev = fb_device_new ("cpu", 1, NULL);

  if (g_once_init_enter (&ready))
    {
      ops = *dev->ops;
      ops.name = "cuda";
      g_once_init_leave (&ready, 1);
    }
  dev->ops = &ops;
  return dev;
}

/* Makes @n_cards of them, which are connected as fake-nccl/ does in @mode; %FALSE, and the test is skipped, where this build has no NCCL */
static inline gboolean
pretend_cards (const char *n_cards, const char *mode)
{
  if (g_getenv ("FB_FAKE_NCCL_MODULES") == NULL)
    {
      g_test_skip ("this build has no module for NCCL");
      return FALSE;
    }
  g_setenv ("FLASHBRUSH_MODULES", g_getenv ("FB_FAKE_NCCL_MODULES"), TRUE);
  g_setenv ("FB_FAKE_CARDS", n_cards, TRUE);
  g_setenv ("FB_FAKE_NCCL", mode, TRUE);
  return TRUE;
}
