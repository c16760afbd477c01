/* Reads a source that the sandbox does not own, in numbers that no two runs share. */
#include "check.h"

int main(void) {
    char text[256];
    for (int i = 0; i < 20; i++) {
        int fd = open("/proc/self/schedstat", O_RDONLY);
        ssize_t n = read(fd, text, sizeof text);
        if (n <= 0 || write(1, text, n) != n) return 1;
        close(fd);
    }
    return 0;
}
