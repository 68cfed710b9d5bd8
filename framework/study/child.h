/* child.h - starting programs: a trial's process, and gnuplot. */
#ifndef MLS_STUDY_CHILD_H
#define MLS_STUDY_CHILD_H

#include "study/runner.h"

/* Writes job->config to dir/config.yaml and starts `exe trial dir`; sets job->pid and
 * job->pipe.  The process holds job->lock, dumps no core, and gets SIGTERM when this
 * one dies.  exe NULL: the running program.  0 and e on failure.                       */
int mls_child_start(mls_job *job, const char *exe, const char *plugin_path, mls_error *e);

/* Runs `program argument` in dir with its output thrown away and waits: its exit status,
 * 127 when there is no such program, -1 when it died of a signal.                      */
int mls_child_wait(const char *program, const char *argument, const char *dir);

/* Writes a file under a temporary name and renames it.  0 and e on failure. */
int mls_child_write(const char *path, const char *text, mls_error *e);

#endif
