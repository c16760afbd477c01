/* Threads that outlive the main one, and threads with descriptors of their own. */
#include "check.h"
#include <sched.h>
#include <sys/syscall.h>

static pthread_t main_thread;
static int before;

static char stack[65536] __attribute__((aligned(16)));
static volatile int own_fd, done;

/* Runs with a table of descriptors of its own. */
static int apart(void *arg) {
    (void)arg;
    int fd = open("apart", O_RDWR | O_CREAT, 0600);
    if (write(fd, "apart", 5) != 5) fd = -2;
    close(before);
    own_fd = fd;
    __atomic_store_n(&done, 1, __ATOMIC_SEQ_CST);
    for (;;) pause();
    return 0;
}

static void *rest(void *arg) {
    (void)arg;
    CHECK("the main thread is waited for", pthread_join(main_thread, NULL) == 0);
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    CHECK("a file is opened", fd >= 0);
    EQUAL("and written", write(fd, "whole", 5), 5);
    char text[8] = "";
    EQUAL("and read", pread(fd, text, 5, 0), 5);
    CHECK("as it was written", strcmp(text, "whole") == 0);
    struct stat s;
    EQUAL("and looked at", fstat(fd, &s), 0);
    EQUAL("its length", s.st_size, 5);
    int maps = open("/proc/self/maps", O_RDONLY);
    CHECK("a file of the system", maps >= 0);
    int pid = fork();
    if (pid == 0) {
        int more = open("child", O_RDWR | O_CREAT, 0600);
        _exit(write(more, "x", 1) == 1 ? 7 : 8);
    }
    int status;
    EQUAL("a child", waitpid(pid, &status, 0), pid);
    EQUAL("ended", WEXITSTATUS(status), 7);

    before = open("/dev/null", O_RDONLY);
    int flags = CLONE_VM | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    CHECK("a thread with its own descriptors", clone(apart, stack + sizeof stack, flags, NULL) > 0);
    while (!__atomic_load_n(&done, __ATOMIC_SEQ_CST)) pause_ms(1);
    CHECK("it opened a file", own_fd >= 0);
    FAILS("which nobody else has", write(own_fd, "x", 1), EBADF);
    EQUAL("and closed what stays open here", fcntl(before, F_GETFD), 0);
    fd = open("apart", O_RDONLY);
    EQUAL("what it wrote is there", read(fd, text, 8), 5);
    exit(0);
}

int main(void) {
    main_thread = pthread_self();
    pthread_t thread;
    pthread_create(&thread, NULL, rest, NULL);
    pthread_exit(NULL);
}
