/* What Linux says of arguments that are wrong, a family of calls after the other. */
#include "check.h"
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

/* Addresses that nothing can be read from: the last byte of all, and a page that is not there. */
#define LAST ((void *)-1)
static void *volatile nowhere = (void *)64;
#define NOWHERE nowhere
#define CALL(number, ...) syscall(SYS_##number, __VA_ARGS__)

static void addresses(void) {
    FAILS("capget at the end of memory", CALL(capget, LAST, NULL), EFAULT);
    FAILS("rt_sigqueueinfo at the end of memory", CALL(rt_sigqueueinfo, getpid(), SIGUSR1, LAST), EFAULT);
    FAILS("rt_tgsigqueueinfo at the end of memory",
          CALL(rt_tgsigqueueinfo, getpid(), getpid(), SIGUSR1, LAST), EFAULT);
    FAILS("timer_create at the end of memory", CALL(timer_create, CLOCK_MONOTONIC, LAST, NULL), EFAULT);
    FAILS("setitimer at the end of memory", CALL(setitimer, ITIMER_REAL, LAST, NULL), EFAULT);
    FAILS("sigaction at the end of memory", CALL(rt_sigaction, SIGUSR1, LAST, NULL, 8), EFAULT);
    FAILS("sysinfo at the end of memory", CALL(sysinfo, LAST), EFAULT);
    pid_t child = fork();
    if (child == 0) {
        CALL(set_robust_list, LAST, 24L);
        _exit(3);
    }
    int status;
    EQUAL("a robust list at the end of memory", waitpid(child, &status, 0), child);
    EQUAL("is none", WEXITSTATUS(status), 3);
}

