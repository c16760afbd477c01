/* Many bytes or messages in one call: sendfile, sendmmsg, recvmmsg; what programs fall back from; options of streams. */
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Both ends of a new connection to `host`, an address of either family. */
static void pair(int family, const void *host, socklen_t len, int ends[2]) {
    struct sockaddr_storage a;
    memcpy(&a, host, len);
    int l = socket(family, SOCK_STREAM, 0), off = 0;
    if (family == AF_INET6) setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(l, (void *)&a, len) || listen(l, 1) || getsockname(l, (void *)&a, &len)) exit(1);
    ends[0] = socket(family, SOCK_STREAM, 0);
    if (connect(ends[0], (void *)&a, len)) exit(1);
    ends[1] = accept(l, NULL, NULL);
    close(l);
}

static void loopback(int ends[2]) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    pair(AF_INET, &a, sizeof a, ends);
}

static int take(int fd, char *to, size_t count) {
    size_t have = 0;
    for (ssize_t n; have < count && (n = read(fd, to + have, count - have)) > 0;) have += n;
    return have == count;
}

static void files(void) {
    int fd = open("source", O_CREAT | O_RDWR, 0644), s[2], p[2];
    static char text[5000], got[5000];
    if (getrandom(text, 256, 0) != 256 || getrandom(text + 4000, 1000, 0) != 1000) exit(1);
    if (write(fd, text, sizeof text) != sizeof text || lseek(fd, 100, SEEK_SET) != 100) exit(1);
    loopback(s);
    EQUAL("from where the file is", sendfile(s[0], fd, NULL, 50), 50);
    CHECK("arrives", take(s[1], got, 50) && memcmp(got, text + 100, 50) == 0);
    EQUAL("which moves", lseek(fd, 0, SEEK_CUR), 150);
    off_t at = 4000;
    EQUAL("from an offset, to the end", sendfile(s[0], fd, &at, 3000), 1000);
    CHECK("arrives too", take(s[1], got, 1000) && memcmp(got, text + 4000, 1000) == 0);
    CHECK("the offset moves, the file does not", at == 5000 && lseek(fd, 0, SEEK_CUR) == 150);
    EQUAL("at the end", sendfile(s[0], fd, &at, 10), 0);
    int to = open("target", O_CREAT | O_RDWR, 0644);
    at = 10;
    EQUAL("to a file", sendfile(to, fd, &at, 2000), 2000);
    CHECK("is written", pread(to, got, 2001, 0) == 2000 && memcmp(got, text + 10, 2000) == 0);
    EQUAL("whose position moves", lseek(to, 0, SEEK_CUR), 2000);
    if (pipe(p)) exit(1);
    at = 1;
    EQUAL("to a pipe", sendfile(p[1], fd, &at, 300), 300);
    CHECK("is piped", take(p[0], got, 300) && memcmp(got, text + 1, 300) == 0);
    FAILS("not from a pipe", sendfile(to, p[0], NULL, 1), EINVAL);
    FAILS("nor a socket", sendfile(to, s[1], NULL, 1), EINVAL);
    FAILS("not to what is only read", sendfile(p[0], fd, NULL, 1), EBADF);
    close(s[1]);
    close(fd), close(to), close(s[0]), close(p[0]), close(p[1]);
}

/* Three datagrams, each longer than the last, with pauses. */
static void *send_slowly(void *fd) {
    for (int i = 1; i <= 3; i++) {
        pause_ms(20);
        if (send(*(int *)fd, "sss", i, 0) != i) exit(1);
    }
    return NULL;
}

