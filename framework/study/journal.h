/* journal.h - what happened to every trial of a study: results/<study>/journal.jsonl.
 *
 * One JSON object a line, each with a CRC-32 of the text before it.  Lines are only ever
 * appended, under a lock, and synced.  On opening, a torn tail (a crash in the middle
 * of a write) is cut off and kept beside the journal as journal.torn-<time>.
 *
 * A trial belongs to one driver at a time: a claim takes the lock file <trial>/lock,
 * which the trial's process inherits, so that it lasts as long as either lives, and
 * writes a lease with pid, boot id and start time of the owner.  The lease of an owner
 * that is gone is taken over.                                                          */
#ifndef MLS_STUDY_JOURNAL_H
#define MLS_STUDY_JOURNAL_H

#include "base/error.h"

#include <stdint.h>

typedef enum {
    MLS_TRIAL_NEW, MLS_TRIAL_PLANNED, MLS_TRIAL_LEASED, MLS_TRIAL_DONE,
    MLS_TRIAL_FAILED, MLS_TRIAL_STOPPED
} mls_trial_state;

typedef struct mls_journal mls_journal;

/* Makes the folder and the file when they are missing. */
mls_journal *mls_journal_open(const char *dir, mls_error *e);
void         mls_journal_close(mls_journal *j);
/* NULL, or what was found wrong on opening ("cut 17 bytes ..."). */
const char  *mls_journal_repaired(const mls_journal *j);

/* Reads what other drivers wrote since. */
int             mls_journal_refresh(mls_journal *j, mls_error *e);
mls_trial_state mls_journal_state(const mls_journal *j, const char *trial);
const char     *mls_journal_reason(const mls_journal *j, const char *trial);

/* Appends an event; detail: label when planned, reason when failed; may be NULL. */
int mls_journal_note(mls_journal *j, const char *trial, mls_trial_state state,
                     const char *detail, mls_error *e);

/* 1: ours, and *lock is a descriptor to hand to the trial's process and then to close;
 * 0: another driver has it, or it is done meanwhile; -1: e.                            */
int mls_journal_claim(mls_journal *j, const char *trial, const char *trial_dir, int *lock,
                      mls_error *e);

#endif
