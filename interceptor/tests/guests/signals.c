/* Signals: handlers, masks, calls that end or go on, waiting for signals, synchronous ones. */
#include "check.h"
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>

static volatile sig_atomic_t count, last, sender, code, value;
static void note(int signal, siginfo_t *info, void *context) {
    (void)context;
    count++;
    last = signal;
    sender = info->si_pid;
    code = info->si_code;
    value = info->si_value.sival_int;
}

static void handle(int signal, int flags) {
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, NULL);
    count = 0;
}

static void basics(void) {
    handle(SIGUSR1, 0);
    EQUAL("raise", raise(SIGUSR1), 0);
    CHECK("handled at once", count == 1 && last == SIGUSR1);
    EQUAL("kill of itself", kill(getpid(), SIGUSR1), 0);
    CHECK("its sender", count == 2 && sender == getpid() && code == SI_USER);
    EQUAL("sigqueue", sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 77}), 0);
    CHECK("its value", count == 3 && value == 77 && code == SI_QUEUE);
    sigset_t set, old, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    raise(SIGUSR1);
    raise(SIGUSR1);
    EQUAL("blocked", count, 3);
    sigpending(&pending);
    EQUAL("pending", sigismember(&pending, SIGUSR1), 1);
    sigprocmask(SIG_SETMASK, &old, NULL);
    EQUAL("once, when unblocked", count, 4);
    CHECK("still its sender", sender == getpid());
    handle(SIGRTMIN, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 1; i <= 3; i++) sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i});
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK("real-time signals queue", count == 3 && value == 3);
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESETHAND};
    sigaction(SIGUSR2, &action, NULL);
    raise(SIGUSR2);
    sigaction(SIGUSR2, NULL, &action);
    CHECK("SA_RESETHAND", action.sa_handler == SIG_DFL);
    signal(SIGUSR2, SIG_IGN);
    EQUAL("ignored", raise(SIGUSR2), 0);
}

/* A child sends a signal to its parent after a while. */
static pid_t later(int signal, int ms) {
    pid_t child = fork();
    if (child == 0) {
        pause_ms(ms);
        kill(getppid(), signal);
        _exit(0);
    }
    return child;
}

static void reap(pid_t child) {
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
}

static void interrupts(void) {
    int p[2];
    char c;
    if (pipe(p)) exit(1);
    handle(SIGUSR1, 0);
    pid_t child = later(SIGUSR1, 20);
    FAILS("read ends with EINTR", read(p[0], &c, 1), EINTR);
    EQUAL("the handler ran", count, 1);
    CHECK("who sent it", sender == child);
    reap(child);

    handle(SIGUSR1, SA_RESTART);
    child = fork();
    if (child == 0) {
        pause_ms(20);
        kill(getppid(), SIGUSR1);
        pause_ms(20);
        _exit(write(p[1], "x", 1) != 1);
    }
    EQUAL("read goes on with SA_RESTART", read(p[0], &c, 1), 1);
    EQUAL("after the handler", count, 1);
    reap(child);

    handle(SIGUSR1, SA_RESTART);
    child = later(SIGUSR1, 20);
    struct timespec half = {0, 500000000}, rest = {0, 0};
    FAILS("nanosleep never goes on", nanosleep(&half, &rest), EINTR);
    CHECK("what is left", rest.tv_sec == 0 && rest.tv_nsec > 300000000 && rest.tv_nsec < 490000000);
    reap(child);

    int ep = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN}, got;
    epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &event);
    handle(SIGUSR1, SA_RESTART);
    child = later(SIGUSR1, 20);
    FAILS("epoll_wait never goes on", epoll_wait(ep, &got, 1, 5000), EINTR);
    reap(child);
    close(ep);

    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (bind(listener, (void *)&any, sizeof any) || listen(listener, 4)) exit(1);
    handle(SIGUSR1, 0);
    child = later(SIGUSR1, 20);
    FAILS("accept ends with EINTR", accept(listener, NULL, NULL), EINTR);
    reap(child);
    close(listener);

    /* A mask that lets a signal in only while the call waits. */
    sigset_t block, none;
    sigemptyset(&block);
    sigemptyset(&none);
    sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, NULL);
    handle(SIGUSR1, 0);
    raise(SIGUSR1);
    EQUAL("not yet", count, 0);
    FAILS("sigsuspend", sigsuspend(&none), EINTR);
    EQUAL("now", count, 1);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    EQUAL("blocked again", sigismember(&mask, SIGUSR1), 1);
    struct pollfd in = {p[0], POLLIN, 0};
    child = later(SIGUSR1, 20);
    FAILS("ppoll", ppoll(&in, 1, NULL, &none), EINTR);
    EQUAL("in ppoll", count, 2);
    reap(child);
    struct timespec tenth = {0, 10000000};
    EQUAL("ppoll in time", ppoll(&in, 1, &tenth, &none), 0);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    EQUAL("blocked after ppoll", sigismember(&mask, SIGUSR1), 1);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close(p[0]), close(p[1]);
}