static void messages(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t len = sizeof a;
    if (bind(in, (void *)&a, len) || getsockname(in, (void *)&a, &len) || connect(out, (void *)&a, len)) exit(1);
    struct iovec parts[4] = {{"one", 3}, {"two", 3}, {"and a half", 10}, {"three", 5}};
    struct mmsghdr sent[3] = {{{.msg_iov = parts, .msg_iovlen = 1}, 0}, {{.msg_iov = parts + 1, .msg_iovlen = 2}, 0}, {{.msg_iov = parts + 3, .msg_iovlen = 1}, 0}};
    EQUAL("three datagrams", sendmmsg(out, sent, 3, 0), 3);
    CHECK("their lengths", sent[0].msg_len == 3 && sent[1].msg_len == 13 && sent[2].msg_len == 5);
    char text[4][32];
    struct iovec to[4];
    struct sockaddr_in from[4];
    struct mmsghdr got[4];
    for (int i = 0; i < 4; i++) {
        to[i] = (struct iovec){text[i], 32};
        got[i] = (struct mmsghdr){{.msg_name = from + i, .msg_namelen = sizeof from[i], .msg_iov = to + i, .msg_iovlen = 1}, 0};
    }
    /* With the flag it waits for the first one only. */
    int n = 0;
    while (n < 3) {
        int more = recvmmsg(in, got + n, 4 - n, MSG_WAITFORONE, NULL);
        if (more <= 0) break;
        n += more;
    }
    EQUAL("as many as there are", n, 3);
    CHECK("each for itself", got[0].msg_len == 3 && got[1].msg_len == 13 && got[2].msg_len == 5 && memcmp(text[1], "twoand a half", 13) == 0);
    CHECK("and from whom", from[2].sin_family == AF_INET && from[2].sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    FAILS("none any more", recvmmsg(in, got, 4, MSG_DONTWAIT, NULL), EAGAIN);
    pthread_t sender;
    if (pthread_create(&sender, NULL, send_slowly, &out)) exit(1);
    EQUAL("without a flag it waits for all", recvmmsg(in, got, 3, 0, NULL), 3);
    CHECK("and has them all", got[0].msg_len == 1 && got[1].msg_len == 2 && got[2].msg_len == 3 && memcmp(text[2], "sss", 3) == 0);
    pthread_join(sender, NULL);
    EQUAL("of no messages", sendmmsg(out, sent, 0, 0), 0);
    close(in), close(out);
}

static void options(void) {
    int s[2], value;
    loopback(s);
    static const struct { int level, name, value; } set[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1}, {IPPROTO_TCP, TCP_KEEPIDLE, 3}, {IPPROTO_TCP, TCP_KEEPINTVL, 2}, {IPPROTO_TCP, TCP_KEEPCNT, 4},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, 4321}, {IPPROTO_TCP, TCP_NODELAY, 1},
    };
    for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
        socklen_t len = sizeof value;
        EQUAL("an option", setsockopt(s[0], set[i].level, set[i].name, &set[i].value, sizeof value), 0);
        EQUAL("is kept", getsockopt(s[0], set[i].level, set[i].name, &value, &len) == 0 ? value : -1, set[i].value);
    }
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    EQUAL("its state", getsockopt(s[0], IPPROTO_TCP, TCP_INFO, &info, &len) == 0 ? info.tcpi_state : 0, TCP_ESTABLISHED);
    close(s[0]), close(s[1]);
}

/* IPv4 peers of a socket for both families have mapped addresses. */
static void mapped(void) {
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT}, peer;
    int l = socket(AF_INET6, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), off = 0;
    socklen_t len = sizeof any;
    EQUAL("both families", setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), 0);
    EQUAL("listen on all", bind(l, (void *)&any, len) + listen(l, 1) + getsockname(l, (void *)&any, &len), 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = any.sin6_port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    EQUAL("by IPv4", connect(client, (void *)&a, sizeof a), 0);
    len = sizeof peer;
    int server = accept(l, (void *)&peer, &len);
    CHECK("a mapped address", peer.sin6_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr) && peer.sin6_addr.s6_addr[12] == 127);
    char c = 0;
    EQUAL("both ways", write(server, "4", 1) == 1 && read(client, &c, 1) == 1 && c == '4', 1);
    close(server), close(client), close(l);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    files();
    messages();
    options();
    mapped();
    return 0;
}