static void numbers(void) {
    FAILS("kill of the least number", kill(INT_MIN, 0), ESRCH);
    FAILS("wait for the least number", CALL(wait4, INT_MIN, NULL, 0, NULL), ESRCH);
    FAILS("wait with unknown options", CALL(wait4, -1, NULL, 0x10, NULL), EINVAL);
    siginfo_t info;
    FAILS("waitid without options", CALL(waitid, P_ALL, 0, &info, 0, NULL), EINVAL);
    FAILS("waitid of an unknown kind", CALL(waitid, 9, 0, &info, WEXITED, NULL), EINVAL);
    FAILS("waitid for process 0", CALL(waitid, P_PID, 0, &info, WEXITED, NULL), EINVAL);
    FAILS("waitid for a negative group", CALL(waitid, P_PGID, -1, &info, WEXITED, NULL), EINVAL);
    FAILS("tkill of 0", CALL(tkill, 0, 0), EINVAL);
    FAILS("tkill of -1", CALL(tkill, -1, 0), EINVAL);
    FAILS("tgkill in group 0", CALL(tgkill, 0, getpid(), 0), EINVAL);
    FAILS("tgkill of thread 0", CALL(tgkill, getpid(), 0, 0), EINVAL);
    FAILS("a queued signal like the kernel's", CALL(rt_sigqueueinfo, getppid(), 0, &(siginfo_t){.si_code = SI_KERNEL}), EPERM);
    FAILS("a negative group", setpgid(0, -1), EINVAL);
    sigset_t one;
    sigemptyset(&one), sigaddset(&one, SIGUSR1);
    sigprocmask(SIG_BLOCK, &one, NULL);
    EQUAL("a queued signal", CALL(rt_sigqueueinfo, gettid(), SIGUSR1, &(siginfo_t){.si_code = SI_QUEUE}), 0);
    FAILS("told nowhere", CALL(rt_sigtimedwait, &one, LAST, NULL, 8L), EFAULT);
    pid_t child = fork();
    if (child == 0) {
        FAILS("tgkill in another group", CALL(tgkill, getppid(), getpid(), 0), ESRCH);
        FAILS("the group of one who is no child", setpgid(getppid(), 0), ESRCH);
        FAILS("a group that is not there", setpgid(0, 0x3fffff), EPERM);
        EQUAL("a group", setpgid(0, 0), 0);
        FAILS("a session of who leads a group", setsid(), EPERM);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    FAILS("capget of a negative number",
          CALL(capget, &(struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, -1}, &info), EINVAL);
}

static void scheduling(void) {
    struct sched_param param = {0};
    struct timespec t;
    struct rusage usage;
    FAILS("priority of an unknown kind", getpriority(9, 0), EINVAL);
    FAILS("setpriority of an unknown kind", setpriority(9, 0, 0), EINVAL);
    FAILS("priority of an unknown user", getpriority(PRIO_USER, 0x3fffff), ESRCH);
    FAILS("priority of an unknown group", getpriority(PRIO_PGRP, 0x3fffff), ESRCH);
    EQUAL("a priority", setpriority(PRIO_PROCESS, 0, 7), 0);
    EQUAL("is kept", getpriority(PRIO_PROCESS, 0), 7);
    EQUAL("a priority beyond all", setpriority(PRIO_PROCESS, 0, 99), 0);
    EQUAL("is the last one", getpriority(PRIO_PROCESS, getpid()), 19);
    EQUAL("a priority of input and output", CALL(ioprio_set, 1, 0, 2 << 13 | 5), 0);
    EQUAL("is kept, too", CALL(ioprio_get, 1, 0), 2 << 13 | 5);
    FAILS("one of an unknown class", CALL(ioprio_set, 1, 0, 5 << 13), EINVAL);
    FAILS("one of no class", CALL(ioprio_set, 1, 0, 5), EINVAL);
    FAILS("one of an unknown kind", CALL(ioprio_get, 9, 0), EINVAL);
    FAILS("the greatest priority of an unknown policy", sched_get_priority_max(99), EINVAL);
    FAILS("the least priority of an unknown policy", sched_get_priority_min(99), EINVAL);
    EQUAL("the greatest priority in real time", sched_get_priority_max(SCHED_FIFO), 99);
    EQUAL("the least", sched_get_priority_min(SCHED_RR), 1);
    EQUAL("others have none", sched_get_priority_max(SCHED_OTHER), 0);
    FAILS("no parameters", CALL(sched_getparam, 0, NULL), EINVAL);
    FAILS("a negative process", CALL(sched_getparam, -1, &param), EINVAL);
    FAILS("parameters nowhere", CALL(sched_getparam, 0, NOWHERE), EFAULT);
    param.sched_priority = 7;
    EQUAL("parameters", CALL(sched_getparam, 0, &param), 0);
    EQUAL("are told", param.sched_priority, 0);
    FAILS("a policy of a negative process", CALL(sched_getscheduler, -1), EINVAL);
    FAILS("an unknown policy", CALL(sched_setscheduler, 0, 99, &param), EINVAL);
    FAILS("a policy without parameters", CALL(sched_setscheduler, 0, SCHED_OTHER, NULL), EINVAL);
    FAILS("a policy with parameters nowhere", CALL(sched_setscheduler, 0, SCHED_OTHER, NOWHERE), EFAULT);
    param.sched_priority = 5;
    FAILS("a priority where there is none", CALL(sched_setscheduler, 0, SCHED_OTHER, &param), EINVAL);
    FAILS("nor by its parameters", CALL(sched_setparam, 0, &param), EINVAL);
    FAILS("slices of a negative process", CALL(sched_rr_get_interval, -1, &t), EINVAL);
    FAILS("slices nowhere", CALL(sched_rr_get_interval, 0, NOWHERE), EFAULT);
    FAILS("usage of nobody", CALL(getrusage, 99, &usage), EINVAL);
    FAILS("usage nowhere", CALL(getrusage, RUSAGE_SELF, NOWHERE), EFAULT);
    unsigned long mask[2];
    FAILS("an affinity of no whole words", CALL(sched_getaffinity, 0, 9L, mask), EINVAL);
    mask[0] = 0;
    FAILS("an affinity to none", CALL(sched_setaffinity, 0, 8L, mask), EINVAL);
    FAILS("an affinity nowhere", CALL(sched_setaffinity, 0, 8L, NOWHERE), EFAULT);
    unsigned char byte;
    FAILS("unknown random bytes", getrandom(&byte, 1, 0x80), EINVAL);
}

static void hears(int signal) {
    (void)signal;
}

static void clocks(void) {
    struct timespec t = {0}, wrong = {0, 1000000000};
    struct itimerspec old, never = {{0}, {1, -1}};
    struct itimerval clock = {{0}, {0, LONG_MAX}};
    timer_t timer;
    FAILS("resolution of an unknown clock", clock_getres(99, &t), EINVAL);
    FAILS("no clock of the processor", clock_getres(-1, &t), EINVAL);
    FAILS("the clock of a process that is not there", clock_gettime(~0x3ffff0 * 8 | 2, &t), EINVAL);
    EQUAL("one's own", clock_gettime(~getpid() * 8 | 2, &t), 0);
    t = (struct timespec){0};
    FAILS("an unknown clock", clock_gettime(99, &t), EINVAL);
    FAILS("sleep by an unknown clock", CALL(clock_nanosleep, 99, 0, &t, NULL), EINVAL);
    FAILS("sleep by one's own processor time", CALL(clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL), EOPNOTSUPP);
    FAILS("sleep of too many nanoseconds", CALL(nanosleep, &wrong, NULL), EINVAL);
    struct sigaction heard = {.sa_handler = hears};
    sigaction(SIGALRM, &heard, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 5000}, NULL);
    FAILS("the rest of a sleep nowhere", CALL(nanosleep, &(struct timespec){100, 0}, NOWHERE), EFAULT);
    FAILS("an unknown interval timer", CALL(getitimer, 9, &clock), EINVAL);
    FAILS("an unknown interval timer to set", CALL(setitimer, 9, &clock, NULL), EINVAL);
    FAILS("more microseconds than there are", CALL(setitimer, ITIMER_REAL, &clock, NULL), EINVAL);
    FAILS("an interval timer nowhere", CALL(getitimer, ITIMER_REAL, NOWHERE), EFAULT);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
    FAILS("a timer with an unknown signal", timer_create(CLOCK_MONOTONIC, &event, &timer), EINVAL);
    event.sigev_notify = 99, event.sigev_signo = SIGUSR1;
    FAILS("a timer of an unknown manner", CALL(timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
    int number;
    FAILS("a timer nowhere", CALL(timer_create, CLOCK_MONOTONIC, NULL, NOWHERE), EFAULT);
    EQUAL("a timer", CALL(timer_create, CLOCK_MONOTONIC, NULL, &number), 0);
    FAILS("without a time", CALL(timer_settime, number, 0, NULL, NULL), EINVAL);
    FAILS("with a wrong time", CALL(timer_settime, number, 0, &never, NULL), EINVAL);
    FAILS("with a time nowhere", CALL(timer_settime, number, 0, NOWHERE, NULL), EFAULT);
    FAILS("an unknown timer", CALL(timer_settime, 99, 0, &(struct itimerspec){0}, &old), EINVAL);
    FAILS("its time", CALL(timer_gettime, 99, &old), EINVAL);
    FAILS("its overrun", CALL(timer_getoverrun, 99), EINVAL);
    FAILS("its end", CALL(timer_delete, 99), EINVAL);
    FAILS("a timer descriptor of an unknown clock", timerfd_create(99, 0), EINVAL);
    FAILS("a timer descriptor with unknown flags", timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    FAILS("a timer descriptor set with unknown flags", timerfd_settime(fd, 64, &(struct itimerspec){0}, NULL), EINVAL);
    FAILS("a timer descriptor without a time", CALL(timerfd_settime, fd, 0, NULL, NULL), EFAULT);
    FAILS("a timer descriptor that is none", timerfd_settime(1, 0, &(struct itimerspec){0}, NULL), EINVAL);
    close(fd);
}

static void descriptors(void) {
    int ends[2];
    sigset_t none;
    sigemptyset(&none);
    FAILS("a pipe with unknown flags", pipe2(ends, O_APPEND), EINVAL);
    FAILS("a counter with unknown flags", eventfd(0, 2), EINVAL);
    FAILS("an epoll instance of no size", epoll_create(0), EINVAL);
    FAILS("an epoll instance with unknown flags", epoll_create1(1), EINVAL);
    FAILS("signals with unknown flags", CALL(signalfd4, -1, &none, 8L, 1), EINVAL);
    FAILS("signals in a set of another size", CALL(signalfd4, -1, &none, 16L, 0), EINVAL);
    FAILS("signals nowhere", CALL(signalfd4, -1, NOWHERE, 8L, 0), EFAULT);
    FAILS("signals of a descriptor that is none", CALL(signalfd4, 999, &none, 8L, 0), EBADF);
    EQUAL("a pipe", pipe(ends), 0);
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(0);
    FAILS("an event nowhere", epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], NULL), EFAULT);
    FAILS("an event of what is no instance", epoll_ctl(ends[0], EPOLL_CTL_ADD, ends[1], &event), EINVAL);
    FAILS("an event of nothing", epoll_ctl(epoll, EPOLL_CTL_ADD, 999, &event), EBADF);
    FAILS("an unknown operation", epoll_ctl(epoll, 9, ends[0], &event), EINVAL);
    event.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
    FAILS("an exclusive event once", epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), EINVAL);
    event.events = EPOLLIN | EPOLLEXCLUSIVE;
    FAILS("an exclusive event of an instance", epoll_ctl(epoll, EPOLL_CTL_ADD, epoll_create1(0), &event), EINVAL);
    EQUAL("an exclusive event", epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), 0);
    event.events = EPOLLIN;
    FAILS("stays that", epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event), EINVAL);
    EQUAL("until it is removed", epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], &event), 0);
    FAILS("an event of a path", epoll_ctl(epoll, EPOLL_CTL_ADD, open(".", O_PATH), &event), EBADF);
    int chain[6];
    for (int i = 0; i < 6; i++) chain[i] = epoll_create1(0);
    for (int i = 0; i < 4; i++) EQUAL("instances", epoll_ctl(chain[i], EPOLL_CTL_ADD, chain[i + 1], &event), 0);
    FAILS("too many instances", epoll_ctl(chain[4], EPOLL_CTL_ADD, chain[5], &event), ELOOP);
    FAILS("instances in a ring", epoll_ctl(chain[2], EPOLL_CTL_ADD, chain[0], &event), ELOOP);
    for (int i = 0; i < 6; i++) close(chain[i]);
    FAILS("a wait of too many nanoseconds", CALL(epoll_pwait2, epoll, &event, 1, &(struct timespec){0, 1L << 30}, NULL, 8L), EINVAL);
    EQUAL("a wait of none", CALL(epoll_pwait2, epoll, &event, 1, &(struct timespec){0}, NULL, 8L), 0);
    FAILS("a wait for no events", epoll_wait(epoll, &event, 0, 0), EINVAL);
    FAILS("a wait for what is no instance", epoll_wait(ends[0], &event, 1, 0), EINVAL);
    FAILS("a wait with a mask of another size", CALL(epoll_pwait, epoll, &event, 1, 0, &none, 16L), EINVAL);
    FAILS("a poll with a mask of another size", CALL(ppoll, NULL, 0, NULL, &none, 16L), EINVAL);
    FAILS("a suspension with a mask of another size", CALL(rt_sigsuspend, &none, 16L), EINVAL);
    struct timespec zero = {0};
    FAILS("a wait for signals of another size", CALL(rt_sigtimedwait, &none, NULL, &zero, 16L), EINVAL);
    struct iovec vector = {&vector, 8}, huge[2] = {{&vector, LONG_MAX}, {&vector, LONG_MAX}};
    huge[0].iov_len = (size_t)-1;
    FAILS("a buffer of negative length", readv(ends[0], huge, 1), EINVAL);
    FAILS("a negative count of buffers", CALL(readv, ends[0], &vector, -1L), EINVAL);
    FAILS("a negative count of buffers of nothing", CALL(readv, 999, &vector, -1L), EBADF);
    long halves[2] = {1, 1};
    struct iovec half[2] = {{halves, 4}, {halves, 4}}, whole[1] = {{halves, 8}};
    int counter = eventfd(0, EFD_NONBLOCK), told = signalfd(-1, &none, SFD_NONBLOCK);
    FAILS("a number in two halves", writev(counter, half, 2), EINVAL);
    EQUAL("in one", writev(counter, whole, 1), 8);
    FAILS("a signal in too little room", read(told, halves, sizeof halves), EINVAL);
    FAILS("bytes to standard input", write(0, halves, 1), EBADF);
    close(counter), close(told);
    FAILS("buffers nowhere", writev(ends[1], NOWHERE, 1), EFAULT);
    char byte = 0;
    FAILS("a write from nowhere", write(ends[1], NOWHERE, 1), EFAULT);
    EQUAL("a byte", write(ends[1], &byte, 1), 1);
    FAILS("a read to nowhere", read(ends[0], NOWHERE, 1), EFAULT);
    FAILS("a place in a pipe", pread(ends[0], &byte, 1, 0), ESPIPE);
    FAILS("advice on a pipe", CALL(fadvise64, ends[0], 0L, 0L, POSIX_FADV_NORMAL), ESPIPE);
    FAILS("advice on nothing", CALL(fadvise64, 999, 0L, 0L, POSIX_FADV_NORMAL), EBADF);
    FAILS("reading ahead of nothing", CALL(readahead, 999, 0L, 1L), EBADF);
    int path = open("/tmp", O_PATH), null = open("/dev/null", O_RDWR), count = 0;
    FAILS("reading ahead of a path", CALL(readahead, path, 0L, 1L), EBADF);
    FAILS("a request to a path", ioctl(path, FIONREAD, &count), EBADF);
    FAILS("a device that is never synced", fsync(null), EINVAL);
    EQUAL("two bytes", write(ends[1], "ab", 2), 2);
    EQUAL("are seen at both ends", ioctl(ends[1], FIONREAD, &count) == 0 && count >= 2, 1);
    EQUAL("and taken", read(ends[0], halves, 2), 2);
    close(path), close(null);
    FAILS("reading ahead of a pipe", CALL(readahead, ends[0], 0L, 1L), EINVAL);
    EQUAL("a pipe of another size", fcntl(ends[1], F_SETPIPE_SZ, 5000), 8192);
    EQUAL("has it at both ends", fcntl(ends[0], F_GETPIPE_SZ), 8192);
    EQUAL("a pipe of no size", fcntl(ends[1], F_SETPIPE_SZ, 0), 4096);
    EQUAL("and larger again", fcntl(ends[1], F_SETPIPE_SZ, 8192), 8192);
    FAILS("a size of what is no pipe", fcntl(epoll, F_SETPIPE_SZ, 4096), EBADF);
    char full[8192] = {0};
    fcntl(ends[0], F_SETFL, O_NONBLOCK), fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (read(ends[0], full, 1) > 0) {}
    EQUAL("it takes so much", write(ends[1], full, sizeof full), sizeof full);
    FAILS("and no more", write(ends[1], full, 1), EAGAIN);
    FAILS("a pipe that is too small for what is in it", fcntl(ends[1], F_SETPIPE_SZ, 4096), EBUSY);
    FAILS("a file system of nothing", syncfs(999), EBADF);
    struct statfs system;
    FAILS("what a file system is, of nothing", fstatfs(999, &system), EBADF);
    FAILS("a lock on nothing", CALL(flock, 999, 2), EBADF);
    FAILS("an unknown lock", CALL(flock, ends[0], 7), EINVAL);
    EQUAL("the owner of a descriptor", fcntl(ends[0], F_GETOWN), 0);
    FAILS("an unknown command", fcntl(ends[0], 999), EINVAL);
    FAILS("a duplicate beyond all", fcntl(ends[0], F_DUPFD, 1 << 30), EINVAL);
    FAILS("a duplicate in its own place", dup3(ends[0], ends[0], 0), EINVAL);
    FAILS("nor where it is nothing", dup3(999, 999, 0), EINVAL);
    FAILS("a duplicate with unknown flags", dup3(ends[0], 50, 1), EINVAL);
    FAILS("many descriptors", CALL(poll, &byte, 100000L, 0), EINVAL);
    FAILS("descriptors nowhere", CALL(poll, NOWHERE, 1L, 0), EFAULT);
    FAILS("a negative number of descriptors", CALL(select, -1, NULL, NULL, NULL, NULL), EINVAL);
    struct timeval ago = {-1, 0};
    FAILS("a wait until before", CALL(select, 0, NULL, NULL, NULL, &ago), EINVAL);
    close(epoll), close(ends[0]), close(ends[1]);
}

