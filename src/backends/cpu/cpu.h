// SPDX-License-Identifier: Apache-2.0
// The CPU backend's parts: ISA levels, the C compiler, loading shared objects.
#ifndef CARAT_BACKENDS_CPU_H
#define CARAT_BACKENDS_CPU_H

#include <carat/carat_backend.h>
#include <stdbool.h>

// ---- ISA levels, lowest first; the first is "baseline": whatever the compiler makes of no flags at all

int carat_cpu_level_count(void);
const carat_target *carat_cpu_level_at(int index);
const carat_target *carat_cpu_level_find(const char *name); // NULL if there is none
bool carat_cpu_level_runs(const carat_target *level);       // on this machine
unsigned carat_cpu_saved_state(void);                       // x86-64: the register states that the system saves (XCR0)

// Whether this machine has a matrix unit for bf16 (AMX) that the system lets this process use; asks the system for it.
bool carat_cpu_has_tiles(void);

// The level that this process uses, chosen on first use: CARAT_ISA if it names one that runs here, else the best one.
// *remark (may be NULL) says if CARAT_ISA was not followed, else it is NULL.
const carat_target *carat_cpu_level(const char **remark);

// See carat_backend.native_products: matrix units (AMX) and dot products of halves. Asks the processor once.
uint32_t carat_cpu_native_products(void);

// ---- compiling

// See carat_backend.compiler and .compile.
const char *carat_cpu_compiler(const char **why);
carat_status carat_cpu_compile(const carat_target *target, const char *source, const char *output, char *log, size_t log_size);

// Runs a program found in PATH without a shell; its output goes to log (cut to fit, NUL-terminated). Its exit status,
// or a negative number if it could not be run, was killed or took longer than `seconds`, and log says so.
int carat_cpu_run(char *const argv[], int seconds, char *log, size_t log_size);

// ---- loading

// See carat_backend.load. Called under Carat's lock.
carat_status carat_cpu_load(carat_device device, const carat_binary *binary, const char *symbol, carat_kernel *kernel);

#endif
