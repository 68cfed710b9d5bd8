/* `record` of an experiment: what to record, and how much that will be. */
#include "rec/track.h"

#include <ctype.h>
#include <fnmatch.h>
#include <string.h>

static const char *const KEYS[] = { "selector", "1",     "every",      "steps",
                                    "samples",  "units", "round_bits", "report", NULL };

static int64_t whole(const mls_value *v, const char *key, int64_t most, mls_error *e)
{
    mls_arena a = { 0 };
    const int64_t x = mls_value_get_int(v, key, 0, e);
    if (!e->set && (x < 0 || x > most))
        mls_error_set(e, "%s`%s` is %lld, which must be from 0 to %lld",
                      mls_value_where(&a, v), key, (long long)x, (long long)most);
    mls_arena_free(&a);
    return x;
}

static void parse_one(const mls_value *v, mls_request *r, mls_arena *a, mls_error *e)
{
    *r = (mls_request){ 0 };
    if (v->kind == MLS_V_STRING) {
        r->selector = v->string;
    } else if (v->kind == MLS_V_MAP) {
        mls_value_only(v, KEYS, "a request of `record`", e);
        r->selector =
            mls_value_get_string(v, mls_value_get(v, "1") ? "1" : "selector", NULL, e);
        r->every = whole(v, "every", INT64_MAX, e);
        r->steps = whole(v, "steps", INT64_MAX, e);
        r->samples = whole(v, "samples", INT64_MAX, e);
        r->units = whole(v, "units", INT64_MAX, e);
        r->round_bits = (int)whole(v, "round_bits", 23, e);
        r->report = mls_value_get_bool(v, "report", 0, e);
        if (!e->set && r->report && r->samples != 1)
            mls_error_set(e, "%s`report` is a matrix of time and units: it needs "
                          "`samples` = 1", mls_value_where(a, v));
    } else {
        mls_error_set(
            e,
            "%sa request of `record` is a selector such as \"enc.spikes\" or a "
            "map with a key `selector`, not %s",
            mls_value_where(a, v), mls_value_kind_name(v));
        return;
    }
    if (!e->set && (!r->selector || !r->selector[0]))
        mls_error_set(e, "%sa request of `record` has no selector; write for instance "
                      "{ selector: enc.spikes, every: 10 }", mls_value_where(a, v));
    if (r->selector) r->selector = mls_arena_strdup(a, r->selector);
}

int mls_request_parse(const mls_value *list, mls_request **out, int *n, mls_arena *a,
                      mls_error *e)
{
    *out = NULL;
    *n = 0;
    if (!list || list->kind == MLS_V_NULL) return 1;
    if (list->kind != MLS_V_LIST) {
        mls_error_set(e, "%s`record` is %s, which must be a list of selectors",
                      mls_value_where(a, list), mls_value_kind_name(list));
        return 0;
    }
    mls_request *r = mls_arena_zalloc(a, (size_t)(list->n + 1) * sizeof *r);
    if (!r) mls_error_set(e, "out of memory for %d recording requests", list->n);
    for (int i = 0; i < list->n && !e->set; i++) parse_one(list->item[i], &r[i], a, e);
    if (e->set) return 0;
    *out = r;
    *n = list->n;
    return 1;
}

/* "layer1.enc.spikes" without "layer1." */
static const char *without_layer(const char *s)
{
    if (strncmp(s, "layer", 5) || !isdigit((unsigned char)s[5])) return s;
    const char *p = s + 5;
    while (isdigit((unsigned char)*p)) p++;
    return *p == '.' ? p + 1 : s;
}

static int matches(const char *selector, const mls_channel *ch)
{
    char full[512];
    snprintf(full, sizeof full, "%s.%s", ch->node, ch->name);
    return fnmatch(selector, full, 0) == 0 ||
           fnmatch(selector, without_layer(full), 0) == 0;
}

const mls_request *mls_request_for(const mls_request *r, int n, const mls_channel *ch)
{
    for (int i = n - 1; i >= 0; i--)
        if (matches(r[i].selector, ch)) return &r[i];
    return NULL;
}

