/* tests/core/distill/ready.h: a trainer that can take its next step. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/trainer.h"

/* (transfer full) */
static inline FbTrainer *
trainer_ready (const FbDistillJob *job, const char *teacher, FbDevice *dev)
{
  g_autoptr(GError) error   = NULL;
  FbTrainer        *trainer = fb_trainer_new (job, teacher, dev, &error);

  g_assert_no_error (error);
  g_assert_true (fb_trainer_prepare (trainer, NULL, NULL, NULL, &error));
  g_assert_no_error (error);
  return trainer;
}
