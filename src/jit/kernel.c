// SPDX-License-Identifier: Apache-2.0
// carat_kernel_get: the table of kernels in memory, and how a kernel gets into it.
//
// A slot is written once and never changes, so readers take no lock: they see a slot's state (acquire) only after its
// key and handle were stored (release). A full table is replaced by one twice as large and stays behind for readers
// that are still in it; together the old ones are smaller than the new one.
#include "jit/binary.h"
#include "jit/jit.h"
#include "jit/lock.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT_EMPTY, SLOT_READY, SLOT_FAILED };
enum { FIRST_CAPACITY = 1024 };

typedef struct kernel_id {
    uint64_t key[2];
    uint64_t device; // type and index
} kernel_id;

typedef struct slot {
    kernel_id id;
    union {
        void *handle;             // SLOT_READY
        carat_failure *failure;   // SLOT_FAILED
    };
    _Atomic uint32_t state;
} slot;

typedef struct table {
    size_t mask, used;
    struct table *older; // kept reachable for leak checkers
    slot slots[];
} table;

static _Atomic(table *) current;

static kernel_id make_id(carat_device device, const carat_key *key)
{
    kernel_id id;
    memcpy(id.key, key, sizeof id.key);
    id.device = (uint64_t)(uint32_t)device.type << 32 | (uint32_t)device.index;
    return id;
}

static size_t hash(const kernel_id *id)
{
    uint64_t h = (id->key[0] ^ 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
    h = ((h ^ h >> 29) + id->key[1]) * 0x94d049bb133111eb;
    h = ((h ^ h >> 31) + id->device) * 0x9e3779b97f4a7c15;
    return (size_t)(h ^ h >> 32);
}

static bool same(const kernel_id *a, const kernel_id *b)
{
    return a->key[0] == b->key[0] && a->key[1] == b->key[1] && a->device == b->device;
}

// The slot of an id, or the empty one where it would go. Tables are never full.
static slot *find_slot(table *in, const kernel_id *id, uint32_t *state)
{
    for (size_t i = hash(id);; ++i) {
        slot *at = &in->slots[i & in->mask];
        *state = atomic_load_explicit(&at->state, memory_order_acquire);
        if (*state == SLOT_EMPTY || same(&at->id, id)) return at;
    }
}

static carat_status answer_failure(const carat_failure *failure)
{
    if (failure->status == CARAT_UNSUPPORTED) return carat_step_aside("no kernel");
    return carat_fail(failure->status, "%s", failure->message);
}

// True if the table has an answer for the id.
static bool look_up(const kernel_id *id, carat_kernel *kernel, carat_status *status)
{
    table *in = atomic_load_explicit(&current, memory_order_acquire);
    if (!in) return false;
    uint32_t state;
    const slot *at = find_slot(in, id, &state);
    if (state == SLOT_EMPTY) return false;
    if (state == SLOT_READY) {
        kernel->handle = at->handle;
        *status = CARAT_OK;
    } else {
        *status = answer_failure(at->failure);
    }
    return true;
}

// ---- entering what was found; under the lock

static table *grow(table *old)
{
    const size_t capacity = old ? 2 * (old->mask + 1) : FIRST_CAPACITY;
    table *new = calloc(1, sizeof *new + capacity * sizeof *new->slots);
    if (!new) return NULL;
    new->mask = capacity - 1;
    new->older = old;
    for (size_t i = 0; old && i <= old->mask; ++i) {
        const slot *from = &old->slots[i];
        uint32_t state = atomic_load_explicit(&from->state, memory_order_relaxed), empty;
        if (state == SLOT_EMPTY) continue;
        slot *to = find_slot(new, &from->id, &empty);
        to->id = from->id;
        to->handle = from->handle;
        atomic_store_explicit(&to->state, state, memory_order_relaxed);
        ++new->used;
    }
    atomic_store_explicit(&current, new, memory_order_release);
    return new;
}

// Without memory nothing is remembered; the caller has its answer all the same.
static void remember(const kernel_id *id, const carat_kernel *kernel, carat_failure *failure)
{
    table *in = atomic_load_explicit(&current, memory_order_relaxed);
    if (!in || in->used * 2 > in->mask) in = grow(in);
    if (!in) return;
    uint32_t state;
    slot *at = find_slot(in, id, &state);
    if (state != SLOT_EMPTY) return;
    at->id = *id;
    if (failure) at->failure = failure;
    else at->handle = kernel->handle;
    ++in->used;
    atomic_store_explicit(&at->state, failure ? SLOT_FAILED : SLOT_READY, memory_order_release);
}

// ---- one thread finds a kernel, the others that want it wait

typedef struct in_flight {
    kernel_id id;
    struct in_flight *next;
} in_flight;
static in_flight *first_in_flight; // of this generation
static unsigned flight_generation;

static bool is_in_flight(const kernel_id *id)
{
    if (flight_generation != carat_lock_generation()) { // a fork: the threads that were at work are not here
        first_in_flight = NULL;
        flight_generation = carat_lock_generation();
    }
    for (const in_flight *at = first_in_flight; at; at = at->next)
        if (same(&at->id, id)) return true;
    return false;
}

static void leave_flight(const in_flight *mine)
{
    for (in_flight **at = &first_in_flight; *at; at = &(*at)->next) {
        if (*at != mine) continue;
        *at = mine->next;
        break;
    }
    carat_lock_wake();
}

static carat_status find_kernel(const carat_backend *backend, carat_device device, const carat_key *key,
                                const kernel_id *id, carat_kernel *kernel)
{
    carat_status status;
    carat_lock();
    while (is_in_flight(id)) carat_lock_wait();
    if (look_up(id, kernel, &status)) {
        carat_unlock();
        return status;
    }
    in_flight mine = {.id = *id, .next = first_in_flight};
    first_in_flight = &mine;
    carat_unlock();

    carat_failure *failure = carat_binary_find(backend, device, key, kernel);

    carat_lock();
    remember(id, kernel, failure);
    leave_flight(&mine);
    carat_unlock();
    return failure ? answer_failure(failure) : CARAT_OK;
}

carat_status carat_kernel_get(const carat_backend *backend, carat_device device, const carat_key *key, carat_kernel *kernel)
{
    const kernel_id id = make_id(device, key);
    carat_status status;
    if (look_up(&id, kernel, &status)) return status;
    return find_kernel(backend, device, key, &id, kernel);
}
