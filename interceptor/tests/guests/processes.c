/* Processes: making, replacing, ending and awaiting them. With an argument it is its own child. */
#include "check.h"
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

extern char **environ;

static int as_child(int argc, char **argv) {
    if (strcmp(argv[1], "env") == 0) {
        const char *value = getenv("COLOUR");
        return value && strcmp(value, "green") == 0 && argc == 4 && strcmp(argv[3], "two words") == 0 ? 42 : 1;
    }
    if (strcmp(argv[1], "fd") == 0) {
        int open_fd = atoi(argv[2]), closed_fd = atoi(argv[3]);
        return fcntl(open_fd, F_GETFD) == 0 && fcntl(closed_fd, F_GETFD) == -1 ? 0 : 1;
    }
    if (strcmp(argv[1], "rest") == 0) for (;;) pause();
    return 99;
}

static int status_of(pid_t pid) {
    int status = -1;
    if (waitpid(pid, &status, 0) != pid) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void forks(void) {
    pid_t me = getpid(), child = fork();
    static int number = 1;
    if (child == 0) {
        number = 2;
        _exit(getppid() == me && getpid() != me ? 7 : 1);
    }
    EQUAL("exit code", status_of(child), 7);
    EQUAL("memory of its own", number, 1);
    FAILS("nobody left", waitpid(-1, NULL, 0), ECHILD);
    int hold[2];
    if (pipe(hold)) exit(1);
    child = fork();
    if (child == 0) {
        char c;
        close(hold[1]);
        _exit(read(hold[0], &c, 1) == 0 ? 0 : 1);
    }
    EQUAL("WNOHANG", waitpid(child, NULL, WNOHANG), 0);
    close(hold[1]);
    EQUAL("then it ends", status_of(child), 0);
    close(hold[0]);
    child = fork();
    if (child == 0) for (;;) pause();
    EQUAL("kill", kill(child, SIGTERM), 0);
    EQUAL("killed by", status_of(child), 1000 + SIGTERM);
    FAILS("gone", kill(child, 0), ESRCH);
    child = fork();
    if (child == 0) for (;;) pause();
    kill(child, SIGKILL);
    siginfo_t info = {0};
    EQUAL("waitid", waitid(P_PID, child, &info, WEXITED | WNOWAIT), 0);
    CHECK("its report", info.si_pid == child && info.si_code == CLD_KILLED && info.si_status == SIGKILL);
    EQUAL("still there", waitid(P_PID, child, &info, WEXITED), 0);
    FAILS("now it is not", waitid(P_PID, child, &info, WEXITED), ECHILD);
    child = fork();
    if (child == 0) abort();
    EQUAL("abort", status_of(child), 1000 + SIGABRT);
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 2; i++) if (fork() == 0) _exit(1);
    FAILS("ignored children leave nothing", waitpid(-1, NULL, 0), ECHILD);
    signal(SIGCHLD, SIG_DFL);
    child = fork();
    if (child == 0) exit(300);
    EQUAL("eight bits", status_of(child), 300 & 255);
}

/* A program that runs cannot be written, whoever tries (open(2), ETXTBSY). */
static void busy(char *self) {
    int from = open(self, O_RDONLY), to = open("running", O_WRONLY | O_CREAT | O_EXCL, 0755), told[2];
    char part[4096];
    for (ssize_t n; (n = read(from, part, sizeof part)) > 0;) if (write(to, part, n) != n) exit(1);
    close(from), close(to);
    if (pipe2(told, O_CLOEXEC)) exit(1);
    pid_t child = fork();
    if (child == 0) {
        execl("running", "running", "rest", NULL);
        _exit(1);
    }
    close(told[1]);
    EQUAL("it runs", read(told[0], part, 1), 0);
    close(told[0]);
    FAILS("a program that runs is not cut", open("running", O_WRONLY | O_TRUNC), ETXTBSY);
    FAILS("nor made again", creat("running", 0755), ETXTBSY);
    FAILS("nor written", open("running", O_RDWR), ETXTBSY);
    FAILS("nor cut by its name", truncate("running", 1), ETXTBSY);
    FAILS("nor is it put into a group", setpgid(child, child), EACCES);
    kill(child, SIGKILL);
    EQUAL("it ends", status_of(child), 1000 + SIGKILL);
    to = open("running", O_WRONLY | O_TRUNC);
    CHECK("then it is", to >= 0);
    close(to);
}

/* What /proc says that a process does, when it does that. */
static void states(void) {
    int held[2];
    if (pipe(held)) exit(1);
    pid_t child = fork();
    char path[64], text[128], c, byte, state = 0;
    if (child == 0) {
        close(held[1]);
        _exit(read(held[0], &byte, 1) == 1 ? 0 : 1);
    }
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    for (int i = 0; i < 1000 && state != 'S'; i++) {
        FILE *file = fopen(path, "r");
        if (!file || fscanf(file, "%*d (%127[^)]) %c", text, &state) != 2) exit(1);
        fclose(file);
        pause_ms(1);
    }
    EQUAL("it sleeps", state, 'S');
    EQUAL("until it is woken", write(held[1], "x", 1), 1);
    EQUAL("and ends", status_of(child), 0);
    FILE *file = fopen("/proc/self/stat", "r");
    if (!file || fscanf(file, "%*d (%127[^)]) %c", text, &c) != 2) exit(1);
    EQUAL("who asks does not", c, 'R');
    fclose(file);
    close(held[0]), close(held[1]);
}

