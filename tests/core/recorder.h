/* tests/core/recorder.h: a device made one that records. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * What it is given it does at once, and the first replay has nothing left to do. Later ones it declines, so that each way a step can go is gone
 * several times. */
#pragma once

#include "tests/core/model-fixture.h"

typedef struct
{
  gboolean is_new;
  int      n_recorded, n_replayed, n_declined;
} Recorder;

extern Recorder recorder;    /* what has happened since check_recording() began */

/* Runs @check with the fixture's device as one that records; %FALSE where it does so by itself */
gboolean check_recording (ModelFixture *f, void (* check) (ModelFixture *f));