static void files(void) {
    char byte = 0, name[300], path[5000], entries[8];
    memset(name, 'n', sizeof name - 1), name[sizeof name - 1] = 0;
    memset(path, '/', sizeof path - 1), path[sizeof path - 1] = 0;
    struct stat st;
    struct statfs system;
    int fd = open("file", O_RDWR | O_CREAT, 0644), reads = open("file", O_RDONLY), writes = open("file", O_WRONLY);
    int directory = open(".", O_RDONLY | O_DIRECTORY);
    symlink("loop", "loop");
    FAILS("a long name", open(name, O_RDONLY), ENAMETOOLONG);
    FAILS("a long name to make", mkdir(name, 0755), ENAMETOOLONG);
    FAILS("a long path", stat(path, &st), ENAMETOOLONG);
    FAILS("a path nowhere", CALL(stat, NOWHERE, &st), EFAULT);
    FAILS("a path through a file", open("file/x", O_RDONLY), ENOTDIR);
    FAILS("a path that goes round", open("loop", O_RDONLY), ELOOP);
    FAILS("a path without name", open("", O_RDONLY), ENOENT);
    FAILS("a write to what is read", write(reads, &byte, 1), EBADF);
    FAILS("a read of what is written", read(writes, &byte, 1), EBADF);
    FAILS("a directory to write", open(".", O_WRONLY), EISDIR);
    FAILS("a directory that is a file", open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
    FAILS("a file that is there", open("file", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
    FAILS("a read of a directory", read(directory, &byte, 1), EISDIR);
    FAILS("a place before the beginning", lseek(fd, -1, SEEK_SET), EINVAL);
    FAILS("a place from nowhere", lseek(fd, 0, 99), EINVAL);
    FAILS("a read before the beginning", pread(fd, &byte, 1, -1), EINVAL);
    FAILS("a write before the beginning", pwrite(fd, &byte, 1, -1), EINVAL);
    struct iovec vector = {&byte, 1};
    FAILS("buffers before the beginning", CALL(preadv, fd, &vector, 1L, -1L, -1L), EINVAL);
    FAILS("unknown ways of reading", preadv2(fd, &vector, 1, 0, 0x400000), EOPNOTSUPP);
    FAILS("a negative length", ftruncate(fd, -1), EINVAL);
    FAILS("a negative length by name", truncate("file", -1), EINVAL);
    FAILS("the length of a directory", truncate(".", 1), EISDIR);
    FAILS("the length of what is read", ftruncate(reads, 1), EINVAL);
    FAILS("the length of nothing", truncate("none", 1), ENOENT);
    FAILS("room before the beginning", fallocate(fd, 0, -1, 1), EINVAL);
    FAILS("no room", fallocate(fd, 0, 0, 0), EINVAL);
    FAILS("room in what is read", fallocate(reads, 0, 0, 1), EBADF);
    FAILS("unknown room", fallocate(fd, 0x8000, 0, 1), EOPNOTSUPP);
    FAILS("unknown advice", CALL(fadvise64, fd, 0L, 0L, 99), EINVAL);
    FAILS("reading ahead of what is written", CALL(readahead, writes, 0L, 1L), EBADF);
    FAILS("a file system that is not there", statfs("none", &system), ENOENT);
    FAILS("a file system through a file", statfs("file/x", &system), ENOTDIR);
    FAILS("a file system told nowhere", CALL(statfs, ".", NOWHERE), EFAULT);
    FAILS("a file system of no name", statfs("", &system), ENOENT);
    FAILS("a link that is none", readlink("file", name, 9), EINVAL);
    FAILS("a link of no size", CALL(readlink, "loop", name, 0), EINVAL);
    FAILS("a link of negative size", CALL(readlink, "loop", name, -1), EINVAL);
    FAILS("an unknown removal", CALL(unlinkat, AT_FDCWD, "file", 1), EINVAL);
    FAILS("an unknown link", CALL(linkat, AT_FDCWD, "file", AT_FDCWD, "other", 1), EINVAL);
    FAILS("an unknown renaming", CALL(renameat2, AT_FDCWD, "file", AT_FDCWD, "other", 64), EINVAL);
    FAILS("an exchange that must be new", CALL(renameat2, AT_FDCWD, "file", AT_FDCWD, "other", 3), EINVAL);
    FAILS("an unknown owner", CALL(fchownat, AT_FDCWD, "file", -1, -1, 1), EINVAL);
    FAILS("unknown times", CALL(utimensat, AT_FDCWD, "file", NULL, 1), EINVAL);
    struct timespec times[2] = {{0, 2000000000}, {0}};
    FAILS("times that are none", utimensat(AT_FDCWD, "file", times, 0), EINVAL);
    FAILS("times nowhere", CALL(utimensat, AT_FDCWD, "file", NOWHERE, 0), EFAULT);
    FAILS("times of nothing", CALL(utimensat, 999, NULL, NULL, 0), EBADF);
    FAILS("unknown facts", CALL(newfstatat, AT_FDCWD, "file", &st, 1), EINVAL);
    FAILS("unknown extended facts", CALL(statx, AT_FDCWD, "file", 1, 0xfff, &path), EINVAL);
    FAILS("extended facts of a reserved kind", CALL(statx, AT_FDCWD, "file", 0, 0x80000000L, &path), EINVAL);
    FAILS("an unknown permission", access("file", 99), EINVAL);
    FAILS("an unknown way to ask", CALL(faccessat2, AT_FDCWD, "file", 0, 1), EINVAL);
    FAILS("a path from a file", openat(fd, "x", O_RDONLY), ENOTDIR);
    FAILS("a path from nothing", openat(999, "x", O_RDONLY), EBADF);
    FAILS("names in too little room", CALL(getdents64, directory, entries, 8L), EINVAL);
    FAILS("names of a file", CALL(getdents64, fd, path, 999L), ENOTDIR);
    FAILS("names nowhere", CALL(getdents64, directory, NOWHERE, 999L), EFAULT);
    long offset = -1;
    FAILS("bytes before the beginning", CALL(sendfile, fd, reads, &offset, 1L), EINVAL);
    FAILS("bytes to what is read", sendfile(reads, fd, NULL, 1), EBADF);
    FAILS("bytes of what is written", sendfile(fd, writes, NULL, 1), EBADF);
    FAILS("bytes from an offset nowhere", CALL(sendfile, fd, reads, NOWHERE, 1L), EFAULT);
    FAILS("too little room for a path", CALL(getcwd, path, 1L), ERANGE);
    FAILS("the path nowhere", CALL(getcwd, NOWHERE, 4096L), EFAULT);
    close(fd), close(reads), close(writes), close(directory);
}

static void sockets(void) {
    struct sockaddr_in here = {.sin_family = AF_INET}, other = {.sin_family = 99};
    socklen_t len = sizeof here, negative = -1;
    int value = 1, tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), ends[2];
    EQUAL("a pipe", pipe(ends), 0);
    FAILS("a name of what is no socket", bind(ends[0], (void *)&here, sizeof here), ENOTSOCK);
    FAILS("a name of nothing", bind(999, (void *)&here, sizeof here), EBADF);
    FAILS("a short name", bind(tcp, (void *)&here, 3), EINVAL);
    FAILS("a name nowhere", CALL(bind, tcp, NOWHERE, 16), EFAULT);
    FAILS("a name of another family", bind(tcp, (void *)&other, sizeof other), EAFNOSUPPORT);
    struct sockaddr path = {AF_UNIX, "/tmp"};
    FAILS("a name in the file system", bind(tcp, &path, sizeof path), EAFNOSUPPORT);
    FAILS("a peer in the file system", connect(tcp, &path, sizeof path), EAFNOSUPPORT);
    FAILS("a socket that is a path", listen(open("/tmp", O_PATH), 1), EBADF);
    FAILS("a peer of another family", connect(tcp, (void *)&other, sizeof other), EAFNOSUPPORT);
    FAILS("a peer nowhere", CALL(connect, tcp, NOWHERE, 16), EFAULT);
    FAILS("a caller of who does not listen", accept(tcp, NULL, NULL), EINVAL);
    FAILS("a caller of who cannot listen", accept(udp, NULL, NULL), EOPNOTSUPP);
    FAILS("whose name finds no room", CALL(accept, udp, &here, NULL), EOPNOTSUPP);
    FAILS("a caller with unknown flags", accept4(tcp, NULL, NULL, 1), EINVAL);
    FAILS("who cannot listen", listen(udp, 1), EOPNOTSUPP);
    FAILS("a peer that is none", getpeername(tcp, (void *)&here, &len), ENOTCONN);
    FAILS("a name in negative room", getsockname(tcp, (void *)&here, &negative), EINVAL);
    FAILS("a name to nowhere", CALL(getsockname, tcp, NULL, &len), EFAULT);
    FAILS("a name without room", CALL(getsockname, tcp, &here, NULL), EFAULT);
    FAILS("a name in room nowhere", CALL(getsockname, tcp, &here, NOWHERE), EFAULT);
    FAILS("bytes from nobody", recv(tcp, &value, 1, 0), ENOTCONN);
    FAILS("an end that is none", shutdown(tcp, 9), EINVAL);
    FAILS("an end of who is not connected", shutdown(tcp, SHUT_RD), ENOTCONN);
    FAILS("bytes to nobody", send(udp, &value, 1, 0), EDESTADDRREQ);
    FAILS("an unknown option", setsockopt(tcp, SOL_SOCKET, 9999, &value, sizeof value), ENOPROTOOPT);
    FAILS("an option of a short value", setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &value, 1), EINVAL);
    FAILS("an option of negative size", CALL(setsockopt, tcp, SOL_SOCKET, SO_REUSEADDR, &value, -1), EINVAL);
    FAILS("an option nowhere", CALL(setsockopt, tcp, SOL_SOCKET, SO_REUSEADDR, NOWHERE, 4), EFAULT);
    FAILS("an option in negative room", getsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &value, &negative), EINVAL);
    FAILS("an option to nowhere", CALL(getsockopt, tcp, SOL_SOCKET, SO_REUSEADDR, NOWHERE, &len), EFAULT);
    FAILS("an unknown option to ask for", getsockopt(tcp, SOL_SOCKET, 9999, &value, &len), ENOPROTOOPT);
    FAILS("what is told of a stream only", getsockopt(udp, IPPROTO_TCP, TCP_INFO, &value, &len), EOPNOTSUPP);
    int local = socket(AF_UNIX, SOCK_STREAM, 0);
    len = sizeof value;
    FAILS("an option of an unknown level to ask for", getsockopt(tcp, 500, 1, &value, &len), EOPNOTSUPP);
    FAILS("an option of an unknown level", setsockopt(tcp, 500, 1, &value, len), ENOPROTOOPT);
    FAILS("an option of the network within the host", setsockopt(local, IPPROTO_IP, 1, &value, len), EOPNOTSUPP);
    FAILS("bytes out of band where there are none", sendto(udp, &value, 1, MSG_OOB, (void *)&here, sizeof here), EOPNOTSUPP);
    FAILS("a pair of the network", socketpair(AF_INET, SOCK_STREAM, 0, ends), EOPNOTSUPP);
    FAILS("a pair nowhere", CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, NOWHERE), EFAULT);
    struct msghdr many = {.msg_iovlen = 1025};
    FAILS("a message of too many buffers", sendmsg(udp, &many, 0), EMSGSIZE);
    FAILS("a message into too many buffers", recvmsg(udp, &many, 0), EMSGSIZE);
    struct mmsghdr messages = {.msg_hdr = {.msg_iovlen = 0}};
    FAILS("messages for no time", CALL(recvmmsg, udp, &messages, 1, 0, &(struct timespec){0, -1}), EINVAL);
    FAILS("a message nowhere", CALL(sendmsg, udp, NOWHERE, 0), EFAULT);
    FAILS("a message to nowhere", CALL(recvmsg, udp, NOWHERE, 0), EFAULT);
    close(tcp), close(udp);
}

