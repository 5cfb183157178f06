// SPDX-License-Identifier: Apache-2.0
// Comes after a kernel's source: what the fake driver looks up.
template <class Args> static inline void fake_run_with(void (*kernel)(Args, i64), void **parameters)
{
    kernel(*(Args *)parameters[0], *(i64 *)parameters[1]);
}
static void fake_run_kernel(void **parameters) { fake_run_with(KERNEL_NAME, parameters); }

// There is a section only where something is in it.
extern "C" char __start_fake_shared[] __attribute__((weak, visibility("hidden"))), __stop_fake_shared[] __attribute__((weak, visibility("hidden")));
extern "C" __attribute__((visibility("default"))) const fake_kernel CAT(KERNEL_NAME, _fake) = {
    fake_run_kernel, BLOCK_THREADS, LANES, BLOCKS_OF_GROUP, __start_fake_shared, __stop_fake_shared,
};
