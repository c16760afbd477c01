/* Linux AIO by the bare calls: requests to files, events, event descriptors, and direct and synchronous writes. */
#include "check.h"
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static long setup(unsigned count, aio_context_t *context) { return syscall(SYS_io_setup, count, context); }
static long destroy(aio_context_t context) { return syscall(SYS_io_destroy, context); }
static long submit(aio_context_t context, long count, struct iocb **requests) {
    return syscall(SYS_io_submit, context, count, requests);
}
static long events_of(aio_context_t context, long least, long most, struct io_event *events, struct timespec *time) {
    return syscall(SYS_io_getevents, context, least, most, events, time);
}

static struct iocb asked(int fd, int command, void *buffer, size_t count, long offset) {
    struct iocb request;
    memset(&request, 0, sizeof request);
    request.aio_data = 100 + command;
    request.aio_lio_opcode = command;
    request.aio_fildes = fd;
    request.aio_buf = (uintptr_t)buffer;
    request.aio_nbytes = count;
    request.aio_offset = offset;
    return request;
}

/* One request and its result. */
static long done(aio_context_t context, struct iocb request) {
    struct iocb *requests[1] = {&request};
    struct io_event event = {0};
    if (submit(context, 1, requests) != 1) return -10000 - errno;
    if (events_of(context, 1, 1, &event, NULL) != 1) return -20000;
    if (event.data != request.aio_data || event.obj != (uintptr_t)&request || event.res2 != 0) return -30000;
    return event.res;
}

static void contexts(void) {
    aio_context_t context = 0, other = 0;
    FAILS("a context of none", setup(0, &context), EINVAL);
    FAILS("a context nowhere", setup(1, (aio_context_t *)8), EFAULT);
    EQUAL("a context", setup(4, &context), 0);
    CHECK("it has a name", context != 0);
    FAILS("a name that is taken", setup(4, &context), EINVAL);
    EQUAL("another", setup(4, &other), 0);
    CHECK("names differ", other != context);
    struct timespec none = {0, 0}, soon = {0, 20000000};
    struct io_event event;
    EQUAL("nothing is done", events_of(context, 0, 1, &event, &none), 0);
    long since = now_ms();
    EQUAL("nothing comes", events_of(context, 1, 1, &event, &soon), 0);
    CHECK("it waited", lasted(since, 20));
    FAILS("more at least than at most", events_of(context, 2, 1, &event, &none), EINVAL);
    EQUAL("closed", destroy(context), 0);
    FAILS("closed twice", destroy(context), EINVAL);
    FAILS("events of what is closed", events_of(context, 0, 1, &event, &none), EINVAL);
    FAILS("a submission to what is closed", submit(context, 0, NULL), EINVAL);
    EQUAL("nothing submitted", submit(other, 0, NULL), 0);
    EQUAL("the other", destroy(other), 0);
}

