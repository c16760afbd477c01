/* Sockets: streams, datagrams, local ones; how they end, and how their readiness is told. */
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

static struct sockaddr_in address(const char *ip, int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, ip, &a.sin_addr);
    return a;
}

static int listener(struct sockaddr_in *a) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t len = sizeof *a;
    if (bind(fd, (void *)a, sizeof *a) || listen(fd, 16) || getsockname(fd, (void *)a, &len)) return -1;
    return fd;
}

/* Both ends of a new connection over `ip`. */
static void pair(const char *ip, int ends[2]) {
    struct sockaddr_in a = address(ip, 0);
    int l = listener(&a);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(ends[0], (void *)&a, sizeof a)) ends[0] = -1;
    ends[1] = accept(l, NULL, NULL);
    close(l);
}

static int wait_for(int fd, short events) {
    struct pollfd p = {fd, events, 0};
    return poll(&p, 1, 5000) == 1 ? p.revents : 0;
}

static void *echo(void *arg) {
    int l = *(int *)arg;
    for (int i = 0; i < 2; i++) {
        int fd = accept(l, NULL, NULL);
        char buffer[1000];
        for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;)
            for (ssize_t at = 0; at < n;) at += write(fd, buffer + at, n - at);
        close(fd);
    }
    return NULL;
}

static void streams(const char *ip) {
    struct sockaddr_in a = address(ip, 0), name;
    int l = listener(&a);
    CHECK("listen", l >= 0 && a.sin_port != 0);
    pthread_t thread;
    pthread_create(&thread, NULL, echo, &l);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EQUAL("connect", connect(fd, (void *)&a, sizeof a), 0);
    FAILS("connect again", connect(fd, (void *)&a, sizeof a), EISCONN);
    socklen_t len = sizeof name;
    EQUAL("getpeername", getpeername(fd, (void *)&name, &len) == 0 && name.sin_port == a.sin_port, 1);
    EQUAL("getsockname", getsockname(fd, (void *)&name, &len) == 0 && name.sin_port != 0, 1);
    static char out[50000], in[50000];
    for (size_t i = 0; i < sizeof out; i++) out[i] = i * 31 >> 3;
    size_t sent = 0, received = 0;
    while (received < sizeof out) {
        if (sent < sizeof out) {
            ssize_t n = write(fd, out + sent, sizeof out - sent < 3000 ? sizeof out - sent : 3000);
            if (n > 0) sent += n;
        }
        ssize_t n = read(fd, in + received, sizeof in - received);
        if (n <= 0) break;
        received += n;
    }
    EQUAL("echo", received == sizeof out && memcmp(in, out, sizeof out) == 0, 1);
    EQUAL("shutdown", shutdown(fd, SHUT_WR), 0);
    EQUAL("the end of the echo", read(fd, in, 1), 0);
    close(fd);

    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    FAILS("connect does not wait", connect(fd, (void *)&a, sizeof a), EINPROGRESS);
    CHECK("then it can be written", wait_for(fd, POLLOUT) & POLLOUT);
    int error = -1;
    len = sizeof error;
    EQUAL("SO_ERROR", getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0, 1);
    FAILS("nothing to read", read(fd, in, 1), EAGAIN);
    EQUAL("hello", write(fd, "hello", 5), 5);
    CHECK("comes back", wait_for(fd, POLLIN) & POLLIN);
    EQUAL("MSG_PEEK", recv(fd, in, 5, MSG_PEEK) >= 1, 1);
    int count = 0;
    EQUAL("FIONREAD", ioctl(fd, FIONREAD, &count) == 0 && count >= 1, 1);
    fcntl(fd, F_SETFL, 0);
    EQUAL("MSG_WAITALL", recv(fd, in, 5, MSG_WAITALL) == 5 && memcmp(in, "hello", 5) == 0, 1);
    close(fd);
    pthread_join(thread, NULL);
    close(l);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    FAILS("refused", connect(fd, (void *)&a, sizeof a), ECONNREFUSED);
    close(fd);
}