static void scores(void) {
    char had[16] = {0}, have[16] = {0};
    int fd = open("/proc/self/oom_score_adj", O_RDONLY);
    CHECK("a score", read(fd, had, 15) > 0);
    close(fd);
    fd = open("/proc/self/oom_score_adj", O_WRONLY);
    EQUAL("is set", write(fd, "700", 3), 3);
    close(fd);
    fd = open("/proc/self/oom_score_adj", O_WRONLY);
    FAILS("not to anything", write(fd, "7000", 4), EINVAL);
    close(fd);
    fd = open("/proc/self/oom_score_adj", O_RDONLY);
    EQUAL("is kept", read(fd, have, 15), 4);
    CHECK("as it was set", strcmp(have, "700\n") == 0);
    close(fd);
}

static void programs(char *self) {
    pid_t child = fork();
    if (child == 0) {
        char *argv[] = {self, "env", "", "two words", NULL}, *env[] = {"COLOUR=green", NULL};
        execve(self, argv, env);
        _exit(1);
    }
    EQUAL("execve", status_of(child), 42);
    child = fork();
    if (child == 0) {
        execl("/no/such/program", "x", NULL);
        _exit(errno == ENOENT ? 5 : 6);
    }
    EQUAL("execve of nothing", status_of(child), 5);
    int kept = open("/dev/null", O_RDONLY), closed = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char a[8], b[8];
    snprintf(a, sizeof a, "%d", kept);
    snprintf(b, sizeof b, "%d", closed);
    child = vfork();
    if (child == 0) {
        execl(self, self, "fd", a, b, NULL);
        _exit(1);
    }
    EQUAL("descriptors over exec", status_of(child), 0);
    close(kept), close(closed);
    static volatile int seen;
    seen = 0;
    child = vfork();
    if (child == 0) {
        seen = 1;
        _exit(8);
    }
    EQUAL("vfork shares memory and waits", seen, 1);
    EQUAL("vfork's exit code", status_of(child), 8);
    char *argv[] = {"sh", "-c", "exit 11", NULL};
    EQUAL("posix_spawn", posix_spawn(&child, "/bin/sh", NULL, NULL, argv, environ), 0);
    EQUAL("spawned", status_of(child), 11);
    EQUAL("posix_spawn of nothing", posix_spawn(&child, "/no/such", NULL, NULL, argv, environ), ENOENT);
    EQUAL("system", WEXITSTATUS(system("test \"$(echo two | cat | wc -l)\" = 2 || exit 4")), 4);
    FILE *shell = popen("echo from the shell | tr a-z A-Z", "r");
    char line[64] = {0};
    CHECK("popen", fgets(line, sizeof line, shell) && strcmp(line, "FROM THE SHELL\n") == 0);
    EQUAL("pclose", pclose(shell), 0);
}

static void groups(void) {
    int ready[2];
    if (pipe(ready)) exit(1);
    pid_t leader = fork();
    if (leader == 0) {
        setpgid(0, 0);
        pid_t second = fork();
        if (second == 0) {
            if (write(ready[1], "x", 1) != 1) _exit(1);
            for (;;) pause();
        }
        int status;
        waitpid(second, &status, 0);
        _exit(1);
    }
    setpgid(leader, leader);
    EQUAL("group", getpgid(leader), leader);
    char c;
    if (read(ready[0], &c, 1) != 1) exit(1);
    EQUAL("kill of a group", kill(-leader, SIGUSR1), 0);
    int status;
    EQUAL("wait for a group", waitpid(-leader, &status, 0), leader);
    EQUAL("all of it", WTERMSIG(status), SIGUSR1);
    /* Its other member held the pipe, too: the end comes when it is gone. */
    close(ready[1]);
    EQUAL("the orphan is gone", read(ready[0], &c, 1), 0);
    close(ready[0]);
    pid_t child = fork();
    if (child == 0) _exit(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid() ? 0 : 1);
    EQUAL("setsid", status_of(child), 0);
}

static void orphans(void) {
    int p[2];
    if (pipe(p)) exit(1);
    pid_t me = getpid(), child = fork();
    if (child == 0) {
        pid_t parent = getpid();
        if (fork() == 0) {
            close(p[0]);
            while (getppid() == parent) usleep(1000);
            char adopted = getppid() != parent && getppid() > 0 ? 'y' : 'n';
            if (write(p[1], &adopted, 1) != 1) _exit(1);
            _exit(0);
        }
        _exit(0);
    }
    close(p[1]);
    EQUAL("its parent", status_of(child), 0);
    char c = 0;
    EQUAL("orphan", read(p[0], &c, 1), 1);
    EQUAL("adopted", c, 'y');
    EQUAL("the end", read(p[0], &c, 1), 0);
    close(p[0]);
    (void)me;
}

