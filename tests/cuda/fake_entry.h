// SPDX-License-Identifier: Apache-2.0
// Comes after a kernel's source: what the fake driver looks up.
template <class Args> static inline void fake_run_with(void (*kernel)(Args, i64), void **parameters)
{
    kernel(*(Args *)parameters[0], *(i64 *)parameters[1]);
}
static void fake_run_kernel(void **parameters) { fake_run_with(KERNEL_NAME, parameters); }

// A kernel has no other variables than shared ones: they are all that the linker finds to be zero at first.
extern "C" char __bss_start[] __attribute__((visibility("hidden"))), _end[] __attribute__((visibility("hidden")));
extern "C" __attribute__((visibility("default"))) const fake_kernel CAT(KERNEL_NAME, _fake) = {
    fake_run_kernel, BLOCK_THREADS, LANES, BLOCKS_OF_GROUP, __bss_start, _end,
};
