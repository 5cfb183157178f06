// SPDX-License-Identifier: Apache-2.0
// The rows of the scan family, and scans in groups of many lanes.
#ifndef CARAT_OPS_SCAN_LANES_H
#define CARAT_OPS_SCAN_LANES_H

#include "core/tensor.h"

enum { TOTALS, SELF, EXTREME }; // form

typedef struct carat_scan_row {
    carat_row base;
    uint8_t form;
    const char *combine;
} carat_scan_row;

carat_dtype carat_scan_lanes_accumulator(const carat_scan_row *row, carat_dtype in);
void carat_scan_lanes_define(const carat_key *key, const carat_scan_row *row, carat_dtype acc, carat_defines *defines);
// Calls emit for the usual layouts of a key that has all but params. `bytes`: of an element.
void carat_scan_lanes_enumerate(carat_key key, size_t bytes, void (*emit)(void *arg, const carat_key *key), void *arg);
// Steps aside where ATen is faster.
carat_status carat_scan_check_lanes(const carat_scan_row *row, const carat_tensor *in, int scanned);
// Scans dimension `scanned` of `in`, whose shape `out` and `second` have. Steps aside where the space is too large.
carat_status carat_scan_run_lanes(const carat_frame *call, const carat_key *key, const carat_tensor *in, const carat_tensor *out,
                                  void *second, int scanned);

#endif
