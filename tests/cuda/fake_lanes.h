// SPDX-License-Identifier: Apache-2.0
// Runs the lanes of a launch, cluster by cluster.
#ifndef CARAT_TESTS_FAKE_LANES_H
#define CARAT_TESTS_FAKE_LANES_H

#include "fake_device.h"

#include <stdbool.h>

enum { FAKE_MOST_THREADS = 1024, FAKE_MOST_BLOCKS = 8 }; // of a block, of a cluster

// False: a lane failed, or lanes wait for each other for ever; what happened stands on stderr. `overlapping`: some lane of each
// cluster must wait for the launch before.
bool fake_run(const fake_kernel *kernel, const char *name, const unsigned grid[3], void **parameters, bool overlapping);

#endif
