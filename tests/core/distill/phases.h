/* tests/core/distill/phases.h: phases in which every loss comes. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#define PHASES_MODES "\"modes\": [ 0.4, 0.2, 0.2, 0.2 ]"

/* fields of a job: four phases of @n steps, two with the distillation loss alone and two with all, in which each of the teacher's solutions is met once */
#define PHASES(n)                                                                                     \
  "\"teacher_reuse\": 1, \"phases\": [ { \"steps\": " #n ", " PHASES_MODES " },"                      \
  " { \"steps\": " #n ", " PHASES_MODES " },"                                                         \
  " { \"steps\": " #n ", " PHASES_MODES ", \"matching\": 0.3, \"adversarial\": 0.1 },"                \
  " { \"steps\": " #n ", " PHASES_MODES ", \"matching\": 0.5, \"adversarial\": 0.2 } ]"
