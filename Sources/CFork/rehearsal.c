// What the forks of a template will write, found out once. A fork shares every page with its template until it writes to
// it, and then waits for the kernel to copy it: a Python program that does next to nothing does so five hundred times. So
// before the first job a fork rehearses one, and looks which pages it has for itself at the end. A fork that waits for its
// job has the time to make those its own beforehand, in few calls.

#include "kernel.h"

#include <linux/poll.h>
#include <linux/time_types.h>

enum {
    /// The /proc of this process, for as long as it rehearses; nothing is there where the kernel cannot give one alone.
    PROC = 5,
    MOST_RANGES = 2048,
    /// All a waiting fork takes for its own; what more a job writes it copies as ever.
    MOST_BYTES = 16 << 20,
    PATIENCE_SECONDS = 30,
};
enum { POPULATE_READ = 22, POPULATE_WRITE = 23, WNOHANG_ = 1, SIGKILL_ = 9, PAGE_SIZE_ENTRY = 6 };
enum { READ_AND_WRITE = 3, SHARED_ANONYMOUS = 0x21, NOT_BLOCKING = 04000 };
enum { READ_ROOM = 4096, ENTRIES = 512 };

struct range { uintptr_t start, end; int advice; };
struct noted { uint32_t count; uintptr_t bytes; struct range ranges[MOST_RANGES]; };

/// What a fork takes for its own while it waits.
static struct noted ahead;
/// In the one that rehearses: where its template reads what it wrote.
static struct noted *noting;

// MARK: a fork that waits

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
        // What is no memory any more, or a kernel before 5.14, costs a fault later.
        CALL(SYS_madvise, range->start, range->end - range->start, range->advice);
    }
}

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
    long shared = CALL(SYS_mmap, 0, sizeof ahead, READ_AND_WRITE, SHARED_ANONYMOUS, -1, 0);
    if (shared < 0 && shared > -4096) return 0;
    struct noted *theirs = (struct noted *)shared;
    int child = fork();
    if (child == 0) {
        noting = theirs;
        play_with_pipes();
        pd_pretend(job, bytes, arguments, variables);
        return 1;
    }
    if (child > 0) {
        wait_for(child);
        ahead.count = theirs->count < MOST_RANGES ? theirs->count : MOST_RANGES;
        for (uint32_t i = 0; i < ahead.count; i++) ahead.ranges[i] = theirs->ranges[i];
    }
    // Forks may share no memory that can be written.
    CALL(SYS_munmap, shared, sizeof ahead);
    CALL(SYS_close, PROC);
    return 0;
}

// MARK: what it wrote

struct reader { long file, at, end; char bytes[READ_ROOM]; };

static int next(struct reader *r) {
    if (r->at == r->end) {
        r->at = 0;
        r->end = CALL(SYS_read, r->file, r->bytes, sizeof r->bytes);
        if (r->end <= 0) return r->end = 0, -1;
    }
    return (unsigned char)r->bytes[r->at++];
}

/// A hexadecimal number, and what comes after it.
static uintptr_t number(struct reader *r, int *after) {
    uintptr_t value = 0;
    for (;;) {
        int c = next(r);
        if (c >= '0' && c <= '9') value = value << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f') value = value << 4 | (uintptr_t)(c - 'a' + 10);
        else return *after = c, value;
    }
}

static void note(uintptr_t start, uintptr_t end, int advice) {
    struct range *last = noting->count > 0 ? &noting->ranges[noting->count - 1] : 0;
    if (advice == POPULATE_WRITE) {
        if (noting->bytes + (end - start) > MOST_BYTES) return;
        noting->bytes += end - start;
    }
    if (last && last->advice == advice && last->end == start) {
        last->end = end;
    } else if (noting->count < MOST_RANGES) {
        noting->ranges[noting->count++] = (struct range){start, end, advice};
    }
}

/// Of an area that can be written: the pages nobody else has. Of one that can only be read: those of its file that are here.
static void look_at(int pagemap, uintptr_t start, uintptr_t end, int writable, uintptr_t page) {
    const uint64_t exclusive = 1ull << 56, of_file = 1ull << 61, present = 1ull << 63;
    uint64_t entries[ENTRIES];
    while (start < end) {
        uintptr_t count = (end - start) / page < ENTRIES ? (end - start) / page : ENTRIES;
        long got = CALL(SYS_pread64, pagemap, entries, count * sizeof *entries, start / page * sizeof *entries);
        if (got <= 0) return;
        count = (uintptr_t)got / sizeof *entries;
        for (uintptr_t i = 0; i < count; i++, start += page) {
            if (!(entries[i] & present)) continue;
            if (writable && (entries[i] & exclusive) && !(entries[i] & of_file)) note(start, start + page, POPULATE_WRITE);
            if (!writable && (entries[i] & of_file)) note(start, start + page, POPULATE_READ);
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
    uintptr_t page = noting ? page_size() : 0;
    if (page == 0) return;
    struct reader maps;
    maps.file = CALL(SYS_openat, PROC, "self/maps", 0);
    maps.at = maps.end = 0;
    long pagemap = CALL(SYS_openat, PROC, "self/pagemap", 0);
    // start-end rwxp and what else; the reader's end is the end of the file.
    for (int c = 0; c != -1;) {
        uintptr_t start = number(&maps, &c), end = number(&maps, &c);
        if (c == -1) break;
        int readable = next(&maps) == 'r', writable = next(&maps) == 'w';
        next(&maps);
        int private = next(&maps) == 'p';
        if (readable && private) look_at((int)pagemap, start, end, writable, page);
        while (c != '\n' && c != -1) c = next(&maps);
    }
}
