/* Wants too much of one thing: the one its argument names. */
#include "check.h"
#include <sched.h>
#include <sys/mman.h>

static void *forever(void *arg) {
    (void)arg;
    for (;;) pause();
    return NULL;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    static char block[65536];
    memset(block, 'x', sizeof block);
    if (strcmp(what, "spin") == 0) for (volatile long i = 0;; i++) {}
    if (strcmp(what, "calls") == 0) for (;;) sched_yield();
    if (strcmp(what, "clock") == 0) for (long start = now_ms(); now_ms() >= start;) {}
    if (strcmp(what, "forks") == 0) for (;;) if (fork() == 0) for (;;) pause();
    if (strcmp(what, "bomb") == 0) for (;;) fork();
    if (strcmp(what, "threads") == 0) for (pthread_t t;;) pthread_create(&t, NULL, forever, NULL);
    if (strcmp(what, "memory") == 0) for (;;) {
        char *more = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (more == MAP_FAILED) continue;
        memset(more, 1, 1 << 20);
    }
    if (strcmp(what, "file") == 0) for (int fd = open("big", O_CREAT | O_WRONLY, 0644);;) if (write(fd, block, sizeof block) < 0) pause();
    if (strcmp(what, "disk") == 0) for (int i = 0;; i++) {
        char name[32];
        snprintf(name, sizeof name, "file-%d", i);
        int fd = open(name, O_CREAT | O_WRONLY, 0644);
        if (write(fd, block, sizeof block) < 0) pause();
        close(fd);
    }
    if (strcmp(what, "output") == 0) for (;;) if (write(1, block, sizeof block) < 0) pause();
    return 1;
}
