/* Training: it learns, resumes to the same bits, stops when told, names what is NaN. */
#include "rig.h"

typedef struct trial {
    mls_arena a;
    mls_error e;
    mls_feed *feed;
    mls_net *net;
    mls_loop *loop;
    mls_bundle bundle;
    /* what the sink was told */
    int64_t stop_at, steps, evaluations, checkpoints, bests, last_checkpoint;
    double loss, first_loss, rate, clipped, norm, valid, accuracy, bits, training_loss;
    int refuse;
} trial;

static double metric(const mls_metric *m, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(m[i].name, name)) return m[i].value;
    return NAN;
}

static void on_step(void *arg, int64_t step, const mls_metric *m, int n)
{
    trial *t = arg;
    assert_int_equal(step, ++t->steps);
    t->loss = metric(m, n, "loss");
    if (step == 1) t->first_loss = t->loss;
    t->rate = metric(m, n, "learning_rate");
    t->clipped = metric(m, n, "clipped");
    t->norm = metric(m, n, "gradient_norm");
    assert_true(metric(m, n, "tokens") > 0.0);
    assert_true(metric(m, n, "tokens_per_second") > 0.0);
}

static void on_evaluation(void *arg, int64_t step, int split, const mls_metric *m,
                          int n, int best)
{
    trial *t = arg;
    (void)step;
    assert_int_equal(split, MLS_VALIDATION);
    t->evaluations++;
    t->bests += best;
    t->valid = metric(m, n, "loss");
    t->accuracy = metric(m, n, "accuracy");
    t->bits = metric(m, n, "bits");
    t->training_loss = metric(m, n, "training_loss");
}

static int on_checkpoint(void *arg, int64_t step, int best)
{
    trial *t = arg;
    (void)best;
    t->checkpoints++;
    t->last_checkpoint = step;
    return !t->refuse;
}

static int on_stop(void *arg)
{
    trial *t = arg;
    return t->stop_at && t->steps >= t->stop_at;
}

static const char *network = "width=6 layers=1 dropout=0.1", *cell = "component=liquid.leak";

static void begin(trial *t, const char *task, const char *train)
{
    *t = (trial){0};
    t->feed = open_feed(&t->a, task, 5);
    mls_value *spec = settings(&t->a, network);
    mls_value *nodes = mls_value_map(&t->a);
    mls_value_set(&t->a, nodes, "l", settings(&t->a, cell));
    mls_value_set(&t->a, spec, "nodes", nodes);
    mls_value_set(&t->a, spec, "wire", mls_value_string(&t->a, "input -> l -> output"));
    mls_value_set(&t->a, spec, "head", settings(&t->a, "component=head.top"));
    t->net = mls_net_build(
        &(mls_net_config){&registry, spec, mls_feed_shape(t->feed), 5, 0}, &t->e);
    if (!t->net) fail_msg("%s", t->e.text);
    const mls_sink sink = {t, on_step, on_evaluation, on_checkpoint, on_stop};
    t->loop = mls_loop_new(t->net, t->feed, settings(&t->a, train), 5, &sink, &t->e);
    t->bundle.arena = &t->a;
    if (!t->loop) return;
    mls_loop_bundle(t->loop, &t->bundle);
}

static void end(trial *t)
{
    mls_loop_free(t->loop);
    mls_net_free(t->net);
    mls_feed_free(t->feed);
    mls_arena_free(&t->a);
}

static size_t bytes_of(const mls_bundle_row *r)
{
    static const size_t size[] = {4, 8, 8, 1, 1, 2};
    return size[r->type] * (size_t)(r->dim[0] * r->dim[1] * r->dim[2] * r->dim[3]);
}

