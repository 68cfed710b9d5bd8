/* The losses of spiking heads: against snnTorch, their gradients, padding, what is refused. */
#include "../plugins/small.h"

#include "grad/tape.h"
#include "net/label_loss.h"

enum { CLASSES = 3, T = 9, B = 3 };

typedef struct rig {
    mls_arena a;
    mls_net *net;
    mls_run *run;
    mls_batch b;
    mls_error e;
    int64_t D;
    float x[T * B * 2 * CLASSES], mask[T * B];
    int32_t label[B];
} rig;

typedef struct row { const char *loss; int population; double value, dot; } row;

/* made by scripts/golden/losses.py */
static const row golden[] = {
    { "ce_rate", 1, 1.108925, -0.004460336 },
    { "ce_count", 1, 0.7881746, -0.04303874 },
    { "ce_count", 2, 1.975488, -0.2591824 },
    { "ce_max_membrane", 1, 1.101881, 0.2816077 },
    { "mse_count", 1, 0.7407407, -0.01924562 },
    { "mse_count", 2, 3.481482, -0.1439172 },
    { "mse_membrane", 1, 0.8643766, 0.07072618 },
};

static const char *readout_of(const char *loss)
{
    return !strcmp(loss, "ce_rate")           ? "head.spikes, readout: spikes"
           : !strcmp(loss, "mse_membrane")    ? "head.spikes, readout: membrane"
           : !strcmp(loss, "ce_max_membrane") ? "head.spike_count, readout: max_membrane"
                                              : "head.spike_count, readout: count";
}

static const mls_value *parse(rig *r, const char *text)
{
    const mls_value *v = mls_yaml_parse(&r->a, text, strlen(text), "test", &r->e);
    if (r->e.set) fail_msg("%s", r->e.text);
    return v;
}

static void open_rig(rig *r, const row *w, unsigned flags)
{
    memset(r, 0, sizeof *r);
    r->D = CLASSES * w->population;
    const mls_task_shape shape = { .steps = T, .input = r->D, .output = CLASSES,
                                   .loss = MLS_CROSS_ENTROPY, .has_mask = 1 };
    const mls_value *spec = parse(r, mls_arena_printf(&r->a,
        "{width: %d, layers: 1, norm: none, residual: false, nodes: {n: {component: "
        "mixer.identity}}, wire: input -> n -> output, head: {component: %s, population: %d%s}}",
        (int)r->D, readout_of(w->loss), w->population,
        flags & MLS_SMOOTH ? ", detach_reset: false, surrogate: atan" : ""));
    const mls_value *train = parse(r, mls_arena_printf(&r->a,
        "{loss: %s, loss_on: 0.8, loss_off: 0.2}", w->loss));
    mls_label_loss l;
    if (!mls_label_loss_read(&l, train, mls_value_get(spec, "head"), &shape, &r->e))
        fail_msg("%s", r->e.text);
    r->net = mls_net_build(&(mls_net_config){ &registry, spec, &shape, 7, 0 }, &r->e);
    if (!r->net) fail_msg("%s", r->e.text);
    mls_net_score(r->net, &l);
    r->run = mls_run_new(r->net, B, flags, &r->e);
    mls_run_track(r->run, 1);
    for (int i = 0; i < mls_net_weights(r->net); i++) {
        mls_weight *m = mls_net_weight(r->net, i);
        for (int64_t k = 0; k < m->rows * m->cols; k++)
            m->data[k] = m->rows == r->D && k % (m->cols + 1) == 0 ? 1.0f : 0.0f;
    }
    for (int64_t i = 0; i < T * B * r->D; i++) r->x[i] = 0.5f + 1.2f * noise(i);
    for (int i = 0; i < T * B; i++) r->mask[i] = 1.0f;
    memcpy(r->label, (int32_t[]){ 2, 0, 1 }, sizeof r->label);
    r->b = (mls_batch){ .steps = T, .batch = B, .x = r->x, .mask = r->mask,
                        .label = r->label };
}

static void close_rig(rig *r)
{
    mls_run_free(r->run);
    mls_net_free(r->net);
    mls_arena_free(&r->a);
}

static double loss_of(rig *r, mls_loss_stats *s)
{
    mls_run_reset(r->run);
    const double loss = mls_run_loss(r->run, &r->b, 0, s);
    if (mls_run_error(r->run)->set) fail_msg("%s", mls_run_error(r->run)->text);
    return loss;
}

static void as_in_snntorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        rig r;
        open_rig(&r, &golden[i], MLS_TRAIN);
        const double loss = loss_of(&r, NULL);
        mls_run_backward(r.run, 1.0);
        const float *g = mls_run_input(r.run)->grad;
        double dot = 0.0;
        for (int64_t k = 0; k < T * B * r.D; k++) dot += (double)g[k] * cos((double)k);
        if (!(fabs(loss - golden[i].value) < 2e-6 * fabs(golden[i].value)) ||
            !(fabs(dot - golden[i].dot) < 2e-6))
            fail_msg("%s, population %d: loss %.8g and gradient %.8g; snnTorch has %.8g and "
                     "%.8g", golden[i].loss, golden[i].population, loss, dot, golden[i].value,
                     golden[i].dot);
        close_rig(&r);
    }
}

