/*
 * Which of the needles does a call compute with? The processor stops after each instruction, and its registers are looked
 * at. A needle that is never seen there is not the library's number, and that it is not left means nothing.
 */
#ifndef WATCH_H
#define WATCH_H

#include <signal.h>
#include <ucontext.h>

#include "needles.h"

static unsigned long watched_steps;
static uint8_t seen[NEEDLES_MAX];

static inline int was_seen(const char *name)
{
    size_t i;
    for (i = 0; i < needles_len; i++) {
        if (seen[i] && strcmp(names[i], name) == 0) {
            return 1;
        }
    }
    return 0;
}

#if defined(__x86_64__) && defined(__linux__)
#define WATCHES 1
#define TRAP_FLAG 0x100

static volatile sig_atomic_t watching;
/* Whether a needle ends with these 16 bits: most words are dismissed by it. */
static uint8_t ends[65536];

static inline void look_at(uint64_t word)
{
    size_t i;
    if (!ends[word & 0xffff]) {
        return;
    }
    for (i = 0; i < needles_len; i++) {
        seen[i] |= needles[i] == word;
    }
}

static inline void on_step(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    int i;

    (void)number;
    (void)info;
    for (i = REG_R8; i <= REG_RCX; i++) {
        look_at((uint64_t)registers[i]);
    }
    watched_steps++;
    registers[REG_EFL] = watching ? registers[REG_EFL] | TRAP_FLAG : registers[REG_EFL] & ~TRAP_FLAG;
}

static inline void watch_begin(void)
{
    static uint8_t handlers_stack[65536];
    stack_t stack = { .ss_sp = handlers_stack, .ss_size = sizeof handlers_stack };
    struct sigaction action;
    size_t i;

    for (i = 0; i < needles_len; i++) {
        ends[needles[i] & 0xffff] = 1;
    }
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_step;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    CHECK(sigaltstack(&stack, NULL) == 0 && sigaction(SIGTRAP, &action, NULL) == 0);
    watching = 1;
    CHECK(raise(SIGTRAP) == 0);
}

static inline void watch_end(void)
{
    watching = 0;
}
#else
#define WATCHES 0
static inline void watch_begin(void) {}
static inline void watch_end(void) {}
#endif

#endif
