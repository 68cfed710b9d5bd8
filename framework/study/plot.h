/* plot.h - pictures of a study by gnuplot: learning curves and a spike raster. */
#ifndef MLS_STUDY_PLOT_H
#define MLS_STUDY_PLOT_H

#include "base/error.h"

#include <stdint.h>

typedef struct mls_plot_trial { const char *variant, *dir; } mls_plot_trial;

/* 1 drawn; 0 nothing to draw; -1 no gnuplot on this machine, or it failed (the data and
 * the script stay); e when a file cannot be written.                                   */
/* curves.svg and curves.png in dir: training loss and validation loss against the step,
 * mean over the seeds of each variant, from the trials' metrics.jsonl.                 */
int mls_plot_curves(const char *dir, const char *study, const mls_plot_trial *trial, int n,
                    mls_error *e);
/* raster.svg and raster.png in dir: the spikes of one sample of a record.h5. */
int mls_plot_raster(const char *dir, const char *record, const char *title, mls_error *e);

#endif
