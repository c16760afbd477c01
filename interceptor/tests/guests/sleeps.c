/* Short sleeps beside another thread's: made as Go's runtime makes them, or as a C compiler would. */
#include "check.h"

/* The stack holds the time; the last instructions are those of runtime.usleep. */
#define SLEEPER(name, clear)                                                                                          \
    __asm__(".text\n" #name ":\n"                                                                                     \
            "sub $24, %rsp\n movq $0, (%rsp)\n mov %rdi, %rax\n"                                                      \
            "mov %rax, 8(%rsp)\n mov %rsp, %rdi\n" clear "\n mov $35, %eax\n syscall\n"                               \
            "add $24, %rsp\n ret\n");                                                                                 \
    long name(long ns)
SLEEPER(as_go, "mov $0, %esi");
SLEEPER(as_c, "xor %esi, %esi");

static long long now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long seen[2][400];

static void *other(void *_) {
    for (int i = 0; i < 100; i++) {
        struct timespec t = {0, 290000 + i * 1000};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
        seen[1][i] = now(CLOCK_MONOTONIC);
    }
    return NULL;
}

int main(int argc, char **argv) {
    long (*sleeper)(long) = argc > 1 && !strcmp(argv[1], "go") ? as_go : as_c;
    EQUAL("a fraction of a second is less than a second", sleeper(1000000000), -EINVAL);
    pthread_t thread;
    long long begin = now(CLOCK_MONOTONIC);
    if (pthread_create(&thread, NULL, other, NULL)) return 1;
    for (int i = 0; i < 400; i++) {
        if (sleeper(20000)) return 1;
        /* More reads than go by without a call, at times. */
        for (int reads = 0; reads < i * 3 % 700; reads++) now(CLOCK_REALTIME);
        seen[0][i] = now(CLOCK_MONOTONIC);
    }
    pthread_join(thread, NULL);
    long long last = begin;
    int forward = 1;
    for (int i = 0; i < 400; i++) {
        forward &= seen[0][i] - last >= 20000;
        last = seen[0][i];
    }
    CHECK("each sleep takes its time", forward);
    /* Natively, no two runs show the same. */
    if (argc > 2)
        for (int i = 0; i < 400; i++) printf("%lld %lld\n", seen[0][i] - begin, seen[1][i % 100] - begin);
    return 0;
}