static void ends(void) {
    int s[2];
    char c[16];
    pair("127.0.0.1", s);
    EQUAL("half-close", shutdown(s[0], SHUT_WR), 0);
    EQUAL("the other side reads the end", read(s[1], c, 1), 0);
    EQUAL("and can still write", write(s[1], "late", 4), 4);
    EQUAL("which arrives", recv(s[0], c, 4, MSG_WAITALL), 4);
    signal(SIGPIPE, SIG_IGN);
    FAILS("after shutdown", write(s[0], "x", 1), EPIPE);
    close(s[0]), close(s[1]);

    pair("127.0.0.1", s);
    struct linger now = {1, 0};
    setsockopt(s[0], SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(s[0]);
    CHECK("a reset is an error", wait_for(s[1], POLLIN) & (POLLERR | POLLHUP));
    FAILS("reset", read(s[1], c, 1), ECONNRESET);
    close(s[1]);

    pair("127.0.0.1", s);
    EQUAL("unread", write(s[1], "data", 4), 4);
    wait_for(s[0], POLLIN);
    close(s[0]);
    wait_for(s[1], POLLIN);
    FAILS("closing with unread data resets", read(s[1], c, 1), ECONNRESET);
    close(s[1]);

    pair("127.0.0.1", s);
    struct timeval t = {0, 20000};
    EQUAL("SO_RCVTIMEO", setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t), 0);
    long start = now_ms();
    FAILS("nothing in time", read(s[0], c, 1), EAGAIN);
    CHECK("20 ms", lasted(start, 20));
    FAILS("MSG_DONTWAIT", recv(s[1], c, 1, MSG_DONTWAIT), EAGAIN);
    int on = 1, got = 0;
    socklen_t len = sizeof got;
    setsockopt(s[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    EQUAL("TCP_NODELAY", getsockopt(s[0], IPPROTO_TCP, TCP_NODELAY, &got, &len) == 0 && got != 0, 1);
    EQUAL("SO_TYPE", getsockopt(s[0], SOL_SOCKET, SO_TYPE, &got, &len) == 0 && got == SOCK_STREAM, 1);
    struct iovec out[2] = {{"one ", 4}, {"two", 3}};
    struct msghdr message = {.msg_iov = out, .msg_iovlen = 2};
    EQUAL("sendmsg", sendmsg(s[0], &message, 0), 7);
    char x[3], y[8] = {0};
    struct iovec in[2] = {{x, 3}, {y, 8}};
    message = (struct msghdr){.msg_iov = in, .msg_iovlen = 2};
    EQUAL("recvmsg", recvmsg(s[1], &message, MSG_WAITALL & 0) >= 1 && x[0] == 'o', 1);
    close(s[0]), close(s[1]);
}

static void addresses(void) {
    struct sockaddr_in a = address("127.0.0.1", 0);
    int l = listener(&a), fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    FAILS("in use", bind(fd, (void *)&a, sizeof a), EADDRINUSE);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    FAILS("in use by a listener", bind(fd, (void *)&a, sizeof a), EADDRINUSE);
    close(fd);
    /* The side that closes first keeps the address for a while. */
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (void *)&a, sizeof a)) exit(1);
    int server = accept(l, NULL, NULL);
    close(server);
    char c;
    EQUAL("the server ends first", read(client, &c, 1), 0);
    close(client);
    close(l);
    pause_ms(10);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    FAILS("TIME_WAIT", bind(fd, (void *)&a, sizeof a), EADDRINUSE);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    EQUAL("SO_REUSEADDR", bind(fd, (void *)&a, sizeof a), 0);
    close(fd);
    struct sockaddr_in foreign = address("192.0.2.1", 80);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    FAILS("not ours", bind(fd, (void *)&foreign, sizeof foreign), EADDRNOTAVAIL);
    FAILS("not connected", getpeername(fd, (void *)&foreign, &(socklen_t){sizeof foreign}), ENOTCONN);
    close(fd);
    FAILS("no socket", getsockname(0, (void *)&foreign, &(socklen_t){sizeof foreign}), ENOTSOCK);

    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof six;
    l = socket(AF_INET6, SOCK_STREAM, 0);
    EQUAL("IPv6", bind(l, (void *)&six, sizeof six) + listen(l, 1) + getsockname(l, (void *)&six, &len), 0);
    client = socket(AF_INET6, SOCK_STREAM, 0);
    EQUAL("over ::1", connect(client, (void *)&six, sizeof six), 0);
    struct sockaddr_in6 peer;
    len = sizeof peer;
    server = accept(l, (void *)&peer, &len);
    CHECK("from ::1", peer.sin6_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&peer.sin6_addr));
    EQUAL("sent", write(client, "six", 3), 3);
    EQUAL("received", read(server, &c, 1) == 1 && c == 's', 1);
    close(l), close(client), close(server);
}

