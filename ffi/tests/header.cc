// The header in C++: the same text, compiled by another compiler.
#include "header.c"
