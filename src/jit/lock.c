// SPDX-License-Identifier: Apache-2.0
// A mutex and a condition that are whole in a forked child.
#include "jit/lock.h"

#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_once_t registered = PTHREAD_ONCE_INIT;
static unsigned generation; // guarded by mutex

static void before_fork(void)
{
    pthread_mutex_lock(&mutex);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&mutex);
}

// The condition may count waiters that the child doesn't have, so it starts anew.
static void after_fork_child(void)
{
    static const pthread_cond_t fresh = PTHREAD_COND_INITIALIZER;
    changed = fresh;
    ++generation;
    pthread_mutex_unlock(&mutex);
}

static void register_handlers(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

void carat_lock(void)
{
    pthread_once(&registered, register_handlers);
    pthread_mutex_lock(&mutex);
}

void carat_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

void carat_lock_wait(void)
{
    pthread_cond_wait(&changed, &mutex);
}

void carat_lock_wake(void)
{
    pthread_cond_broadcast(&changed);
}

unsigned carat_lock_generation(void)
{
    return generation;
}
