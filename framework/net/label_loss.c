/* Labels become rows of labels or of targets, so that the two losses there are serve all. */
#include "net/label_loss.h"

#include "net/inner.h"

#include <math.h>
#include <string.h>

static const struct row {
    const char *name, *head, *readout;    /* head NULL: any that gives every step          */
} table[] = {
    [MLS_LOSS_OF_TASK] = { "task", NULL, NULL },
    [MLS_CE_RATE] = { "ce_rate", NULL, NULL },
    [MLS_CE_COUNT] = { "ce_count", "head.spike_count", "count" },
    [MLS_CE_MAX_MEMBRANE] = { "ce_max_membrane", "head.spike_count", "max_membrane" },
    [MLS_MSE_COUNT] = { "mse_count", "head.spike_count", "count" },
    [MLS_MSE_MEMBRANE] = { "mse_membrane", NULL, NULL },
};

void mls_net_score(mls_net *net, const mls_label_loss *l) { net->labels = *l; }

int mls_label_loss_steps(const mls_label_loss *l)
{
    return l->kind == MLS_CE_RATE || l->kind == MLS_MSE_MEMBRANE;
}

static void check_head(const struct row *r, const mls_value *head, mls_error *e)
{
    const char *name = mls_value_get_string(head, "component", "", e);
    const char *readout = mls_value_get_string(head, "readout", "count", e);
    if (!r->head || e->set || (!strcmp(name, r->head) && !strcmp(readout, r->readout))) return;
    mls_error_set(e, "train.loss = %s wants network.head = %s with readout = %s; it is %s%s%s",
                  r->name, r->head, r->readout, name, strcmp(name, r->head) ? "" : " with ",
                  strcmp(name, r->head) ? "" : readout);
}

int mls_label_loss_read(mls_label_loss *l, const mls_value *train, const mls_value *head,
                        const mls_task_shape *shape, mls_error *e)
{
    const char *name = mls_value_get_string(train, "loss", "task", e);
    *l = (mls_label_loss){ .on = mls_value_get_real(train, "loss_on", 1.0, e),
                           .off = mls_value_get_real(train, "loss_off", 0.0, e),
                           .units = mls_value_get_int(head, "population", 1, e) };
    enum { N = sizeof table / sizeof *table };
    int k = 0;
    while (k < N && strcmp(table[k].name, name)) k++;
    if (k == N) {
        mls_error_set(e, "train.loss is \"%.40s\"; expected task, ce_rate, ce_count, "
                         "ce_max_membrane, mse_count or mse_membrane", name);
        return 0;
    }
    l->kind = (mls_label_kind)k;
    if (k == MLS_LOSS_OF_TASK) return !e->set;
    if (shape->loss != MLS_CROSS_ENTROPY || shape->per_step)
        mls_error_set(e, "train.loss = %s is for tasks with one class for each sequence; this "
                         "one has %s%s", name, shape->loss == MLS_CROSS_ENTROPY ? "classes"
                                                                                : "targets",
                      shape->per_step ? " at every step" : "");
    else check_head(&table[k], head, e);
    return !e->set;
}

static int real(const mls_batch *b, int64_t t, int64_t i)
{
    return b->label[i] >= 0 && (!b->mask || b->mask[t * b->batch + i] != 0.0f);
}

/* The sequence's label at each of its steps. */
static mls_t rate(mls_ctx *c, mls_t y, const mls_batch *b, mls_loss_stats *s)
{
    const int64_t T = y->dim[0], B = y->dim[1];
    int32_t *label = mls_arena_alloc(&c->tape->arena, (size_t)(T * B) * sizeof *label);
    if (!label) {
        mls_error_set(c->error, "out of memory for the labels of %lld steps", (long long)T);
        return NULL;
    }
    for (int64_t t = 0; t < T; t++)
        for (int64_t i = 0; i < B; i++) label[t * B + i] = real(b, t, i) ? b->label[i] : -1;
    return mls_grad_cross_entropy(c, y, label, s);
}

static mls_t squares(mls_ctx *c, mls_t y, const mls_batch *b, const mls_label_loss *l,
                     mls_loss_stats *s)
{
    const int64_t T = y->dim[0], B = y->dim[1], C = y->dim[2];
    const int counts = l->kind == MLS_MSE_COUNT;
    const mls_t target = mls_tape_tensor(c, T, B, C), share = mls_tape_tensor(c, 1, B, 1);
    if (c->error->set) return NULL;
    for (int64_t i = 0; i < B; i++) {
        int64_t steps = 0;
        for (int64_t t = 0; t < b->steps; t++) steps += real(b, t, i);
        const double by = counts && steps ? 1.0 / sqrt((double)steps) : 1.0;
        share->data[i] = (float)by;
        for (int64_t k = 0; k < C; k++) {
            const double rate = b->label[i] == k ? l->on : l->off;
            const double want =
                counts ? by * trunc((double)steps * rate * (double)l->units) : rate;
            for (int64_t t = 0; t < T; t++)
                target->data[(t * B + i) * C + k] =
                    (counts ? steps > 0 : real(b, t, i)) ? (float)want : NAN;
        }
    }
    if (counts) y = mls_grad_binary(c, MLS_MUL, y, share);
    return mls_grad_mse(c, y, target->data, s);
}

/* How many samples are decided for, and how many of them rightly. */
static void decide(mls_run *r, mls_ctx *c, mls_t y, const mls_batch *b, mls_loss_stats *s)
{
    r->decision = y->dim[0] == 1 ? y : mls_grad_pool(c, mls_tape_detach(c, y), MLS_POOL_SUM,
                                                     r->mask);
    s->decided = s->correct = 0.0;
    for (int64_t i = 0; i < y->dim[1] && !c->error->set; i++) {
        if (b->label[i] < 0) continue;
        s->decided += 1.0;
        s->correct += mls_grad_is_right(r->decision->data + i * y->dim[2], y->dim[2],
                                        b->label[i]);
    }
}

mls_t mls_net_label_loss(mls_run *r, mls_t y, const mls_batch *b, mls_loss_stats *s)
{
    const mls_label_loss *l = &r->net->labels;
    mls_ctx *c = mls_run_ctx(r);
    mls_t loss;
    if (r->tape.dry || r->tape.rehearses) return mls_grad_cross_entropy(c, y, b->label, s);
    if (l->kind == MLS_CE_RATE) loss = rate(c, y, b, s);
    else if (l->kind == MLS_MSE_COUNT || l->kind == MLS_MSE_MEMBRANE)
        loss = squares(c, y, b, l, s);
    else loss = mls_grad_cross_entropy(c, y, b->label, s);
    if (loss && !c->error->set) decide(r, c, y, b, s);
    return loss;
}
