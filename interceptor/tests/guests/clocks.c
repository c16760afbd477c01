/* Clocks: what they show, and that they never run back. */
#include "check.h"
#include <sys/resource.h>
#include <sys/times.h>
#include <x86intrin.h>

static long long read_ns(clockid_t clock) {
    struct timespec t = {-1, -1};
    if (clock_gettime(clock, &t)) return -1;
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(void) {
    clockid_t all[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
                       CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        char name[32];
        snprintf(name, sizeof name, "clock %d", all[i]);
        long long last = read_ns(all[i]);
        int steady = last >= 0;
        for (int n = 0; n < 2000; n++) {
            long long now = read_ns(all[i]);
            steady &= now >= last;
            last = now;
        }
        check(steady, name, "ran back");
    }
    struct timespec resolution;
    EQUAL("clock_getres", clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && resolution.tv_sec == 0, 1);
    FAILS("no such clock", clock_gettime(77, &resolution), EINVAL);
    struct timeval day;
    gettimeofday(&day, NULL);
    long long wall = read_ns(CLOCK_REALTIME) / 1000000000;
    CHECK("gettimeofday", day.tv_sec - wall <= 1 && wall - day.tv_sec <= 1 && day.tv_usec < 1000000);
    CHECK("time", time(NULL) - wall <= 1 && time(NULL) >= wall);
    long long before = read_ns(CLOCK_MONOTONIC), real = read_ns(CLOCK_REALTIME);
    pause_ms(50);
    long long after = read_ns(CLOCK_MONOTONIC), real_after = read_ns(CLOCK_REALTIME);
    CHECK("both go on alike", after - before >= 50000000 && llabs((real_after - real) - (after - before)) < 5000000);
    /* A loop that waits for time to pass. */
    long start = now_ms();
    while (now_ms() < start + 5) {}
    CHECK("a spin ends", now_ms() >= start + 5);
    unsigned long long counter = __rdtsc(), later = 0;
    unsigned cpu;
    int steady = 1;
    for (int i = 0; i < 50; i++) {
        later = __rdtscp(&cpu);
        steady &= later >= counter;
        counter = later;
    }
    CHECK("rdtsc", steady);
    struct rusage usage;
    struct tms ticks;
    EQUAL("getrusage", getrusage(RUSAGE_SELF, &usage), 0);
    CHECK("times", times(&ticks) != (clock_t)-1);
    if (sandboxed()) {
        fprintf(stderr, "%lld %lld %llu\n", read_ns(CLOCK_REALTIME), read_ns(CLOCK_MONOTONIC), __rdtsc());
    }
    return 0;
}
