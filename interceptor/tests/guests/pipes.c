/* Pipes: waiting, not waiting, ends that are gone, what is written whole. */
#include "check.h"
#include <poll.h>
#include <sys/ioctl.h>

static volatile sig_atomic_t broken;
static void on_sigpipe(int signal) { broken = signal; }

static void *reader(void *arg) {
    int fd = *(int *)arg;
    static char buffer[4096];
    long total = 0;
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) total += n;
    return (void *)total;
}

int main(void) {
    int p[2];
    char c[8];
    EQUAL("pipe", pipe(p), 0);
    FAILS("write to the read end", write(p[0], "x", 1), EBADF);
    FAILS("read from the write end", read(p[1], c, 1), EBADF);
    FAILS("no position", lseek(p[0], 0, SEEK_SET), ESPIPE);
    EQUAL("write", write(p[1], "abc", 3), 3);
    int waiting = 0;
    EQUAL("FIONREAD", ioctl(p[0], FIONREAD, &waiting) == 0 && waiting == 3, 1);
    EQUAL("a short read", read(p[0], c, 2), 2);
    EQUAL("the rest", read(p[0], c, 8), 1);
    struct stat s;
    EQUAL("fstat", fstat(p[0], &s) == 0 && S_ISFIFO(s.st_mode), 1);

    EQUAL("nonblocking", fcntl(p[0], F_SETFL, O_NONBLOCK) + fcntl(p[1], F_SETFL, O_NONBLOCK), 0);
    CHECK("says so", fcntl(p[0], F_GETFL) & O_NONBLOCK);
    FAILS("nothing there", read(p[0], c, 1), EAGAIN);
    static char page[4096], big[200000];
    long written = 0;
    while (write(p[1], page, sizeof page) == sizeof page) written += sizeof page;
    EQUAL("capacity", written, 65536);
    EQUAL("a little room", read(p[0], page, 100), 100);
    FAILS("a page is written whole or not at all", write(p[1], page, sizeof page), EAGAIN);
    struct pollfd both[2] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}};
    EQUAL("poll", poll(both, 2, 0) == 1 && both[0].revents == POLLIN, 1);
    while (read(p[0], big, sizeof big) > 0) {}
    CHECK("what does not fit is written in part", write(p[1], big, sizeof big) == 65536);
    close(p[0]), close(p[1]);

    if (pipe2(p, O_CLOEXEC)) return 1;
    EQUAL("close-on-exec", fcntl(p[0], F_GETFD), FD_CLOEXEC);
    pthread_t thread;
    pthread_create(&thread, NULL, reader, &p[0]);
    EQUAL("a long write waits until all is written", write(p[1], big, sizeof big), sizeof big);
    close(p[1]);
    void *total;
    pthread_join(thread, &total);
    EQUAL("all was read", total, sizeof big);
    EQUAL("the end", read(p[0], c, 1), 0);
    close(p[0]);

    if (pipe(p)) return 1;
    struct sigaction action = {.sa_handler = on_sigpipe};
    sigaction(SIGPIPE, &action, NULL);
    close(p[0]);
    struct pollfd out = {p[1], POLLOUT, 0};
    EQUAL("poll of a broken pipe", poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0, 1);
    FAILS("a broken pipe", write(p[1], "x", 1), EPIPE);
    EQUAL("and its signal", broken, SIGPIPE);
    signal(SIGPIPE, SIG_IGN);
    FAILS("without the signal", write(p[1], "x", 1), EPIPE);
    close(p[1]);

    if (pipe(p)) return 1;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGPIPE, SIG_DFL);
        close(p[0]);
        /* Full, then broken while it waits. */
        for (;;) if (write(p[1], page, sizeof page) < 0) _exit(3);
    }
    close(p[1]);
    EQUAL("from the child", read(p[0], page, sizeof page) > 0, 1);
    close(p[0]);
    int status;
    waitpid(child, &status, 0);
    EQUAL("SIGPIPE ends it", WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGPIPE);
    return 0;
}