/* Four-point differences in smooth mode.  The target of mse_count is a whole number. */
static void gradients(void **state)
{
    (void)state;
    const float h = 0.0078125f;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        rig r;
        float want[T * B * 2 * CLASSES];
        double most = 0.05;
        open_rig(&r, &golden[i], MLS_TRAIN | MLS_SMOOTH);
        r.mask[8 * B + 1] = r.mask[7 * B + 1] = 0.0f;
        loss_of(&r, NULL);
        mls_run_backward(r.run, 1.0);
        memcpy(want, mls_run_input(r.run)->grad, sizeof *want * (size_t)(T * B * r.D));
        for (int64_t k = 0; k < T * B * r.D; k++) most = fmax(most, fabs((double)want[k]));
        for (int64_t k = 0; k < T * B * r.D; k++) {
            const float old = r.x[k];
            double f[4];
            for (int j = 0; j < 4; j++) {
                r.x[k] = old + h * (float)(j < 2 ? j - 2 : j - 1);
                f[j] = loss_of(&r, NULL);
            }
            r.x[k] = old;
            const double d = (8.0 * (f[2] - f[1]) - (f[3] - f[0])) / (12.0 * (double)h);
            if (!(fabs(d - (double)want[k]) < 2e-2 * most))
                fail_msg("%s, population %d: d loss / d x[%d] is %g, by differences %g",
                         golden[i].loss, golden[i].population, (int)k, (double)want[k], d);
        }
        close_rig(&r);
    }
}

/* A batch with padding is its samples by themselves; decisions are counted by sample. */
static void padding(void **state)
{
    (void)state;
    static const int steps[B] = { 9, 4, 6 };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        rig r;
        mls_loss_stats whole, one;
        double sum = 0.0, count = 0.0, correct = 0.0;
        open_rig(&r, &golden[i], 0);
        for (int k = 0; k < T * B; k++) r.mask[k] = k / B < steps[k % B];
        for (int k = 0; k < T * B; k++)
            for (int64_t j = 0; j < r.D && r.mask[k] == 0.0f; j++) r.x[k * r.D + j] = 50.0f;
        loss_of(&r, &whole);
        for (int b = 0; b < B; b++) {
            int32_t kept[B];
            memcpy(kept, r.label, sizeof kept);
            for (int k = 0; k < B; k++) r.label[k] = k == b ? kept[k] : -1;
            r.b.steps = steps[b];
            loss_of(&r, &one);
            assert_true(one.decided == 1.0);
            sum += one.sum;
            count += one.count;
            correct += one.correct;
            memcpy(r.label, kept, sizeof kept);
            r.b.steps = T;
        }
        if (!(fabs(sum - whole.sum) < 1e-5 * fabs(sum)) || count != whole.count ||
            correct != whole.correct || whole.decided != B)
            fail_msg("%s: %.8g over %g, %g right; one by one %.8g over %g, %g right",
                     golden[i].loss, whole.sum, whole.count, whole.correct, sum, count, correct);
        close_rig(&r);
    }
}

/* The largest sum over real steps decides; the first of equal ones. */
static void decisions(void **state)
{
    (void)state;
    rig r;
    mls_loss_stats s;
    open_rig(&r, &golden[0], 0);
    for (int k = 0; k < T * B * CLASSES; k++) r.x[k] = 0.0f;
    for (int t = 0; t < T; t++) {
        r.x[(t * B + 0) * CLASSES + 2] = 3.0f;                 /* right */
        r.x[(t * B + 1) * CLASSES + 1] = t < 2 ? 3.0f : 0.0f;  /* wrong: class 1 */
    }                                                          /* class 0 of equals: wrong */
    loss_of(&r, &s);
    assert_true(s.decided == 3.0 && s.correct == 1.0);
    mls_t d = mls_run_decision(r.run);
    assert_true(d->dim[0] == 1 && d->dim[1] == B && d->dim[2] == CLASSES);
    assert_true(d->data[2] == (float)T);
    close_rig(&r);
}

static void said(const char *train, const char *head, mls_task_shape shape, const char *words)
{
    rig r = { 0 };
    mls_label_loss l;
    const int ok = mls_label_loss_read(&l, parse(&r, train), parse(&r, head), &shape, &r.e);
    if (ok || !strstr(r.e.text, words)) fail_msg("%s; expected: %s", r.e.text, words);
    mls_arena_free(&r.a);
}

static void refusals(void **state)
{
    (void)state;
    const mls_task_shape s = { .steps = 4, .input = 1, .output = 2 };
    mls_task_shape each = s, squares = s;
    each.per_step = 1;
    squares.loss = MLS_MSE;
    said("{loss: ce_rat}", "{component: head.spikes}", s, "expected task, ce_rate");
    said("{loss: ce_rate}", "{component: head.spikes}", each, "classes at every step");
    said("{loss: ce_rate}", "{component: head.spikes}", squares, "this one has targets");
    said("{loss: ce_count}", "{component: head.last}", s, "wants network.head = "
         "head.spike_count with readout = count; it is head.last");
    said("{loss: ce_max_membrane}", "{component: head.spike_count}", s,
         "readout = max_membrane; it is head.spike_count with count");
    rig r;
    open_rig(&r, &golden[1], 0);                /* one output a sequence, and a loss of steps */
    mls_net_score(r.net, &(mls_label_loss){ .kind = MLS_CE_RATE });
    assert_true(isnan(mls_run_loss(r.run, &r.b, 0, NULL)));
    assert_non_null(strstr(mls_run_error(r.run)->text, "use head.spikes or head.linear"));
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_in_snntorch), cmocka_unit_test(gradients),
        cmocka_unit_test(padding), cmocka_unit_test(decisions), cmocka_unit_test(refusals),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, start_plugins, stop_plugins);
}
