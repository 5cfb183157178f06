// SPDX-License-Identifier: Apache-2.0
// Each lane goes on until it waits for others, the lowest first in one launch and the highest first in the next, so that two runs
// of the same launch differ where lanes don't wait as they should. Shared memory is filled with NaN or with huge numbers before a block
// begins.
#include "fake_lanes.h"

#include "fake_fibre.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum lane_state { RUNS, AT_WARP, AT_BLOCK, AT_CLUSTER, LEFT } lane_state;

typedef struct lane {
    fake_place place;
    fibre fibre;
    lane_state state;
    bool arrived;   // at the cluster's barrier, without having waited there
    unsigned round; // of that barrier
    const char *what;
    unsigned mask;
    void (*perform)(void **of_lane);
    void *mine;
} lane;

typedef struct block {
    lane lanes[FAKE_MOST_THREADS];
    char *image; // of its shared memory, while another block's is in place
    unsigned waiting;
    bool begun;
} block;

const fake_place *fake_here;

static block blocks[FAKE_MOST_BLOCKS];
static struct {
    const fake_kernel *kernel;
    const char *name;
    void **parameters;
    unsigned lane, block; // that run now, of the block and of the cluster
    unsigned arrived, round; // at the cluster's barrier, and how often all have
    bool backwards, awaited, failed, data_failed;
} now;

static lane *self(void) { return &blocks[now.block].lanes[now.lane]; }

// ---- failing

static void report(const char *format, va_list arguments)
{
    const lane *const l = self();
    now.failed = true;
    fprintf(stderr, "fake device: %s, block %u of grid (%u, %u), lane %u: ", now.name, l->place.block.x + l->place.block.y * l->place.grid.x,
            l->place.grid.x, l->place.grid.y, now.lane);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report(format, arguments);
    va_end(arguments);
}

void fake_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report(format, arguments);
    va_end(arguments);
    self()->state = LEFT;
    fibre_leave(true);
    abort(); // nobody enters it again
}

void fake_assertion(const char *condition)
{
    const char *const late = getenv("CARAT_FAKE_LATE");
    now.data_failed = late && *late == '1';
    if (!now.data_failed) fake_fail("requires %s", condition);
    now.failed = true;
    self()->state = LEFT;
    fibre_leave(true);
    abort(); // nobody enters it again
}

// Runs of lanes that are at the same place, for a message.
static void describe_lanes(const block *b, unsigned number)
{
    static const char *const words[] = { "run", "wait", "wait", "wait", "have left" };
    for (unsigned i = 0, first = 0; i < now.kernel->threads; ++i) {
        const lane *const l = &b->lanes[i], *const next = l + 1;
        if (i + 1 < now.kernel->threads && next->state == l->state && (l->state == LEFT || next->what == l->what)) continue;
        fprintf(stderr, "    block %u of the cluster, lanes %u to %u %s%s%s\n", number, first, i, words[l->state], l->state == LEFT ? "" : " at ",
                l->state == LEFT ? "" : l->what);
        first = i + 1;
    }
}

static void report_deadlock(void)
{
    note("lanes wait for each other for ever:");
    for (unsigned b = 0; b < now.kernel->blocks; ++b) describe_lanes(&blocks[b], b);
}

// ---- waiting

static void wait_here(lane_state state, const char *what)
{
    lane *const l = self();
    l->what = what;
    l->state = state;
    fibre_leave(false);
}

void fake_meet(unsigned mask, const char *what, void (*perform)(void **of_lane), void *mine)
{
    lane *const l = self(), *const warp = l - now.lane % 32;
    void *of_lane[32] = { NULL };
    if (!(mask >> now.lane % 32 & 1)) fake_fail("%s with mask %08x, which doesn't name the lane itself", what, mask);
    l->mask = mask, l->perform = perform, l->mine = mine;
    for (unsigned i = 0; i < 32; ++i) {
        if (!(mask >> i & 1)) continue;
        if (now.lane - now.lane % 32 + i >= now.kernel->threads) fake_fail("%s with mask %08x names lane %u, which the block hasn't", what, mask, i);
        const lane *const other = &warp[i];
        if (other != l && (other->state != AT_WARP || other->mask != mask || other->perform != perform)) {
            wait_here(AT_WARP, what);
            return;
        }
        of_lane[i] = other->mine;
    }
    perform(of_lane);
    for (unsigned i = 0; i < 32; ++i)
        if (mask >> i & 1) warp[i].state = RUNS;
}

void fake_block_wait(void)
{
    block *const b = &blocks[now.block];
    if (++b->waiting < now.kernel->threads) {
        wait_here(AT_BLOCK, "__syncthreads");
        return;
    }
    b->waiting = 0;
    for (unsigned i = 0; i < now.kernel->threads; ++i) b->lanes[i].state = RUNS;
}

void fake_cluster_arrive(void)
{
    lane *const l = self();
    if (now.kernel->blocks == 1) fake_fail("a cluster's barrier in a kernel that has none");
    if (l->arrived) fake_fail("arrives at the cluster's barrier again without having waited there");
    l->arrived = true;
    l->round = now.round;
    if (++now.arrived < now.kernel->blocks * now.kernel->threads) return;
    now.arrived = 0;
    ++now.round;
    for (unsigned b = 0; b < now.kernel->blocks; ++b)
        for (unsigned i = 0; i < now.kernel->threads; ++i)
            if (blocks[b].lanes[i].state == AT_CLUSTER) blocks[b].lanes[i].state = RUNS;
}

void fake_cluster_wait(void)
{
    lane *const l = self();
    if (!l->arrived) fake_fail("waits at the cluster's barrier without having arrived");
    l->arrived = false;
    if (l->round == now.round) wait_here(AT_CLUSTER, "the cluster's barrier");
}

