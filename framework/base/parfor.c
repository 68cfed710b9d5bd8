#include "base/parfor.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* One job at a time.  A worker counts itself in before it looks whether the job is
 * open; the caller closes the job before it looks whether anybody is in.  Both orders
 * are sequentially consistent, so a worker either is waited for or does not touch the
 * job, and a worker that wakes late costs nobody anything. */

/* A worker that still spins is there in a microsecond, one that sleeps in about 20: it spins
 * for about as long as a step of training is on its own between two loops. */
enum { MOST = 64, SPIN = 40000, PATIENCE = 200000 };

static struct {
    void (*body)(int64_t i, void *arg);
    void  *arg;
    int     helpers;               /* workers with a smaller number may take part     */
} job;

/* Each thread begins with the same share of the items in every loop, so that it finds what it
 * wrote in the one before in its own cache, and then helps the others with theirs. */
static struct share {
    _Atomic int64_t next __attribute__((aligned(64)));
    int64_t         end;
} share_of[MOST];
static atomic_int open_job, active, sleepers, busy;
static atomic_uint generation;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static atomic_int wanted = 1;      /* threads, the caller among them                  */
static int made;                   /* workers that exist; changed while `busy` */
static _Thread_local int inside;   /* this thread is running a body                   */

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

static void take_items(int me)
{
    const int threads = job.helpers + 1;
    inside = 1;
    for (int k = 0; k < threads; k++) {
        struct share *s = &share_of[(me + k) % threads];
        for (;;) {
            const int64_t i = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
            if (i >= s->end) break;
            job.body(i, job.arg);
        }
    }
    inside = 0;
}

static void sleep_until_after(unsigned seen)
{
    for (int i = 0; i < SPIN; i++) {
        if (atomic_load(&generation) != seen) return;
        relax();
    }
    pthread_mutex_lock(&lock);
    atomic_fetch_add(&sleepers, 1);
    while (atomic_load(&generation) == seen) pthread_cond_wait(&wake, &lock);
    atomic_fetch_sub(&sleepers, 1);
    pthread_mutex_unlock(&lock);
}

static void *work(void *number)
{
    const int me = (int)(intptr_t)number;
    unsigned seen = 0;
    for (;;) {
        sleep_until_after(seen);
        seen = atomic_load(&generation);
        atomic_fetch_add(&active, 1);
        if (atomic_load(&open_job) && me < job.helpers) take_items(me + 1);
        atomic_fetch_sub(&active, 1);
    }
    return NULL;
}

/* A child of fork() has no workers and may have inherited a locked mutex. */
static void forget(void)
{
    static const pthread_mutex_t new_lock = PTHREAD_MUTEX_INITIALIZER;
    static const pthread_cond_t new_wake = PTHREAD_COND_INITIALIZER;
    lock = new_lock;
    wake = new_wake;
    atomic_store(&open_job, 0);
    atomic_store(&active, 0);
    atomic_store(&sleepers, 0);
    atomic_store(&busy, 0);
    atomic_store(&generation, 0);
    made = 0;
    inside = 0;
}

/* Makes workers up to `helpers`; fewer, when the system gives no more, is no error: the
 * loop is the same with any number.  Signals stay with the threads of the program.   */
static void make_workers(int helpers)
{
    static int registered;
    if (!registered) registered = !pthread_atfork(NULL, NULL, forget);
    if (!registered) return;
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before)) return;
    pthread_attr_t detached;
    if (!pthread_attr_init(&detached)) {
        pthread_t t;
        if (!pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED))
            while (made < helpers
                   && !pthread_create(&t, &detached, work, (void *)(intptr_t)made))
                made++;
        pthread_attr_destroy(&detached);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void share(int64_t n, void (*body)(int64_t i, void *arg), void *arg, int helpers)
{
    if (made < helpers) make_workers(helpers);
    job.body = body;
    job.arg = arg;
    job.helpers = helpers;
    for (int64_t k = 0; k <= helpers; k++) {
        atomic_store(&share_of[k].next, n * k / (helpers + 1));
        share_of[k].end = n * (k + 1) / (helpers + 1);
    }
    atomic_store(&open_job, 1);
    atomic_fetch_add(&generation, 1);
    if (atomic_load(&sleepers)) {
        pthread_mutex_lock(&lock);
        pthread_cond_broadcast(&wake);
        pthread_mutex_unlock(&lock);
    }
    take_items(0);
    atomic_store(&open_job, 0);
    for (int spins = 0; atomic_load(&active); spins++) {
        if (spins < PATIENCE) relax();
        else sched_yield();        /* a worker lost its core in the middle of an item */
    }
}

void mls_parfor(int64_t n, void (*body)(int64_t i, void *arg), void *arg)
{
    const int threads = atomic_load_explicit(&wanted, memory_order_relaxed);
    if (threads > 1 && n > 1 && !inside && !atomic_exchange(&busy, 1)) {
        share(n, body, arg, threads - 1);
        atomic_store(&busy, 0);
        return;
    }
    for (int64_t i = 0; i < n; i++) body(i, arg);
}

void mls_parfor_threads(int threads)
{
    atomic_store(&wanted, threads < 1 ? 1 : threads > MOST ? MOST : threads);
}

int mls_parfor_count(void) { return atomic_load(&wanted); }
