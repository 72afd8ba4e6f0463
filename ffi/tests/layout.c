/* Size and offsets of every struct, one a line: compared with layout.txt, which only grows. */
#include <stddef.h>
#include <stdio.h>

#include "imagxp.h"

#define SIZE(type) printf("%s %u\n", #type, (unsigned)sizeof(type))
#define FIELD(type, member)                                                                        \
    printf("%s.%s %u %u\n", #type, #member, (unsigned)offsetof(type, member),                      \
           (unsigned)sizeof(((type *)0)->member))

int main(void)
{
#include "layout.inc"
    return 0;
}
