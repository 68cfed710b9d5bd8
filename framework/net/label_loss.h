/* label_loss.h - losses of a spiking readout against the class of a sequence, by the names
 * that snnTorch has for them (setting train.loss):
 *
 *   ce_rate          cross-entropy of the outputs at every real step, mean over the steps
 *   ce_count         cross-entropy of the counts of spikes
 *   ce_max_membrane  cross-entropy of the largest membranes
 *   mse_count        (count - target)^2 / steps, mean over classes; the target is the whole
 *                    part of steps * rate * units of a class, rate: loss_on for the sample's
 *                    class and loss_off for the others
 *   mse_membrane     (u[t] - target)^2, mean over classes and real steps; target: loss_on,
 *                    loss_off
 * Formulas: snnTorch 0.9.4, functional/loss.py (J. Eshraghian et al., Training Spiking Neural
 * Networks Using Lessons From Deep Learning, 2023).  Steps are those of each sample without
 * its padding.  The class that is decided for is the largest count or membrane, summed over
 * the steps where the output has steps.                                                  */
#ifndef MLS_NET_LABEL_LOSS_H
#define MLS_NET_LABEL_LOSS_H

#include "net/net.h"

typedef enum {
    MLS_LOSS_OF_TASK, MLS_CE_RATE, MLS_CE_COUNT, MLS_CE_MAX_MEMBRANE, MLS_MSE_COUNT,
    MLS_MSE_MEMBRANE
} mls_label_kind;

typedef struct mls_label_loss {
    mls_label_kind kind;          /* MLS_LOSS_OF_TASK: the task's own                    */
    double         on, off;
    int64_t        units;         /* that count for a class                              */
} mls_label_loss;

/* From the map `train` and the head's map.  A task that has no class for each sequence, or a
 * head that gives something else than the loss wants, is an error.                       */
int mls_label_loss_read(mls_label_loss *l, const mls_value *train, const mls_value *head,
                        const mls_task_shape *shape, mls_error *e);
/* The loss of all later runs of this network. */
void mls_net_score(mls_net *net, const mls_label_loss *l);
/* 1: it wants outputs of every step. */
int mls_label_loss_steps(const mls_label_loss *l);

#endif
