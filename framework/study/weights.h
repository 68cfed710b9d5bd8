/* weights.h - a network's weights to and from named tensors, as PyTorch's state dicts have
 * them: a name, and a shape whose last axis runs fastest, [out][in] for a linear map.   */
#ifndef MLS_STUDY_WEIGHTS_H
#define MLS_STUDY_WEIGHTS_H

#include "base/bundle.h"
#include "net/net.h"

/* The name of a weight without the prefix ("layer0.node."); NULL if it does not begin so. */
const char *mls_weights_name(const mls_weight *w, const char *prefix);
/* Its shape in a state dict; returns the rank.  A weight of one row is a vector, unless it
 * is a matrix of that name (a norm's "weight" is none); conv1d.weight is [E][1][K].      */
int  mls_weights_shape(const char *name, int64_t rows, int64_t cols, int64_t dim[4]);
/* Adds each weight of that prefix as "<group><name>"; of kind: its values, its gradient
 * (frozen weights have none and are left out), or without data. */
enum { MLS_WEIGHTS_VALUES, MLS_WEIGHTS_GRADIENTS, MLS_WEIGHTS_SHAPES };
void mls_weights_add(const mls_net *net, const char *prefix, const char *group, int kind,
                     mls_bundle *out);
/* Copies tensors into the weights of that prefix, by name; axes of length 1 do not count:
 * [E][1][K] fits [E][K].  A missing, extra, misshapen tensor, or one with NaN or Inf, is
 * an error that lists them all; then nothing was copied.  file, what: for the message.   */
int  mls_weights_load(mls_net *net, const char *prefix, const mls_bundle *from,
                      const char *file, const char *what, mls_error *e);

#endif
