/* attention.h - scaled dot-product attention of one head of one sample over
 * contiguous arrays, in tiles: memory does not grow with queries times keys.
 *
 *   o_i = sum_j p_ij v_j     p_ij = softmax_j(scale q_i . k_j)
 *
 * Query i stands at key first + i.  Causal: it sees the `window` keys up to and with
 * that one.  Bidirectional: it sees all keys.  Every query must see at least one key. */
#ifndef MLS_KERN_ATTENTION_H
#define MLS_KERN_ATTENTION_H

#include <stdint.h>

typedef struct mls_k_attention {
    int64_t m, n, d;            /* queries, keys, size of the head                    */
    int64_t first, window;      /* first + m <= n                                     */
    int     bidirectional;
    int     rows;               /* 1: query by query, in an order of sums that depends
                                   only on the keys that the query sees               */
    float   scale;
    const float *q;             /* [m][d]                                             */
    const float *k, *v;         /* [n][d]                                             */
    float  *o;                  /* [m][d]                                             */
    float  *lse;                /* [m]: log2 of the softmax's divisor; kept for
                                   backward                                           */
    float  *work;               /* mls_k_attention_work() floats                      */
    /* backward only; it reads q, k, v, o, lse */
    const float *d_o;           /* [m][d]                                             */
    float  *dq, *dk, *dv;       /* [m][d], [n][d], [n][d]: added to                   */
} mls_k_attention;

/* Floats of workspace for m queries and n keys of size d; fewer of them may need more. */
int64_t mls_k_attention_work(int64_t m, int64_t n, int64_t d);
void mls_k_attention_forward(mls_k_attention *a);
void mls_k_attention_backward(mls_k_attention *a);

#endif