static void waiting(void) {
    sigset_t set, none;
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR2, SIG_DFL);
    kill(getpid(), SIGUSR2);
    int got = 0;
    EQUAL("sigwait", sigwait(&set, &got) == 0 && got == SIGUSR2, 1);
    pid_t child = later(SIGUSR1, 20);
    siginfo_t info = {0};
    EQUAL("sigwaitinfo", sigwaitinfo(&set, &info), SIGUSR1);
    EQUAL("and its sender", info.si_pid, child);
    reap(child);
    struct timespec some = {0, 30000000};
    long start = now_ms();
    FAILS("sigtimedwait", sigtimedwait(&set, &info, &some), EAGAIN);
    CHECK("its time", lasted(start, 30));

    int fd = signalfd(-1, &set, SFD_NONBLOCK);
    struct signalfd_siginfo record;
    FAILS("signalfd is empty", read(fd, &record, sizeof record), EAGAIN);
    child = later(SIGUSR1, 20);
    struct pollfd in = {fd, POLLIN, 0};
    EQUAL("signalfd becomes ready", poll(&in, 1, 2000), 1);
    EQUAL("signalfd", read(fd, &record, sizeof record), sizeof record);
    CHECK("its record", record.ssi_signo == SIGUSR1 && record.ssi_pid == (unsigned)child);
    reap(child);
    int ep = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN}, ready;
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
    EQUAL("nothing", epoll_wait(ep, &ready, 1, 0), 0);
    child = later(SIGUSR2, 20);
    EQUAL("signalfd in epoll", epoll_wait(ep, &ready, 1, 2000), 1);
    EQUAL("taken", read(fd, &record, sizeof record) == sizeof record && record.ssi_signo == SIGUSR2, 1);
    reap(child);
    close(ep), close(fd);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static volatile sig_atomic_t ended;
static void on_child(int signal) {
    (void)signal;
    int saved = errno;
    while (waitpid(-1, NULL, WNOHANG) > 0) ended++;
    errno = saved;
}

static void children(void) {
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
    for (int i = 0; i < 3; i++) if (fork() == 0) _exit(0);
    sigset_t block, old;
    sigemptyset(&block);
    sigaddset(&block, SIGCHLD);
    sigprocmask(SIG_BLOCK, &block, &old);
    while (ended < 3) sigsuspend(&old);
    sigprocmask(SIG_SETMASK, &old, NULL);
    EQUAL("SIGCHLD", ended, 3);
    handle(SIGCHLD, 0);
    pid_t child = fork();
    if (child == 0) _exit(9);
    while (count == 0) pause_ms(1);
    CHECK("who has ended", sender == child && code == CLD_EXITED);
    waitpid(child, NULL, 0);
    signal(SIGCHLD, SIG_DFL);
}

static pthread_t main_thread;
static volatile sig_atomic_t in_thread;
static void which(int signal) { (void)signal; in_thread = pthread_equal(pthread_self(), main_thread) ? 1 : 2; }
static void *sleeper(void *arg) {
    int *fds = arg;
    char c;
    /* Ends when its signal has come. */
    return (void *)(long)(read(fds[0], &c, 1) == -1 && errno == EINTR);
}

