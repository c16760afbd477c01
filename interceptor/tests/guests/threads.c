/* Threads: locks, conditions, barriers, ends of all kinds. The last check is that main's end is not the end. */
#include "check.h"
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define THREADS 4

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static __thread long local;
static sem_t semaphore;
static long counter, turn, initialised, destroyed, serial, shared_max, cleaned;

static void init(void) { initialised++; }
static void destroy(void *value) { __atomic_add_fetch(&destroyed, (long)value, __ATOMIC_SEQ_CST); }

static void *worker(void *arg) {
    long me = (long)arg;
    pthread_once(&once, init);
    pthread_setspecific(key, (void *)(me + 1));
    local = me;
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&lock);
        long seen = counter;
        if (i % 50 == 0) sched_yield();
        counter = seen + 1;
        pthread_mutex_unlock(&lock);
    }
    for (int round = 0; round < 3; round++) {
        pthread_mutex_lock(&lock);
        while (turn % THREADS != me) pthread_cond_wait(&turned, &lock);
        turn++;
        pthread_cond_broadcast(&turned);
        pthread_mutex_unlock(&lock);
    }
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) __atomic_add_fetch(&serial, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 20; i++) {
        if (i % 4 == me) {
            pthread_rwlock_wrlock(&rwlock);
            shared_max++;
        } else {
            pthread_rwlock_rdlock(&rwlock);
        }
        if (i % 5 == 0) sched_yield();
        pthread_rwlock_unlock(&rwlock);
    }
    sem_wait(&semaphore);
    sem_post(&semaphore);
    return (void *)(local * 10);
}

static void *forever(void *arg) {
    (void)arg;
    for (;;) pause();
    return NULL;
}

static void clean(void *arg) { (void)arg, cleaned++; }
static void *cancelled(void *arg) {
    int *fds = arg;
    char c;
    pthread_cleanup_push(clean, NULL);
    if (read(fds[0], &c, 1) == 1) cleaned = -1;
    pthread_cleanup_pop(0);
    return NULL;
}

static pthread_mutex_t robust;
static void *leaves_it_locked(void *arg) {
    (void)arg;
    pthread_mutex_lock(&robust);
    return NULL;
}

static void timeouts(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 20000000;
    if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
    long start = now_ms();
    pthread_mutex_lock(&lock);
    EQUAL("condition times out", pthread_cond_timedwait(&turned, &lock, &t), ETIMEDOUT);
    pthread_mutex_unlock(&lock);
    CHECK("after 20 ms", lasted(start, 20));
    sem_t empty;
    sem_init(&empty, 0, 0);
    FAILS("semaphore times out", sem_timedwait(&empty, &t), ETIMEDOUT);
    FAILS("trywait", sem_trywait(&empty), EAGAIN);
    pthread_mutex_lock(&lock);
    EQUAL("mutex is held", pthread_mutex_trylock(&lock), EBUSY);
    EQUAL("mutex times out", pthread_mutex_timedlock(&lock, &t), ETIMEDOUT);
    pthread_mutex_unlock(&lock);
    pthread_condattr_t attribute;
    pthread_condattr_init(&attribute);
    pthread_condattr_setclock(&attribute, CLOCK_MONOTONIC);
    pthread_cond_t monotonic;
    pthread_cond_init(&monotonic, &attribute);
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec -= 1;
    pthread_mutex_lock(&lock);
    EQUAL("a deadline that is over", pthread_cond_timedwait(&monotonic, &lock, &t), ETIMEDOUT);
    pthread_mutex_unlock(&lock);
}

static void between_processes(void) {
    struct { sem_t go, done; pthread_mutex_t lock; int value; } *area =
        mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sem_init(&area->go, 1, 0);
    sem_init(&area->done, 1, 0);
    pthread_mutexattr_t attribute;
    pthread_mutexattr_init(&attribute);
    pthread_mutexattr_setpshared(&attribute, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&area->lock, &attribute);
    pid_t child = fork();
    if (child == 0) {
        sem_wait(&area->go);
        pthread_mutex_lock(&area->lock);
        area->value = 5;
        pthread_mutex_unlock(&area->lock);
        sem_post(&area->done);
        _exit(0);
    }
    pause_ms(5);
    sem_post(&area->go);
    sem_wait(&area->done);
    EQUAL("a semaphore between processes", area->value, 5);
    int status = -1;
    waitpid(child, &status, 0);
    EQUAL("its child", status, 0);
}

