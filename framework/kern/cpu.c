#include "kern/kern.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* The compiler's test for AVX covers the operating system's support (XCR0) too. */
static int best_isa(void)
{
    unsigned a, b, c = 0, d;
    const int f16c = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
    if (!f16c || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")
        || !__builtin_cpu_supports("bmi2"))
        return MLS_ISA_PLAIN;
#ifdef MLS_EMULATE_AVX512
    return MLS_ISA_AVX512;
#endif
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw")
        || !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return MLS_ISA_AVX2;
    return MLS_ISA_AVX512;
}
#else
static int best_isa(void) { return MLS_ISA_PLAIN; }
#endif

/* MLS_ISA can only lower the choice: code that the CPU cannot run is never picked. */
int mls_k_init(void)
{
    openblas_set_num_threads(1);
    const int best = best_isa();
    const char *asked = getenv("MLS_ISA");
    for (int isa = MLS_ISA_PLAIN; asked && isa < best; isa++)
        if (!strcmp(asked, mls_k_isa_name(isa))) return isa;
    return best;
}

const char *mls_k_isa_name(int isa)
{
    return isa == MLS_ISA_AVX512 ? "avx512" : isa == MLS_ISA_AVX2 ? "avx2" : "plain";
}

const char *mls_k_blas_family(void)
{
    const char *s = openblas_get_corename();
    return s ? s : "unknown";
}

/* OpenBLAS takes a CPU that is newer than itself for an old one: kernels for SSE3 on a
 * machine with AVX-512, at a third of the speed. */
const char *mls_k_blas_core(int isa, const char *family)
{
    static const char *const old[] = { "Prescott", "Core2", "Penryn", "Dunnington", "Nehalem",
                                       "Atom", "Katmai", "Coppermine", "Northwood", "Banias",
                                       "Opteron", "Opteron_SSE3", "Barcelona", "Bobcat",
                                       "Generic", "Sandybridge" };
#ifdef MLS_EMULATE_AVX512
    if (isa == MLS_ISA_AVX512) isa = MLS_ISA_AVX2;
#endif
    for (size_t i = 0; isa != MLS_ISA_PLAIN && i < sizeof old / sizeof *old; i++)
        if (!strcasecmp(family, old[i]))
            return isa == MLS_ISA_AVX512 ? "SkylakeX" : "Haswell";
    return NULL;
}

const char *mls_k_blas_version(void)
{
    const char *s = openblas_get_config();
    return s ? s : "unknown";
}