static void datagrams(void) {
    struct sockaddr_in a = address("127.0.0.1", 0), from;
    int one = socket(AF_INET, SOCK_DGRAM, 0), two = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t len = sizeof a;
    EQUAL("bind", bind(one, (void *)&a, sizeof a) + getsockname(one, (void *)&a, &len), 0);
    EQUAL("sendto", sendto(two, "datagram", 8, 0, (void *)&a, sizeof a), 8);
    EQUAL("another", sendto(two, "2", 1, 0, (void *)&a, sizeof a), 1);
    char text[16] = {0};
    len = sizeof from;
    EQUAL("recvfrom cuts", recvfrom(one, text, 4, MSG_TRUNC, (void *)&from, &len), 8);
    EQUAL("the next one", recv(one, text, 16, 0), 1);
    EQUAL("an answer", sendto(one, "back", 4, 0, (void *)&from, sizeof from), 4);
    EQUAL("arrives", recv(two, text, 16, 0), 4);
    EQUAL("connect", connect(two, (void *)&a, sizeof a), 0);
    EQUAL("send", send(two, "x", 1, 0), 1);
    EQUAL("received", recv(one, text, 16, 0), 1);
    close(one);
    EQUAL("to nobody", send(two, "x", 1, 0), 1);
    wait_for(two, POLLIN);
    FAILS("refused", recv(two, text, 1, 0), ECONNREFUSED);
    close(two);
}

static void local(void) {
    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "sock"}, name;
    int l = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    FAILS("nothing there", connect(client, (void *)&path, sizeof path), ENOENT);
    EQUAL("bind to a path", bind(l, (void *)&path, sizeof path) + listen(l, 1), 0);
    struct stat named;
    EQUAL("its name", stat("sock", &named), 0);
    FAILS("taken", bind(client, (void *)&path, sizeof path), EADDRINUSE);
    EQUAL("connect to it", connect(client, (void *)&path, sizeof path), 0);
    int server = accept(l, NULL, NULL);
    char c[8];
    EQUAL("talk", write(client, "hi", 2) == 2 && read(server, c, 8) == 2, 1);
    close(client);
    EQUAL("the end", read(server, c, 8), 0);
    close(server), close(l);
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    FAILS("nobody listens", connect(client, (void *)&path, sizeof path), ECONNREFUSED);
    EQUAL("unlink", unlink("sock"), 0);
    close(client);

    struct sockaddr_un hidden = {.sun_family = AF_UNIX, .sun_path = "\0guest"};
    socklen_t len = offsetof(struct sockaddr_un, sun_path) + 6;
    l = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    EQUAL("an abstract name", bind(l, (void *)&hidden, len) + listen(l, 1), 0);
    EQUAL("connect to that", connect(client, (void *)&hidden, len), 0);
    socklen_t size = sizeof name;
    EQUAL("its peer", getpeername(client, (void *)&name, &size) == 0 && size == len && memcmp(name.sun_path, "\0guest", 6) == 0, 1);
    close(l), close(client);

    int s[2];
    EQUAL("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    EQUAL("both ways", write(s[0], "a", 1) == 1 && write(s[1], "b", 1) == 1 && read(s[0], c, 8) == 1 && c[0] == 'b', 1);
    close(s[0]);
    EQUAL("what was left, then the end", read(s[1], c, 8) == 1 && read(s[1], c, 8) == 0, 1);
    close(s[1]);
    EQUAL("datagram pair", socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s), 0);
    EQUAL("bounds are kept", write(s[0], "aa", 2) + write(s[0], "b", 1) == 3 && read(s[1], c, 8) == 2 && read(s[1], c, 8) == 1, 1);
    FAILS("empty", read(s[1], c, 8), EAGAIN);
    close(s[0]), close(s[1]);
    EQUAL("sequenced pair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
    pid_t child = fork();
    if (child == 0) {
        close(s[0]);
        for (ssize_t n; (n = read(s[1], c, sizeof c)) > 0;) if (write(s[1], c, n) != n) _exit(1);
        _exit(0);
    }
    close(s[1]);
    EQUAL("over a fork", write(s[0], "abc", 3) == 3 && read(s[0], c, 8) == 3, 1);
    close(s[0]);
    int status = -1;
    waitpid(child, &status, 0);
    EQUAL("its child", status, 0);
}

