/* Wants too much of one thing: the one its argument names. */
#include "check.h"
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static void *forever(void *arg) {
    (void)arg;
    for (;;) pause();
    return NULL;
}

static void on_fault(int signal) { (void)signal; }

/* Takes so many MiB of memory in each of so many processes, a page at a time. */
static void take(int processes, size_t mib, int flags) {
    size_t len = mib << 20;
    char *shared = flags & MAP_SHARED ? mmap(0, len, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0) : NULL;
    for (int i = 0; i < processes; i++) if (fork() == 0) {
        char *p = shared ? shared : mmap(0, len, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
        for (size_t at = 0; at < len; at += 4096) {
            p[at] = 1;
            if (at % (1 << 20) == 0) sched_yield();
        }
        for (volatile long i = 0; i < 200000000; i++) {} /* long enough to be noticed */
        pause_ms(200);
        _exit(0);
    }
    for (int i = 0; i < processes; i++) wait(NULL);
    printf("done\n");
    fflush(stdout);
    exit(0);
}

/* Adds what was written; once nothing more fits, says how much did, and that what is deleted can be written again. */
static void full(long *held, ssize_t wrote) {
    if (wrote >= 0) { *held += wrote; return; }
    printf("ENOSPC %d after %ld\n", errno == ENOSPC, *held);
    unlink("big"), unlink("file-0");
    char byte[4096] = {1};
    printf("again %zd\n", write(open("new", O_CREAT | O_WRONLY, 0644), byte, sizeof byte));
    exit(0);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    static char block[65536];
    memset(block, 'x', sizeof block);
    if (strcmp(what, "spin") == 0) for (volatile long i = 0;; i++) {}
    if (strcmp(what, "calls") == 0) for (;;) sched_yield();
    if (strcmp(what, "clock") == 0) for (long start = now_ms(); now_ms() >= start;) {}
    if (strcmp(what, "image") == 0 || strcmp(what, "page") == 0) {
        char *clock_of_sandbox = (char *)getauxval(AT_SYSINFO_EHDR) + (what[0] == 'p' ? 4096 : 0);
        mprotect(clock_of_sandbox, 4096, PROT_READ | PROT_WRITE);
        memset(clock_of_sandbox, 0xff, 4096);
        for (;;) syscall(SYS_nanosleep, &(struct timespec){1, 0}, NULL);
    }
    if (strcmp(what, "unmap") == 0 || strcmp(what, "cover") == 0) {
        char *pages = (char *)getauxval(AT_SYSINFO_EHDR);
        if (what[0] == 'u') munmap(pages, 3 * 4096);
        else mmap(pages, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        for (;;) {
            syscall(SYS_nanosleep, &(struct timespec){1, 0}, NULL);
            syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, "new", O_CREAT | O_WRONLY, 0644));
            syscall(SYS_kill, syscall(SYS_getpid), SIGCHLD);
        }
    }
    if (strcmp(what, "forks") == 0) for (;;) if (fork() == 0) for (;;) pause();
    if (strcmp(what, "bomb") == 0) for (;;) fork();
    if (strcmp(what, "threads") == 0) for (pthread_t t;;) pthread_create(&t, NULL, forever, NULL);
    if (strcmp(what, "memory") == 0) for (;;) {
        char *more = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (more == MAP_FAILED) continue;
        memset(more, 1, 1 << 20);
    }
    long held = 0;
    if (strcmp(what, "file") == 0) for (int fd = open("big", O_CREAT | O_WRONLY, 0644);;) full(&held, write(fd, block, sizeof block));
    if (strcmp(what, "disk") == 0) for (int i = 0;; i++) {
        char name[32];
        snprintf(name, sizeof name, "file-%d", i);
        int fd = open(name, O_CREAT | O_WRONLY, 0644);
        full(&held, write(fd, block, sizeof block));
        close(fd);
    }
    if (strcmp(what, "populate") == 0) for (;;) mmap(0, 1 << 26, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (strcmp(what, "together") == 0) take(4, 40, MAP_PRIVATE);
    if (strcmp(what, "shared") == 0) take(4, 40, MAP_SHARED);
    if (strcmp(what, "memfd") == 0) for (int fd = memfd_create("f", 0);;) if (write(fd, block, sizeof block) < 0) pause();
    if (strcmp(what, "uid") == 0) for (;;) getuid();
    if (strcmp(what, "protect") == 0) for (void *p = mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);;) mprotect(p, 4096, 1), mprotect(p, 4096, 3);
    if (strcmp(what, "counter") == 0) for (;;) __builtin_ia32_rdtsc();
    if (strcmp(what, "faults") == 0) {
        signal(SIGSEGV, on_fault);
        *(volatile char *)8 = 1;
    }
    if (strcmp(what, "traps") == 0) for (signal(SIGTRAP, on_fault);;) __asm__ volatile("int3");
    if (strcmp(what, "alarms") == 0) {
        signal(SIGALRM, on_fault);
        struct itimerval often = {{0, 1}, {0, 1}};
        for (setitimer(ITIMER_REAL, &often, NULL);;) pause();
    }
    if (strcmp(what, "int80") == 0) {
        long result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20));
        printf("%ld\n", result);
    }
    if (strcmp(what, "x32") == 0) {
        long result;
        __asm__ volatile("syscall" : "=a"(result) : "a"(0x40000000L + 39) : "rcx", "r11", "memory");
        printf("%ld\n", result);
    }
    if (strcmp(what, "rest") == 0) for (;;) pause();
    if (strcmp(what, "output") == 0) for (;;) if (write(1, block, sizeof block) < 0) pause();
    return 1;
}
