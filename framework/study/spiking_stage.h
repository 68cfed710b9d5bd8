/* spiking_stage.h - one layer of spiking neurons of a network, as NIR sees it; private to
 * spiking_*.c. */
#ifndef MLS_STUDY_SPIKING_STAGE_H
#define MLS_STUDY_SPIKING_STAGE_H

#include "study/spiking.h"

enum { MLS_STAGES = 128 };

/* What a weight means: the value itself; x of sigmoid(x); x of 1 - sigmoid(x). */
enum { MLS_STAGE_PLAIN, MLS_STAGE_LOGIT, MLS_STAGE_INVERSE };

/* A number of each unit: trained, or an option of all. */
typedef struct mls_stage_value {
    const char *name, *learn;     /* "beta"; the option that trains it, or NULL          */
    float      *w;                /* [n], n 1 or of each unit; NULL: option              */
    int64_t     n;
    double      option;
    int         how;
} mls_stage_value;

typedef struct mls_stage {
    const char *node, *label;     /* "layer0.enc"; of its NIR nodes: "layer0_enc", or with _1
                                     and _2                                              */
    const char *component;        /* "encoder.lif"                                       */
    const mls_value *options;
    int64_t     in, n;
    float      *weight, *bias;    /* [n][in], [n]; NULL: none                            */
    float      *rec, *rec_bias;   /* [n][n], or [1][n] one_to_one; [n]; NULL: none       */
    int         one_to_one, cuba;
    int         decays_input;     /* I is multiplied by 1 - beta                         */
    mls_stage_value alpha, beta, threshold;
    int         source;           /* the stage whose spikes enter it, or -1              */
    int         is_heard;         /* its spikes go elsewhere too, or nowhere             */
    int         late;             /* spikes enter it by a late wire                      */
} mls_stage;

typedef struct mls_stages {
    mls_stage   s[MLS_STAGES];
    int         n;
    double      dt;               /* of a step, in seconds                               */
    const char *others;           /* lines about spiking nodes without a name in NIR     */
} mls_stages;

/* All, or those of one node.  0 and e: there are none, or inner steps. */
int mls_stages_open(mls_stages *all, const mls_net *net, const mls_value *config, const char *node,
                    mls_arena *a, mls_error *e);
double mls_stage_get(const mls_stage_value *v, int64_t unit);

#endif
