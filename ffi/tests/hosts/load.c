/* A program that was linked with nothing loads the library, every symbol at once. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    void *function;
    uint32_t (*version)(void);

    if (library == NULL || (function = dlsym(library, "imagxp_abi_version")) == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    *(void **)(void *)&version = function;
    if (dlsym(library, "rust_eh_personality") != NULL || dlsym(library, "rust_begin_unwind") != NULL) return 1;
    return version() == 1 && dlclose(library) == 0 ? 0 : 1;
}
