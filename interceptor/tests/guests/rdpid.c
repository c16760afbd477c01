/* Holds RDPID, which not every processor has: it is asked for only with an argument. */
#include <stdint.h>
#include <stdio.h>

int main(int argc, char **argv) {
    uint64_t core = 0;
    (void)argv;
    if (argc > 1) __asm__ volatile(".byte 0xf3, 0x0f, 0xc7, 0xf8" : "=a"(core)); /* rdpid rax */
    printf("%d\n", (int)core);
    return 0;
}
