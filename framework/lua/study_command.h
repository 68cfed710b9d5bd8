/* study_command.h - the verbs `run` and `check`. */
#ifndef MLS_LUA_STUDY_COMMAND_H
#define MLS_LUA_STUDY_COMMAND_H

#include "plug/plug.h"

/* argv[0] is "run" or "check".  Returns the exit status: 0; 1 some trial failed, or e;
 * 2 and e: wrong usage; 77 and e: the study's data are absent; 130: interrupted.        */
int mls_study_command(int argc, char **argv, mls_registry *r, mls_error *e);

/* The usage text of both verbs. */
extern const char mls_study_usage[];

#endif
