#include "cli/cli.h"
#include "base/philox.h"
#include "lua/component.h"
#include "study/quantize.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const mls_flag mls_cli_generate_flags[] = {
    { "--prompt", MLS_FLAG_VALUE, "TEXT", "what the text begins with" },
    { "--length", MLS_FLAG_VALUE, "N", "tokens to generate (500)" },
    { "--temperature", MLS_FLAG_VALUE, "X", "0: always the likeliest (0.8)" },
    { "--top-k", MLS_FLAG_VALUE, "K", "draw among the K likeliest; 0: all (0)" },
    { "--seed", MLS_FLAG_VALUE, "N", "of the draws (1)" },
    { "--weights", MLS_FLAG_VALUE, "FILE",
      "another checkpoint of that network, or what mls quantize made (the best there)" },
    { NULL, MLS_FLAG_NONE, NULL, NULL }
};

typedef struct sampler {
    double   temperature;
    int64_t  top_k, classes;
    uint64_t key;
    float   *sorted;             /* [classes]                                         */
} sampler;

static int falling(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

static int32_t likeliest(const float *logit, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (logit[i] > logit[best]) best = i;
    return (int32_t)best;
}

/* Draw number `index` from softmax(logit / temperature) over the top k. */
static int32_t draw(const sampler *s, const float *logit, int64_t index)
{
    uint32_t random[4];
    const int32_t top = likeliest(logit, s->classes);
    if (s->temperature <= 0.0) return top;
    float least = -INFINITY;
    if (s->top_k > 0 && s->top_k < s->classes) {
        memcpy(s->sorted, logit, (size_t)s->classes * sizeof *logit);
        qsort(s->sorted, (size_t)s->classes, sizeof *s->sorted, falling);
        least = s->sorted[s->top_k - 1];
    }
    mls_philox(s->key, (uint64_t)index, random);
    double sum = 0.0;
    for (int64_t i = 0; i < s->classes; i++)
        if (logit[i] >= least)
            sum += exp((double)(logit[i] - logit[top]) / s->temperature);
    double left = mls_philox_unit(random[0]) * sum;
    for (int64_t i = 0; i < s->classes; i++) {
        if (logit[i] < least) continue;
        left -= exp((double)(logit[i] - logit[top]) / s->temperature);
        if (left <= 0.0) return (int32_t)i;
    }
    return top;
}

/* One token in, the logits of the next out; the states stay in the run. */
static const float *feed_token(mls_run *run, int32_t token, int64_t step, mls_error *e)
{
    const mls_batch b = { .steps = 1, .batch = 1, .token = &token };
    mls_t y = mls_run_forward(run, &b, (uint64_t)step);
    if (!y || !y->data) {
        mls_error_set(e, "%s", mls_run_error(run)->set ? mls_run_error(run)->text
                                                       : "the network gave no output");
        return NULL;
    }
    return y->data;
}

static int show(const mls_task *task, const void *self, int32_t token)
{
    const char *text = task->spell(self, token);
    return (!text || fputs(text, stdout) >= 0) && fflush(stdout) == 0;
}

/* The prompt's tokens through the network; the logits after the last one. */
static const float *read_prompt(mls_run *run, const mls_task *task, const void *self,
                                const char *prompt, int64_t *step, mls_error *e)
{
    const float *logit = NULL;
    if (!*prompt) prompt = "\n";
    while (*prompt && !e->set) {
        int used = 0;
        const int32_t token = task->token(self, prompt, &used);
        if (token < 0 || used < 1) {
            /* A text without line ends has no natural beginning: its first token. */
            if (*prompt == '\n' && !prompt[1] && !logit)
                return feed_token(run, 0, (*step)++, e);
            mls_error_set(e,
                          "the prompt's \"%.20s\" does not occur in the text that the "
                          "network learned",
                          prompt);
            return NULL;
        }
        logit = feed_token(run, token, (*step)++, e);
        prompt += used;
    }
    return logit;
}

static void generate(mls_model *m, const mls_args *args, mls_error *e)
{
    const void *self;
    const mls_task *task = mls_feed_task(m->feed, &self);
    const mls_task_shape *shape = mls_feed_shape(m->feed);
    if (!shape->vocabulary || !shape->per_step || !task->spell || !task->token ||
        shape->output != shape->vocabulary) {
        mls_error_set(
            e, "only networks trained on a text task generate; this task predicts "
               "something else");
        return;
    }
    const char *prompt = mls_args_get(args, "--prompt", "");
    const int64_t length = mls_args_int(args, "--length", 500, 0, INT64_MAX, e);
    sampler s = {mls_args_real(args, "--temperature", 0.8, 0, 1000, e),
                 mls_args_int(args, "--top-k", 0, 0, INT64_MAX, e), shape->output, 0,
                 NULL};
    s.key = mls_philox_key((uint64_t)mls_args_int(args, "--seed", 1, 0, INT64_MAX, e),
                           "generate", "token");
    s.sorted = mls_arena_alloc(&m->arena, (size_t)s.classes * sizeof *s.sorted);
    mls_run *run = e->set || !s.sorted ? NULL : mls_run_new(m->net, 1, 0, e);
    if (!run) return;
    int64_t step = 0;
    if (fputs(prompt, stdout) < 0)
        mls_error_set(e, "standard output cannot be written");
    const float *logit = read_prompt(run, task, self, prompt, &step, e);
    for (int64_t i = 0; i < length && logit && !e->set && !mls_cli_stop; i++) {
        const int32_t token = draw(&s, logit, i);
        if (!show(task, self, token))
            mls_error_set(e, "standard output cannot be written");
        else if (i + 1 < length) logit = feed_token(run, token, step++, e);
    }
    if (!e->set) fputc('\n', stdout);
    mls_run_free(run);
}

int mls_verb_generate(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    mls_args args;
    mls_model m = { 0 };
    const char *dir =
        mls_args_parse(&args, &a, argc, argv, mls_cli_generate_flags, e)
            ? mls_args_word(&args, "DIR (a folder that mls train made)", e)
            : NULL;
    mls_cli_signals();
    mls_lua_file *lua = NULL;
    const char *from;
    if (dir && mls_lua_trial_load(r, dir, &lua, e) &&
        mls_quantize_load(&m, r, dir, mls_args_get(&args, "--weights", NULL), &from, e))
        generate(&m, &args, e);
    mls_model_close(&m);
    mls_lua_file_free(lua);
    mls_arena_free(&a);
    if (e->set) return dir ? MLS_EXIT_FAILED : MLS_EXIT_USAGE;
    return mls_cli_stop ? MLS_EXIT_INTERRUPTED : MLS_EXIT_DONE;
}
