// SPDX-License-Identifier: Apache-2.0
#include "fake_fibre.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { STACK_BYTES = 256 << 10 };

// Sanitizers that the program may have must know whose stack is in use.
void __sanitizer_start_switch_fiber(void **fake_stack, const void *bottom, size_t size) __attribute__((weak));
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **bottom, size_t *size) __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *address, size_t size) __attribute__((weak));

static const void *caller_bottom;
static size_t caller_size;

static void entering(fibre *f, void **fake_stack)
{
    if (__sanitizer_start_switch_fiber) __sanitizer_start_switch_fiber(fake_stack, f->stack, STACK_BYTES);
}
static void leaving(void **fake_stack)
{
    if (__sanitizer_start_switch_fiber) __sanitizer_start_switch_fiber(fake_stack, caller_bottom, caller_size);
}
static void arrived(void *fake_stack, bool in_fibre)
{
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(fake_stack, in_fibre ? &caller_bottom : NULL, in_fibre ? &caller_size : NULL);
}

#if defined __x86_64__

static void *caller_place;
static void (*first_function)(void);

// Keeps what a function must keep on the stack, and the stack's place in *from; goes on at `to`.
void fake_switch(void **from, void *to);
__asm__(".text\n"
        ".hidden fake_switch\n"
        ".globl fake_switch\n"
        "fake_switch:\n"
        "    push %rbp\n    push %rbx\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbx\n    pop %rbp\n"
        "    ret\n");

static void start(void)
{
    arrived(NULL, true);
    first_function();
}

static void prepare(fibre *f, void (*run)(void))
{
    first_function = run;
    uintptr_t *top = (uintptr_t *)((char *)f->stack + STACK_BYTES);
    *--top = 0; // start's return address, which keeps the stack aligned
    *--top = (uintptr_t)start;
    for (int i = 0; i < 6; ++i) *--top = 0;
    f->place = top;
}

static void go_in(fibre *f) { fake_switch(&caller_place, f->place); }
static void go_out(fibre *f) { fake_switch(&f->place, caller_place); }

#else
#include <stdlib.h>
#include <ucontext.h>

static ucontext_t caller_context;
static void (*first_function)(void);

static void start(void)
{
    arrived(NULL, true);
    first_function();
}

static void prepare(fibre *f, void (*run)(void))
{
    ucontext_t *const context = f->place ? f->place : (f->place = malloc(sizeof *context));
    first_function = run;
    getcontext(context);
    context->uc_stack.ss_sp = f->stack;
    context->uc_stack.ss_size = STACK_BYTES;
    makecontext(context, start, 0);
}

static void go_in(fibre *f) { swapcontext(&caller_context, f->place); }
static void go_out(fibre *f) { swapcontext(f->place, &caller_context); }

#endif

static fibre *current;

bool fibre_begin(fibre *f, void (*run)(void))
{
    if (!f->stack) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        char *const memory = mmap(NULL, page + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE)) return false;
        f->stack = memory + page;
    }
    prepare(f, run);
    return true;
}

void fibre_abandon(fibre *f)
{
    if (f->stack && __asan_unpoison_memory_region) __asan_unpoison_memory_region(f->stack, STACK_BYTES);
}

void fibre_enter(fibre *f)
{
    void *fake_stack = NULL;
    current = f;
    entering(f, &fake_stack);
    go_in(f);
    arrived(fake_stack, false);
}

void fibre_leave(bool for_good)
{
    fibre *const f = current;
    void *fake_stack = NULL;
    leaving(for_good ? NULL : &fake_stack);
    go_out(f);
    arrived(fake_stack, true);
}
