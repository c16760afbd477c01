/* Much of what is small: faults without a call between them, timers that expire all the time, signals that pile up. */
#include "check.h"
#include <setjmp.h>
#include <sys/random.h>
#include <sys/timerfd.h>

static sigjmp_buf back;
static void on_fault(int signal) {
    (void)signal;
    siglongjmp(back, 1);
}

static volatile sig_atomic_t fired, overrun;
static void on_alarm(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    fired++;
    overrun = info->si_overrun;
}

int main(void) {
    unsigned char drawn;
    EQUAL("what the seed decides", getrandom(&drawn, 1, 0), 1);
    struct sigaction fault = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &fault, NULL);
    volatile int faults = 0;
    sigsetjmp(back, 0);
    if (faults < 10000) {
        faults++;
        *(volatile char *)8 = 1;
    }
    EQUAL("faults in a row", faults, 10000);

    struct sigaction action = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO};
    sigaction(SIGALRM, &action, NULL);
    sigset_t alarms, before;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarms, &before);
    timer_t timer;
    EQUAL("timer_create", timer_create(CLOCK_MONOTONIC, NULL, &timer), 0);
    struct itimerspec nanosecond = {{0, 1}, {0, 1}}, off = {{0, 0}, {0, 0}}, left;
    long start = now_ms();
    EQUAL("every nanosecond", timer_settime(timer, 0, &nanosecond, NULL), 0);
    pause_ms(100);
    CHECK("time goes on", lasted(start, 100));
    siginfo_t info;
    EQUAL("one signal waits", sigtimedwait(&alarms, &info, &(struct timespec){0, 0}), SIGALRM);
    CHECK("and says how many it stands for", info.si_overrun > 90000000);
    CHECK("so does the timer", timer_getoverrun(timer) > 90000000);
    timer_settime(timer, 0, &off, NULL);
    sigtimedwait(&alarms, NULL, &(struct timespec){0, 0});
    struct itimerspec slow = {{0, 10000000}, {0, 10000000}};
    timer_settime(timer, 0, &slow, NULL);
    pause_ms(55);
    timer_gettime(timer, &left);
    CHECK("what is left is less than an interval", left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= 10000000);
    EQUAL("and one that is slower", sigtimedwait(&alarms, &info, &(struct timespec){0, 0}), SIGALRM);
    CHECK("stands for four more", info.si_overrun >= 4);
    timer_settime(timer, 0, &off, NULL);
    sigtimedwait(&alarms, NULL, &(struct timespec){0, 0});
    timer_delete(timer);

    struct itimerval microsecond = {{0, 1}, {0, 1}}, none = {{0, 0}, {0, 0}};
    start = now_ms();
    EQUAL("every microsecond", setitimer(ITIMER_REAL, &microsecond, NULL), 0);
    pause_ms(100);
    CHECK("time goes on, too", lasted(start, 100));
    setitimer(ITIMER_REAL, &none, NULL);
    sigtimedwait(&alarms, NULL, &(struct timespec){0, 0});
    sigprocmask(SIG_SETMASK, &before, NULL);

    signal(SIGALRM, SIG_IGN);
    start = now_ms();
    setitimer(ITIMER_REAL, &microsecond, NULL);
    pause_ms(100);
    CHECK("also where nobody wants the signal", lasted(start, 100));
    setitimer(ITIMER_REAL, &none, NULL);
    timer_create(CLOCK_MONOTONIC, NULL, &timer);
    struct itimerspec millisecond = {{0, 1000000}, {0, 1000000}};
    timer_settime(timer, 0, &millisecond, NULL);
    pause_ms(5);
    fired = 0;
    sigaction(SIGALRM, &action, NULL);
    while (fired < 3) pause();
    CHECK("who wants it again gets it", fired >= 3);
    timer_delete(timer);

    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    start = now_ms();
    timerfd_settime(fd, 0, &nanosecond, NULL);
    pause_ms(100);
    CHECK("a timer that nobody reads", lasted(start, 100));
    uint64_t count = 0;
    EQUAL("is read", read(fd, &count, 8), 8);
    CHECK("and has counted", count > 90000000);
    timerfd_settime(fd, 0, &slow, NULL);
    pause_ms(35);
    EQUAL("again", read(fd, &count, 8), 8);
    CHECK("three times", count >= 3);

    sigset_t many;
    sigemptyset(&many);
    sigaddset(&many, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &many, NULL);
    long queued = 0;
    while (queued < 300000 && sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0) queued++;
    int refused = errno;
    CHECK("so many signals wait", queued > 1000);
    CHECK("and no more", queued == 300000 || refused == EAGAIN);
    EQUAL("they can be taken", sigtimedwait(&many, NULL, &(struct timespec){0, 0}), SIGRTMIN);
    EQUAL("then there is room for one", sigqueue(getpid(), SIGRTMIN, (union sigval){0}), 0);
    return 0;
}
