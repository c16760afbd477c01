/* Holds RDRAND: as a program, or as a library that `loads` maps. It is asked for only with an argument. */
#include <stdint.h>
#include <stdio.h>

int drawn(uint64_t *number) {
    unsigned char there;
    __asm__ volatile("rdrand %0; setc %1" : "=r"(*number), "=qm"(there) : : "cc");
    return there;
}

int main(int argc, char **argv) {
    uint64_t number = 0;
    (void)argv;
    puts(argc > 1 && drawn(&number) ? "drew" : "did not draw");
    return 0;
}
