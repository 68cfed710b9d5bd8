/* mls trace: public figures through files, states from file to file, and every refusal. */
#define _GNU_SOURCE
#include "trace-rig.h"

#include "../plugins/mamba-golden.h"
/* both headers call their outputs golden_y */
#define golden_y golden_cell_y
#include "../plugins/cfc-golden.h"
#undef golden_y
#include "rec/h5.h"

static void near_floats(const char *name, const float *want, int n, double tol)
{
    const mls_bundle_row *r = row("y.h5", name);
    assert_int_equal(count(r), n);
    for (int i = 0; i < n; i++)
        if (!(fabs((double)((float *)r->data)[i] - (double)want[i]) <= tol * (1.0 + fabs((double)want[i]))))
            fail_msg("%s[%d] is %.9g, expected %.9g", name, i, (double)((float *)r->data)[i],
                     (double)want[i]);
}

static void near_doubles(const char *name, const double *want, int n, double tol)
{
    float *x = mls_arena_alloc(&arena, (size_t)n * sizeof *x);
    for (int i = 0; i < n; i++) x[i] = (float)want[i];
    near_floats(name, x, n, tol);
}

/* ---- Public figures ------------------------------------------------------------------- */

static float a_log(int k, int j) { (void)j; return logf((float)(k % 3 + 1)); }
static float one(int k, int j) { (void)k, (void)j; return 1.0f; }

static void mamba_weights(const char *file)
{
    put(file, "A_log", DIM(8, 3), a_log, 0);
    put(file, "D", DIM(8), one, 0);
    put(file, "in_proj.weight", DIM(16, 4), sine, 2);
    put(file, "conv1d.weight", DIM(8, 1, 4), sine, 3);
    put(file, "conv1d.bias", DIM(8), sine, 4);
    put(file, "x_proj.weight", DIM(7, 8), sine, 5);
    put(file, "dt_proj.weight", DIM(8, 1), sine, 6);
    put(file, "dt_proj.bias", DIM(8), sine, 7);
    put(file, "out_proj.weight", DIM(4, 8), sine, 8);
}

static void mamba(void **state)
{
    (void)state;
    mamba_weights("w.h5");
    put("x.h5", "in/in", DIM(2, 7, 4), cosine, 0);
    put("x.h5", "grad_out/out", DIM(2, 7, 4), shifted, 0);
    runs("trace 'mixer.mamba{state=3}' --weights w.h5 --input x.h5 --output y.h5 --grad");
    near_floats("out/out", golden_y, 56, 2e-6);
    near_floats("grad/in/in", golden_d_x, 56, 2e-6);
    near_floats("grad/weight/A_log", golden_A_log, 24, 2e-6);
    near_floats("grad/weight/D", golden_D, 8, 2e-6);
    near_floats("grad/weight/in_proj.weight", golden_in_proj_weight, 64, 2e-6);
    near_floats("grad/weight/conv1d.weight", golden_conv1d_weight, 32, 2e-6);
    near_floats("grad/weight/conv1d.bias", golden_conv1d_bias, 8, 2e-6);
    near_floats("grad/weight/x_proj.weight", golden_x_proj_weight, 56, 2e-6);
    near_floats("grad/weight/dt_proj.weight", golden_dt_proj_weight, 8, 2e-6);
    near_floats("grad/weight/dt_proj.bias", golden_dt_proj_bias, 8, 2e-6);
    near_floats("grad/weight/out_proj.weight", golden_out_proj_weight, 32, 2e-6);
    const mls_bundle_row *g = row("y.h5", "grad/weight/conv1d.weight");
    assert_true(g->rank == 3 && g->dim[1] == 1 && g->dim[2] == 4);
    assert_int_equal(row("y.h5", "grad/weight/D")->rank, 1);
}

static const char *const cell_names[] = {
    "backbone.0.weight", "backbone.0.bias", "backbone.2.weight", "backbone.2.bias",
    "ff1.weight", "ff1.bias", "ff2.weight", "ff2.bias", "time_a.weight", "time_a.bias",
    "time_b.weight", "time_b.bias" };
static const int64_t cell_dims[][3] = {
    { 5, 7 }, { 5 }, { 5, 5 }, { 5 }, { 4, 5 }, { 4 }, { 4, 5 }, { 4 }, { 4, 5 }, { 4 },
    { 4, 5 }, { 4 } };
#define CELL "'liquid.cfc{units=4, backbone_units=5, backbone_layers=2}' "
static float times(int k, int j) { (void)j; return (float)golden_ts[k]; }