static void requests(void) {
    aio_context_t context = 0;
    EQUAL("context", setup(4, &context), 0);
    int fd = open("requests", O_RDWR | O_CREAT | O_EXCL, 0644);
    char text[16] = {0};
    EQUAL("pwrite", done(context, asked(fd, IOCB_CMD_PWRITE, "hello", 5, 3)), 5);
    EQUAL("the position stays", lseek(fd, 0, SEEK_CUR), 0);
    EQUAL("length", lseek(fd, 0, SEEK_END), 8);
    EQUAL("pread", done(context, asked(fd, IOCB_CMD_PREAD, text, 16, 3)), 5);
    CHECK("what was written", memcmp(text, "hello", 5) == 0);
    EQUAL("pread past the end", done(context, asked(fd, IOCB_CMD_PREAD, text, 16, 8)), 0);
    struct iovec parts[2] = {{"ab", 2}, {"cd", 2}};
    EQUAL("pwritev", done(context, asked(fd, IOCB_CMD_PWRITEV, parts, 2, 8)), 4);
    char x[6], y[6];
    struct iovec room[2] = {{x, 6}, {y, 6}};
    EQUAL("preadv", done(context, asked(fd, IOCB_CMD_PREADV, room, 2, 3)), 9);
    CHECK("preadv spreads", memcmp(x, "helloa", 6) == 0 && memcmp(y, "bcd", 3) == 0);
    EQUAL("fsync", done(context, asked(fd, IOCB_CMD_FSYNC, NULL, 0, 0)), 0);
    EQUAL("fdsync", done(context, asked(fd, IOCB_CMD_FDSYNC, NULL, 0, 0)), 0);
    struct iocb synced = asked(fd, IOCB_CMD_PWRITE, "s", 1, 0);
    synced.aio_rw_flags = RWF_DSYNC;
    EQUAL("a synchronous write", done(context, synced), 1);
    struct iocb appended = asked(fd, IOCB_CMD_PWRITE, "tail", 4, 0);
    appended.aio_rw_flags = RWF_APPEND;
    EQUAL("an appended write", done(context, appended), 4);
    EQUAL("at the end", pread(fd, text, 16, 12), 4);
    CHECK("the tail", memcmp(text, "tail", 4) == 0);
    EQUAL("not written", done(context, asked(fd, IOCB_CMD_PWRITE, (void *)8, 4, 0)), -EFAULT);

    struct iocb request = asked(fd, 77, "x", 1, 0), *one[1] = {&request};
    FAILS("no such command", submit(context, 1, one), EINVAL);
    request = asked(99, IOCB_CMD_PWRITE, "x", 1, 0);
    FAILS("no such descriptor", submit(context, 1, one), EBADF);
    request = asked(fd, IOCB_CMD_PWRITE, "x", 1, 0);
    request.aio_rw_flags = 1 << 30;
    FAILS("no such flag", submit(context, 1, one), EOPNOTSUPP);
    request = asked(fd, IOCB_CMD_PWRITE, "x", 1, 0);
    request.aio_flags = IOCB_FLAG_RESFD;
    request.aio_resfd = fd;
    FAILS("a file is no event descriptor", submit(context, 1, one), EINVAL);
    struct iocb good = asked(fd, IOCB_CMD_PWRITE, "x", 1, 0), bad = asked(99, IOCB_CMD_PWRITE, "x", 1, 0);
    struct iocb *two[2] = {&good, &bad};
    EQUAL("those before a wrong one", submit(context, 2, two), 1);
    struct io_event event;
    EQUAL("and their event", events_of(context, 1, 4, &event, NULL), 1);
    FAILS("no address", submit(context, 1, (struct iocb **)8), EFAULT);
    int only = open("requests", O_RDONLY);
    request = asked(only, IOCB_CMD_PWRITE, "x", 1, 0);
    FAILS("not for writing", submit(context, 1, one), EBADF);
    close(only);
    close(fd);
    EQUAL("destroy", destroy(context), 0);
}

static void many(void) {
    enum { COUNT = 8, SIZE = 512 };
    aio_context_t context = 0;
    EQUAL("room for eight", setup(COUNT, &context), 0);
    int fd = open("many", O_RDWR | O_CREAT | O_EXCL, 0644), told = eventfd(0, EFD_NONBLOCK);
    static char data[COUNT][SIZE];
    struct iocb all[COUNT], *list[COUNT];
    for (int i = 0; i < COUNT; i++) {
        memset(data[i], 'a' + i, SIZE);
        all[i] = asked(fd, IOCB_CMD_PWRITE, data[i], SIZE, (long)i * SIZE);
        all[i].aio_data = i;
        all[i].aio_flags = IOCB_FLAG_RESFD;
        all[i].aio_resfd = told;
        list[i] = &all[i];
    }
    EQUAL("all at once", submit(context, COUNT, list), COUNT);
    struct io_event events[COUNT];
    EQUAL("all done", events_of(context, COUNT, COUNT, events, NULL), COUNT);
    int seen = 0;
    for (int i = 0; i < COUNT; i++) seen |= (events[i].res == SIZE) << events[i].data;
    EQUAL("each of them", seen, (1 << COUNT) - 1);
    uint64_t count = 0;
    EQUAL("the descriptor tells", read(told, &count, 8), 8);
    EQUAL("how many", count, COUNT);

    struct pollfd wait = {told, POLLIN, 0};
    EQUAL("one more", submit(context, 1, list), 1);
    EQUAL("it wakes who polls", poll(&wait, 1, 10000), 1);
    EQUAL("readable", wait.revents, POLLIN);
    struct timespec none = {0, 0};
    EQUAL("done by then", events_of(context, 1, COUNT, events, &none), 1);
    EQUAL("nothing is left", events_of(context, 0, COUNT, events, &none), 0);

    EQUAL("on their way", submit(context, COUNT, list), COUNT);
    EQUAL("destroy waits for them", destroy(context), 0);
    wait.revents = 0;
    EQUAL("the descriptor was told", poll(&wait, 1, 0), 1);
    count = 0;
    EQUAL("of all", read(told, &count, 8) == 8 && count == 1 + COUNT, 1);
    close(told);
    close(fd);
}