static void words(void) {
    _Alignas(8) int word[2] = {0};
    char *odd = (char *)word + 1;
    struct timespec wrong = {0, -1};
    long context = 0;
    FAILS("more requests than can be counted", CALL(io_setup, -1, &context), EINVAL);
    FAILS("no requests", CALL(io_setup, 0, &context), EINVAL);
    unsigned char there[2] = {0};
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = 1;
    FAILS("where half a page is", mincore(page + 1, 4096, there), EINVAL);
    FAILS("where no page is", mincore((void *)4096, 4096, there), ENOMEM);
    FAILS("told nowhere", mincore(page, 4096, NOWHERE), EFAULT);
    EQUAL("a page that is there", mincore(page, 4096, there) == 0 && there[0] == 1 && there[1] == 0, 1);
    FAILS("a word across words", CALL(futex, odd, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EINVAL);
    FAILS("a word nowhere", CALL(futex, NOWHERE, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EFAULT);
    FAILS("no bits to wait for", CALL(futex, word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 0), EINVAL);
    FAILS("no bits to wake", CALL(futex, word, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 0), EINVAL);
    FAILS("a time that is none", CALL(futex, word, FUTEX_WAIT_PRIVATE, 0, &wrong, NULL, 0), EINVAL);
    FAILS("a negative number to move", CALL(futex, word, FUTEX_CMP_REQUEUE_PRIVATE, -1, 0L, word + 1, 0), EINVAL);
    FAILS("an unknown operation on words", CALL(futex, word, 99, 0, NULL, NULL, 0), ENOSYS);
    long head, size;
    EQUAL("a robust list", CALL(get_robust_list, 0, &head, &size), 0);
    EQUAL("of its size", size, 24);
    FAILS("a robust list nowhere", CALL(get_robust_list, 0, NOWHERE, &size), EFAULT);
    FAILS("a robust list of another size", CALL(set_robust_list, word, 1L), EINVAL);
    FAILS("a signal that cannot be handled", CALL(rt_sigaction, SIGKILL, &(long[4]){1}, NULL, 8L), EINVAL);
    FAILS("a signal that is none", CALL(rt_sigaction, 65, &(long[4]){1}, NULL, 8L), EINVAL);
    FAILS("what a signal does, of another size", CALL(rt_sigaction, SIGUSR1, NULL, NULL, 16L), EINVAL);
    FAILS("an unknown end of the parent", prctl(PR_SET_PDEATHSIG, 99), EINVAL);
    FAILS("an unknown way to be dumped", prctl(PR_SET_DUMPABLE, 9), EINVAL);
}

int main(void) {
    unsigned char drawn;
    EQUAL("what the seed decides", getrandom(&drawn, 1, 0), 1);
    FAILS("a call that is none", syscall(-1), ENOSYS);
    FAILS("one between those that are", syscall(400), ENOSYS);
    FAILS("one that is none yet", syscall(100000), ENOSYS);
    EQUAL("by flags of 32 bits", CALL(getrandom, &drawn, 1, 1L << 32), 1);
    addresses();
    numbers();
    scheduling();
    clocks();
    descriptors();
    files();
    sockets();
    words();
    return 0;
}
