/* Processes that are stopped and continued, and what their parents learn of it. */
#include "check.h"

static volatile sig_atomic_t heard, code, status_told;
static void on_child(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    heard++;
    code = info->si_code;
    status_told = info->si_status;
}

static void until(int count) {
    while (heard < count) pause_ms(1);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
    int status, gate[2];
    if (pipe(gate) != 0) return 9;
    pid_t pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        /* That it went on is told only as long as it has not ended. */
        _exit(read(gate[0], &status, 1) == 1 ? 3 : 9);
    }
    EQUAL("a child that stops itself", waitpid(pid, &status, WUNTRACED), pid);
    CHECK("is stopped", WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    until(1);
    EQUAL("its parent hears of that", code, CLD_STOPPED);
    EQUAL("and by which signal", status_told, SIGSTOP);
    EQUAL("it is told once", waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
    kill(pid, SIGCONT);
    EQUAL("a child that goes on", waitpid(pid, &status, WCONTINUED), pid);
    CHECK("is told, too", WIFCONTINUED(status));
    EQUAL("and is let go", write(gate[1], "", 1), 1);
    EQUAL("it ends", waitpid(pid, &status, 0), pid);
    CHECK("as it would have", WIFEXITED(status) && WEXITSTATUS(status) == 3);
    until(2);

    action.sa_flags |= SA_NOCLDSTOP;
    sigaction(SIGCHLD, &action, NULL);
    heard = 0;
    pid = fork();
    if (pid == 0) for (;;) pause();
    kill(pid, SIGSTOP);
    siginfo_t info = {0};
    EQUAL("waitid leaves it", waitid(P_PID, pid, &info, WSTOPPED | WNOWAIT), 0);
    EQUAL("the stop is told", info.si_code, CLD_STOPPED);
    EQUAL("waitid takes it", waitid(P_PID, pid, &info, WSTOPPED | WEXITED), 0);
    EQUAL("by whom", info.si_pid, pid);
    EQUAL("by what", info.si_status, SIGSTOP);
    EQUAL("who does not want to hear of stops does not", heard, 0);
    kill(pid, SIGKILL);
    EQUAL("a stopped child can be killed", waitpid(pid, &status, 0), pid);
    CHECK("by a signal", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    until(1);

    for (int i = 0; i < 3; i++) {
        int signal = (int[]){SIGTSTP, SIGTTIN, SIGTTOU}[i];
        pid = fork();
        if (pid == 0) {
            setpgid(0, 0);
            raise(signal);
            _exit(4);
        }
        EQUAL("a signal of the terminal", waitpid(pid, &status, WUNTRACED), pid);
        CHECK("stops, too", WIFSTOPPED(status) && WSTOPSIG(status) == signal);
        kill(pid, SIGCONT);
        EQUAL("and its process goes on", waitpid(pid, &status, 0), pid);
        EQUAL("to its end", WEXITSTATUS(status), 4);
    }
    pid = fork();
    if (pid == 0) {
        setsid();
        raise(SIGTSTP);
        _exit(5);
    }
    EQUAL("who has nobody to let it go on", waitpid(pid, &status, WUNTRACED), pid);
    CHECK("is not stopped by it", WIFEXITED(status) && WEXITSTATUS(status) == 5);
    FAILS("options that there are not", waitpid(-1, &status, 1 << 20), EINVAL);
    FAILS("waiting for nothing", waitid(P_ALL, 0, &info, WNOHANG), EINVAL);
    return 0;
}
