// SPDX-License-Identifier: Apache-2.0
// The one lock of the slow paths (probing, tables, loading code). It survives fork: the forking thread takes it first,
// so no child is born with the lock held by a thread that it doesn't have. Never held while a kernel is compiled.
#ifndef CARAT_JIT_LOCK_H
#define CARAT_JIT_LOCK_H

void carat_lock(void);
void carat_unlock(void);

// Waits, with the lock given up meanwhile, until another thread calls carat_lock_wake. Wakes spuriously too.
void carat_lock_wait(void);
void carat_lock_wake(void);

// How many forks lie between this process and its first use of the lock: what other threads had begun before is void.
unsigned carat_lock_generation(void);

#endif
