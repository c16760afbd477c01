/* Tries to get out of its root: to the files of the host, of other nodes, of the sandbox, and to other processes. */
#include "check.h"
#include <dirent.h>
#include <limits.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

static int writable(const char *path) {
    static const int ways[] = {O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC, O_RDONLY | O_TRUNC, O_WRONLY | O_APPEND};
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        int fd = open(path, ways[i]);
        if (fd < 0) continue;
        if (write(fd, "HACK", 4) > 0 || (ways[i] & O_TRUNC)) return 1;
        close(fd);
    }
    return 0;
}

/* Whether a pipe opens in any way, also one that does not wait. */
static int opens(const char *pipe) {
    char by_descriptor[64];
    int fd = open(pipe, O_PATH);
    snprintf(by_descriptor, sizeof by_descriptor, "/proc/self/fd/%d", fd);
    const char *names[] = {pipe, by_descriptor};
    for (int i = 0; i < (fd < 0 ? 1 : 2); i++) for (int way = O_RDONLY; way <= O_RDWR; way++) {
        int end = open(names[i], way | O_NONBLOCK);
        if (end >= 0) return 1;
    }
    close(fd);
    return 0;
}

static void refuses(const char *how, const char *directory, int there) {
    char victim[PATH_MAX], fresh[PATH_MAX], name[PATH_MAX + 64];
    snprintf(victim, sizeof victim, "%s/victim", directory);
    snprintf(fresh, sizeof fresh, "%s/fresh", directory);
    struct timespec times[2] = {{1, 0}, {1, 0}};
#define NAME(what) (snprintf(name, sizeof name, "%s: %s", how, what), name)
    CHECK(NAME("not written"), !writable(victim));
    CHECK(NAME("nothing made"), open(fresh, O_CREAT | O_WRONLY, 0644) == -1);
    CHECK(NAME("nothing unnamed made"), open(directory, O_TMPFILE | O_RDWR, 0600) == -1);
    CHECK(NAME("not cut"), truncate(victim, 0) == -1);
    CHECK(NAME("mode kept"), chmod(victim, 0777) == -1);
    CHECK(NAME("owner kept"), chown(victim, 1, 1) == -1);
    CHECK(NAME("times kept"), utimensat(AT_FDCWD, victim, times, 0) == -1);
    CHECK(NAME("not removed"), unlink(victim) == -1);
    CHECK(NAME("not moved here"), rename(victim, "moved") == -1);
    CHECK(NAME("not linked here"), link(victim, "linked") == -1);
    CHECK(NAME("no directory"), mkdir(fresh, 0755) == -1);
    CHECK(NAME("no link"), symlink("x", fresh) == -1);
    CHECK(NAME("no node"), mknod(fresh, S_IFREG | 0644, 0) == -1);
    snprintf(fresh, sizeof fresh, "%s/pipe", directory);
    CHECK(NAME("no pipe opens"), !opens(fresh));
    if (there) CHECK(NAME("but read"), open(victim, O_RDONLY) >= 0);
    int fd = open(victim, O_RDONLY);
    if (fd >= 0) {
        char open_as[64];
        snprintf(open_as, sizeof open_as, "/proc/self/fd/%d", fd);
        CHECK(NAME("not written by its descriptor"), !writable(open_as));
        CHECK(NAME("not cut by its descriptor"), truncate(open_as, 0) == -1 && ftruncate(fd, 0) == -1);
        CHECK(NAME("mode kept by its descriptor"), fchmod(fd, 0777) == -1 && chmod(open_as, 0777) == -1);
        CHECK(NAME("owner kept by its descriptor"), fchown(fd, 1, 1) == -1);
        CHECK(NAME("not linked by its descriptor"),
              syscall(SYS_linkat, fd, "", AT_FDCWD, "l2", AT_EMPTY_PATH) == -1 &&
                  syscall(SYS_linkat, AT_FDCWD, open_as, AT_FDCWD, "l3", AT_SYMLINK_FOLLOW) == -1);
        CHECK(NAME("not mapped to be written"),
              mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
        close(fd);
    }
#undef NAME
}

/* A directory of the host, by every name that leads to it. */
static void host(const char *directory, int there) {
    char path[PATH_MAX];
    refuses("its name", directory, there);
    static const char *before[] = {
        "/dev/..", "/proc/..", "/proc/./..", "/proc/self/root", "/proc/self/./root", "/proc/thread-self/root", "/proc/1/root",
        "/proc/self/task/1/root", "/proc/self/cwd/../..", "/dev/shm/../..", "/tmp/..", "//", "/dev/fd/../../..",
    };
    for (unsigned i = 0; i < sizeof before / sizeof *before; i++) {
        snprintf(path, sizeof path, "%s%s", before[i], directory);
        refuses(before[i], path, 0);
    }
    CHECK("a link to a directory", symlink(directory, "sd") == 0);
    refuses("a link to its directory", "sd", there);
    snprintf(path, sizeof path, "%s/victim", directory);
    CHECK("a link to a file", symlink(path, "victim") == 0);
    CHECK("the link's file is not written", !writable("victim") && truncate("victim", 0) == -1);
    snprintf(path, sizeof path, "../..%s", directory);
    refuses("dots", path, there);
    int root = open("/", O_RDONLY | O_DIRECTORY);
    snprintf(path, sizeof path, ".%s/victim", directory);
    CHECK("a descriptor of the root", openat(root, path, O_WRONLY) == -1);
    CHECK("above the root", openat(root, "../../../etc/passwd", O_WRONLY) == -1);
    CHECK("working directory", chdir(directory) == (there ? 0 : -1));
    if (there) {
        refuses("working directory", ".", 1);
        CHECK("and back", chdir("/srv/n1") == 0);
    }
}

static int absent(const char *path) {
    struct stat s;
    return stat(path, &s) == -1 && errno == ENOENT && open(path, O_RDONLY) == -1;
}

/* Files that no guest may know of. */
static void hidden(void) {
    static const char *paths[] = {
        "/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/port", "/dev/ptmx", "/dev/fuse", "/dev/net/tun", "/dev/tty", "/dev/vda",
        "/dev/sda", "/proc/kcore", "/proc/kallsyms", "/proc/kmsg", "/proc/sysrq-trigger", "/proc/bus", "/proc/acpi",
        "/sys/power", "/sys/kernel/debug", "/sys/fs", "/sys/class", "/srv/n2", "/srv/.system", "/srv/.pages-n1", "/srv/.root",
        "/srv/n1.graveyard", "/srv/n1/../n2", "/srv/n1/../n1.graveyard", "/proc/.passing/file", "/run/dbus", "/run/systemd",
        "/etc/ld.so.preload",
    };
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) CHECK(paths[i], absent(paths[i]));
    static const char *settings[] = {
        "/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory", "/etc/passwd", "/etc/hosts", "/proc/self/mem",
        "/proc/self/uid_map", "/proc/self/root/etc/passwd", "/sys/devices/system/cpu/online", "/proc/self/maps",
    };
    for (unsigned i = 0; i < sizeof settings / sizeof *settings; i++) CHECK(settings[i], !writable(settings[i]));
    FAILS("no device is made", mknod("blk", S_IFBLK | 0600, makedev(254, 0)), EPERM);
    CHECK("a null device takes all", open("/dev/null", O_RDWR | O_TRUNC) >= 0 && open("/dev/null", O_CREAT | O_WRONLY, 0644) >= 0);
    CHECK("the root is as it was", mkdir("/fresh", 0755) == -1 && open("/fresh", O_CREAT | O_RDWR, 0644) == -1);
    CHECK("no memory of the host's", open("/dev/fresh", O_CREAT | O_RDWR, 0644) == -1 && unlink("/dev/null") == -1);
}

