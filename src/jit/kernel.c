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
enum { FIRST_BITS = 10 };

typedef struct kernel_id {
    uint64_t key[2];
    uint32_t device; // type and index
} kernel_id;

typedef struct slot {
    uint64_t key[2];
    uint32_t device;
    _Atomic uint32_t state;
    union {
        void *handle;           // SLOT_READY
        carat_failure *failure; // SLOT_FAILED
    };
} slot;
_Static_assert(sizeof(slot) == 32, "a slot lies in one cache line");

typedef struct table {
    _Alignas(64) int shift; // from a hash to a slot
    size_t mask, used;
    struct table *older; // kept reachable for leak checkers
    _Alignas(64) slot slots[];
} table;

static _Atomic(table *) current;

static inline kernel_id make_id(carat_device device, const carat_key *key)
{
    kernel_id id;
    memcpy(id.key, key, sizeof id.key);
    id.device = (uint32_t)device.type << 24 | ((uint32_t)device.index & 0xffffff);
    return id;
}

// Keys are small numbers in a few of their bytes: two multiplications carry them into the top bits, which choose.
static inline uint64_t hash(kernel_id id)
{
    const uint64_t a = (id.key[0] ^ id.device) * 0x9e3779b97f4a7c15, b = id.key[1] * 0xbf58476d1ce4e5b9;
    return (a ^ (b >> 29 | b << 35)) * 0x94d049bb133111eb;
}

// The slot of an id, or the empty one where it would go. Tables are never full.
static inline slot *find_slot(table *in, kernel_id id, uint32_t *state)
{
    for (size_t i = hash(id) >> in->shift;; ++i) {
        slot *at = &in->slots[i & in->mask];
        *state = atomic_load_explicit(&at->state, memory_order_acquire);
        if (*state == SLOT_EMPTY) return at;
        if (at->key[0] == id.key[0] && at->key[1] == id.key[1] && at->device == id.device) return at;
    }
}

static carat_status answer_failure(const carat_failure *failure)
{
    if (failure->status == CARAT_UNSUPPORTED) return carat_step_aside("no kernel");
    return carat_fail(failure->status, "%s", failure->message);
}

// True if the table has an answer for the id.
static inline bool look_up(kernel_id id, carat_kernel *kernel, carat_status *status)
{
    table *in = atomic_load_explicit(&current, memory_order_acquire);
    if (!in) return false;
    uint32_t state;
    const slot *at = find_slot(in, id, &state);
    if (state == SLOT_EMPTY) return false;
    kernel->handle = at->handle;
    *status = state == SLOT_READY ? CARAT_OK : answer_failure(at->failure);
    return true;
}

// ---- entering what was found; under the lock

static table *grow(table *old)
{
    const int bits = old ? 64 - old->shift + 1 : FIRST_BITS;
    const size_t size = sizeof(table) + (sizeof(slot) << bits);
    table *new = aligned_alloc(64, size);
    if (!new) return NULL;
    memset(new, 0, size);
    new->shift = 64 - bits;
    new->mask = ((size_t)1 << bits) - 1;
    new->older = old;
    for (size_t i = 0; old && i <= old->mask; ++i) {
        const slot *from = &old->slots[i];
        uint32_t state = atomic_load_explicit(&from->state, memory_order_relaxed), empty;
        if (state == SLOT_EMPTY) continue;
        const kernel_id id = {{from->key[0], from->key[1]}, from->device};
        *find_slot(new, id, &empty) = *from;
        ++new->used;
    }
    atomic_store_explicit(&current, new, memory_order_release);
    return new;
}

// Without memory nothing is remembered; the caller has its answer all the same.
static void remember(kernel_id id, const carat_kernel *kernel, carat_failure *failure)
{
    table *in = atomic_load_explicit(&current, memory_order_relaxed);
    if (!in || in->used * 2 > in->mask) in = grow(in);
    if (!in) return;
    uint32_t state;
    slot *at = find_slot(in, id, &state);
    if (state != SLOT_EMPTY) return;
    memcpy(at->key, id.key, sizeof at->key);
    at->device = id.device;
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

static bool is_in_flight(kernel_id id)
{
    if (flight_generation != carat_lock_generation()) { // a fork: the threads that were at work are not here
        first_in_flight = NULL;
        flight_generation = carat_lock_generation();
    }
    for (const in_flight *at = first_in_flight; at; at = at->next)
        if (at->id.key[0] == id.key[0] && at->id.key[1] == id.key[1] && at->id.device == id.device) return true;
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

static __attribute__((noinline, cold)) carat_status find_kernel(const carat_backend *backend, carat_device device,
                                                                const carat_key *key, carat_kernel *kernel)
{
    const kernel_id id = make_id(device, key);
    carat_status status;
    if (backend->may_load && !backend->may_load(device)) return carat_step_aside("kernel not loaded before a graph capture");
    carat_lock();
    while (is_in_flight(id)) carat_lock_wait();
    if (look_up(id, kernel, &status)) {
        carat_unlock();
        return status;
    }
    in_flight mine = {.id = id, .next = first_in_flight};
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
    carat_status status;
    if (look_up(make_id(device, key), kernel, &status)) return status;
    return find_kernel(backend, device, key, kernel);
}

void carat_kernels_each(void (*visit)(void *arg, carat_device device, const carat_key *key), void *arg)
{
    table *in = atomic_load_explicit(&current, memory_order_acquire);
    for (size_t i = 0; in && i <= in->mask; ++i) {
        const slot *at = &in->slots[i];
        if (atomic_load_explicit(&at->state, memory_order_acquire) != SLOT_READY) continue;
        carat_key key;
        memcpy(&key, at->key, sizeof key);
        visit(arg, (carat_device){ (int32_t)(at->device >> 24), (int32_t)(at->device & 0xffffff) }, &key);
    }
}