static void direct(void) {
    aio_context_t context = 0;
    EQUAL("context for direct", setup(1, &context), 0);
    int fd = open("direct", O_RDWR | O_CREAT | O_EXCL | O_DSYNC, 0644);
    EQUAL("flags", fcntl(fd, F_GETFL) & (O_DIRECT | O_DSYNC), O_DSYNC);
    EQUAL("allocate", posix_fallocate(fd, 0, 65536), 0);
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_DIRECT) != 0 && !sandboxed()) {
        /* Not every file system of a host has it. */
        static const char *skipped[] = {"direct", "a block", "read back", "not a block", "not at a block", "without waiting"};
        for (int i = 0; i < 6; i++) check(1, skipped[i], "");
    } else {
        EQUAL("direct", fcntl(fd, F_GETFL) & O_DIRECT, O_DIRECT);
        char *block = aligned_alloc(4096, 4096), *back = aligned_alloc(4096, 4096);
        memset(block, 'd', 4096);
        EQUAL("a block", done(context, asked(fd, IOCB_CMD_PWRITE, block, 4096, 4096)), 4096);
        CHECK("read back", pread(fd, back, 4096, 4096) == 4096 && memcmp(block, back, 4096) == 0);
        /* Some file systems take what is not whole blocks, by way of the page cache. */
        long odd = done(context, asked(fd, IOCB_CMD_PWRITE, block + 1, 100, 0));
        CHECK("not a block", odd == -EINVAL || (odd == 100 && !sandboxed()));
        ssize_t skewed;
        CHECK("not at a block", ((skewed = pwrite(fd, block, 4096, 100)) == -1 && errno == EINVAL) ||
                                    (skewed == 4096 && !sandboxed()));
        struct iocb hasty = asked(fd, IOCB_CMD_PWRITE, block, 4096, 8192);
        hasty.aio_rw_flags = RWF_NOWAIT;
        int right = 1;
        for (int i = 0; i < 32; i++) {
            long result = done(context, hasty);
            right &= result == 4096 || result == -EAGAIN || (result == -10000 - EOPNOTSUPP && !sandboxed());
        }
        CHECK("without waiting", right);
        free(block);
        free(back);
    }
    close(fd);
    EQUAL("destroyed", destroy(context), 0);
    fd = open("direct", O_WRONLY | O_APPEND);
    struct iovec part = {"xy", 2};
    EQUAL("pwritev2 that is synchronous", pwritev2(fd, &part, 1, -1, RWF_DSYNC), 2);
    FAILS("pwritev2 with a flag that is none", pwritev2(fd, &part, 1, -1, 1 << 30), EOPNOTSUPP);
    close(fd);
    fd = open("direct", O_RDWR);
    EQUAL("pwritev2 that appends", pwritev2(fd, &part, 1, 0, RWF_APPEND), 2);
    EQUAL("to the end", lseek(fd, 0, SEEK_END), 65540);
    close(fd);
}

static void *waiting(void *context) {
    struct io_event event;
    long got = events_of((aio_context_t)context, 1, 1, &event, NULL);
    return (void *)(got == -1 ? (long)errno : 0L);
}

/* Who waits for events of a context that is closed waits no longer. */
static void closing(void) {
    aio_context_t context = 0;
    pthread_t thread;
    void *error = NULL;
    EQUAL("a context to wait for", setup(1, &context), 0);
    EQUAL("a thread that waits", pthread_create(&thread, NULL, waiting, (void *)context), 0);
    pause_ms(20);
    EQUAL("closed under it", destroy(context), 0);
    EQUAL("joined", pthread_join(thread, &error), 0);
    EQUAL("it was told", (long)error, EINVAL);
}

/* A child has none of its parent's contexts; one that ends leaves nothing undone. */
static void processes(void) {
    aio_context_t context = 0;
    EQUAL("the parent's", setup(2, &context), 0);
    pid_t child = fork();
    if (child == 0) {
        struct io_event event;
        struct timespec none = {0, 0};
        int hidden = events_of(context, 0, 1, &event, &none) == -1 && errno == EINVAL;
        aio_context_t own = 0;
        int fd = open("left", O_RDWR | O_CREAT, 0644);
        struct iocb request = asked(fd, IOCB_CMD_PWRITE, "left", 4, 0), *one[1] = {&request};
        int sent = setup(1, &own) == 0 && submit(own, 1, one) == 1;
        _exit(hidden && sent ? 0 : 1);
    }
    int status = -1;
    EQUAL("child", waitpid(child, &status, 0), child);
    EQUAL("its contexts are its own", status, 0);
    char text[4] = {0};
    int fd = open("left", O_RDONLY);
    EQUAL("what it left", read(fd, text, 4), 4);
    close(fd);
    EQUAL("still there", destroy(context), 0);
}

int main(void) {
    contexts();
    requests();
    many();
    direct();
    closing();
    processes();
    return 0;
}