/* 12 steps at once, and 7 and 5 with a fresh network and loop in between. */
static void resume_of(const char *train)
{
    trial whole, first, second;
    begin(&whole, "component=task.echo", train);
    assert_int_equal(mls_loop_go(whole.loop), MLS_DONE);
    assert_int_equal(mls_loop_steps(whole.loop), 12);
    for (int64_t at = 1; at < 12; at += 3) {
        begin(&first, "component=task.echo", train);
        first.stop_at = at;
        assert_int_equal(mls_loop_go(first.loop), MLS_STOPPED);
        assert_int_equal(first.last_checkpoint, at);
        mls_bundle now = {.arena = &first.a};
        mls_loop_bundle(first.loop, &now);
        begin(&second, "component=task.echo", train);
        assert_int_equal(second.bundle.n, now.n);
        for (int i = 0; i < now.n; i++) {
            assert_string_equal(second.bundle.row[i].name, now.row[i].name);
            memcpy(second.bundle.row[i].data, now.row[i].data, bytes_of(&now.row[i]));
        }
        mls_loop_resumed(second.loop);
        second.steps = at;
        assert_int_equal(mls_loop_go(second.loop), MLS_DONE);
        mls_bundle a = {.arena = &whole.a}, b = {.arena = &second.a};
        mls_loop_bundle(whole.loop, &a);
        mls_loop_bundle(second.loop, &b);
        for (int i = 0; i < a.n; i++)
            if (memcmp(a.row[i].data, b.row[i].data, bytes_of(&a.row[i])))
                fail_msg("%s, stopped at %lld: %s differs", train, (long long)at,
                         a.row[i].name);
        assert_int_equal(first.evaluations + second.evaluations, whole.evaluations);
        assert_true(second.loss == whole.loss && second.valid == whole.valid);
        assert_true(second.training_loss == whole.training_loss);
        /* A finished run that is resumed does nothing more. */
        mls_loop_resumed(second.loop);
        const int64_t before = second.evaluations;
        assert_int_equal(mls_loop_go(second.loop), MLS_DONE);
        assert_int_equal(second.evaluations, before);
        end(&first);
        end(&second);
    }
    end(&whole);
}

static void resume(void **state)
{
    (void)state;
    resume_of("steps=12 batch=4 evaluate_every=5 clip=0.5");
    resume_of("steps=12 batch=4 evaluate_every=5 carry=true");
    resume_of("steps=12 batch=16 evaluate_every=5 precision=mixed");
    resume_of("steps=12 batch=16 evaluate_every=5 precision=mixed optimiser=sgd carry=true");
    resume_of("steps=12 batch=8 optimiser=sgd learning_rate=0.1 accumulate=2 "
              "evaluate_every=3");
    resume_of("steps=12 batch=8 optimiser=sgd carry=true accumulate=2 schedule=linear "
              "exact=true");
}

static void learns(void **state)
{
    (void)state;
    trial t;
    begin(&t, "component=task.echo",
          "steps=300 batch=8 learning_rate=0.03 evaluate_every=50");
    const int64_t parameters = mls_net_parameters(t.net);
    assert_int_equal(mls_loop_go(t.loop), MLS_DONE);
    assert_int_equal(t.steps, 300);
    assert_int_equal(t.evaluations, 6);
    assert_true(t.first_loss > 1.2 && t.valid < 1.1);
    assert_true(t.accuracy > 0.45);
    assert_float_equal(t.bits, t.valid / log(2.0), 1e-9);
    assert_int_equal(t.last_checkpoint, 300);
    assert_true(t.bests >= 1 && t.checkpoints == 6);
    /* Frozen weights stay, and nothing asks for memory in a steady loop. */
    int frozen = 0;
    for (int i = 0; i < mls_net_weights(t.net); i++) {
        const mls_weight *w = mls_net_weight(t.net, i);
        if (!(w->flags & MLS_FROZEN)) continue;
        for (int64_t k = 0; k < w->cols; k++)
            assert_float_equal(w->data[k], 1.0f, 0.0f);
        frozen++;
    }
    assert_int_equal(frozen, 1);
    assert_int_equal(parameters, mls_net_parameters(t.net));
    end(&t);
}

static void memory_is_steady(void **state)
{
    (void)state;
    trial t;
    begin(&t, "component=task.ragged", "steps=40 batch=4 evaluate_every=7");
    t.stop_at = 20;
    assert_int_equal(mls_loop_go(t.loop), MLS_STOPPED);
    const size_t a = mls_run_tape(mls_loop_run_of(t.loop))->arena.mallocs;
    const size_t b = mls_run_tape(mls_loop_evaluation_run(t.loop))->arena.mallocs;
    t.stop_at = 0;
    assert_int_equal(mls_loop_go(t.loop), MLS_DONE);
    assert_int_equal(mls_run_tape(mls_loop_run_of(t.loop))->arena.mallocs, a);
    assert_int_equal(mls_run_tape(mls_loop_evaluation_run(t.loop))->arena.mallocs, b);
    mls_metric m[8];
    assert_int_equal(mls_loop_evaluate(t.loop, MLS_VALIDATION, m, 8), 2);
    assert_string_equal(m[1].name, "mse");
    assert_int_equal(mls_loop_evaluate(t.loop, MLS_TEST, m, 8), 0);
    end(&t);
}

