/* The same paths, at one place of its memory or at another. */
#include "check.h"

int main(int argc, char **argv) {
    static char places[2][64];
    char *at = places[argc > 1 && argv[1][0] == 'b'];
    strcpy(at, "file");
    int fd = open(at, O_CREAT | O_RDWR, 0644);
    CHECK("a file is made", fd > 2);
    strcpy(at + 32, "other");
    EQUAL("and renamed", rename(at, at + 32), 0);
    FAILS("it is no longer there", open(at, O_RDONLY), ENOENT);
    EQUAL("but there", open(at + 32, O_RDONLY), fd + 1);
    return 0;
}