static int ready(int ep, uint32_t *bits) {
    struct epoll_event got;
    int n = epoll_wait(ep, &got, 1, 0);
    *bits = n == 1 ? got.events : 0;
    return n;
}

static void readiness(void) {
    int s[2], ep = epoll_create1(EPOLL_CLOEXEC);
    uint32_t bits;
    char c[16];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s)) exit(1);
    struct epoll_event level = {.events = EPOLLIN}, edge = {.events = EPOLLIN | EPOLLET}, once = {.events = EPOLLIN | EPOLLONESHOT};
    EQUAL("add", epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &level), 0);
    FAILS("add twice", epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &level), EEXIST);
    FAILS("not there", epoll_ctl(ep, EPOLL_CTL_MOD, s[1], &level), ENOENT);
    EQUAL("nothing yet", ready(ep, &bits), 0);
    EQUAL("some data", write(s[1], "ab", 2), 2);
    EQUAL("level", ready(ep, &bits) == 1 && bits == EPOLLIN, 1);
    EQUAL("still", ready(ep, &bits), 1);
    EQUAL("read it", read(s[0], c, 16), 2);
    EQUAL("not any more", ready(ep, &bits), 0);
    EQUAL("edge", epoll_ctl(ep, EPOLL_CTL_MOD, s[0], &edge), 0);
    EQUAL("more data", write(s[1], "ab", 2), 2);
    EQUAL("one edge", ready(ep, &bits), 1);
    EQUAL("only one", ready(ep, &bits), 0);
    EQUAL("even more data", write(s[1], "c", 1), 1);
    EQUAL("another edge", ready(ep, &bits), 1);
    EQUAL("one shot", epoll_ctl(ep, EPOLL_CTL_MOD, s[0], &once), 0);
    EQUAL("fires", ready(ep, &bits), 1);
    EQUAL("once", ready(ep, &bits), 0);
    EQUAL("armed again", epoll_ctl(ep, EPOLL_CTL_MOD, s[0], &once) == 0 && ready(ep, &bits) == 1, 1);
    EQUAL("out is ready at once", epoll_ctl(ep, EPOLL_CTL_ADD, s[1], &(struct epoll_event){.events = EPOLLOUT}), 0);
    EQUAL("writable", ready(ep, &bits) == 1 && bits == EPOLLOUT, 1);
    int outer = epoll_create1(0);
    EQUAL("nested", epoll_ctl(outer, EPOLL_CTL_ADD, ep, &level) == 0 && ready(outer, &bits) == 1, 1);
    EQUAL("delete", epoll_ctl(ep, EPOLL_CTL_DEL, s[1], NULL), 0);
    EQUAL("nothing nested", ready(outer, &bits), 0);
    close(outer);
    struct epoll_event hup = {.events = EPOLLIN | EPOLLRDHUP};
    epoll_ctl(ep, EPOLL_CTL_MOD, s[0], &hup);
    shutdown(s[1], SHUT_WR);
    EQUAL("EPOLLRDHUP", ready(ep, &bits) == 1 && (bits & EPOLLRDHUP) && (bits & EPOLLIN), 1);
    close(s[1]);
    EQUAL("EPOLLHUP", ready(ep, &bits) == 1 && (bits & EPOLLHUP), 1);
    close(s[0]);
    EQUAL("a closed one is gone", ready(ep, &bits), 0);
    FAILS("a file cannot be watched", epoll_ctl(ep, EPOLL_CTL_ADD, open("file", O_CREAT | O_RDWR, 0644), &level), EPERM);
    close(ep);

    pair("127.0.0.1", s);
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(s[0], &in);
    FD_SET(s[0], &out);
    EQUAL("select", select(s[0] + 1, &in, &out, NULL, NULL) == 1 && FD_ISSET(s[0], &out) && !FD_ISSET(s[0], &in), 1);
    EQUAL("something", write(s[1], "x", 1), 1);
    FD_ZERO(&in);
    FD_SET(s[0], &in);
    EQUAL("select waits", select(s[0] + 1, &in, NULL, NULL, NULL), 1);
    struct pollfd p[3] = {{s[0], POLLIN | POLLRDNORM, 0}, {-1, POLLIN, 0}, {199, POLLIN, 0}};
    EQUAL("poll", poll(p, 3, 0) == 2 && (p[0].revents & POLLIN) && p[1].revents == 0 && p[2].revents == POLLNVAL, 1);
    fcntl(s[1], F_SETFL, O_NONBLOCK);
    static char big[1 << 20];
    long written = 0;
    for (ssize_t n; (n = write(s[1], big, sizeof big)) > 0;) written += n;
    int full = errno;
    CHECK("a full buffer", written > 0 && full == EAGAIN);
    p[0] = (struct pollfd){s[1], POLLOUT, 0};
    EQUAL("is not writable", poll(p, 1, 0), 0);
    long taken = 0;
    fcntl(s[0], F_SETFL, O_NONBLOCK);
    while (taken < written + 1) {
        if (!(wait_for(s[0], POLLIN) & POLLIN)) break;
        for (ssize_t n; (n = read(s[0], big, sizeof big)) > 0;) taken += n;
    }
    EQUAL("all of it arrives", taken, written + 1);
    CHECK("writable again", wait_for(s[1], POLLOUT) & POLLOUT);
    close(s[0]), close(s[1]);
}