static void groups(void) {
    pid_t child = fork();
    if (child == 0) {
        pthread_t threads[3];
        for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, forever, NULL);
        pause_ms(5);
        exit(6);
    }
    int status;
    waitpid(child, &status, 0);
    EQUAL("exit ends all threads", WEXITSTATUS(status), 6);
    child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, forever, NULL);
        kill(getpid(), SIGKILL);
    }
    waitpid(child, &status, 0);
    EQUAL("so does a signal", WTERMSIG(status), SIGKILL);
}

static void *leaves_later(void *arg) {
    (void)arg;
    pause_ms(5);
    syscall(SYS_exit, 4);
    return NULL;
}

static void *replaces(void *arg) {
    (void)arg;
    execl("/bin/sh", "sh", "-c", "exit 12", NULL);
    return NULL;
}

static void leaders(void) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, leaves_later, NULL);
        syscall(SYS_exit, 4);
    }
    waitpid(child, &status, 0);
    EQUAL("the leader leaves first", WIFEXITED(status) ? WEXITSTATUS(status) : -1, 4);
    child = fork();
    if (child == 0) {
        pthread_t threads[2];
        pthread_create(&threads[0], NULL, forever, NULL);
        pause_ms(2);
        pthread_create(&threads[1], NULL, replaces, NULL);
        for (;;) pause();
    }
    waitpid(child, &status, 0);
    EQUAL("another thread calls exec", WIFEXITED(status) ? WEXITSTATUS(status) : -1, 12);
    child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, forever, NULL);
        syscall(SYS_exit, 4);
    }
    pause_ms(5);
    EQUAL("a signal to what is left", kill(child, SIGTERM), 0);
    waitpid(child, &status, 0);
    EQUAL("ends it", WIFSIGNALED(status) ? WTERMSIG(status) : -1, SIGTERM);
}

static void *last_one(void *arg) {
    pthread_t *first = arg;
    void *result;
    EQUAL("main can be joined", pthread_join(*first, &result) == 0 && (long)result == 3, 1);
    pause_ms(5);
    return NULL;
}

static void *detached(void *arg) {
    sem_post(arg);
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    pthread_key_create(&key, destroy);
    pthread_barrier_init(&barrier, NULL, THREADS);
    sem_init(&semaphore, 0, 2);
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, worker, (void *)i);
    long results = 0;
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        results += (long)result;
    }
    EQUAL("mutex", counter, THREADS * 200);
    EQUAL("condition", turn, THREADS * 3);
    EQUAL("barrier", serial, 1);
    EQUAL("rwlock", shared_max, 20);
    EQUAL("once", initialised, 1);
    EQUAL("thread-local", results, 60);
    EQUAL("destructors", destroyed, 10);

    int p[2];
    if (pipe(p)) return 1;
    pthread_t thread;
    pthread_create(&thread, NULL, cancelled, p);
    pause_ms(5);
    EQUAL("cancel", pthread_cancel(thread), 0);
    void *result;
    pthread_join(thread, &result);
    EQUAL("cancelled", result == PTHREAD_CANCELED && cleaned == 1, 1);

    pthread_mutexattr_t attribute;
    pthread_mutexattr_init(&attribute);
    pthread_mutexattr_setrobust(&attribute, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attribute);
    pthread_create(&thread, NULL, leaves_it_locked, NULL);
    pthread_join(thread, NULL);
    EQUAL("the owner died", pthread_mutex_lock(&robust), EOWNERDEAD);
    EQUAL("repaired", pthread_mutex_consistent(&robust) + pthread_mutex_unlock(&robust), 0);

    sem_t done;
    sem_init(&done, 0, 0);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_create(&thread, &attr, detached, &done);
    EQUAL("detached", sem_wait(&done), 0);

    timeouts();
    between_processes();
    groups();
    leaders();
    static pthread_t self;
    self = pthread_self();
    pthread_create(&thread, &attr, last_one, &self);
    pthread_exit((void *)3);
}