static void cell(void **state)
{
    (void)state;
    for (int j = 0; j < 12; j++) put("cw.h5", cell_names[j], cell_dims[j], sine, j);
    put("cx.h5", "in/in", DIM(2, 6, 3), cosine, 0);
    put("cx.h5", "dt", DIM(2, 6), times, 0);
    put("cx.h5", "grad_out/out", DIM(2, 6, 4), shifted, 0);
    runs("trace " CELL "--weights cw.h5 --input cx.h5 --output y.h5 --grad");
    near_doubles("out/out", golden_cell_y, 48, 1e-6);
    near_doubles("grad/in/in", golden_dx, 36, 1e-6);
    for (int j = 0; j < 12; j++)
        near_doubles(mls_arena_printf(&arena, "grad/weight/%s", cell_names[j]),
                     golden_gradient[j], (int)(cell_dims[j][0] * (cell_dims[j][1] ? cell_dims[j][1] : 1)),
                     3e-6);
    const float *out = row("y.h5", "out/out")->data, *h = row("y.h5", "state/h")->data;
    assert_memory_equal(out + 5 * 4, h, 4 * sizeof *h);          /* of the first sample  */
    assert_memory_equal(out + 11 * 4, h + 4, 4 * sizeof *h);
}

/* ---- States, masks, gradients ------------------------------------------------------------ */

/* The steps [from, from + n) of a data set [2][7][4]. */
static void cut(const char *to, const char *from_file, int from, int n)
{
    mls_error e = { 0 };
    const float *x = row(from_file, "in/in")->data;
    float part[2 * 7 * 4];
    for (int b = 0; b < 2; b++)
        memcpy(part + b * n * 4, x + (b * 7 + from) * 4, (size_t)n * 4 * sizeof *x);
    assert_true(mls_array_write(in_dir(to), "in/in", part, 3, (int64_t[]){ 2, n, 4 }, &e));
}

static void pieces(void **state)
{
    (void)state;
    mls_error e = { 0 };
    cut("p1.h5", "x.h5", 0, 3);
    cut("p2.h5", "x.h5", 3, 4);
    runs("trace 'mixer.mamba{state=3}' --weights w.h5 --input x.h5 --output whole.h5");
    runs("trace 'mixer.mamba{state=3}' --weights w.h5 --input p1.h5 --output q1.h5");
    static const char *const names[] = { "conv", "ssm" };
    for (int i = 0; i < 2; i++) {
        const mls_bundle_row *s = row("q1.h5", mls_arena_printf(&arena, "state/%s", names[i]));
        assert_true(mls_array_write(in_dir("p2.h5"), s->name, s->data, s->rank, s->dim, &e));
    }
    runs("trace mixer.mamba{state=3} --weights w.h5 --input p2.h5 --output q2.h5");
    const float *y = row("whole.h5", "out/out")->data, *y1 = row("q1.h5", "out/out")->data,
                *y2 = row("q2.h5", "out/out")->data;
    for (int b = 0; b < 2; b++)
        for (int k = 0; k < 28; k++) {
            const float got = k < 12 ? y1[b * 12 + k] : y2[b * 16 + k - 12];
            assert_float_equal(got, y[b * 28 + k], 1e-6f);
        }
}

static float half_real(int k, int j) { (void)j; return k % 7 < 3 ? 1.0f : 0.0f; }

static void mask(void **state)
{
    (void)state;
    put("m.h5", "in/in", DIM(2, 7, 4), cosine, 0);
    put("m.h5", "mask", DIM(2, 7, 1), half_real, 0);
    runs("trace 'mixer.mamba{state=3}' --weights w.h5 --input m.h5 --output ym.h5");
    const float *a = row("ym.h5", "state/ssm")->data, *b = row("q1.h5", "state/ssm")->data;
    for (int i = 0; i < 48; i++) assert_float_equal(a[i], b[i], 1e-6f);
}

/* sum h_final g + sum out f over central differences in the initial state and the input. */
static double objective(const char *input)
{
    const char *line = mls_arena_printf(
        &arena, "trace " CELL "--weights cw.h5 --input %s --output d.h5", input);
    runs(line);
    const mls_bundle_row *y = row("d.h5", "out/out"), *h = row("d.h5", "state/h");
    double sum = 0.0;
    for (int k = 0; k < 8; k++) sum += (double)((float *)y->data)[k] * (double)shifted(k, 0);
    for (int k = 0; k < 8; k++) sum += (double)((float *)h->data)[k] * (double)cosine(k, 0);
    return sum;
}

