/* One program, two Rust libraries: ours, and one with the whole standard library in it, which panics and recovers. */
#include "../check.h"

extern int neighbour_recovers(int number);

int main(void)
{
    static world w;
    world_make(&w);
    CHECK(neighbour_recovers(41) == 42);
    return 0;
}
