/* Every call that takes the number of a process, given one that is nobody's here. */
#include "check.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <linux/capability.h>

int main(int argc, char **argv) {
    unsigned char drawn;
    EQUAL("what the seed decides", getrandom(&drawn, 1, 0), 1);
    pid_t who = argc > 1 ? atoi(argv[1]) : 0x3fffff;
    siginfo_t info = {.si_code = SI_QUEUE};
    struct rlimit64 limit = {1, 1}, had;
    cpu_set_t cpus;
    struct sched_param param = {0};
    struct timespec t;
    char byte = 0;
    struct iovec vector = {&byte, 1};
    FAILS("kill", kill(who, SIGKILL), ESRCH);
    FAILS("kill of a group", kill(-who, SIGKILL), ESRCH);
    FAILS("tkill", syscall(SYS_tkill, who, SIGKILL), ESRCH);
    FAILS("tgkill", syscall(SYS_tgkill, who, who, SIGKILL), ESRCH);
    FAILS("rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, who, SIGTERM, &info), ESRCH);
    FAILS("rt_tgsigqueueinfo", syscall(SYS_rt_tgsigqueueinfo, who, who, SIGTERM, &info), ESRCH);
    FAILS("prlimit", syscall(SYS_prlimit64, who, RLIMIT_NOFILE, &limit, NULL), ESRCH);
    FAILS("prlimit that asks", syscall(SYS_prlimit64, who, RLIMIT_NOFILE, NULL, &had), ESRCH);
    FAILS("setpriority", setpriority(PRIO_PROCESS, who, 19), ESRCH);
    FAILS("getpriority", getpriority(PRIO_PROCESS, who), ESRCH);
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    FAILS("sched_setaffinity", sched_setaffinity(who, sizeof cpus, &cpus), ESRCH);
    FAILS("sched_getaffinity", sched_getaffinity(who, sizeof cpus, &cpus), ESRCH);
    FAILS("sched_setscheduler", sched_setscheduler(who, SCHED_BATCH, &param), ESRCH);
    FAILS("sched_getscheduler", sched_getscheduler(who), ESRCH);
    FAILS("sched_setparam", sched_setparam(who, &param), ESRCH);
    FAILS("sched_getparam", sched_getparam(who, &param), ESRCH);
    FAILS("sched_rr_get_interval", sched_rr_get_interval(who, &t), ESRCH);
    FAILS("ioprio_set", syscall(SYS_ioprio_set, 1, who, 3 << 13), ESRCH);
    FAILS("ioprio_get", syscall(SYS_ioprio_get, 1, who), ESRCH);
    FAILS("setpgid", setpgid(who, who), ESRCH);
    FAILS("getpgid", getpgid(who), ESRCH);
    FAILS("getsid", getsid(who), ESRCH);
    FAILS("waitpid", waitpid(who, NULL, WNOHANG), ECHILD);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, who};
    struct __user_cap_data_struct caps[2];
    FAILS("capget", syscall(SYS_capget, &header, caps), ESRCH);
    header.pid = getpid();
    EQUAL("capget of oneself", syscall(SYS_capget, &header, caps), 0);
    CHECK("ptrace", ptrace(PTRACE_SEIZE, who, NULL, NULL) == -1);
    CHECK("process_vm_readv", process_vm_readv(who, &vector, 1, &vector, 1, 0) == -1);
    CHECK("process_vm_writev", process_vm_writev(who, &vector, 1, &vector, 1, 0) == -1);
    CHECK("pidfd_open", syscall(SYS_pidfd_open, who, 0) == -1);
    CHECK("kcmp", syscall(SYS_kcmp, who, getpid(), 0, 0, 0) == -1);
    CHECK("move_pages", syscall(SYS_move_pages, who, 0L, NULL, NULL, NULL, 0) == -1);
    CHECK("core scheduling", prctl(62, 3, who, 0, NULL) == -1);
    CHECK("get_robust_list", syscall(SYS_get_robust_list, who, &vector, &limit) == -1);

    EQUAL("limits are asked for", getrlimit(RLIMIT_NOFILE, (struct rlimit *)&had), 0);
    limit.rlim_cur = had.rlim_cur - 1, limit.rlim_max = had.rlim_max;
    EQUAL("and set", syscall(SYS_prlimit64, getpid(), RLIMIT_NOFILE, &limit, &had), 0);
    EQUAL("as they are then", getrlimit(RLIMIT_NOFILE, (struct rlimit *)&had), 0);
    EQUAL("one less", had.rlim_cur, limit.rlim_cur);
    limit.rlim_cur = limit.rlim_max + 1;
    FAILS("soft limits are below hard ones", setrlimit(RLIMIT_NOFILE, (struct rlimit *)&limit), EINVAL);
    pid_t child = fork();
    if (child == 0) for (;;) pause();
    limit.rlim_cur = limit.rlim_max = 99;
    EQUAL("those of a child", syscall(SYS_prlimit64, child, RLIMIT_NOFILE, &limit, NULL), 0);
    EQUAL("are its own", syscall(SYS_prlimit64, child, RLIMIT_NOFILE, NULL, &had), 0);
    EQUAL("and kept", had.rlim_max, 99);
    getrlimit(RLIMIT_NOFILE, (struct rlimit *)&had);
    CHECK("apart from ours", had.rlim_max > 99);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    FAILS("a child that is gone", syscall(SYS_prlimit64, child, RLIMIT_NOFILE, NULL, &had), ESRCH);
    return 0;
}
