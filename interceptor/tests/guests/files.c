/* Files: opening, positions, lengths, names, listings, locks, maps. */
#include "check.h"
#include <dirent.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static int has(const char *path, const char *text) {
    char have[256] = {0};
    int fd = open(path, O_RDONLY);
    if (fd < 0) return 0;
    ssize_t n = read(fd, have, sizeof have - 1);
    close(fd);
    return n == (ssize_t)strlen(text) && strcmp(have, text) == 0;
}

static void contents(void) {
    int fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0644);
    CHECK("create", fd >= 0);
    FAILS("create twice", open("a", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
    EQUAL("write", write(fd, "hello world", 11), 11);
    EQUAL("position", lseek(fd, 0, SEEK_CUR), 11);
    EQUAL("pwrite", pwrite(fd, "W", 1, 6), 1);
    EQUAL("pwrite keeps the position", lseek(fd, 0, SEEK_CUR), 11);
    CHECK("contents", has("a", "hello World"));
    char x[4], y[16] = {0};
    struct iovec parts[2] = {{x, 4}, {y, 16}};
    EQUAL("seek", lseek(fd, 2, SEEK_SET), 2);
    EQUAL("readv", readv(fd, parts, 2), 9);
    CHECK("readv spreads", memcmp(x, "llo ", 4) == 0 && memcmp(y, "World", 5) == 0);
    EQUAL("read at the end", read(fd, x, 4), 0);
    EQUAL("pread", pread(fd, x, 4, 7), 4);
    EQUAL("preadv", preadv(fd, parts, 2, 1), 10);
    struct iovec out[2] = {{"ab", 2}, {"cd", 2}};
    EQUAL("writev", writev(fd, out, 2), 4);
    CHECK("writev joins", has("a", "hello Worldabcd"));
    EQUAL("ftruncate", ftruncate(fd, 5), 0);
    CHECK("shorter", has("a", "hello"));
    EQUAL("truncate", truncate("a", 7), 0);
    EQUAL("seek to the end", lseek(fd, 0, SEEK_END), 7);
    EQUAL("a hole reads as zeros", pread(fd, x, 4, 4) == 3 && x[0] == 'o' && x[1] == 0, 1);
    EQUAL("fallocate", posix_fallocate(fd, 0, 100), 0);
    EQUAL("longer", lseek(fd, 0, SEEK_END), 100);
    EQUAL("seek before the start", lseek(fd, -1, SEEK_SET), -1);
    EQUAL("fsync", fsync(fd), 0);
    EQUAL("fdatasync", fdatasync(fd), 0);
    EQUAL("close", close(fd), 0);
    FAILS("closed", write(fd, "x", 1), EBADF);
    FAILS("absent", open("nowhere", O_RDONLY), ENOENT);
    fd = open("a", O_RDONLY);
    FAILS("read only", write(fd, "x", 1), EBADF);
    close(fd);
    fd = open("a", O_WRONLY | O_TRUNC);
    FAILS("write only", read(fd, x, 1), EBADF);
    close(fd);
    CHECK("cut when opened", has("a", ""));
}

static void append(void) {
    int one = open("log", O_WRONLY | O_CREAT | O_APPEND, 0644), two = open("log", O_WRONLY | O_APPEND);
    EQUAL("append", write(one, "one", 3) + write(two, "two", 3) + write(one, "three", 5), 11);
    CHECK("in order", has("log", "onetwothree"));
    int flags = fcntl(one, F_GETFL);
    CHECK("status flags", (flags & O_APPEND) && (flags & O_ACCMODE) == O_WRONLY);
    close(one);
    close(two);
    int fd = open("log", O_RDWR), copy = dup(fd);
    char c = 0;
    EQUAL("dup shares the position", read(fd, &c, 1) + read(copy, &c, 1), 2);
    EQUAL("the second byte", c, 'n');
    EQUAL("dup2", dup2(fd, 40), 40);
    EQUAL("dup2 of itself", dup2(40, 40), 40);
    EQUAL("F_DUPFD", fcntl(fd, F_DUPFD_CLOEXEC, 60), 60);
    EQUAL("close-on-exec", fcntl(60, F_GETFD), FD_CLOEXEC);
    EQUAL("lowest number", (close(copy), dup(fd)), copy);
    FAILS("dup of a closed one", dup(99), EBADF);
    close(fd), close(copy), close(40), close(60);
}

static void names(void) {
    struct stat s, t;
    EQUAL("mkdir", mkdir("d", 0755), 0);
    FAILS("mkdir twice", mkdir("d", 0755), EEXIST);
    close(open("d/x", O_CREAT | O_WRONLY, 0600));
    EQUAL("rename", rename("d/x", "d/y"), 0);
    FAILS("renamed away", stat("d/x", &s), ENOENT);
    EQUAL("link", link("d/y", "d/z"), 0);
    EQUAL("stat", stat("d/y", &s) + stat("d/z", &t), 0);
    CHECK("same inode", s.st_ino == t.st_ino && s.st_nlink == 2);
    EQUAL("mode", s.st_mode, S_IFREG | 0600);
    FAILS("rmdir of a full one", rmdir("d"), ENOTEMPTY);
    FAILS("unlink of a directory", unlink("d"), EISDIR);
    EQUAL("symlink", symlink("y", "d/s"), 0);
    char to[16] = {0};
    EQUAL("readlink", readlink("d/s", to, 15), 1);
    EQUAL("lstat", lstat("d/s", &s) == 0 && S_ISLNK(s.st_mode), 1);
    EQUAL("through the link", stat("d/s", &s) == 0 && S_ISREG(s.st_mode), 1);
    int dir = open("d", O_RDONLY | O_DIRECTORY);
    EQUAL("fstatat", fstatat(dir, "z", &s, 0), 0);
    EQUAL("unlinkat", unlinkat(dir, "z", 0), 0);
    int at = openat(dir, "made", O_CREAT | O_RDWR, 0644);
    EQUAL("openat", write(at, "12345", 5), 5);
    EQUAL("fstat", fstat(at, &s) == 0 && s.st_size == 5, 1);
    struct statx x;
    EQUAL("statx", statx(dir, "made", 0, STATX_SIZE, &x) == 0 && x.stx_size == 5, 1);
    EQUAL("unlink of an open file", unlink("d/made"), 0);
    EQUAL("lives on", pread(at, to, 5, 0), 5);
    EQUAL("has no name", fstat(at, &s) == 0 && s.st_nlink == 0, 1);
    close(at);
    EQUAL("fchmod", chmod("d/y", 0640), 0);
    EQUAL("fsync of a directory", fsync(dir), 0);
    close(dir);
    EQUAL("access", access("d/y", R_OK | W_OK), 0);
    FAILS("no access", access("d/none", F_OK), ENOENT);
    FAILS("not a directory", open("d/y/z", O_RDONLY), ENOTDIR);
    EQUAL("chdir", chdir("d"), 0);
    EQUAL("relative to it", stat("y", &s), 0);
    char here[4096];
    CHECK("getcwd", getcwd(here, sizeof here) && strcmp(strrchr(here, '/'), "/d") == 0);
    EQUAL("back", chdir(".."), 0);
    struct statfs f;
    EQUAL("statfs", statfs(".", &f), 0);
    CHECK("realpath", realpath("d/../d/y", here) && strcmp(strrchr(here, '/'), "/y") == 0);
}

static void listing(void) {
    mkdir("many", 0755);
    char name[32];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "many/%03d-a-long-name", (i * 7919) % 300);
        close(open(name, O_CREAT | O_WRONLY, 0644));
    }
    DIR *dir = opendir("many");
    int count = 0, dots = 0, files = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.') dots++;
        else count++, files += e->d_type == DT_REG;
    }
    EQUAL("entries", count * 1000 + dots, 300002);
    EQUAL("types", files, 300);
    rewinddir(dir);
    CHECK("rewind", readdir(dir) != NULL);
    closedir(dir);
}

