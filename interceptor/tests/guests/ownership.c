/* Whose files are, whose process this is; holes; what sockets tell. */
#include "check.h"
#include <grp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

static void owners(void) {
    struct stat s;
    int fd = creat("mine", 0755);
    EQUAL("what one makes is one's own", fstat(fd, &s) == 0 && s.st_uid == geteuid() && s.st_gid == getegid(), 1);
    EQUAL("given to oneself", chown("mine", geteuid(), getegid()), 0);
    EQUAL("given to nobody", chown("mine", -1, -1), 0);
    FAILS("what is not there", chown("nothing", 0, 0), ENOENT);
    FAILS("no path", chown("", 0, 0), ENOENT);
    FAILS("a bad address", chown((char *)8, 0, 0), EFAULT);
    FAILS("a bad descriptor", fchown(99, 0, 0), EBADF);
    FAILS("a bad flag", fchownat(AT_FDCWD, "mine", 0, 0, 0x4000), EINVAL);
    if (geteuid() == 0) {
        chmod("mine", 06755);
        EQUAL("given away", chown("mine", 7, 8), 0);
        EQUAL("it is told", stat("mine", &s) == 0 && s.st_uid == 7 && s.st_gid == 8, 1);
        EQUAL("and runs as its owner no more", s.st_mode & 07777, 0755);
        EQUAL("the group alone", fchown(fd, -1, 9) == 0 && fstat(fd, &s) == 0 && s.st_uid == 7 && s.st_gid == 9, 1);
        EQUAL("a link", symlink("mine", "link"), 0);
        EQUAL("itself", lchown("link", 5, 5) == 0 && lstat("link", &s) == 0 && s.st_uid == 5, 1);
        EQUAL("and not what it leads to", stat("link", &s) == 0 && s.st_uid == 7, 1);
        EQUAL("through it", chown("link", 6, -1) == 0 && stat("mine", &s) == 0 && s.st_uid == 6, 1);
        EQUAL("by its new name", rename("mine", "yours") == 0 && stat("yours", &s) == 0 && s.st_uid == 6, 1);
    } else {
        FAILS("not given away", chown("mine", 7, 8), EPERM);
    }
    close(fd);
}

static void ids(void) {
    uid_t u = geteuid();
    gid_t g = getegid();
    EQUAL("the user one is", setuid(u) + seteuid(u) + setreuid(u, u) + setresuid(u, u, u) + setresuid(-1, -1, -1), 0);
    EQUAL("the group", setgid(g) + setegid(g) + setregid(g, g) + setresgid(g, g, g) + setresgid(-1, g, -1), 0);
    FAILS("no user", setuid(-1), EINVAL);
    if (u == 0) {
        gid_t own = g;
        EQUAL("the groups", setgroups(1, &own), 0);
        FAILS("groups that are nowhere", setgroups(1, (gid_t *)8), EFAULT);
    }
}

static void holes(void) {
    struct stat s;
    int fd = open("sparse", O_CREAT | O_RDWR, 0600);
    EQUAL("longer than the drive", ftruncate(fd, 2L << 30), 0);
    EQUAL("holds nothing", fstat(fd, &s) == 0 && s.st_blocks == 0 && s.st_size == 2L << 30, 1);
    EQUAL("a write in its middle", pwrite(fd, "x", 1, 1 << 20), 1);
    EQUAL("holds a block", stat("sparse", &s) == 0 && s.st_blocks == 8, 1);
    EQUAL("which is found", lseek(fd, 0, SEEK_DATA), 1 << 20);
    EQUAL("and its end", lseek(fd, 1 << 20, SEEK_HOLE), (1 << 20) + 4096);
    EQUAL("shorter", ftruncate(fd, 0), 0);
    close(fd);
}

