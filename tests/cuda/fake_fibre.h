// SPDX-License-Identifier: Apache-2.0
// Fibres: functions with a stack of their own that change places with whoever called them.
#ifndef CARAT_TESTS_FAKE_FIBRE_H
#define CARAT_TESTS_FAKE_FIBRE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct fibre {
    void *stack; // with an untouchable page at its end
    void *place; // where it goes on
} fibre;

// Gives the fibre a stack if it has none, and begins anew: `run` must never return.
bool fibre_begin(fibre *f, void (*run)(void));
void fibre_enter(fibre *f); // returns when the fibre leaves
void fibre_leave(bool for_good);
void fibre_abandon(fibre *f); // won't be entered again before it begins anew, whatever it was doing

#endif