static void locks(void) {
    int fd = open("lock", O_CREAT | O_RDWR, 0644), other = open("lock", O_RDWR);
    EQUAL("flock", flock(fd, LOCK_EX), 0);
    FAILS("flock held", flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    EQUAL("unlock", flock(fd, LOCK_UN), 0);
    EQUAL("shared", flock(fd, LOCK_SH) + flock(other, LOCK_SH), 0);
    close(other);
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
    EQUAL("record lock", fcntl(fd, F_SETLK, &range), 0);
    int go[2];
    if (pipe(go)) exit(1);
    pid_t child = fork();
    if (child == 0) {
        struct flock wanted = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1};
        int bad = fcntl(fd, F_SETLK, &wanted) != -1 || (errno != EAGAIN && errno != EACCES);
        struct flock asked = wanted;
        bad |= fcntl(fd, F_GETLK, &asked) || asked.l_type != F_WRLCK || asked.l_start != 10 || asked.l_pid != getppid();
        bad |= write(go[1], "x", 1) != 1;
        bad |= fcntl(fd, F_SETLKW, &wanted) != 0;
        _exit(bad);
    }
    char c;
    if (read(go[0], &c, 1) != 1) exit(1);
    range.l_type = F_UNLCK;
    EQUAL("record unlock", fcntl(fd, F_SETLK, &range), 0);
    int status = -1;
    waitpid(child, &status, 0);
    EQUAL("waits for the lock", status, 0);
    close(fd);
}

