/* elf.h - is a file a whole shared object of this machine?  The system's loader maps what
 * the headers promise, and a file cut short ends the process by SIGBUS; of another
 * machine's file it says that there is none.                                           */
#ifndef MLS_PLUG_ELF_H
#define MLS_PLUG_ELF_H

#include "base/error.h"

/* 1; or 0 and e. */
int mls_elf_check(const char *path, mls_error *e);

#endif