unsigned fake_cluster_rank(void) { return now.block; }

void *fake_remote(void *place, unsigned to)
{
    const fake_kernel *const k = now.kernel;
    char *const at = place;
    if (to >= k->blocks) fake_fail("writes to block %u of a cluster of %u", to, k->blocks);
    if (at < k->shared || at >= k->shared_end) fake_fail("writes to another block at a place that isn't shared memory");
    if (!blocks[to].begun) fake_fail("writes to the shared memory of block %u, which hasn't begun", to);
    bool there = false;
    for (unsigned i = 0; i < k->threads; ++i) there |= blocks[to].lanes[i].state != LEFT;
    if (!there) fake_fail("writes to the shared memory of block %u, which has ended", to);
    return to == now.block ? at : blocks[to].image + (at - k->shared);
}

void fake_launch_wait(void) { now.awaited = true; }

// ---- running

static void run_lane(void)
{
    now.kernel->run(now.parameters);
    if (self()->arrived) fake_fail("leaves the kernel between arriving at the cluster's barrier and waiting there");
    self()->state = LEFT;
    fibre_leave(true);
}

// Not memcpy, which a sanitizer would watch: between variables there may be its own bytes.
static void swap_shared(unsigned from, unsigned to)
{
    const size_t size = (size_t)(now.kernel->shared_end - now.kernel->shared);
    char *const shared = now.kernel->shared;
    if (from == to) return;
    for (size_t i = 0; i < size; ++i) blocks[from].image[i] = shared[i], shared[i] = blocks[to].image[i];
}

static unsigned in_order(unsigned i, unsigned count) { return now.backwards ? count - 1 - i : i; }

// Runs a warp's lanes until each of them waits for another warp: so that it is as far ahead of the others as it can be.
static bool run_warp(block *b, unsigned first, unsigned count)
{
    bool any = false;
    for (bool ran = true; ran && !now.failed; any |= ran) {
        ran = false;
        for (unsigned i = 0; i < count && !now.failed; ++i) {
            now.lane = first + in_order(i, count);
            lane *const l = &b->lanes[now.lane];
            if (l->state != RUNS) continue;
            fake_here = &l->place;
            fibre_enter(&l->fibre);
            ran = true;
        }
    }
    return any;
}

// False if none of the block's lanes could go on.
static bool run_block(unsigned number)
{
    const unsigned threads = now.kernel->threads, warps = (threads + 31) / 32;
    bool any = false;
    swap_shared(now.block, number);
    now.block = number;
    blocks[number].begun = true;
    for (bool ran = true; ran && !now.failed; any |= ran) {
        ran = false;
        for (unsigned w = 0; w < warps; ++w) {
            const unsigned first = 32 * in_order(w, warps), left = threads - first;
            ran |= run_warp(&blocks[number], first, left < 32 ? left : 32);
        }
    }
    return any;
}

static bool cluster_left(void)
{
    for (unsigned b = 0; b < now.kernel->blocks; ++b)
        for (unsigned i = 0; i < now.kernel->threads; ++i)
            if (blocks[b].lanes[i].state != LEFT) return false;
    return true;
}

static bool begin_block(unsigned number, unsigned x, unsigned y, const unsigned grid[3])
{
    block *const b = &blocks[number];
    const size_t size = (size_t)(now.kernel->shared_end - now.kernel->shared);
    b->waiting = 0;
    b->begun = false;
    free(b->image);
    b->image = malloc(size + 1);
    if (!b->image) return false;
    memset(b->image, now.backwards ? 0x7f : 0xff, size);
    for (unsigned i = 0; i < now.kernel->threads; ++i) {
        lane *const l = &b->lanes[i];
        l->place = (fake_place){ { i, 0, 0 }, { x, y, 0 }, { grid[0], grid[1], grid[2] } };
        l->state = RUNS;
        l->arrived = false;
        if (!fibre_begin(&l->fibre, run_lane)) return false;
    }
    return true;
}

static void run_cluster(const unsigned grid[3], uint64_t first, bool overlapping)
{
    now.arrived = 0;
    now.awaited = false;
    for (unsigned b = 0; b < now.kernel->blocks; ++b)
        if (!begin_block(b, (unsigned)((first + b) % grid[0]), (unsigned)((first + b) / grid[0]), grid)) abort();
    now.block = now.lane = 0;
    for (char *at = now.kernel->shared; at < now.kernel->shared_end; ++at) *at = blocks[0].image[at - now.kernel->shared];
    for (bool any = true; any && !now.failed;) {
        any = false;
        for (unsigned b = 0; b < now.kernel->blocks && !now.failed; ++b) any |= run_block(in_order(b, now.kernel->blocks));
    }
    if (now.failed) return;
    if (!cluster_left()) report_deadlock();
    else if (overlapping && !now.awaited) note("was launched to overlap with the launch before, for which it doesn't wait");
}

bool fake_run(const fake_kernel *kernel, const char *name, const unsigned grid[3], void **parameters, bool overlapping)
{
    static unsigned launches;
    const uint64_t count = (uint64_t)grid[0] * grid[1];
    now.kernel = kernel, now.name = name, now.parameters = parameters, now.failed = false;
    now.data_failed = false;
    now.backwards = launches++ & 1;
    for (uint64_t first = 0; first < count && !now.failed; first += kernel->blocks) run_cluster(grid, first, overlapping);
    for (unsigned b = 0; now.failed && b < kernel->blocks; ++b)
        for (unsigned i = 0; i < kernel->threads; ++i) fibre_abandon(&blocks[b].lanes[i].fibre);
    return !now.failed || now.data_failed;
}