static void mappings(void) {
    int fd = open("map", O_CREAT | O_RDWR, 0600);
    if (ftruncate(fd, 3 * 4096)) exit(1);
    char *at = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    at[0] = at[4096] = at[8192] = 'x';
    EQUAL("msync", msync(at, 3 * 4096, MS_SYNC) + msync(at + 4096, 10, MS_ASYNC) + msync(at, 4096, 0), 0);
    FAILS("from within a page", msync(at + 1, 10, MS_SYNC), EINVAL);
    FAILS("both at once", msync(at, 4096, MS_SYNC | MS_ASYNC), EINVAL);
    FAILS("a flag that is none", msync(at, 4096, 64), EINVAL);
    munmap(at + 4096, 4096);
    FAILS("over a gap", msync(at, 3 * 4096, MS_SYNC), ENOMEM);
    EQUAL("sync_file_range", sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE), 0);
    FAILS("with a flag that is none", sync_file_range(fd, 0, 4096, 64), EINVAL);
    FAILS("before the beginning", sync_file_range(fd, -1, 4096, 0), EINVAL);
    FAILS("of nothing", sync_file_range(99, 0, 1, 0), EBADF);
    int p[2];
    if (pipe(p)) exit(1);
    FAILS("of a pipe", sync_file_range(p[0], 0, 1, 0), ESPIPE);
    close(p[0]), close(p[1]), close(fd);
}

static void datagrams(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof a;
    int u = socket(AF_INET, SOCK_DGRAM, 0);
    bind(u, (void *)&a, n);
    getsockname(u, (void *)&a, &n);
    char b[2];
    for (int round = 0; round < 4; round++) sendto(u, "hello", 5, 0, (void *)&a, n);
    struct iovec v = {b, 2};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    EQUAL("a datagram that is cut", recvmsg(u, &m, 0), 2);
    EQUAL("is told to be", m.msg_flags, MSG_TRUNC);
    EQUAL("with its length", recvmsg(u, &m, MSG_TRUNC), 5);
    EQUAL("by recv, too", recv(u, b, 2, MSG_TRUNC | MSG_PEEK), 5);
    char all[8];
    v = (struct iovec){all, 8};
    EQUAL("one that fits", recvmsg(u, &m, 0), 5);
    EQUAL("is not", m.msg_flags, 0);
    close(u);
}

static void controls(void) {
    int s[2], on = 1, q = -1;
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    EQUAL("FIOASYNC", ioctl(s[0], FIOASYNC, &on), 0);
    on = 0;
    EQUAL("FIOASYNC off", ioctl(s[0], FIOASYNC, &on), 0);
    EQUAL("FIONREAD", write(s[1], "abc", 3) == 3 && ioctl(s[0], FIONREAD, &q) == 0 && q == 3, 1);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    bind(l, (void *)&a, n), listen(l, 5), getsockname(l, (void *)&a, &n), connect(c, (void *)&a, n);
    EQUAL("TIOCOUTQ", ioctl(c, TIOCOUTQ, &q) == 0 && q == 0, 1);
    FAILS("TIOCOUTQ nowhere", ioctl(c, TIOCOUTQ, (int *)8), EFAULT);
    FAILS("of a closed one", ioctl(99, FIOASYNC, &on), EBADF);
    close(l), close(c), close(s[0]), close(s[1]);
}

static void backlog(void) {
    struct sockaddr_un u = {AF_UNIX, "socket"};
    int l = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(l, (void *)&u, sizeof u), listen(l, 0);
    long since = now_ms();
    if (fork() == 0) {
        pause_ms(200);
        for (int i = 0; i < 4; i++) accept(l, 0, 0);
        _exit(0);
    }
    int c = socket(AF_UNIX, SOCK_STREAM, 0);
    EQUAL("the first", connect(c, (void *)&u, sizeof u), 0);
    int hurried = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    FAILS("one that does not wait", connect(hurried, (void *)&u, sizeof u), EAGAIN);
    int patient = socket(AF_UNIX, SOCK_STREAM, 0);
    struct timeval limit = {.tv_usec = 50000};
    setsockopt(patient, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    FAILS("one that waits a while", connect(patient, (void *)&u, sizeof u), EAGAIN);
    for (int i = 0; i < 3; i++) EQUAL("one that waits", connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&u, sizeof u), 0);
    CHECK("it took as long", now_ms() - since >= 200);
    wait(NULL);
}

int main(void) {
    owners();
    ids();
    holes();
    mappings();
    datagrams();
    controls();
    backlog();
    return 0;
}