static char content[1 << 16];

static long slurp(const char *path) {
    int fd = open(path, O_RDONLY);
    if (fd < 0) return -1;
    long got = read(fd, content, sizeof content - 1);
    content[got < 0 ? 0 : got] = 0;
    close(fd);
    return got;
}

/* Processes: only the node's own, by its own numbers. */
static void others(const char *host) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%s/environ", host);
    CHECK("no process of the host", absent(path));
    snprintf(path, sizeof path, "/proc/self/../%s/environ", host);
    CHECK("no process of the host by dots", absent(path));
    CHECK("nor by links", symlink("/proc", "pp") == 0 && (snprintf(path, sizeof path, "pp/%s", host), absent(path)));
    int proc = open("/proc", O_RDONLY | O_DIRECTORY);
    CHECK("nor by a descriptor", proc >= 0 && openat(proc, host, O_RDONLY) == -1);
    pid_t child = fork();
    if (!child) {
        pause();
        _exit(0);
    }
    DIR *listing = opendir("/proc");
    int mine = 0, foreign = 0;
    for (struct dirent *entry; listing && (entry = readdir(listing));)
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') {
            int pid = atoi(entry->d_name);
            if (pid == getpid() || pid == child) mine++;
            else foreign++;
        }
    CHECK("exactly its own are listed", mine == 2 && foreign == 0);
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    char expected[64];
    snprintf(expected, sizeof expected, "%d (", child);
    CHECK("a child's numbers", access(path, R_OK) == 0 && slurp(path) > 0 && strncmp(content, expected, strlen(expected)) == 0);
    CHECK("and its parent's", strstr(content, ") R 1 ") || strstr(content, ") S 1 "));
    kill(child, SIGKILL);
    waitpid(child, 0, 0);
    CHECK("gone when it is", absent(path));
    CHECK("its own by number", slurp("/proc/1/cmdline") > 0 && strstr(content, "contained"));
    CHECK("its own by name", slurp("/proc/self/status") > 0 && strstr(content, "\nPid:\t1\n"));
    CHECK("its memory map", slurp("/proc/self/maps") > 0 && strstr(content, "contained") && !strstr(content, "passing"));
    CHECK("no mounts of the host", slurp("/proc/self/mountinfo") > 0 && !strstr(content, "ext4") && !strstr(content, "overlay"));
    long got = readlink("/proc/self/exe", content, sizeof content);
    CHECK("its program", got > 0 && (content[got] = 0, strstr(content, "contained")));
    got = readlink("/proc/self/cwd", content, sizeof content);
    CHECK("its directory", got == 7 && memcmp(content, "/srv/n1", 7) == 0);
}

