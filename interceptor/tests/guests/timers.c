/* Timers: sleeping, alarms, interval timers, timers as descriptors. */
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/timerfd.h>

static volatile sig_atomic_t fired, value;
static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    fired++;
    value = info->si_value.sival_int;
}

static struct timespec after(clockid_t clock, long ms) {
    struct timespec t;
    clock_gettime(clock, &t);
    long ns = t.tv_nsec + ms * 1000000;
    return (struct timespec){t.tv_sec + ns / 1000000000, ns % 1000000000};
}

static volatile sig_atomic_t notified;
static void notify(union sigval v) { notified = v.sival_int; }

int main(void) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGRTMIN, &action, NULL);

    long start = now_ms();
    struct timespec t = {0, 30000000};
    EQUAL("nanosleep", nanosleep(&t, NULL), 0);
    CHECK("30 ms", lasted(start, 30));
    t.tv_nsec = 1000000000;
    FAILS("no such time", nanosleep(&t, NULL), EINVAL);
    start = now_ms();
    t = after(CLOCK_MONOTONIC, 25);
    EQUAL("until an instant", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL), 0);
    CHECK("25 ms", lasted(start, 25));
    start = now_ms();
    t = after(CLOCK_REALTIME, 25);
    EQUAL("by the wall clock", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL), 0);
    CHECK("25 ms more", lasted(start, 25));
    EQUAL("in the past", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &(struct timespec){1, 0}, NULL), 0);
    start = now_ms();
    EQUAL("poll", poll(NULL, 0, 20), 0);
    CHECK("20 ms", lasted(start, 20));
    start = now_ms();
    EQUAL("select", select(0, NULL, NULL, NULL, &(struct timeval){0, 15000}), 0);
    CHECK("15 ms", lasted(start, 15));
    start = now_ms();
    EQUAL("usleep", usleep(10000), 0);
    CHECK("10 ms", lasted(start, 10));

    EQUAL("alarm", alarm(100), 0);
    EQUAL("what was left", alarm(0), 100);
    start = now_ms();
    struct itimerval interval = {{0, 20000}, {0, 30000}}, off = {{0, 0}, {0, 0}}, left;
    EQUAL("setitimer", setitimer(ITIMER_REAL, &interval, NULL), 0);
    while (fired < 3) pause();
    CHECK("30, 50, 70 ms", lasted(start, 70));
    EQUAL("getitimer", getitimer(ITIMER_REAL, &left) == 0 && left.it_interval.tv_usec == 20000, 1);
    EQUAL("off", setitimer(ITIMER_REAL, &off, NULL), 0);

    fired = 0;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 5};
    timer_t timer, other;
    EQUAL("timer_create", timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    struct itimerspec spec = {{0, 10000000}, {0, 20000000}}, rest;
    start = now_ms();
    EQUAL("timer_settime", timer_settime(timer, 0, &spec, NULL), 0);
    EQUAL("timer_gettime", timer_gettime(timer, &rest) == 0 && rest.it_value.tv_nsec > 5000000, 1);
    while (fired < 2) pause();
    CHECK("20, 30 ms", lasted(start, 30));
    EQUAL("its value", value, 5);
    EQUAL("timer_delete", timer_delete(timer), 0);
    struct sigevent thread = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = notify, .sigev_value.sival_int = 9};
    EQUAL("a timer that makes a thread", timer_create(CLOCK_REALTIME, &thread, &other), 0);
    spec = (struct itimerspec){{0, 0}, {0, 15000000}};
    timer_settime(other, 0, &spec, NULL);
    while (!notified) pause_ms(1);
    EQUAL("ran", notified, 9);
    timer_delete(other);

    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    uint64_t count = 0;
    spec = (struct itimerspec){{0, 10000000}, {0, 25000000}};
    start = now_ms();
    EQUAL("timerfd_settime", timerfd_settime(fd, 0, &spec, NULL), 0);
    FAILS("not yet", read(fd, &count, 8), EAGAIN);
    int ep = epoll_create1(0);
    struct epoll_event in = {.events = EPOLLIN, .data.u32 = 3}, got;
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &in);
    EQUAL("in epoll", epoll_wait(ep, &got, 1, 1000) == 1 && got.data.u32 == 3, 1);
    CHECK("after 25 ms", lasted(start, 25));
    EQUAL("one expiration", read(fd, &count, 8) == 8 && count >= 1, 1);
    pause_ms(35);
    EQUAL("several", read(fd, &count, 8) == 8 && count >= 3, 1);
    EQUAL("timerfd_gettime", timerfd_gettime(fd, &rest) == 0 && rest.it_interval.tv_nsec == 10000000, 1);
    spec = (struct itimerspec){{0, 0}, {0, 0}};
    EQUAL("disarmed", timerfd_settime(fd, 0, &spec, NULL), 0);
    start = now_ms();
    EQUAL("never again", epoll_wait(ep, &got, 1, 30), 0);
    CHECK("30 ms of waiting", lasted(start, 30));
    spec.it_value = after(CLOCK_MONOTONIC, 15);
    EQUAL("at an instant", timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL), 0);
    fcntl(fd, F_SETFL, 0);
    start = now_ms();
    EQUAL("a read that waits", read(fd, &count, 8) == 8 && count == 1, 1);
    return 0;
}