static int exclusive_pipe[2], exclusive_waits, exclusive_woken;

static void *waits_exclusively(void *arg) {
    (void)arg;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE};
    int ep = epoll_create1(0);
    epoll_ctl(ep, EPOLL_CTL_ADD, exclusive_pipe[0], &event);
    __atomic_add_fetch(&exclusive_waits, 1, __ATOMIC_SEQ_CST);
    if (epoll_wait(ep, &event, 1, 60000) == 1) __atomic_add_fetch(&exclusive_woken, 1, __ATOMIC_SEQ_CST);
    close(ep);
    return NULL;
}

static void exclusively(void) {
    enum { WAITERS = 3 };
    pthread_t threads[WAITERS];
    CHECK("a pipe for several", pipe(exclusive_pipe) == 0);
    for (int i = 0; i < WAITERS; i++) pthread_create(&threads[i], NULL, waits_exclusively, NULL);
    while (__atomic_load_n(&exclusive_waits, __ATOMIC_SEQ_CST) < WAITERS) pause_ms(1);
    pause_ms(100);
    for (int i = 1; i <= WAITERS; i++) {
        char c;
        if (write(exclusive_pipe[1], "x", 1) != 1) break;
        for (int ms = 0; __atomic_load_n(&exclusive_woken, __ATOMIC_SEQ_CST) < i && ms < 20000; ms++) pause_ms(1);
        EQUAL("one is woken for one event", __atomic_load_n(&exclusive_woken, __ATOMIC_SEQ_CST), i);
        if (read(exclusive_pipe[0], &c, 1) != 1) break;
    }
    for (int i = 0; i < WAITERS; i++) pthread_join(threads[i], NULL);
    close(exclusive_pipe[0]), close(exclusive_pipe[1]);
}

static void *drain(void *arg) {
    static char buffer[10000];
    long total = 0;
    for (ssize_t n; (n = read(*(int *)arg, buffer, sizeof buffer)) > 0;) total += n;
    return (void *)total;
}

static void long_write(void) {
    static char big[4 << 20];
    int s[2];
    pair("127.0.0.1", s);
    pthread_t thread;
    pthread_create(&thread, NULL, drain, &s[1]);
    EQUAL("a long write waits until all is taken", write(s[0], big, sizeof big), sizeof big);
    close(s[0]);
    void *total;
    pthread_join(thread, &total);
    EQUAL("all of it", total, sizeof big);
    close(s[1]);
}