static void moved(const char *file, float dx, float dh)
{
    mls_error e = { 0 };
    float x[6], h[8];
    for (int k = 0; k < 6; k++) x[k] = cosine(k, 0) + (k == 4 ? dx : 0.0f);
    for (int k = 0; k < 8; k++) h[k] = sine(k, 0) + (k == 2 ? dh : 0.0f);
    assert_true(mls_array_write(in_dir(file), "in/in", x, 3, (int64_t[]){ 2, 1, 3 }, &e));
    assert_true(mls_array_write(in_dir(file), "state/h", h, 2, (int64_t[]){ 2, 4 }, &e));
}

static void state_gradients(void **state)
{
    (void)state;
    const float d = 0.02f;
    moved("s.h5", 0, 0);
    put("s.h5", "grad_out/out", DIM(2, 1, 4), shifted, 0);
    put("s.h5", "grad_state/h", DIM(2, 4), cosine, 0);
    runs("trace " CELL "--weights cw.h5 --input s.h5 --output ys.h5 --grad");
    moved("s1.h5", d, 0);
    moved("s2.h5", -d, 0);
    moved("s3.h5", 0, d);
    moved("s4.h5", 0, -d);
    const double gx = (objective("s1.h5") - objective("s2.h5")) / (double)(2.0f * d),
                 gh = (objective("s3.h5") - objective("s4.h5")) / (double)(2.0f * d);
    assert_float_equal(((float *)row("ys.h5", "grad/in/in")->data)[4], gx, 5e-4);
    assert_float_equal(((float *)row("ys.h5", "grad/state/h")->data)[2], gh, 5e-4);
    assert_true(fabs(gx) > 0.003 && fabs(gh) > 0.003);
}

/* ---- Networks and components of a study ------------------------------------------------- */

static const char study[] =
    "local mls = require 'mls'\n"
    "return mls.study { name = 'two', vary = { units = { 4, 6 } },\n"
    "  task = mls.task.hdf5 { path = mls.here .. '/d.h5' },\n"
    "  network = function (p)\n"
    "    local net = mls.network { width = 8, layers = 1, dropout = 0.5 }\n"
    "    net.enc = mls.encoder.lif { units = p.units }\n"
    "    net.liq = mls.liquid.cfc { units = 8, backbone_units = 6 }\n"
    "    net:wire 'input -> enc -> liq -> output'\n"
    "    return net end }\n";

static void network(void **state)
{
    (void)state;
    put("d.h5", "x", DIM(20, 5, 1), cosine, 0);
    put("d.h5", "target", DIM(20, 5, 1), shifted, 0);
    text_file("two.lua", study);
    refused("trace two.lua --list", 1, WORDS("2 networks", "units=4", "units=6"));
    refused("trace two.lua:unit=4 --list", 1, WORDS("unit", "units"));
    runs("trace two.lua:units=6 --list");
    assert_non_null(strstr(said, "weight/layer0.liq.ff1.weight"));
    assert_non_null(strstr(said, "tap/layer0.enc.spikes"));
    assert_non_null(strstr(said, "state/layer0.enc.v"));
    put("nx.h5", "in/input", DIM(2, 5, 1), cosine, 0);
    put("nx.h5", "grad_out/output", DIM(2, 5, 1), shifted, 0);
    runs("trace two.lua:units=6 --init 3 --input nx.h5 --output n1.h5 --grad");
    assert_true(row("n1.h5", "tap/layer0.enc.spikes")->dim[2] == 6);
    assert_int_equal(row("n1.h5", "grad/in/input")->dim[1], 5);
    runs("trace two.lua:units=6 --weights n1.h5 --input nx.h5 --output n2.h5 --grad");
    const mls_bundle a = all_of("n1.h5"), b = all_of("n2.h5");
    int same = 0;
    for (int i = 0; i < a.n; i++)
        for (int j = 0; j < b.n; j++)
            if (!strcmp(a.row[i].name, b.row[j].name)) {
                assert_memory_equal(a.row[i].data, b.row[j].data,
                                    (size_t)count(&a.row[i]) * sizeof(float));
                same++;
            }
    assert_int_equal(same, b.n);
    assert_true(a.n > b.n);                       /* n1 also has the weights             */
    runs("trace two.lua:units=6 --weights n1.h5 --input nx.h5 --output n3.h5");
    const mls_bundle_row *y1 = row("n1.h5", "out/output"), *y3 = row("n3.h5", "out/output");
    assert_memory_equal(y1->data, y3->data, (size_t)count(y1) * sizeof(float));
}

