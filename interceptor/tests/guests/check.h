/* What every guest shares: one line per check, flushed at once so that forks do not repeat it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline void check(int holds, const char *name, const char *detail, ...) {
    char text[512], line[600];
    va_list args;
    va_start(args, detail);
    vsnprintf(text, sizeof text, detail, args);
    va_end(args);
    int len = holds ? snprintf(line, sizeof line, "ok %s\n", name)
                    : snprintf(line, sizeof line, "FAIL %s: %s\n", name, text);
    if (write(1, line, len) != len) _exit(9);
}

/* A condition; on failure its text and errno are printed. */
#define CHECK(name, condition) \
    do { errno = 0; int holds_ = (condition); int e_ = errno; check(holds_, name, "%s, errno %d", #condition, e_); } while (0)
/* Two integers that must be equal. */
#define EQUAL(name, have, want) \
    do { errno = 0; long h_ = (long)(have); int e_ = errno; long w_ = (long)(want); \
         check(h_ == w_, name, "%s is %ld and not %ld, errno %d", #have, h_, w_, e_); } while (0)
/* A call that must fail with this error. */
#define FAILS(name, call, error) \
    do { errno = 0; long r_ = (long)(call); int e_ = errno; \
         check(r_ == -1 && e_ == (error), name, "%s returned %ld, errno %d and not %d", #call, r_, e_, error); } while (0)

/* Monotonic milliseconds. */
static inline long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void pause_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR) {}
}

static inline int sandboxed(void) {
    const char *address = getenv("ADDRESS");
    return address && strncmp(address, "10.", 3) == 0;
}

/* Virtual time is exact; by the host's clock the machine may be busy. */
static inline int lasted(long since, long ms) {
    long took = now_ms() - since;
    return took >= ms && took <= ms + (sandboxed() && !getenv("FREE") ? 1 : 5000);
}