static void threads(void) {
    int p[2];
    if (pipe(p)) exit(1);
    main_thread = pthread_self();
    struct sigaction action = {.sa_handler = which};
    sigaction(SIGUSR2, &action, NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, sleeper, p);
    pause_ms(20);
    EQUAL("pthread_kill", pthread_kill(thread, SIGUSR2), 0);
    void *interrupted;
    pthread_join(thread, &interrupted);
    EQUAL("its read ended", interrupted, 1);
    EQUAL("in that thread", in_thread, 2);
    EQUAL("and in this one", pthread_kill(main_thread, SIGUSR2) == 0 && in_thread == 1, 1);
    close(p[0]), close(p[1]);
}

static sigjmp_buf back;
static void *fault_address;
static volatile sig_atomic_t on_stack;
static char other_stack[65536];
static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)context;
    char here;
    on_stack = &here >= other_stack && &here < other_stack + sizeof other_stack;
    fault_address = info->si_addr;
    siglongjmp(back, signal);
}

static void faults(void) {
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    volatile int zero = 0, *volatile wild = (int *)0x1230;
    int signal = sigsetjmp(back, 1);
    if (signal == 0) *wild = 1;
    EQUAL("SIGSEGV", signal, SIGSEGV);
    EQUAL("its address", (long)fault_address, 0x1230);
    EQUAL("on the other stack", on_stack, 1);
    signal = sigsetjmp(back, 1);
    if (signal == 0) zero = 7 / zero;
    EQUAL("SIGFPE", signal, SIGFPE);
    signal = sigsetjmp(back, 1);
    if (signal == 0) __asm__ volatile("ud2");
    EQUAL("SIGILL", signal, SIGILL);
    struct sigaction none = {.sa_handler = SIG_DFL};
    sigaction(SIGSEGV, &none, NULL);
    pid_t child = fork();
    if (child == 0) {
        *wild = 1;
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    EQUAL("unhandled", WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGSEGV);
}

static void stops(void) {
    int p[2];
    if (pipe(p)) exit(1);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 3; i++) {
            if (write(p[1], "x", 1) != 1) _exit(1);
            pause_ms(10);
        }
        _exit(0);
    }
    char c;
    if (read(p[0], &c, 1) != 1) exit(1);
    kill(child, SIGSTOP);
    struct pollfd in = {p[0], POLLIN, 0};
    EQUAL("stopped", poll(&in, 1, 50), 0);
    kill(child, SIGCONT);
    int status = -1;
    waitpid(child, &status, 0);
    EQUAL("and continued", status, 0);
    close(p[0]), close(p[1]);
}

/* A signal that is waited for goes to who waits, though it is not blocked and has a handler (sigtimedwait(2)). */
static void *number_of(void *tid) {
    *(volatile pid_t *)tid = gettid();
    for (;;) pause();
    return NULL;
}

static void awaited(void) {
    sigset_t one;
    siginfo_t info = {0};
    handle(SIGUSR1, 0);
    sigemptyset(&one), sigaddset(&one, SIGUSR1);
    pid_t child = fork();
    if (child == 0) {
        pause_ms(20);
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    EQUAL("a signal that is waited for", sigwaitinfo(&one, &info), SIGUSR1);
    CHECK("has no handler", count == 0 && info.si_pid == child);
    EQUAL("its sender ends", waitpid(child, NULL, 0), child);
    static volatile pid_t other;
    pthread_t thread;
    pthread_create(&thread, NULL, number_of, (void *)&other);
    while (other == 0) pause_ms(1);
    EQUAL("a process by the number of a thread", kill(other, 0), 0);
    info = (siginfo_t){.si_code = SI_QUEUE};
    EQUAL("with a value too", syscall(SYS_rt_sigqueueinfo, other, 0, &info), 0);
}

int main(void) {
    basics();
    interrupts();
    waiting();
    children();
    threads();
    faults();
    stops();
    awaited();
    return 0;
}