/* Two batches of 4 are one of 8, but for rounding. */
static void accumulation(void **state)
{
    (void)state;
    trial a, b;
    const char *task = "component=task.echo training=80", *usual = network;
    network = "width=6 layers=1"; /* dropout gives each batch its own noise */
    begin(&a, task, "steps=5 batch=8 optimiser=sgd learning_rate=0.1");
    begin(&b, task, "steps=5 batch=4 accumulate=2 optimiser=sgd learning_rate=0.1");
    network = usual;
    assert_int_equal(mls_loop_go(a.loop), MLS_DONE);
    assert_int_equal(mls_loop_go(b.loop), MLS_DONE);
    int64_t n;
    const float *x = mls_net_data(a.net, &n), *y = mls_net_data(b.net, &n);
    for (int64_t i = 0; i < n; i++) assert_float_equal(x[i], y[i], 1e-5f);
    assert_float_equal(a.norm, b.norm, 1e-5);
    assert_float_equal(a.first_loss, b.first_loss, 1e-6);
    assert_true(a.rate == b.rate);
    end(&a);
    end(&b);
}

static int64_t planned(const char *train)
{
    trial t;
    begin(&t, "component=task.echo", train);
    const int64_t n = t.loop ? mls_loop_steps(t.loop) : -1;
    end(&t);
    return n;
}

static void lengths(void **state)
{
    (void)state;
    assert_int_equal(planned("batch=8"), 1000);
    assert_int_equal(planned("batch=8 epochs=3"), 15);
    assert_int_equal(planned("batch=8 epochs=3 accumulate=2"), 8);
    assert_int_equal(planned("batch=8 tokens=1000"), 11); /* 96 a step */
    assert_int_equal(planned("batch=8 tokens=1000 steps=7 epochs=3"), 7);
    assert_int_equal(planned("steps=0"), -1);
    assert_int_equal(planned("steps=0 minutes=1"), INT64_MAX);
    assert_int_equal(planned("batch=0"), -1);
    assert_int_equal(planned("schedule=sine"), -1);
    assert_int_equal(planned("clip=-1"), -1);
    trial t;
    begin(&t, "component=task.echo",
          "steps=10 final_rate=0.2 schedule=linear learning_rate=0.01 clip=1e-9");
    assert_int_equal(mls_loop_go(t.loop), MLS_DONE);
    assert_float_equal(t.rate, 0.002, 1e-12);
    assert_true(t.clipped == 1.0);
    assert_int_equal(t.evaluations, 10);
    end(&t);
    begin(&t, "component=task.echo", "steps=0 minutes=1e-9");
    assert_int_equal(mls_loop_go(t.loop), MLS_DONE);
    assert_int_equal(t.last_checkpoint, t.steps);
    assert_int_equal(t.evaluations, 1);
    end(&t);
}

static void stops(void **state)
{
    (void)state;
    trial t;
    begin(&t, "component=task.echo",
          "steps=50 learning_rate=0 evaluate_every=2 patience=3");
    assert_int_equal(mls_loop_go(t.loop), MLS_EARLY);
    assert_int_equal(t.steps, 8); /* the best at 2, then 4, 6 and 8 */
    assert_int_equal(t.bests, 1);
    assert_int_equal(t.last_checkpoint, 8);
    end(&t);
    begin(&t, "component=task.echo", "steps=50 checkpoint_every=3 evaluate_every=50");
    t.stop_at = 4;
    assert_int_equal(mls_loop_go(t.loop), MLS_STOPPED);
    assert_int_equal(t.checkpoints, 2);
    t.refuse = 1;
    t.stop_at = 0;
    assert_int_equal(mls_loop_go(t.loop), MLS_FAILED);
    assert_non_null(strstr(t.e.text, "no checkpoint could be written after step 6"));
    end(&t);
}

