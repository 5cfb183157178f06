// SPDX-License-Identifier: Apache-2.0
// carat_precompile: the kernels of some operators into the disk cache, by several threads.
#include "backends/backend.h"
#include "jit/binary.h"
#include "jit/jit.h"
#include "jit/trace.h"

#include <pthread.h>
#include <stdlib.h>

enum { MOST_THREADS = 256 };

typedef struct job {
    const carat_backend *backend;
    const carat_target *target;
    const carat_op *const *ops;
    size_t op_count;
    const char *trace; // a file that names the kernels; NULL: those that packs hold
    carat_key *keys;
    size_t key_count, key_room;
    bool out_of_memory;

    pthread_mutex_t mutex; // guards what follows
    size_t next;           // key that no thread has taken
    bool stopped;
    carat_precompiled done;
    carat_failure *failure; // the first
    int (*progress)(void *arg, const carat_precompiled *so_far);
    void *arg;
} job;

// ---- which keys

static bool is_wanted(const job *j, const carat_key *key)
{
    if (j->trace && j->op_count == 0) return true;
    for (size_t i = 0; i < j->op_count; ++i)
        if (j->ops[i]->family == carat_family_at(key->family)
            && (!j->ops[i]->family->row_kernels || j->ops[i]->row_index == key->row))
            return true;
    return false;
}

static void add_key(void *arg, const carat_key *key)
{
    job *j = arg;
    if (!is_wanted(j, key)) return;
    if (j->key_count == j->key_room) {
        const size_t room = j->key_room ? 2 * j->key_room : 256;
        carat_key *const keys = realloc(j->keys, room * sizeof *keys);
        if (!keys) {
            j->out_of_memory = true;
            return;
        }
        j->keys = keys;
        j->key_room = room;
    }
    j->keys[j->key_count++] = *key;
}

static carat_status list_keys(job *j)
{
    if (j->trace) CARAT_TRY(carat_trace_read(j->trace, j->target, add_key, j));
    for (int f = 0; f < CARAT_FAMILY_COUNT && !j->trace; ++f) {
        const carat_family *family = carat_family_at(f);
        if (carat_family_source(family, j->target)) family->enumerate(j->target, add_key, j);
    }
    return j->out_of_memory ? carat_fail(CARAT_OUT_OF_MEMORY, "no memory for the list of %zu kernels", j->key_count) : CARAT_OK;
}

// ---- the work

static void count(job *j, carat_failure *failure, bool made)
{
    ++*(failure ? &j->done.failed : made ? &j->done.compiled : &j->done.present);
    if (failure && !j->failure) j->failure = failure;
    if (j->progress && !j->stopped && !j->progress(j->arg, &j->done)) j->stopped = true;
}

static void *work(void *arg)
{
    job *j = arg;
    pthread_mutex_lock(&j->mutex);
    while (!j->stopped && j->next < j->key_count) {
        const carat_key *const key = &j->keys[j->next++];
        pthread_mutex_unlock(&j->mutex);
        bool made;
        carat_failure *const failure = carat_binary_prepare(j->backend, j->target, key, &made);
        pthread_mutex_lock(&j->mutex);
        count(j, failure, made);
        if (failure && failure->status == CARAT_UNSUPPORTED) j->stopped = true; // no compiler: there won't be one for the next
    }
    pthread_mutex_unlock(&j->mutex);
    return NULL;
}

// The caller's thread is one of them; fewer than asked for, if the system has no more, do the same work.
static void work_together(job *j, int threads)
{
    pthread_t others[MOST_THREADS];
    int started = 0;
    while (started < threads - 1 && started < MOST_THREADS && pthread_create(&others[started], NULL, work, j) == 0) ++started;
    work(j);
    for (int i = 0; i < started; ++i) pthread_join(others[i], NULL);
}

// ---- the call

static carat_status find_target(job *j, const char *backend, const char *target)
{
    j->backend = carat_backend_named(backend);
    if (!j->backend) return carat_fail(CARAT_NOT_FOUND, "there is no backend %s", backend);
    j->target = j->backend->target_named ? j->backend->target_named(target) : NULL;
    return j->target ? CARAT_OK : carat_fail(CARAT_NOT_FOUND, "backend %s has no target %s", backend, target);
}

static carat_status outcome(const job *j)
{
    if (!j->failure) return CARAT_OK;
    if (j->failure->status == CARAT_UNSUPPORTED) carat_step_aside("no compiler");
    return carat_fail(j->failure->status, "%s", j->failure->message);
}

carat_status carat_precompile(const char *backend, const char *target, const carat_op *const *ops, size_t count, const char *trace, int threads,
                              int (*progress)(void *arg, const carat_precompiled *so_far), void *arg, carat_precompiled *done)
{
    job j = { .ops = ops, .op_count = count, .trace = trace, .mutex = PTHREAD_MUTEX_INITIALIZER, .progress = progress, .arg = arg };
    const char *why = NULL;
    if (done) *done = j.done;
    if (!backend || !target || (count && !ops) || threads < 1)
        return carat_fail(CARAT_INVALID_ARGUMENT, "carat_precompile: a null pointer, or %d threads", threads);
    CARAT_TRY(find_target(&j, backend, target));
    if (!*carat_cache_directory(&why)) return carat_fail(CARAT_IO_ERROR, "no disk cache: %s", why ? why : "no directory");
    carat_status status = list_keys(&j);
    j.done.total = (int64_t)j.key_count;
    if (status == CARAT_OK) {
        work_together(&j, threads);
        status = outcome(&j);
    }
    free(j.keys);
    if (done) *done = j.done;
    return status;
}