static void in_lua(void **state)
{
    (void)state;
    text_file("twice.lua",
              "local mls = require 'mls'\n"
              "mls.component { kind = 'mixer', name = 'twice', "
              "  ports = { { 'in', 'in', 'T B n' }, { 'out', 'out', 'T B n' } },\n"
              "  forward = function (c, x) return 2 * x end }\n");
    put("tx.h5", "in/in", DIM(1, 2, 3), cosine, 0);
    runs("trace mixer.twice --load twice.lua --init 1 --input tx.h5 --output ty.h5");
    const float *y = row("ty.h5", "out/out")->data;
    for (int k = 0; k < 6; k++) assert_float_equal(y[k], 2.0f * cosine(k, 0), 1e-6f);
}

static void heads(void **state)
{
    (void)state;
    put("hx.h5", "in/in", DIM(2, 3, 4), cosine, 0);
    refused("trace head.linear --init 1 --input hx.h5 --output hy.h5", 1, WORDS("--classes"));
    runs("trace head.linear --init 1 --classes 5 --input hx.h5 --output hy.h5");
    assert_int_equal(row("hy.h5", "out/out")->dim[2], 5);
    assert_int_equal(row("hy.h5", "weight/weight")->dim[0], 5);
    put("hx.h5", "grad_out/out", DIM(2, 1, 3), shifted, 0);
    runs("trace head.last --init 1 --input hx.h5 --output hy.h5 --grad");
    const mls_bundle_row *y = row("hy.h5", "out/out");
    assert_true(y->dim[0] == 2 && y->dim[1] == 1 && y->dim[2] == 3);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

static float not_a_number(int k, int j) { (void)j; return k == 5 ? NAN : 0.5f; }

#define MAMBA "trace 'mixer.mamba{state=3}' "

static void misfits(void **state)
{
    (void)state;
    put("bad.h5", "A_log", DIM(8, 4), zero, 0);
    put("bad.h5", "D", DIM(8), one, 0);
    put("bad.h5", "in_prj.weight", DIM(16, 4), sine, 2);
    put("bad.h5", "conv1d.weight", DIM(8, 4), sine, 3);
    put("bad.h5", "conv1d.bias", DIM(1, 8), not_a_number, 4);
    put("bad.h5", "x_proj.weight", DIM(7, 8), sine, 5);
    put("bad.h5", "dt_proj.weight", DIM(8, 1), sine, 6);
    put("bad.h5", "num_batches_tracked", DIM(1), zero, 7);
    refused(MAMBA "--weights bad.h5 --input x.h5 --output no.h5", 1,
            WORDS("bad.h5 does not fit mixer.mamba (7 faults)",
                  "misshapen A_log: the file has [8][4], [8][3] is needed",
                  "missing in_proj.weight [16][4]",
                  "extra in_prj.weight [16][4]; there is in_proj.weight",
                  "not finite conv1d.bias: NaN at [0][5]", "missing dt_proj.bias [8]",
                  "missing out_proj.weight [4][8]", "extra num_batches_tracked [1]"));
    assert_int_not_equal(access(in_dir("no.h5"), F_OK), 0);
}

static void inputs(void **state)
{
    (void)state;
    put("b1.h5", "in/inn", DIM(2, 7, 4), cosine, 0);
    refused(MAMBA "--weights w.h5 --input b1.h5 --output no.h5", 1,
            WORDS("missing in/in [sample][time][feature]", "unknown in/inn; there is in/in"));
    put("b2.h5", "in/in", DIM(2, 7, 4), cosine, 0);
    put("b2.h5", "mask", DIM(7, 2), one, 0);
    put("b2.h5", "dt", DIM(2, 7), one, 0);
    put("b2.h5", "state/ss", DIM(2, 24), zero, 0);
    put("b2.h5", "state/conv", DIM(2, 23), zero, 0);
    put("b2.h5", "grad_state/ssm", DIM(2, 8, 3), zero, 0);        /* this one is right   */
    put("b2.h5", "grad_out/out", DIM(2, 7), zero, 0);
    put("b2.h5", "initial", DIM(2), zero, 0);
    refused(MAMBA "--weights w.h5 --input b2.h5 --output no.h5", 1,
            WORDS("mask: the file has [7][2], [2][7] is needed: [sample][time]"));
    put("b3.h5", "in/in", DIM(2, 7, 4), cosine, 0);
    put("b3.h5", "dt", DIM(2, 7), one, 0);
    put("b3.h5", "state/ss", DIM(2, 24), zero, 0);
    put("b3.h5", "state/conv", DIM(2, 23), zero, 0);
    put("b3.h5", "grad_state/ssm", DIM(2, 8, 3), zero, 0);
    put("b3.h5", "grad_out/out", DIM(2, 7), zero, 0);
    put("b3.h5", "initial", DIM(2), zero, 0);
    refused(MAMBA "--weights w.h5 --input b3.h5 --output no.h5", 1,
            WORDS("(5 faults)", "unknown dt", "unknown state/ss; there is state/ssm",
                  "state/conv: the file has [2][23], [2][24] is needed: [sample][feature]",
                  "grad_out/out: the file has [2][7], [2][7][4] is needed",
                  "unknown initial"));
    put("b4.h5", "in/in", DIM(1, 2, 4), not_a_number, 0);
    refused(MAMBA "--weights w.h5 --input b4.h5 --output no.h5", 1,
            WORDS("not finite in/in: NaN at [0][1][1]"));
    put("b5.h5", "in/in", DIM(2, 4), cosine, 0);
    refused(MAMBA "--weights w.h5 --input b5.h5 --output no.h5", 1,
            WORDS("in/in: the file has [2][4], expected [sample][time][feature]"));
    put("b6.h5", "in/a", DIM(2, 3, 4), cosine, 0);
    put("b6.h5", "in/b", DIM(2, 5, 4), cosine, 0);
    refused("trace fusion.sum --init 1 --input b6.h5 --output no.h5", 1,
            WORDS("in/b: the file has [2][5][4], [2][3][4] is needed"));
    put("b7.h5", "in/in", DIM(2, 7, 4), cosine, 0);
    refused(MAMBA "--weights w.h5 --input b7.h5 --output no.h5 --grad", 1,
            WORDS("grad_out/<port>"));
    refused(MAMBA "--weights w.h5 --input b7.h5 --output nowhere/no.h5", 1, WORDS("nowhere"));
}

static void specs(void **state)
{
    (void)state;
    refused("trace", 2, WORDS("SPEC"));
    refused("trace mixer.mamba --input x.h5 --output y.h5", 2, WORDS("--weights W.h5 is missing"));
    refused("trace mixer.mamba --init 1 --output y.h5", 2, WORDS("--input X.h5 is missing"));
    refused("trace mixer.mamba --init 1 --input x.h5", 2, WORDS("--output Y.h5 is missing"));
    refused("trace mixer.mamba --init 1 --weights w.h5 --list", 2, WORDS("one of the two"));
    refused("trace mixer.mamba --init x --list", 2, WORDS("--init is \"x\""));
    refused("trace mixer.mambo --list", 1, WORDS("mixer.mamba"));
    refused("trace 'mixer.mamba{stat=3}' --list", 1, WORDS("stat", "state"));
    refused("trace 'mixer.mamba{' --list", 1, WORDS("no constructor such as"));
    refused("trace version --list", 1, WORDS("version"));
    refused("trace 'network{width=4}' --list", 1, WORDS("no component"));
    refused("trace task.series --list", 1, WORDS("is a task"));
    refused("trace absent.lua --list", 1, WORDS("absent.lua"));
    refused("trace mixer.mamba --load absent.lua --list", 1, WORDS("absent.lua"));
}

static void files(void **state)
{
    (void)state;
    mls_error e = { 0 };
    refused(MAMBA "--weights absent.h5 --input x.h5 --output no.h5", 1,
            WORDS("absent.h5: No such file"));
    refused(MAMBA "--weights w.h5 --input absent.h5 --output no.h5", 1,
            WORDS("absent.h5: No such file"));
    text_file("text.h5", "these are words");
    refused(MAMBA "--weights text.h5 --input x.h5 --output no.h5", 1, WORDS("is no HDF5 file"));
    const hid_t f = mls_rec_create(in_dir("words.h5"), 0, 0, &e);
    assert_true(mls_rec_text_set(f, "A_log", "a text"));
    H5Fclose(f);
    refused(MAMBA "--weights words.h5 --input x.h5 --output no.h5", 1,
            WORDS("\"A_log\" holds text, where numbers are expected"));
    assert_int_equal(truncate(in_dir("whole.h5"), 3000), 0);
    assert_int_equal(mls_run_it(MAMBA "--weights whole.h5 --input x.h5 --output no.h5"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mamba),   cmocka_unit_test(cell),    cmocka_unit_test(pieces),
        cmocka_unit_test(mask),    cmocka_unit_test(state_gradients),
        cmocka_unit_test(network), cmocka_unit_test(in_lua),  cmocka_unit_test(heads),
        cmocka_unit_test(misfits), cmocka_unit_test(inputs),  cmocka_unit_test(specs),
        cmocka_unit_test(files)
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
