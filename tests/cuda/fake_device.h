// SPDX-License-Identifier: Apache-2.0
// A GPU that isn't there: what kernels that were compiled for a CPU (fake_words.h) and the driver that runs them (fake_driver.c)
// have in common. The lanes of a block are fibres of one thread; they change places only where they wait for each other.
#ifndef CARAT_TESTS_FAKE_DEVICE_H
#define CARAT_TESTS_FAKE_DEVICE_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fake_index {
    unsigned x, y, z;
} fake_index;

// Where the lane that runs now is.
typedef struct fake_place {
    fake_index thread, block, grid;
} fake_place;
extern const fake_place *fake_here;

// What a compiled kernel tells of itself, by the symbol <kernel>_fake. Shared memory is the variables of its module, of which each
// block of a cluster has an image.
typedef struct fake_kernel {
    void (*run)(void **parameters);
    unsigned threads, lanes, blocks; // of a block, of a group, blocks of a cluster
    char *shared, *shared_end;
} fake_kernel;

// All lanes of `mask`, in this lane's warp, come here with the same `perform`, which the last one calls: with what each of them
// brought, by its number in the warp.
void fake_meet(unsigned mask, const char *what, void (*perform)(void **of_lane), void *mine);
void fake_block_wait(void);
void fake_cluster_arrive(void);
void fake_cluster_wait(void);
unsigned fake_cluster_rank(void);
void *fake_remote(void *place, unsigned block); // the same place of another block's shared memory
void fake_launch_wait(void);

// Ends the launch with a message: cuLaunchKernelEx answers with an error.
void fake_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
// The same for a condition that data, not the kernel, break. With CARAT_FAKE_LATE=1 the launch says nothing: as on a device.
void fake_assertion(const char *condition) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif
#endif