static void nothing(const char *selector, const mls_channel *ch, int n_ch, mls_error *e)
{
    mls_arena a = { 0 };
    const char **names = mls_arena_zalloc(&a, (size_t)(2 * n_ch + 1) * sizeof *names);
    char list[1500] = "";
    size_t used = 0;
    int n = 0;
    for (int i = 0; names && i < n_ch; i++) {
        char *full = mls_arena_printf(&a, "%s.%s", ch[i].node, ch[i].name);
        if (!full) break;
        names[n++] = full;
        names[n++] = without_layer(full);
        if (used + strlen(full) + 8 < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                     i ? ", " : "", full);
        else if (used + 6 < sizeof list && strcmp(list + used - 3, "..."))
            used += (size_t)snprintf(list + used, sizeof list - used, ", ...");
    }
    const char *near = names ? mls_error_nearest(selector, names, n) : NULL;
    if (near)
        mls_error_set(e, "record: nothing is called \"%s\"; did you mean \"%s\"? "
                      "Channels: %s", selector, near, list);
    else
        mls_error_set(e, "record: nothing is called \"%s\". Channels: %s", selector,
                      list);
    mls_arena_free(&a);
}

static int64_t least(int64_t request, int64_t all)
{
    return request > 0 && request < all ? request : all;
}

/* A report of spikes only would be empty: they have a place of their own. */
static void no_states(const mls_request *r, const mls_channel *ch, int n_ch,
                      mls_error *e)
{
    for (int k = 0; k < n_ch; k++)
        if (matches(r->selector, &ch[k]) && !(ch[k].flags & MLS_SPIKES)) return;
    mls_error_set(e, "record: \"%s\" asks for a `report`, which is for states; spikes "
                  "are under /spikes as they are", r->selector);
}

/* How often: the number of evaluations is not known here, so up to 100 are assumed. */
static int64_t records(const mls_request *r, int64_t steps)
{
    if (r->every > 0) return (steps + r->every - 1) / r->every;
    return steps < 100 ? steps : 100;
}

/* A spike takes under 2 bytes in the file (gzip): a quarter of all cells is plenty. */
static double channel_bytes(const mls_request *r, const mls_channel *ch, int64_t T,
                            int64_t B, int64_t steps)
{
    const double cells = (double)least(r->steps, T) * (double)least(r->samples, B) *
                         (double)least(r->units, ch->width);
    if (ch->flags & MLS_SPIKES) return (double)records(r, steps) * cells * 0.5;
    return (double)(records(r, steps) + (r->report ? 1 : 0)) * cells * 4.0;
}

static void too_much(const mls_request *r, const mls_channel *ch, double worst,
                     double sum, int64_t T, int64_t B, int64_t limit, mls_error *e)
{
    const double over = sum / (double)limit;
    char help[256];
    const int64_t cells = least(r->samples, B);
    if (cells > 1 && over <= (double)cells)
        snprintf(help, sizeof help, "samples = %lld",
                 (long long)((double)cells / over));
    else if (r->every > 0)
        snprintf(help, sizeof help, "every = %.0f", (double)r->every * (over + 1));
    else
        snprintf(help, sizeof help, "samples = 1 and steps = %lld",
                 (long long)(T / 16 > 0 ? T / 16 : 1));
    mls_error_set(
        e,
        "record: %.1f MB would be written, the limit is %.1f MB; most of it, "
        "%.1f MB, is %s.%s by the request \"%s\": give that request for instance %s "
        "(or use every, steps, samples, units), or raise the limit",
        sum / 1e6, (double)limit / 1e6, worst / 1e6, ch->node, ch->name, r->selector,
        help);
}

int64_t mls_request_bytes(const mls_request *r, int n, const mls_channel *ch, int n_ch,
                          int64_t T, int64_t B, int64_t training_steps, int64_t limit,
                          mls_error *e)
{
    for (int i = 0; i < n; i++) {
        int found = 0;
        for (int k = 0; k < n_ch && !found; k++) found = matches(r[i].selector, &ch[k]);
        if (!found) {
            nothing(r[i].selector, ch, n_ch, e);
            return 0;
        }
        if (r[i].report) no_states(&r[i], ch, n_ch, e);
        if (e->set) return 0;
    }
    double sum = 0, most = 0;
    const mls_request *by = NULL;
    const mls_channel *worst = NULL;
    for (int k = 0; k < n_ch; k++) {
        const mls_request *q = mls_request_for(r, n, &ch[k]);
        if (!q) continue;
        const double x = channel_bytes(q, &ch[k], T, B, training_steps);
        sum += x;
        if (x > most) {
            most = x;
            by = q;
            worst = &ch[k];
        }
    }
    if (limit > 0 && sum > (double)limit && worst)
        too_much(by, worst, most, sum, T, B, limit, e);
    return sum > 9e18 ? INT64_MAX : (int64_t)sum;
}
