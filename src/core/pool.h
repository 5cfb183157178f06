// SPDX-License-Identifier: Apache-2.0
// The block pool's inner view; carat_alloc and carat_free are in the public header.
#ifndef CARAT_CORE_POOL_H
#define CARAT_CORE_POOL_H

#include <carat/carat.h>

int64_t carat_pool_kept(void); // bytes in freed blocks that are kept for reuse

#endif
