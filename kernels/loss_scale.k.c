// SPDX-License-Identifier: Apache-2.0
// The next scale of losses: less after an overflow, more after `interval` steps without one, unless that is infinite. Everything
// stays in the device's memory, so that nothing waits for it. One group, one lane of it; the same text for any number of lanes.
// Defines: LANES on a device.
#include "loss_scale_args.h"

KERNEL(loss_scale_args, a)
{
    (void)group_id();
    FOR_LANES(i, 1) {
        const i32 steps = *a->tracker + 1, overflow = *a->found_inf != 0, grows = !overflow && steps == a->interval;
        const f32 next = (f32)(*a->scale * (overflow ? a->backoff : grows ? a->growth : 1));
        if (overflow || next - next == 0) *a->scale = next;
        *a->tracker = overflow || grows ? 0 : steps;
    }
}
