/* Maps a library, if one is named, and ends as it is told: by itself, in a child, or as another program. */
#include "check.h"
#include <dlfcn.h>

int main(int argc, char **argv) {
    const char *how = argc > 2 ? argv[2] : "";
    if (strcmp(how, "in a child") == 0 && fork() > 0) return wait(NULL) > 0 ? 0 : 1;
    if (argc > 1) CHECK("a library", dlopen(argv[1], RTLD_NOW) != NULL);
    if (strcmp(how, "as another") == 0) execl(argv[0], argv[0], (char *)NULL);
    return 0;
}
