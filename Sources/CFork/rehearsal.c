// What the forks of a template will write, found out once. A fork shares every page with its template until it writes to
// it, and then waits for the kernel to copy it: a Python program that does next to nothing does so five hundred times. So
// before the first job a fork rehearses one, and looks which pages it has for itself at the end. A fork that waits for its
// job has the time to make those its own beforehand.

#include "ahead.h"

#include <linux/time_types.h>

enum {
    /// All a waiting fork takes for its own; what more a job writes it copies as ever.
    MOST_BYTES = 16 << 20,
    PATIENCE_SECONDS = 30,
};
enum { WNOHANG_ = 1, SIGKILL_ = 9, PAGE_SIZE_ENTRY = 6 };
enum { READ_AND_WRITE = 3, SHARED_ANONYMOUS = 0x21, NOT_BLOCKING = 04000 };
enum { ENTRIES = 512 };

/// In the one that rehearses: where its template reads what it needed.
static struct noted *noting;

// MARK: the rehearsal

/// As a job's: pipes, but nobody reads, and nothing waits for that.
static void play_with_pipes(void) {
    int ends[2];
    if (CALL(SYS_pipe2, ends, NOT_BLOCKING) < 0) return;
    for (int stream = 1; stream <= 2; stream++) CALL(SYS_dup3, ends[1], stream, 0);
    CALL(SYS_close, ends[1]);
}

static void wait_for(int child) {
    struct __kernel_timespec pause = {.tv_nsec = 10000000};
    for (int left = PATIENCE_SECONDS * 100; left > 0; left--) {
        if (CALL(SYS_wait4, child, 0, WNOHANG_) != 0) return;
        CALL(SYS_nanosleep, &pause, 0);
    }
    CALL(SYS_kill, child, SIGKILL_);
    CALL(SYS_wait4, child, 0, 0);
}

int paddock_rehearse(const char *job, uint64_t bytes, uint32_t arguments, uint32_t variables) {
    struct noted *theirs = (struct noted *)CALL(SYS_mmap, 0, sizeof *theirs, READ_AND_WRITE, SHARED_ANONYMOUS, -1, 0);
    if ((uintptr_t)theirs > -4096ul) return 0;
    int child = fork();
    if (child == 0) {
        noting = theirs;
        play_with_pipes();
        pd_pretend(job, bytes, arguments, variables);
        return 1;
    }
    if (child > 0) {
        wait_for(child);
        pd_enlarge(theirs);
        pd_keep(theirs);
    }
    // Forks may share no memory that can be written.
    CALL(SYS_munmap, theirs, sizeof *theirs);
    return 0;
}

// MARK: what it needed

static void note(struct range range) {
    struct range *last = noting->count > 0 ? &noting->ranges[noting->count - 1] : 0;
    if (range.use == WRITES) {
        if (noting->bytes + noting->page > MOST_BYTES) return;
        noting->bytes += noting->page;
        if (last && last->use == WRITES && last->end == range.start) {
            last->end = range.end;
            return;
        }
    }
    if (noting->count < MOST_RANGES) noting->ranges[noting->count++] = range;
}

/// Of an area that can be written: the pages nobody else has. Of one that can only be read: a page for each window of its
/// file that is here.
static void look_at(int pagemap, const struct area *area) {
    const uint64_t exclusive = 1ull << 56, of_file = 1ull << 61, present = 1ull << 63;
    const uintptr_t page = noting->page;
    uint64_t entries[ENTRIES];
    uintptr_t window = 0;
    for (uintptr_t at = area->start; at < area->end;) {
        uintptr_t count = (area->end - at) / page < ENTRIES ? (area->end - at) / page : ENTRIES;
        long got = CALL(SYS_pread64, pagemap, entries, count * sizeof *entries, at / page * sizeof *entries);
        if (got <= 0) return;
        count = (uintptr_t)got / sizeof *entries;
        for (uintptr_t i = 0; i < count; i++, at += page) {
            if (!(entries[i] & present)) continue;
            int is_file = (entries[i] & of_file) != 0;
            if (area->writable) {
                if ((entries[i] & exclusive) && !is_file) note((struct range){at, at + page, WRITES});
            } else if (is_file && at / WINDOW != window) {
                window = at / WINDOW;
                note((struct range){at, at + page, LOOKS});
            }
        }
    }
}

static uintptr_t page_size(void) {
    uintptr_t entries[64];
    long file = CALL(SYS_openat, PROC, "self/auxv", 0);
    long got = CALL(SYS_read, file, entries, sizeof entries);
    CALL(SYS_close, file);
    for (long i = 0; i + 1 < got / (long)sizeof *entries; i += 2) if (entries[i] == PAGE_SIZE_ENTRY) return entries[i + 1];
    return 0;
}

void paddock_rehearsed(void) {
    if (!noting || (noting->page = page_size()) == 0) return;
    struct maps maps;
    struct area area;
    pd_open_maps(&maps);
    long pagemap = CALL(SYS_openat, PROC, "self/pagemap", 0);
    while (pd_next_area(&maps, &area)) if (area.readable && area.private) look_at((int)pagemap, &area);
}
