/* wire.c - reads "input -> enc -> liq.in; ssm ~> liq.mod_tau". */
#include "net/inner.h"

#include <ctype.h>
#include <string.h>

typedef struct reader {
    mls_net         *net;
    const mls_value *at;
    const char      *text, *p;
    int              branch;
    mls_error       *e;
} reader;

typedef struct end { int node; char name[64], port[64]; int column; } end;

int mls_net_find_name(const mls_net *net, const char *name)
{
    for (int i = 0; i < net->n_names; i++)
        if (!strcmp(net->name[i], name)) return i;
    return -1;
}

int mls_net_port(const mls_net *net, int name, const char *port, unsigned direction)
{
    const mls_port *p;
    int k = 0;
    for (int i = 0; (p = mls_plug_port(net->registry, net->component[name], i)); i++)
        if (p->flags & direction) {
            if (!strcmp(p->name, port)) return k;
            k++;
        }
    return -1;
}

static void complain(reader *r, int column, const char *what)
{
    mls_arena a = { 0 };
    mls_error_set(r->e, "%swire \"%s\", character %d: %s", mls_value_where(&a, r->at), r->text,
                  column + 1, what);
    mls_arena_free(&a);
}

static void skip(reader *r)
{
    while (*r->p == ' ' || *r->p == '\t') r->p++;
}

static int word(reader *r, char *out, size_t room)
{
    size_t n = 0;
    while (isalnum((unsigned char)*r->p) || *r->p == '_')
        if (n + 1 < room) out[n++] = *r->p++;
        else return 0;
    out[n] = '\0';
    return n > 0;
}

static const char *port_list(reader *r, int node, mls_arena *a)
{
    char *s = mls_arena_strdup(a, "");
    const mls_port *p;
    for (int i = 0; (p = mls_plug_port(r->net->registry, r->net->component[node], i)); i++)
        s = mls_arena_printf(a, "%s%s%s %s", s, *s ? ", " : "",
                             p->flags & MLS_IN ? "in" : "out", p->name);
    return s;
}

/* "; mixers with such a port: attention, mamba", or "". */
static char *others_with(const reader *r, const mls_component *c, const char *port,
                         mls_arena *a)
{
    const mls_registry *all = r->net->registry;
    char *s = mls_arena_strdup(a, "");
    for (int k = 0; k < all->n_components; k++) {
        const mls_component *o = all->component[k];
        const mls_port *p;
        int has = 0;
        for (int i = 0; !strcmp(o->kind, c->kind) && (p = mls_plug_port(all, o, i)); i++)
            has |= !strcmp(p->name, port);
        if (has)
            s = mls_arena_printf(a, "%s%s%s.%s", s,
                                 *s ? ", " : "; components with such a port: ", o->kind,
                                 o->name);
    }
    return s;
}

static int read_end(reader *r, end *x)
{
    skip(r);
    *x = (end){ .column = (int)(r->p - r->text) };
    if (!word(r, x->name, sizeof x->name)) {
        complain(r, x->column, "expected the name of a node");
        return 0;
    }
    if (*r->p == '.') {
        r->p++;
        if (!word(r, x->port, sizeof x->port)) {
            complain(r, (int)(r->p - r->text), "expected the name of a port after the dot");
            return 0;
        }
    }
    if (!strcmp(x->name, "input") || !strcmp(x->name, "output")) {
        x->node = x->name[0] == 'i' ? FROM_INPUT : TO_OUTPUT;
        if (*x->port) complain(r, x->column, "input and output have no ports");
        return !r->e->set;
    }
    x->node = mls_net_find_name(r->net, x->name);
    mls_arena a = { 0 };
    if (x->node < 0) {
        const char *near = mls_error_nearest(x->name, r->net->name, r->net->n_names);
        char *all = mls_arena_strdup(&a, "");
        for (int i = 0; i < r->net->n_names; i++)
            all = mls_arena_printf(&a, "%s%s%s", all, i ? ", " : "", r->net->name[i]);
        complain(r, x->column, mls_arena_printf(&a, "no node is called \"%s\"%s%s%s (there are "
                 "input, output, %s)", x->name, near ? "; did you mean \"" : "",
                 near ? near : "", near ? "\"?" : "", all));
    } else if (*x->port && mls_net_port(r->net, x->node, x->port, MLS_IN | MLS_OUT) < 0) {
        const mls_component *c = r->net->component[x->node];
        complain(r, x->column, mls_arena_printf(&a, "%s (%s.%s) has no port \"%s\"; it has %s%s",
                 x->name, c->kind, c->name, x->port, port_list(r, x->node, &a),
                 others_with(r, c, x->port, &a)));
    }
    mls_arena_free(&a);
    return !r->e->set;
}

