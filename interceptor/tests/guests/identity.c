/* Who and where a guest is. What differs natively goes to standard error. */
#include "check.h"
#include <dirent.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static void show(const char *what, const unsigned char *bytes, int len) {
    fprintf(stderr, "%s ", what);
    for (int i = 0; i < len; i++) fprintf(stderr, "%02x", bytes[i]);
    fprintf(stderr, "\n");
}

static void *own_id(void *arg) {
    *(pid_t *)arg = syscall(SYS_gettid);
    return NULL;
}

int main(void) {
    unsigned char bytes[16] = {0}, more[16] = {0};
    EQUAL("getrandom", getrandom(bytes, 16, 0), 16);
    show("getrandom", bytes, 16);
    int fd = open("/dev/urandom", O_RDONLY);
    EQUAL("/dev/urandom", read(fd, more, 16), 16);
    close(fd);
    DIR *own_files = opendir("/proc/self/fd");
    int files = 0, open_files = 0;
    for (struct dirent *entry; (entry = readdir(own_files));) {
        if (entry->d_name[0] == '.') continue;
        files++;
        open_files += fcntl(atoi(entry->d_name), F_GETFD) >= 0;
    }
    closedir(own_files);
    CHECK("/proc/self/fd: at least the standard ones and the directory", files >= 4);
    EQUAL("/proc/self/fd: all of them open here", open_files, files);
    CHECK("not the same", memcmp(bytes, more, 16) != 0);
    show("urandom", more, 16);
    show("AT_RANDOM", (unsigned char *)getauxval(AT_RANDOM), 16);
    CHECK("a signal stack as on any other machine", !sandboxed() || getauxval(51 /* AT_MINSIGSTKSZ */) == 8192);
    unsigned long vectors[128] = {0}, *told = (unsigned long *)environ;
    int auxv = open("/proc/self/auxv", O_RDONLY), of_all = 0;
    CHECK("/proc/self/auxv", read(auxv, vectors, sizeof vectors - 16) > 0);
    close(auxv);
    while (*told++) {}
    for (int i = 0; told[i]; i += 2) of_all += (told[i] == AT_HWCAP && told[i + 1] == 0x783fbff) || (told[i] == AT_HWCAP2 && !told[i + 1]);
    CHECK("what all processors can, and not what this one can", !sandboxed() || of_all == 2);
    for (of_all = 1; *told; told += 2) for (int i = 0; vectors[i]; i += 2) of_all &= vectors[i] != *told || vectors[i + 1] == told[1];
    CHECK("/proc/self/auxv: as the program was told", of_all);
    unsigned what = 1, which = 0, can = 0, more_of_it = 0;
    __asm__ volatile("cpuid" : "+a"(what), "=b"(which), "+c"(can), "=d"(more_of_it));
    CHECK("what the processor is", what != 0 && (more_of_it & 1 << 26 /* SSE2 */));
    CHECK("and not which one", !sandboxed() || !getenv("CPUID") || (which >> 24 == 0 && !(can & 1 << 30 /* RDRAND */)));
    CHECK("and no registers that others lack", !sandboxed() || (syscall(SYS_arch_prctl, 0x1021 /* ARCH_GET_XCOMP_SUPP */, bytes) == -1 && errno == EINVAL));
    char line[512];
    int of_kernel = 0;
    FILE *mapped = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, mapped)) of_kernel += strstr(line, "[vvar") != NULL;
    fclose(mapped);
    CHECK("nothing in which the kernel tells its time", !sandboxed() || of_kernel == 0);
    CHECK("and it is not had for asking", !sandboxed() || (syscall(SYS_arch_prctl, 0x2003 /* ARCH_MAP_VDSO_64 */, 0x700000000000) == -1 && errno == EINVAL));
    int pid = getpid(), tid = syscall(SYS_gettid);
    EQUAL("gettid", tid, pid);
    pid_t other = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, own_id, &other);
    pthread_join(thread, NULL);
    CHECK("a thread's own id", other > 0 && other != tid);
    struct utsname name;
    EQUAL("uname", uname(&name) == 0 && strcmp(name.sysname, "Linux") == 0 && strcmp(name.machine, "x86_64") == 0, 1);
    char host[65] = {0};
    EQUAL("gethostname", gethostname(host, 64) == 0 && strcmp(host, name.nodename) == 0, 1);
    char called[66] = {0};
    fd = open("/proc/sys/kernel/hostname", O_RDONLY);
    CHECK("/proc/sys/kernel/hostname", read(fd, called, 65) > 1 && strcmp(strtok(called, "\n"), host) == 0);
    close(fd);
    struct sysinfo info;
    EQUAL("sysinfo", sysinfo(&info) == 0 && info.totalram > 0, 1);
    cpu_set_t set;
    EQUAL("affinity", sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 1, 1);
    CHECK("a processor", sched_getcpu() >= 0);
    struct rlimit limit;
    EQUAL("getrlimit", getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 0, 1);
    char text[512];
    FILE *file = fopen("/proc/cpuinfo", "r");
    int processors = 0;
    while (fgets(text, sizeof text, file)) processors += strncmp(text, "processor", 9) == 0;
    CHECK("/proc/cpuinfo", processors >= 1);
    fclose(file);
    file = fopen("/proc/self/stat", "r");
    char own[64], there[64] = {0};
    snprintf(own, sizeof own, "/proc/%d/exe", getpid());
    CHECK("/proc by its own number", readlink(own, there, sizeof there - 1) > 0);
    CHECK("/proc/self/stat", fgets(text, sizeof text, file) && strchr(text, ')'));
    fclose(file);
    fprintf(stderr, "pid %d thread %d host %s cpus %d %d %ld ram %lu uid %d brk %p stack %p code %p\n", pid, other, host,
            CPU_COUNT(&set), processors, sysconf(_SC_NPROCESSORS_ONLN), info.totalram, getuid(), sbrk(0), (void *)&set, (void *)main);
    return 0;
}
