/*
 * tests/bench/bench - what the bench programs share: the clock and numbers
 * from the command line.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include "relay/base/slice.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t
bench_now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static inline uint64_t
bench_number(const char *option, const char *text)
{
    unsigned long long n = 0;

    if (!slice_number(slice_of(text), 1000000000U, &n)) {
        (void)fprintf(stderr, "%s wants a number, not \"%s\"\n", option, text);
        exit(2);
    }
    return n;
}

/* Both ends of a run, so that one is found in the other. */
#define BENCH_SEQUENCE "X-Bench-Seq: "

#endif
