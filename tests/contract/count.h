/* count.h - counts what this program asks of malloc and its kin (glibc, no sanitizer);
 * include it in the one C file of a program, before anything else of the project.
 * OpenBLAS's small products take and give back memory of their own on some machines:
 * calls from there are left out. */
#ifndef TESTS_CONTRACT_COUNT_H
#define TESTS_CONTRACT_COUNT_H

#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
#define COUNTED 1
static volatile int64_t taken;
static uintptr_t blas_from, blas_to;
#define COUNT() count_from((uintptr_t)__builtin_return_address(0))
static void count_from(uintptr_t caller) { taken += caller < blas_from || caller >= blas_to; }

static int find_blas(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    if (!info->dlpi_name || !strstr(info->dlpi_name, "openblas")) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const uintptr_t end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr
                              + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && end > blas_to) blas_to = end;
    }
    blas_from = info->dlpi_addr;
    return 1;
}
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t each);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void *malloc(size_t n) { COUNT(); return __libc_malloc(n); }
void *calloc(size_t n, size_t each) { COUNT(); return __libc_calloc(n, each); }
void *realloc(void *p, size_t n) { COUNT(); return __libc_realloc(p, n); }
void *aligned_alloc(size_t align, size_t n) { COUNT(); return __libc_memalign(align, n); }
int posix_memalign(void **out, size_t align, size_t n)
{
    COUNT();
    *out = __libc_memalign(align, n);
    return *out ? 0 : ENOMEM;
}
#else
#define COUNTED 0
__attribute__((unused)) static int64_t taken;
#endif

#endif
