/* What only threads that run at the same time can do, and what they can do to each other meanwhile. */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* On a busy machine each may cost a slice of the scheduler. */
#define TURNS 2000
static atomic_long turns;
static atomic_int flag, caught;

/* Two threads that take turns through memory alone: neither makes a call. */
static void *turn(void *argument) {
    long mine = (long)argument;
    while (turns < TURNS) {
        while (turns % 2 != mine && turns < TURNS) {}
        turns++;
    }
    return NULL;
}

static void memory_only(void) {
    pthread_t a, b;
    pthread_create(&a, NULL, turn, (void *)0);
    pthread_create(&b, NULL, turn, (void *)1);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    CHECK("turns through memory", turns >= TURNS);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static int ball;

static void *play(void *argument) {
    long mine = (long)argument;
    for (int i = 0; i < 300; i++) {
        pthread_mutex_lock(&lock);
        while (ball % 4 != mine) pthread_cond_wait(&moved, &lock);
        ball++;
        pthread_cond_broadcast(&moved);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void wakes(void) {
    pthread_t players[4];
    for (long i = 0; i < 4; i++) pthread_create(&players[i], NULL, play, (void *)i);
    for (int i = 0; i < 4; i++) pthread_join(players[i], NULL);
    EQUAL("no wake is lost", ball, 1200);
}

static void on_signal(int signal) {
    (void)signal;
    caught++;
}

/* A receiver that runs, or is about to wait, when a signal is sent: its wait ends. */
static void *receive(void *argument) {
    (void)argument;
    for (int i = 0; i < 200; i++) {
        struct timespec t = {60, 0};
        flag = 1;
        while (caught == i) nanosleep(&t, NULL);
    }
    return NULL;
}

static void signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    pthread_t receiver;
    pthread_create(&receiver, NULL, receive, NULL);
    for (int i = 0; i < 200; i++) {
        while (!flag) {}
        flag = 0;
        /* Just before it sleeps, just after, or in between. Should it look before and sleep after, it is told again. */
        while (caught == i) {
            int before = caught;
            pthread_kill(receiver, SIGUSR1);
            for (int n = 0; n < 2000 && caught == before; n++) getppid();
        }
        while (caught > i + 1) caught--;
    }
    pthread_join(receiver, NULL);
    CHECK("signals end waits", caught >= 200);
}

static void *spin(void *argument) {
    for (;;) (*(atomic_long *)argument)++;
    return NULL;
}

static void *call(void *argument) {
    (void)argument;
    for (;;) getppid();
    return NULL;
}

static void *replace(void *argument) {
    (void)argument;
    execl("/bin/true", "true", NULL);
    return NULL;
}

static int end_of(pid_t child) {
    int status = -1;
    EQUAL("wait", waitpid(child, &status, 0), child);
    return status;
}

/* Processes that end in every way while other threads of theirs run, call, or wait. */
static void ends(void) {
    for (int way = 0; way < 5; way++) {
        pid_t child = fork();
        if (child == 0) {
            static atomic_long count;
            pthread_t spinner, caller, waiter;
            pthread_create(&spinner, NULL, spin, &count);
            pthread_create(&caller, NULL, call, NULL);
            while (count < 1000) {}
            if (way == 0) _exit(7);
            if (way == 1) abort();
            if (way == 2) *(volatile int *)0 = 1;
            if (way == 3) execl("/bin/true", "true", NULL);
            pthread_create(&waiter, NULL, replace, NULL);
            pause();
        }
        int status = end_of(child);
        if (way == 0) CHECK("exit", WIFEXITED(status) && WEXITSTATUS(status) == 7);
        if (way == 1) CHECK("abort", WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        if (way == 2) CHECK("segmentation fault", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        if (way == 3) CHECK("exec", WIFEXITED(status) && WEXITSTATUS(status) == 0);
        if (way == 4) CHECK("exec of another thread", WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    pid_t child = fork();
    if (child == 0) {
        pthread_t spinner, caller;
        static atomic_long count;
        pthread_create(&spinner, NULL, spin, &count);
        pthread_create(&caller, NULL, call, NULL);
        for (;;) {}
    }
    EQUAL("stop", kill(child, SIGSTOP), 0);
    EQUAL("go on", kill(child, SIGCONT), 0);
    EQUAL("kill", kill(child, SIGKILL), 0);
    int status = end_of(child);
    CHECK("killed", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Threads that come and go while others do. */
static void *brief(void *argument) { return argument; }

static void *spawn(void *argument) {
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, brief, argument) != 0) return NULL;
        pthread_join(thread, NULL);
    }
    return argument;
}

static void births(void) {
    pthread_t makers[4];
    int good = 0;
    for (int i = 0; i < 4; i++) pthread_create(&makers[i], NULL, spawn, &good);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(makers[i], &result);
        good += result == &good;
    }
    EQUAL("threads come and go", good, 4);
}

/* Clocks of threads that read them at once never run back. */
static atomic_long last;

static void *watch(void *argument) {
    (void)argument;
    for (int i = 0; i < 20000; i++) {
        long before = last;
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        long now = t.tv_sec * 1000000000L + t.tv_nsec;
        if (now < before) return &last;
        while (before < now && !atomic_compare_exchange_weak(&last, &before, now)) {}
    }
    return NULL;
}

static void clocks(void) {
    pthread_t watchers[3];
    int back = 0;
    for (int i = 0; i < 3; i++) pthread_create(&watchers[i], NULL, watch, NULL);
    for (int i = 0; i < 3; i++) {
        void *result;
        pthread_join(watchers[i], &result);
        back += result != NULL;
    }
    EQUAL("a clock never runs back", back, 0);
}

int main(void) {
    memory_only();
    wakes();
    signals();
    births();
    clocks();
    ends();
    return 0;
}