/* Locks of an open file, as servers lock their logs: between descriptions, not between processes. */
static void description_locks(void) {
    int fd = open("wal", O_CREAT | O_RDWR, 0644), other = open("wal", O_RDWR), copy = dup(fd);
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    EQUAL("lock of a description", fcntl(fd, F_OFD_SETLK, &all), 0);
    FAILS("held against another of the same process", fcntl(other, F_OFD_SETLK, &all), EAGAIN);
    struct flock asked = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    EQUAL("asked about", fcntl(other, F_OFD_GETLK, &asked), 0);
    CHECK("it is nobody's", asked.l_type == F_WRLCK && asked.l_pid == -1);
    EQUAL("shared with a copy", fcntl(copy, F_OFD_SETLK, &all), 0);
    close(fd);
    FAILS("which keeps it", fcntl(other, F_OFD_SETLK, &all), EAGAIN);
    pid_t child = fork();
    if (child == 0) {
        struct flock mine = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int bad = fcntl(copy, F_OFD_SETLK, &mine) != 0;
        bad |= fcntl(other, F_OFD_SETLKW, &mine) != 0;
        _exit(bad);
    }
    close(copy);
    int status = -1;
    pause_ms(20);
    EQUAL("the child's copy keeps it too", waitpid(child, &status, WNOHANG), 0);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    EQUAL("and its end gives it back", fcntl(other, F_OFD_SETLK, &all), 0);
    close(other);
}

static void maps(void) {
    int fd = open("map", O_CREAT | O_RDWR, 0644);
    if (ftruncate(fd, 8192)) exit(1);
    char *shared = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK("mmap", shared != MAP_FAILED && private != MAP_FAILED);
    memcpy(shared, "shared", 6);
    char text[8] = {0};
    EQUAL("a shared store is read", pread(fd, text, 6, 0) == 6 && memcmp(text, "shared", 6) == 0, 1);
    memcpy(private + 4096, "mine", 4);
    EQUAL("a private store is not", pread(fd, text, 4, 4096) == 4 && text[0] == 0, 1);
    EQUAL("a write is seen in the map", pwrite(fd, "W", 1, 0) == 1 && shared[0] == 'W', 1);
    EQUAL("msync", msync(shared, 8192, MS_SYNC), 0);
    EQUAL("munmap", munmap(shared, 8192) + munmap(private, 8192), 0);
    close(fd);
}

static void outside(void) {
    int fd = open("/dev/null", O_WRONLY);
    EQUAL("/dev/null", write(fd, "x", 1), 1);
    close(fd);
    char *volatile wild = (char *)8;
    char zeros[4] = {1, 1, 1, 1};
    fd = open("/dev/zero", O_RDONLY);
    EQUAL("/dev/zero", read(fd, zeros, 4) == 4 && zeros[3] == 0, 1);
    close(fd);
    FAILS("a bad address", write(open("bad", O_CREAT | O_WRONLY, 0644), wild, 4), EFAULT);
    if (sandboxed()) {
        fd = open("/usr/from-the-sandbox", O_CREAT | O_WRONLY, 0644);
        if (fd >= 0 || errno != EROFS) check(0, "the host's files", "errno %d", errno);
        if (mkdir("/usr/dir-from-the-sandbox", 0755) == 0 || errno != EROFS) check(0, "the host's names", "errno %d", errno);
        if (chmod("/etc/hostname", 0644) == 0) check(0, "the host's modes", "chmod succeeded");
    }
}

/* As getdents(2) tells it: the kind of an entry is its last byte. */
static void old_listing(void) {
    char room[4096];
    mkdir("old", 0755);
    EQUAL("a file by mknod", mknod("old/made", S_IFREG | 0600, 0), 0);
    FAILS("once", mknod("old/made", S_IFREG | 0600, 0), EEXIST);
    FAILS("of no kind", mknod("old/odd", 0170000, 0), EINVAL);
    mkdir("old/inner", 0755);
    int fd = open("old", O_RDONLY | O_DIRECTORY), found = 0;
    long got = syscall(SYS_getdents, fd, room, sizeof room);
    for (long at = 0; at < got;) {
        unsigned short len;
        memcpy(&len, room + at + 16, sizeof len);
        char *name = room + at + 18, kind = room[at + len - 1];
        if (strcmp(name, "made") == 0 && kind == DT_REG) found++;
        if (strcmp(name, "inner") == 0 && kind == DT_DIR) found++;
        at += len;
    }
    EQUAL("names and kinds", found, 2);
    close(fd);
}

int main(void) {
    contents();
    append();
    names();
    listing();
    old_listing();
    locks();
    description_locks();
    maps();
    outside();
    return 0;
}
