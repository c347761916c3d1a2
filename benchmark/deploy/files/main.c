/* Runs the model of model.c on raw windows, which are float32 in the machine's byte order, one after the other.

   cc -std=c99 -O2 -o model main.c model.c -lm
   model run < windows.f32 > probabilities.f32
   model check golden.f32 golden-probabilities.f32      PASS or FAIL for each window
   model time golden.f32 1000                           latency and peak memory */

#define _POSIX_C_SOURCE 199309L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"

#define WINDOW (KDBENCH_CHANNELS * KDBENCH_SAMPLES)
#define TOLERANCE 1e-4f

static float window[WINDOW], said[KDBENCH_CLASSES], wanted[KDBENCH_CLASSES];

static int fail(const char *what) {
    fprintf(stderr, "error: %s\n", what);
    return 2;
}

static int highest(const float *values) {
    int at = 0;
    for (int k = 1; k < KDBENCH_CLASSES; k++)
        if (values[k] > values[at]) at = k;
    return at;
}

static int run(void) {
    size_t got;
    while ((got = fread(window, sizeof *window, WINDOW, stdin)) == WINDOW) {
        kdbench_predict(window, said);
        if (fwrite(said, sizeof *said, KDBENCH_CLASSES, stdout) != KDBENCH_CLASSES) return fail("cannot write");
    }
    return got ? fail("the last window is not whole") : 0;
}

static int check(const char *given, const char *expected) {
    FILE *in = fopen(given, "rb"), *out = fopen(expected, "rb");
    if (!in || !out) return fail("cannot read the golden windows");
    int number = 0, failed = 0;
    while (fread(window, sizeof *window, WINDOW, in) == WINDOW) {
        if (fread(wanted, sizeof *wanted, KDBENCH_CLASSES, out) != KDBENCH_CLASSES) return fail("too few probabilities");
        kdbench_predict(window, said);
        float most = 0;
        for (int k = 0; k < KDBENCH_CLASSES; k++) most = fmaxf(most, fabsf(said[k] - wanted[k]));
        int well = most <= TOLERANCE && highest(said) == highest(wanted);
        failed += !well;
        printf("%s window %d: %s, %.3f\n", well ? "PASS" : "FAIL", number++, kdbench_classes[highest(said)],
               (double)said[highest(said)]);
    }
    fclose(in);
    fclose(out);
    printf("%s: %d of %d golden windows\n", failed || !number ? "FAIL" : "PASS", number - failed, number);
    return failed || !number;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e3 + (double)at.tv_nsec / 1e6;
}

static int measure(const char *given, int times) {
    FILE *in = fopen(given, "rb");
    if (!in || fread(window, sizeof *window, WINDOW, in) != WINDOW) return fail("cannot read a window");
    fclose(in);
    double *taken = malloc((size_t)times * sizeof *taken);
    if (!taken) return fail("no memory");
    kdbench_predict(window, said);
    for (int i = 0; i < times; i++) {
        double began = now();
        kdbench_predict(window, said);
        taken[i] = now() - began;
    }
    qsort(taken, (size_t)times, sizeof *taken, ascending);
    printf("latency p50 %.4f ms, p90 %.4f ms, p99 %.4f ms of %d\n", taken[(times - 1) / 2],
           taken[(int)((times - 1) * 0.9)], taken[(int)((times - 1) * 0.99)], times);
    free(taken);
    FILE *status = fopen("/proc/self/status", "r");
    char line[128];
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, "VmHWM:", 6)) printf("peak memory of the process%s", line + 6);
    if (status) fclose(status);
    return 0;
}

int main(int count, char **words) {
    fprintf(stderr, "RAM %d bytes of buffers, flash %d bytes of constants, code apart\n", KDBENCH_RAM, KDBENCH_FLASH);
    if (count == 2 && !strcmp(words[1], "run")) return run();
    if (count == 4 && !strcmp(words[1], "check")) return check(words[2], words[3]);
    if (count == 4 && !strcmp(words[1], "time") && atoi(words[3]) > 0) return measure(words[2], atoi(words[3]));
    return fail("wanted: run | check WINDOWS PROBABILITIES | time WINDOWS TIMES");
}
