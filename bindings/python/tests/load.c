/* Loads the wheel's library with whatever libc this was compiled for, and calls it. */
#include <dlfcn.h>
#include <stdio.h>

#include "imagxp.h"

int main(int argc, char **argv)
{
    void *library = dlopen(argv[argc - 1], RTLD_NOW);
    uint32_t (*version)(void);
    imagxp_status (*jcs)(imagxp_str, imagxp_buf, size_t *);
    imagxp_status (*from_random)(const uint8_t *, imagxp_key *);
    uint8_t random[32] = { 7 }, out[64];
    imagxp_buf buf = { out, sizeof out };
    imagxp_key key;
    size_t needed = 0;

    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    *(void **)&version = dlsym(library, "imagxp_abi_version");
    *(void **)&jcs = dlsym(library, "imagxp_jcs");
    *(void **)&from_random = dlsym(library, "imagxp_key_from_random");
    if (version() != IMAGXP_ABI || jcs(IMAGXP_STR("{\"b\":1.50,\"a\":2}"), buf, &needed) != IMAGXP_OK) return 1;
    if (from_random(random, &key) != IMAGXP_OK) return 1;
    printf("interface %u: %.*s\n", (unsigned)version(), (int)needed, (const char *)out);
    return 0;
}
