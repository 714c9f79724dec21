/* tests/bench/figures.h: what every benchmark needs to come to a figure. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

/* Ends the program with the reason, if there is one. */
void    bench_die_on     (GError *error);

/* seconds, from some moment on */
double  bench_seconds    (void);

/* @share: 0.5 is the median. Sorts @values: [n] */
double  bench_percentile (double *values, int n, double share);

/* (transfer full): [n], evenly between -1.7 and 1.7: of variance 1; the same at each call */
float * bench_random     (size_t n);

/* bytes: the most that this process has had in memory */
guint64 bench_peak_bytes (void);