/* What it may write is its own, and new in each run. */
static void own(void) {
    char name[] = "/tmp/fidXXXXXX", var[] = "/var/tmp/fidXXXXXX";
    CHECK("a temporary file", tmpfile() != 0 || errno == EOPNOTSUPP);
    CHECK("a temporary name", mkstemp(name) >= 0);
    CHECK("another one", mkstemp(var) >= 0);
    CHECK("shared memory is new", shm_open("/left", O_CREAT | O_EXCL | O_RDWR, 0600) >= 0);
    CHECK("a semaphore is new", sem_open("/left", O_CREAT | O_EXCL, 0600, 1) != SEM_FAILED);
    CHECK("a run file is new", open("/run/left", O_CREAT | O_EXCL | O_RDWR, 0600) >= 0);
    CHECK("through the old name", access("/var/run/left", F_OK) == 0);
    CHECK("a temporary one is new", open("/tmp/left", O_CREAT | O_EXCL | O_RDWR, 0600) >= 0);
    FAILS("names do not cross drives", rename("/tmp/left", "left"), EXDEV);
    FAILS("nor do links", link("/tmp/left", "left"), EXDEV);
    CHECK("its data too", open("left", O_CREAT | O_EXCL | O_RDWR, 0600) >= 0);
    struct stat s;
    CHECK("which it owns", stat("left", &s) == 0 && s.st_uid == geteuid() && s.st_gid == getegid());
    char directory[PATH_MAX];
    CHECK("it knows where it is", getcwd(directory, sizeof directory) && strcmp(directory, "/srv/n1") == 0);
    CHECK("a directory that moves is still there", mkdir("a", 0755) == 0 && chdir("a") == 0 && rename("../a", "../b") == 0 &&
          open("inside", O_CREAT | O_RDWR, 0644) >= 0 && getcwd(directory, sizeof directory) && strcmp(directory, "/srv/n1/b") == 0);
    CHECK("through its new name", access("/srv/n1/b/inside", R_OK) == 0 && chdir("..") == 0);
}

int main(int argc, char **argv) {
    if (argc < 4) return 9;
    own();
    host(argv[1], 1);
    unlink("sd"), unlink("victim");
    host(argv[2], 0);
    hidden();
    others(argv[3]);
    return 0;
}