/* evaluate_batches is for the evaluations of training; who asks gets the whole split. */
static void the_whole_split(void **state)
{
    trial part, all;
    mls_metric m[8], n[8];
    (void)state;
    begin(&part, "component=task.echo", "steps=1 batch=4 learning_rate=0 evaluate_batches=1");
    begin(&all, "component=task.echo", "steps=1 batch=4 learning_rate=0");
    assert_int_equal(mls_loop_go(part.loop), MLS_DONE);
    assert_int_equal(mls_loop_go(all.loop), MLS_DONE);
    assert_true(mls_feed_batches(all.feed, MLS_VALIDATION, 4) > 1);
    assert_true(part.valid != all.valid);
    assert_true(mls_loop_evaluate(part.loop, MLS_VALIDATION, m, 8) > 0);
    assert_true(mls_loop_evaluate(all.loop, MLS_VALIDATION, n, 8) > 0);
    assert_true(m[0].value == all.valid && n[0].value == all.valid);
    end(&part);
    end(&all);
}

static void names_what_is_not_finite(void **state)
{
    (void)state;
    trial t;
    begin(&t, "component=task.echo", "steps=50");
    t.stop_at = 3;
    assert_int_equal(mls_loop_go(t.loop), MLS_STOPPED);
    for (int i = 0; i < mls_net_weights(t.net); i++)
        if (!strcmp(mls_net_weight(t.net, i)->name, "layer0.l.w"))
            mls_net_weight(t.net, i)->data[2] = NAN;
    t.stop_at = 0;
    assert_int_equal(mls_loop_go(t.loop), MLS_FAILED);
    assert_non_null(strstr(t.e.text, "step 4: the loss is NaN: weight layer0.l.w of "
                                     "node layer0.l is NaN at [0][2]"));
    end(&t);
    begin(&t, "component=task.ragged",
          "steps=50 batch=4 learning_rate=1000 optimiser=sgd clip=0 momentum=0.9");
    assert_int_equal(mls_loop_go(t.loop), MLS_FAILED);
    assert_non_null(strstr(t.e.text, "step "));
    end(&t);
    begin(&t, "component=task.ragged bad=4", "steps=50 batch=4");
    assert_int_equal(mls_loop_go(t.loop), MLS_FAILED);
    assert_non_null(strstr(t.e.text, "task.ragged: input of training sample 4 is nan"));
    end(&t);
}

/* 16 samples of 12 steps by 6: enough to be used again before anybody looks. */
static void names_the_op_where_it_began(void **state)
{
    static const char *const settings[] = {"steps=5 batch=16 carry=true",
                                           "steps=5 batch=16 carry=true precision=mixed"};
    (void)state;
    cell = "component=liquid.sour";
    for (int i = 0; i < 2; i++) {
        trial t;
        begin(&t, "component=task.echo training=200", settings[i]);
        assert_int_equal(mls_loop_go(t.loop), MLS_FAILED);
        if (!strstr(t.e.text, "step 3: the loss is NaN: output 0 of op sqrt in node layer0.l"))
            fail_msg("%s", t.e.text);
        end(&t);
    }
    cell = "component=liquid.leak";
}

/* It learns as well, keeps its means in 16 bits, and is not what float32 is to the bit. */
static void mixed_precision(void **state)
{
    (void)state;
    trial a, b;
    begin(&a, "component=task.echo", "steps=300 batch=20 learning_rate=0.03");
    begin(&b, "component=task.echo", "steps=300 batch=20 learning_rate=0.03 precision=mixed");
    assert_int_equal(mls_loop_go(a.loop), MLS_DONE);
    assert_int_equal(mls_loop_go(b.loop), MLS_DONE);
    print_message("# float32 %.4f, mixed %.4f\n", a.valid, b.valid);
    assert_true(a.valid < 1.1 && fabs(a.valid - b.valid) < 0.02 && a.valid != b.valid);
    mls_bundle now = {.arena = &b.a};
    mls_loop_bundle(b.loop, &now);
    int means = 0;
    for (int i = 0; i < now.n; i++)
        means += !strncmp(now.row[i].name, "optimiser/", 10) && now.row[i].type == MLS_B_U16;
    assert_int_equal(means, 2);
    end(&a);
    end(&b);
    begin(&a, "component=task.echo", "steps=1 precision=mixd");
    assert_null(a.loop);
    assert_non_null(strstr(a.e.text, "train.precision = \"mixd\"; expected float32, mixed"));
    end(&a);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resume),
        cmocka_unit_test(learns),
        cmocka_unit_test(memory_is_steady),
        cmocka_unit_test(accumulation),
        cmocka_unit_test(lengths),
        cmocka_unit_test(stops),
        cmocka_unit_test(the_whole_split),
        cmocka_unit_test(names_what_is_not_finite),
        cmocka_unit_test(names_the_op_where_it_began),
        cmocka_unit_test(mixed_precision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
