/* crash.h - the last words of a trial's process. */
#ifndef MLS_STUDY_CRASH_H
#define MLS_STUDY_CRASH_H

/* On SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT writes one line to stderr,
 * "crashed: SIGSEGV in layer0.enc lif.scan forward", and dies of the signal.
 * 0 when a handler could not be installed.                                            */
int mls_crash_install(void);

/* "SIGSEGV" for 11; "signal 99" when it has no name.  Not for signal handlers. */
const char *mls_crash_signal(int number);

#endif