/* A child that is its parent's sibling, and one that hears of its parent's end. */
static void relations(void) {
    int p[2], got = -1;
    if (pipe(p)) exit(1);
    pid_t me = getpid(), child = fork();
    if (child == 0) {
        pid_t sibling = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0L);
        if (sibling == 0) _exit(getppid() == me ? 5 : 6);
        if (write(p[1], &sibling, sizeof sibling) != sizeof sibling) _exit(1);
        errno = 0;
        _exit(wait(NULL) == -1 && errno == ECHILD ? 0 : 1);
    }
    pid_t sibling = 0;
    EQUAL("a sibling", read(p[0], &sibling, sizeof sibling), sizeof sibling);
    EQUAL("it is nobody's but ours", status_of(sibling), 5);
    EQUAL("who made it", status_of(child), 0);

    child = fork();
    if (child == 0) {
        if (fork() == 0) {
            sigset_t one;
            sigemptyset(&one), sigaddset(&one, SIGUSR1), sigprocmask(SIG_BLOCK, &one, NULL);
            prctl(PR_SET_PDEATHSIG, SIGUSR1);
            if (fork() == 0) _exit(prctl(PR_GET_PDEATHSIG, &got) == 0 && got == 0 ? 0 : 1);
            int status = -1;
            wait(&status);
            char told = status == 0 && prctl(PR_GET_PDEATHSIG, &got) == 0 && got == SIGUSR1 ? 'r' : 'n';
            if (write(p[1], &told, 1) != 1 || sigwait(&one, &got) || write(p[1], "d", 1) != 1) _exit(1);
            _exit(0);
        }
        char told;
        _exit(read(p[0], &told, 1) == 1 && told == 'r' ? 0 : 1);
    }
    EQUAL("the parent", status_of(child), 0);
    char told = 0;
    EQUAL("of its end", read(p[0], &told, 1), 1);
    EQUAL("it is told", told, 'd');
    close(p[0]), close(p[1]);

    EQUAL("dumpable", prctl(PR_GET_DUMPABLE), 1);
    EQUAL("and not", prctl(PR_SET_DUMPABLE, 0) + prctl(PR_GET_DUMPABLE), 0);
    prctl(PR_SET_DUMPABLE, 1);

    child = fork();
    if (child == 0) _exit(0);
    siginfo_t info;
    struct rlimit limit = {0};
    EQUAL("an end that is left", waitid(P_PID, child, &info, WEXITED | WNOWAIT), 0);
    EQUAL("has limits still", prlimit(child, RLIMIT_NOFILE, NULL, &limit) == 0 && limit.rlim_cur > 0, 1);
    EQUAL("until it is taken", status_of(child), 0);

    char status[4096] = {0}, whose[64];
    int fd = open("/proc/self/status", O_RDONLY);
    CHECK("what there is of a process", read(fd, status, sizeof status - 1) > 0);
    snprintf(whose, sizeof whose, "\nUid:\t%d\t%d\t", getuid(), geteuid());
    CHECK("names whose it is", strstr(status, whose) != NULL);
    CHECK("and what it blocks", strstr(status, "\nSigBlk:\t0000000000000000\n") != NULL);
    close(fd);
}

static void many(void) {
    int sum = 0, pids = 0;
    for (int i = 0; i < 20; i++) {
        if (fork() == 0) _exit(i);
        pids++;
    }
    for (int status; wait(&status) > 0; pids--) sum += WEXITSTATUS(status);
    EQUAL("twenty children", sum * 100 + pids, 19000);
    int p[2][2];
    if (pipe(p[0]) || pipe(p[1])) exit(1);
    pid_t child = fork();
    if (child == 0) {
        close(p[0][1]), close(p[1][0]);
        char c;
        while (read(p[0][0], &c, 1) == 1) {
            c++;
            if (write(p[1][1], &c, 1) != 1) _exit(1);
        }
        _exit(0);
    }
    close(p[0][0]), close(p[1][1]);
    char c = 'a';
    for (int i = 0; i < 20; i++) if (write(p[0][1], &c, 1) != 1 || read(p[1][0], &c, 1) != 1) break;
    EQUAL("twenty turns", c, 'a' + 20);
    close(p[0][1]);
    EQUAL("and the end", status_of(child), 0);
    close(p[1][0]);
}

int main(int argc, char **argv) {
    if (argc > 1) return as_child(argc, argv);
    char self[4096] = {0};
    CHECK("/proc/self/exe", readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    forks();
    programs(self);
    busy(self);
    states();
    scores();
    groups();
    orphans();
    relations();
    many();
    return 0;
}
