/* Much written and never synced: 300 MiB in one file, then in many that are deleted again. */
#include "check.h"

int main(void) {
    static char block[1 << 20];
    memset(block, 'x', sizeof block);
    long wrote = 0;
    int fd = open("big", O_CREAT | O_RDWR, 0600);
    for (int i = 0; i < 300; i++) wrote += write(fd, block, sizeof block);
    EQUAL("one file", wrote, 300L << 20);
    EQUAL("cut", ftruncate(fd, 0), 0);
    wrote = 0;
    for (int i = 0; i < 350; i++) {
        fd = open("small", O_CREAT | O_WRONLY, 0600);
        wrote += write(fd, block, sizeof block);
        close(fd);
        unlink("small");
    }
    EQUAL("deleted ones", wrote, 350L << 20);
    return 0;
}