/* How connections are given up, and what becomes of bytes that nobody reads. */
static void partings(const char *ip) {
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    struct sockaddr_in a = address(ip, 0);
    int l = listener(&a), client = socket(AF_INET, SOCK_STREAM, 0), s[2];
    char c[8] = "xxxxxxx";
    EQUAL("a peer that is none is forgotten", connect(client, &nobody, sizeof nobody), 0);
    EQUAL("a peer", connect(client, (void *)&a, sizeof a), 0);
    int server = accept(l, NULL, NULL);
    EQUAL("is forgotten", connect(client, &nobody, sizeof nobody), 0);
    EQUAL("which it learns", wait_for(server, POLLIN) & POLLERR, POLLERR);
    FAILS("by a reset", read(server, c, 1), ECONNRESET);
    close(server), close(client);
    client = socket(AF_INET, SOCK_STREAM, 0);
    EQUAL("another", connect(client, (void *)&a, sizeof a), 0);
    EQUAL("asks", wait_for(l, POLLIN), POLLIN);
    FAILS("whose name finds no room", syscall(SYS_accept, l, &a, NULL), EFAULT);
    close(client), close(l);

    pair(ip, s);
    FAILS("nothing of what is not there", recv(s[1], c, 0, MSG_DONTWAIT), EAGAIN);
    EQUAL("but read", read(s[1], c, 0), 0);
    EQUAL("three bytes", write(s[0], "abc", 3), 3);
    EQUAL("come", wait_for(s[1], POLLIN), POLLIN);
    EQUAL("nothing of them", recv(s[1], c, 0, 0), 0);
    EQUAL("two that are thrown away", recv(s[1], c, 2, MSG_TRUNC) == 2 && c[0] == 'x', 1);
    EQUAL("the last", read(s[1], c, 8) == 1 && c[0] == 'c', 1);
    EQUAL("both directions shut", shutdown(s[0], SHUT_RDWR), 0);
    EQUAL("is an end", read(s[1], c, 8), 0);
    EQUAL("bytes to who reads no more", send(s[1], "a", 1, MSG_NOSIGNAL), 1);
    EQUAL("are answered", wait_for(s[1], 0) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
    FAILS("by a reset, too", send(s[1], "a", 1, MSG_NOSIGNAL), EPIPE);
    close(s[0]), close(s[1]);
}

static void locals_apart(void) {
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    struct sockaddr_un hidden = {.sun_family = AF_UNIX, .sun_path = "\0kinds"}, name;
    socklen_t len = offsetof(struct sockaddr_un, sun_path) + 6, size = sizeof name;
    int stream = socket(AF_UNIX, SOCK_STREAM, 0), datagrams = socket(AF_UNIX, SOCK_DGRAM, 0), count = 0, s[2];
    char c[8];
    FAILS("a local stream forgets no peer", connect(stream, &nobody, sizeof nobody), EINVAL);
    EQUAL("an abstract name", bind(stream, (void *)&hidden, len), 0);
    EQUAL("is each kind's own", bind(datagrams, (void *)&hidden, len), 0);
    int other = socket(AF_UNIX, SOCK_DGRAM, 0);
    EQUAL("and is found by kind", sendto(other, "hi", 2, 0, (void *)&hidden, len), 2);
    EQUAL("from nobody", recvfrom(datagrams, c, 8, 0, (void *)&name, &size) == 2 && size == 0, 1);
    close(stream), close(datagrams), close(other);
    stream = socket(AF_UNIX, SOCK_STREAM, 0), other = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un caller = {.sun_family = AF_UNIX, .sun_path = "\0caller"};
    EQUAL("a listener", bind(stream, (void *)&hidden, len) + listen(stream, 1), 0);
    EQUAL("a caller of a name", bind(other, (void *)&caller, len + 1) + connect(other, (void *)&hidden, len), 0);
    int server = accept(stream, NULL, NULL);
    EQUAL("who sends", write(other, "hi", 2), 2);
    size = sizeof name;
    EQUAL("is named", recvfrom(server, c, 1, 0, (void *)&name, &size) == 1 && size == len + 1, 1);
    FAILS("but not without room", syscall(SYS_recvfrom, server, c, 1, 0, &name, NULL), EFAULT);
    close(stream), close(other), close(server);
    EQUAL("messages in order", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
    EQUAL("two", write(s[0], "abc", 3) + write(s[0], "de", 2), 5);
    EQUAL("so many bytes", ioctl(s[1], FIONREAD, &count) == 0 && count == 5, 1);
    EQUAL("one back", write(s[1], "f", 1), 1);
    close(s[1]);
    FAILS("a reset comes first", read(s[0], c, 8), ECONNRESET);
    EQUAL("then what was sent", read(s[0], c, 8), 1);
    FAILS("nobody is there", send(s[0], "a", 1, MSG_NOSIGNAL), EPIPE);
    close(s[0]);
}

int main(void) {
    streams("127.0.0.1");
    streams(getenv("ADDRESS"));
    ends();
    addresses();
    datagrams();
    local();
    partings("127.0.0.1");
    partings(getenv("ADDRESS"));
    locals_apart();
    readiness();
    exclusively();
    long_write();
    return 0;
}
