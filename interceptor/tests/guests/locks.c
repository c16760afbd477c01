/* Locks of files: whose they are, which ranges they hold, when they go. */
#include "check.h"
#include <sys/file.h>

/* What a lock of another process on these bytes meets: its kind, start and length; 0 for none. */
static void meets(const char *name, const char *file, int kind, long start, long len, int type, long at, long length) {
    pid_t child = fork();
    if (child == 0) {
        struct flock asked = {.l_type = kind, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
        int fd = open(file, O_RDWR);
        if (fcntl(fd, F_GETLK, &asked)) _exit(1);
        if (asked.l_type == F_UNLCK) _exit(type == F_UNLCK ? 0 : 2);
        _exit(asked.l_type == type && asked.l_start == at && asked.l_len == length && asked.l_pid == getppid() ? 0 : 3);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EQUAL(name, status, 0);
}

static int set(int fd, int command, int kind, long start, long len) {
    struct flock lock = {.l_type = kind, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    return fcntl(fd, command, &lock);
}

static void ranges(void) {
    int fd = open("ranges", O_CREAT | O_RDWR, 0644);
    EQUAL("write", write(fd, "0123456789", 10), 10);
    EQUAL("a range", set(fd, F_SETLK, F_WRLCK, 10, 20), 0);
    meets("it is told", "ranges", F_RDLCK, 0, 0, F_WRLCK, 10, 20);
    EQUAL("downgraded in the middle", set(fd, F_SETLK, F_RDLCK, 15, 5), 0);
    meets("split before", "ranges", F_WRLCK, 0, 15, F_WRLCK, 10, 5);
    meets("split in it", "ranges", F_WRLCK, 15, 1, F_RDLCK, 15, 5);
    meets("readers may share", "ranges", F_RDLCK, 15, 5, F_UNLCK, 0, 0);
    meets("split behind", "ranges", F_RDLCK, 20, 0, F_WRLCK, 20, 10);
    EQUAL("upgraded again", set(fd, F_SETLK, F_WRLCK, 15, 5), 0);
    meets("joined", "ranges", F_RDLCK, 0, 0, F_WRLCK, 10, 20);
    EQUAL("unlocked in the middle", set(fd, F_SETLK, F_UNLCK, 12, 3), 0);
    meets("a gap", "ranges", F_WRLCK, 12, 3, F_UNLCK, 0, 0);
    meets("before it", "ranges", F_WRLCK, 0, 0, F_WRLCK, 10, 2);
    struct flock back = {.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = 0, .l_len = -4};
    EQUAL("backwards from the end", fcntl(fd, F_SETLK, &back), 0);
    meets("it lies before the end", "ranges", F_RDLCK, 0, 10, F_WRLCK, 6, 6);
    EQUAL("all", set(fd, F_SETLK, F_RDLCK, 5, 0), 0);
    meets("to the end of all files", "ranges", F_WRLCK, 1L << 40, 1, F_RDLCK, 5, 0);
    close(fd);
    meets("gone with the descriptor", "ranges", F_WRLCK, 0, 0, F_UNLCK, 0, 0);
}

static void closing(void) {
    int fd = open("closing", O_CREAT | O_RDWR, 0600), other = open("closing", O_RDWR), third = dup(fd);
    int fourth = open("another", O_CREAT | O_RDWR, 0600);
    set(fd, F_SETLK, F_WRLCK, 0, 0);
    close(fourth);
    meets("another file's descriptor is none of it", "closing", F_WRLCK, 0, 0, F_WRLCK, 0, 0);
    close(other);
    meets("closing any descriptor of the file lets go", "closing", F_WRLCK, 0, 0, F_UNLCK, 0, 0);
    set(fd, F_SETLK, F_WRLCK, 0, 0);
    int more = open("another", O_RDWR);
    dup2(more, third);
    meets("so does taking its number", "closing", F_WRLCK, 0, 0, F_UNLCK, 0, 0);
    EQUAL("the lock of a description", set(fd, F_OFD_SETLK, F_WRLCK, 0, 0), 0);
    close(open("closing", O_RDWR));
    FAILS("does not go with another's", set(open("closing", O_RDWR), F_OFD_SETLK, F_RDLCK, 0, 0), EAGAIN);
    FAILS("nor does a POSIX lock get past it", set(fd, F_SETLK, F_RDLCK, 3, 1), EAGAIN);
    EQUAL("flock is another thing", flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
}

static void inheritance(void) {
    int fd = open("child", O_CREAT | O_RDWR, 0600);
    set(fd, F_SETLK, F_WRLCK, 0, 10);
    pid_t child = fork();
    if (child == 0) {
        int bad = set(fd, F_SETLK, F_WRLCK, 0, 10) == 0;
        bad |= set(fd, F_SETLK, F_UNLCK, 0, 10) != 0;
        bad |= set(fd, F_SETLK, F_WRLCK, 10, 10) != 0;
        close(fd);
        _exit(bad);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EQUAL("a child has locks of its own", status, 0);
    meets("the parent's stay", "child", F_WRLCK, 0, 0, F_WRLCK, 0, 10);
    char fdtext[16];
    snprintf(fdtext, sizeof fdtext, "%d", fd);
    child = fork();
    if (child == 0) {
        set(fd, F_SETLKW, F_WRLCK, 20, 10);
        execl("/proc/self/exe", "locks", "held", fdtext, (char *)0);
        _exit(9);
    }
    waitpid(child, &status, 0);
    EQUAL("exec keeps them", status, 0);
    close(fd);
}

static void refusals(void) {
    int fd = open("refused", O_CREAT | O_RDWR, 0600), reads = open("refused", O_RDONLY), writes = open("refused", O_WRONLY);
    struct flock lock = {.l_type = 9, .l_whence = SEEK_SET};
    FAILS("a kind that is none", fcntl(fd, F_SETLK, &lock), EINVAL);
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = 7};
    FAILS("a place that is none", fcntl(fd, F_SETLK, &lock), EINVAL);
    lock = (struct flock){.l_type = F_UNLCK, .l_whence = SEEK_SET};
    FAILS("asked for nothing", fcntl(fd, F_GETLK, &lock), EINVAL);
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_pid = 1};
    FAILS("of a description, with a process", fcntl(fd, F_OFD_SETLK, &lock), EINVAL);
    FAILS("before the beginning", set(fd, F_SETLK, F_WRLCK, -1, 1), EINVAL);
    FAILS("past the end", set(fd, F_SETLK, F_WRLCK, 2, 0x7fffffffffffffff), EOVERFLOW);
    FAILS("to write where one reads", set(reads, F_SETLK, F_WRLCK, 0, 1), EBADF);
    FAILS("to read where one writes", set(writes, F_SETLK, F_RDLCK, 0, 1), EBADF);
    FAILS("a bad address", fcntl(fd, F_SETLK, (void *)8), EFAULT);
    FAILS("flock of no kind", flock(fd, 0), EINVAL);
    FAILS("flock of both", flock(fd, LOCK_SH | LOCK_EX), EINVAL);
    int pipes[2];
    if (pipe(pipes)) exit(1);
    EQUAL("flock of a pipe", flock(pipes[0], LOCK_EX), 0);
    close(fd), close(reads), close(writes), close(pipes[0]), close(pipes[1]);
}

static void on_signal(int signal) { (void)signal; }

static void waiting(void) {
    int fd = open("waits", O_CREAT | O_RDWR, 0600), go[2];
    if (pipe(go)) exit(1);
    set(fd, F_SETLK, F_WRLCK, 0, 1);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGALRM, &action, NULL);
    pid_t child = fork();
    if (child == 0) {
        struct itimerval soon = {.it_value = {.tv_usec = 20000}};
        setitimer(ITIMER_REAL, &soon, NULL);
        int bad = !(set(fd, F_SETLKW, F_WRLCK, 0, 1) == -1 && errno == EINTR);
        /* Each waits for the other: the second is told. */
        bad |= set(fd, F_SETLK, F_WRLCK, 1, 1) != 0;
        bad |= write(go[1], "x", 1) != 1;
        bad |= set(fd, F_SETLKW, F_WRLCK, 0, 1) != 0;
        _exit(bad);
    }
    char c;
    if (read(go[0], &c, 1) != 1) exit(1);
    pause_ms(50);
    FAILS("a circle", set(fd, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
    EQUAL("one lets go", set(fd, F_SETLK, F_UNLCK, 0, 1), 0);
    int status = -1;
    waitpid(child, &status, 0);
    EQUAL("the other gets it, and was interrupted before", status, 0);
    EQUAL("gone with its process", set(fd, F_SETLKW, F_WRLCK, 1, 1), 0);
    close(fd);
}

static void conversion(void) {
    int one = open("whole", O_CREAT | O_RDWR, 0600), two = open("whole", O_RDWR);
    EQUAL("both read", flock(one, LOCK_SH) + flock(two, LOCK_SH), 0);
    FAILS("one may not write", flock(one, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    EQUAL("and has lost what it had", flock(two, LOCK_EX | LOCK_NB), 0);
    EQUAL("again is nothing new", flock(two, LOCK_EX), 0);
    EQUAL("down", flock(two, LOCK_SH), 0);
    EQUAL("which lets the other in", flock(one, LOCK_SH | LOCK_NB), 0);
    close(one), close(two);
}

int main(int argc, char **argv) {
    if (argc == 3) {
        meets("held after exec", "child", F_WRLCK, 20, 1, F_WRLCK, 20, 10);
        return set(atoi(argv[2]), F_SETLK, F_UNLCK, 0, 0);
    }
    ranges();
    closing();
    inheritance();
    refusals();
    waiting();
    conversion();
    return 0;
}
