/* Parts of a small cluster, one a node: what operations on the room do to them. */
#include "check.h"
#include <arpa/inet.h>
#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define PORT 7000

static void say(const char *format, ...) {
    char line[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    line[len] = '\n';
    if (write(1, line, len + 1) != len + 1) _exit(9);
}

static const char *error_name(void) { return strerrorname_np(errno); }

/* Counts its starts in a file that it makes durable, and in one that it does not. */
static long started(const char *file, int durable) {
    char text[32] = {0};
    int fd = open(file, O_RDWR | O_CREAT, 0644);
    if (fd < 0 || read(fd, text, 31) < 0) exit(1);
    long starts = atol(text) + 1;
    int len = snprintf(text, sizeof text, "%ld", starts);
    if (pwrite(fd, text, len, 0) != len) exit(1);
    if (durable) {
        int dir = open(".", O_RDONLY | O_DIRECTORY);
        if (fsync(fd) || fsync(dir)) exit(1);
        close(dir);
    }
    close(fd);
    return starts;
}

/* Echoes lines, one connection at a time. */
static int server(void) {
    long durable = started("durable", 1), volatile_ = started("volatile", 0);
    say("starts %ld %ld", durable, volatile_);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int l = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(l, (void *)&a, sizeof a) || listen(l, 8)) return 1;
    for (;;) {
        int fd = accept(l, NULL, NULL);
        char buffer[256];
        for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) if (write(fd, buffer, n) != n) break;
        close(fd);
    }
}

/* Bounds how long a connection waits for a host that is gone: four probes, a second apart, or five seconds. */
static void bound(int fd, const char *how) {
    int on = 1, seconds = 1, probes = 4, ms = 5000;
    if (strcmp(how, "keepalive") == 0 &&
        (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) || setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds) ||
         setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds) || setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes)))
        exit(1);
    if (strcmp(how, "user-timeout") == 0 && setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms)) exit(1);
}

/* Asks every 100 ms, and tells of each answer and of the end. */
static int client(const char *ip, const char *how) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    inet_pton(AF_INET, ip, &a.sin_addr);
    int fd;
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        bound(fd, how);
        if (connect(fd, (void *)&a, sizeof a) == 0) break;
        say("connect %s", error_name());
        close(fd);
        pause_ms(100);
    }
    for (int i = 0;; i++) {
        char line[32], answer[32];
        int len = snprintf(line, sizeof line, "%d\n", i);
        if (write(fd, line, len) != len) return say("write %s", error_name()), 0;
        ssize_t n, have = 0;
        /* An answer may come in parts. */
        do have += n = read(fd, answer + have, sizeof answer - have);
        while (n > 0 && have < len);
        if (n < 0) return say("read %s", error_name()), 0;
        if (n == 0) return say("end"), 0;
        say("answer %d", i);
        pause_ms(100);
    }
}

/* Shows both clocks after each sleep of a second. */
static void ticker(void) {
    for (;;) {
        struct timespec wall, steady;
        clock_gettime(CLOCK_REALTIME, &wall);
        clock_gettime(CLOCK_MONOTONIC, &steady);
        say("%ld %ld", wall.tv_sec * 1000 + wall.tv_nsec / 1000000, steady.tv_sec * 1000 + steady.tv_nsec / 1000000);
        pause_ms(1000);
    }
}

/* Appends a hundred bytes and makes them durable, every 100 ms. */
static void writer(void) {
    int fd = open("log", O_CREAT | O_WRONLY | O_APPEND, 0644);
    char block[100];
    memset(block, 'w', sizeof block);
    for (;;) {
        long start = now_ms();
        ssize_t n = write(fd, block, sizeof block);
        if (n < 0) say("write %s", error_name());
        else say("wrote %zd", n);
        if (fsync(fd)) say("fsync %s", error_name());
        else say("fsync after %ld", now_ms() - start);
        pause_ms(100);
    }
}

/* Says what of each file is there, then writes a block to both by requests, every 100 ms: a durable one, and another. */
static void requester(void) {
    static char block[100] = "r";
    int durable = open("durable", O_CREAT | O_WRONLY | O_DSYNC, 0644), loose = open("loose", O_CREAT | O_WRONLY, 0644);
    int dir = open(".", O_RDONLY | O_DIRECTORY);
    aio_context_t context = 0;
    if (fsync(dir) || syscall(SYS_io_setup, 2, &context)) exit(1);
    long at = lseek(durable, 0, SEEK_END), there = lseek(loose, 0, SEEK_END);
    say("blocks %ld %ld", at / 100, there / 100);
    for (int i = 0;; i = !i) {
        struct iocb request, *one[1] = {&request};
        memset(&request, 0, sizeof request);
        request.aio_lio_opcode = IOCB_CMD_PWRITE;
        request.aio_fildes = i ? loose : durable;
        request.aio_buf = (uintptr_t)block;
        request.aio_nbytes = sizeof block;
        request.aio_offset = i ? there : at;
        struct io_event event;
        long start = now_ms();
        if (syscall(SYS_io_submit, context, 1, one) != 1) exit(1);
        if (syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1) exit(1);
        errno = -event.res;
        if (event.res < 0) say("%s %s", i ? "loose" : "durable", error_name());
        else say("%s %lld after %ld", i ? "loose" : "durable", (long long)event.res,
                 (now_ms() - start) / 10 * 10);
        if (event.res > 0) *(i ? &there : &at) += event.res;
        if (i) pause_ms(100);
    }
}

/* Finds what earlier lives left in each page of a file that it changes through memory, then stores to all of them and makes
 * some durable: the first by msync, the third by no more than sync_file_range and MS_ASYNC. */
static void mapper(void) {
    int fd = open("mapped", O_CREAT | O_RDWR, 0600);
    if (lseek(fd, 0, SEEK_END) == 0 && (ftruncate(fd, 4 * 4096) || fsync(fd) || fsync(open(".", O_RDONLY)))) exit(1);
    char *at = mmap(0, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    say("pages %d %d %d %d", at[0], at[4096], at[8192], at[12288]);
    for (int page = 0; page < 4; page++) at[page * 4096]++;
    long since = now_ms();
    const char *ended = msync(at, 4096, MS_SYNC) ? error_name() : "done";
    long took = now_ms() - since;
    sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    msync(at + 8192, 4096, MS_ASYNC);
    munmap(at + 12288, 4096);
    say("msync %s after %ld", ended, took);
    for (;;) pause();
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "server") == 0) return server();
    if (argc > 2 && strcmp(argv[1], "client") == 0) return client(argv[2], argc > 3 ? argv[3] : "");
    if (argc > 1 && strcmp(argv[1], "ticker") == 0) ticker();
    if (argc > 1 && strcmp(argv[1], "mapper") == 0) mapper();
    if (argc > 1 && strcmp(argv[1], "requester") == 0) requester();
    writer();
}
