/* scene.h - a made-up training run that tells a recorder the same things every time: all
 * values are functions of step and position.  Shared by the tests of rec/.              */
#ifndef TESTS_REC_SCENE_H
#define TESTS_REC_SCENE_H

#include "rec/record.h"

enum { SCENE_T = 12, SCENE_B = 3, SCENE_U = 5 };

/* A directory of its own under TMPDIR; removed with its files by scene_remove. */
char *scene_dir(void);
void  scene_remove(const char *dir);
char *scene_path(const char *dir, const char *file);       /* static buffers, 8 of them */

/* Requests: every spike, states every 5 steps (3 samples, rounded), states at evaluations,
 * and a report of one sample. */
void  scene_config(mls_recorder_config *c, const char *dir, int64_t resume_step);
int   scene_spikes(int64_t step, int64_t t, int64_t b, int64_t u);         /* 0 or 1     */
float scene_state(int64_t step, int64_t t, int64_t b, int64_t u);
/* Steps from + 1 .. to; a checkpoint (flush, then `ack` with the step) every 10 steps. */
int scene_go(mls_recorder *r, int64_t from, int64_t to,
             void (*ack)(void *arg, int64_t step), void *arg);

/* 0 when both files have the same data sets with the same types, shapes and bytes;
 * /config and text are compared as text.  Else the name of the first that differs is in
 * what.                                                                                 */
int   scene_differ(const char *a, const char *b, char what[256]);

#endif