/* The port meant by an end that is used in this direction: the named one if it has
 * that direction, else, in the middle of a chain, the first.                             */
static int pick(reader *r, const end *x, unsigned direction, int middle)
{
    if (x->node < 0) return 0;
    const int i = *x->port ? mls_net_port(r->net, x->node, x->port, direction) : 0;
    if (i >= 0) return i;
    if (middle) return 0;
    mls_arena a = { 0 };
    complain(r, x->column, mls_arena_printf(&a, "%s.%s is no %s port; %s has %s", x->name, x->port,
             direction == MLS_IN ? "input" : "output", x->name, port_list(r, x->node, &a)));
    mls_arena_free(&a);
    return 0;
}

static void connect(reader *r, const end *a, const end *b, int late, int first, int last)
{
    mls_net *net = r->net;
    if (a->node == TO_OUTPUT) complain(r, a->column, "\"output\" can only stand at the end of a wire");
    if (b->node == FROM_INPUT) complain(r, b->column, "\"input\" can only stand at the start of a wire");
    if (late && (a->node < 0 || b->node < 0))
        complain(r, b->column, "~> goes from node to node, not from input or to output");
    if (r->e->set) return;
    wire w = { a->node, pick(r, a, MLS_OUT, !first), b->node, pick(r, b, MLS_IN, !last), late,
               r->branch };
    for (int i = 0; i < net->n_wires; i++) {
        const wire *o = &net->wire[i];
        if (o->to != w.to || o->to_port != w.to_port) continue;
        if (w.to == TO_OUTPUT && o->branch != w.branch) continue;
        complain(r, b->column, w.to == TO_OUTPUT ? "output has a wire already"
                               : "this input port has a wire already");
    }
    if (net->n_wires == MAX_WIRES) complain(r, b->column, "too many wires (256 at most)");
    if (!r->e->set) net->wire[net->n_wires++] = w;
}

static void statement(reader *r)
{
    end a, b;
    if (!read_end(r, &a)) return;
    int first = 1;
    for (skip(r); *r->p && *r->p != ';' && *r->p != '\n'; skip(r)) {
        const int late = r->p[0] == '~' && r->p[1] == '>';
        if (!late && !(r->p[0] == '-' && r->p[1] == '>')) {
            complain(r, (int)(r->p - r->text), "expected -> or ~> or ;");
            return;
        }
        r->p += 2;
        if (!read_end(r, &b)) return;
        skip(r);
        const int last = !*r->p || *r->p == ';' || *r->p == '\n';
        connect(r, &a, &b, late, first, last);
        if (r->e->set) return;
        a = b;
        first = 0;
    }
    if (first) complain(r, a.column, "a wire needs -> or ~> and a second node");
}

void mls_net_wires(mls_net *net, const mls_value *text, int branch, mls_error *e)
{
    reader r = { net, text, text->string, text->string, branch, e };
    while (*r.p && !e->set) {
        while (isspace((unsigned char)*r.p) || *r.p == ';') r.p++;
        if (*r.p) statement(&r);
    }
}

static const char *port_of(const mls_net *net, int node, int port, unsigned direction)
{
    const mls_port *p = NULL;
    if (node < 0) return "";
    for (int i = 0, k = 0; (p = mls_plug_port(net->registry, net->component[node], i)); i++)
        if ((p->flags & direction) && k++ == port) break;
    return p ? p->name : "";
}

int mls_net_link_of(const mls_net *net, int i, mls_net_link *out)
{
    if (i < 0 || i >= net->n_wires) return 0;
    const wire *w = &net->wire[i];
    *out = (mls_net_link){ w->from < 0 ? "input" : net->name[w->from],
                           port_of(net, w->from, w->from_port, MLS_OUT),
                           w->to < 0 ? "output" : net->name[w->to],
                           port_of(net, w->to, w->to_port, MLS_IN), w->late };
    return 1;
}
