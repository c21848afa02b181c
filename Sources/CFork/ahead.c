// What a fork does while it waits for its job: it makes the pages that such a job writes to its own, and maps what it looks
// at. That takes as long as it would in the job, but nobody waits for it.

#include "ahead.h"

#include <linux/poll.h>
#include <linux/time_types.h>

enum { POPULATE_READ = 22, POPULATE_WRITE = 23 };

static struct noted ahead;

static long populate(const struct range *range) {
    return CALL(SYS_madvise, range->start, range->end - range->start, range->use == WRITES ? POPULATE_WRITE : POPULATE_READ);
}

/// What the fork that rehearsed had and its template has not is left out, and so is what nobody may write to: the kernel
/// says so here (since Linux 5.14), and would send a signal to a fork.
void pd_keep(const struct noted *noted) {
    ahead.page = noted->page;
    for (uint32_t i = 0; i < noted->count && i < MOST_RANGES; i++) {
        const struct range *range = &noted->ranges[i];
        if (range->start < range->end && populate(range) == 0) ahead.ranges[ahead.count++] = *range;
    }
}

static int has_something(int seat) {
    struct pollfd poll = {.fd = seat, .events = POLLIN};
    struct __kernel_timespec now = {0};
    return CALL(SYS_ppoll, &poll, 1, &now, 0) != 0;
}

void pd_write_ahead(int seat) {
    for (uint32_t i = 0; i < ahead.count; i++) {
        // A job that is here already knows better what it needs.
        if (i % 16 == 0 && has_something(seat)) return;
        const struct range *range = &ahead.ranges[i];
        if (range->use == LOOKS) {
            populate(range);
            continue;
        }
        // Of a few pages each, faults are cheaper than the call that saves them.
        for (uintptr_t at = range->start; at < range->end; at += ahead.page) *(volatile char *)at = *(volatile char *)at;
    }
}
