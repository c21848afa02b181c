// The program and its libraries are mapped files, which a fork shares without copying anything, and then has to find page by
// page: of an interpreter that does next to nothing, a thousand, a tenth of all its job costs. Memory in huge pages comes
// with a fork, 512 pages in one entry. The kernel cannot keep files so; a copy of them it can. All forks share the copy.

#include "ahead.h"

enum { HUGE = 2 << 20, MOST_COPIES = 8 };
/// Of a huge page's 32 windows, for a copy to be worth its memory.
enum { LEAST_WINDOWS = 4 };
enum { READ = 1, WRITE = 2, EXECUTE = 4, PRIVATE_ANONYMOUS = 0x22, HUGE_PAGES = 14, COLLAPSE = 25, MOVE_THERE = 3 };

struct place { uintptr_t at; int executable; };
struct places { int count; struct place all[MOST_COPIES]; };

static int lies_in(const struct range *range, uintptr_t at) { return range->start >= at && range->start < at + HUGE; }

static int is_worth_it(const struct noted *noted, uintptr_t at) {
    int windows = 0;
    for (uint32_t i = 0; i < noted->count; i++) {
        if (noted->ranges[i].use == LOOKS && lies_in(&noted->ranges[i], at)) windows++;
    }
    return windows >= LEAST_WINDOWS;
}

/// A huge page has one set of rights. Where constants are beside the program they can be executed afterwards, which gives
/// nothing to a job that may execute what it likes.
static void consider(const struct area *run, const struct noted *noted, struct places *places) {
    for (uintptr_t at = (run->start + HUGE - 1) / HUGE * HUGE; at + HUGE <= run->end; at += HUGE) {
        if (places->count < MOST_COPIES && is_worth_it(noted, at)) places->all[places->count++] = (struct place){at, run->executable};
    }
}

static int is_of_file(const struct area *area) { return area->inode != 0 && area->private && area->readable && !area->writable; }

static void find(const struct noted *noted, struct places *places) {
    struct maps maps;
    struct area area, run = {0};
    pd_open_maps(&maps);
    while (pd_next_area(&maps, &area)) {
        if (!is_of_file(&area)) continue;
        if (area.start == run.end && area.inode == run.inode && area.device == run.device) {
            run.end = area.end;
            run.executable |= area.executable;
            continue;
        }
        consider(&run, noted, places);
        run = area;
    }
    consider(&run, noted, places);
    pd_close_maps(&maps);
}

/// False where any step of it is refused: the file stays then.
static int copy(struct place place) {
    uintptr_t room = (uintptr_t)CALL(SYS_mmap, 0, 2 * HUGE, READ | WRITE, PRIVATE_ANONYMOUS, -1, 0);
    if (room > -4096ul) return 0;
    uintptr_t made = (room + HUGE - 1) / HUGE * HUGE;
    if (made > room) CALL(SYS_munmap, room, made - room);
    CALL(SYS_munmap, made + HUGE, room + HUGE - made);
    CALL(SYS_madvise, made, HUGE, HUGE_PAGES);
    const uint64_t *from = (const uint64_t *)place.at;
    uint64_t *to = (uint64_t *)made;
    for (int i = 0; i < HUGE / (int)sizeof *from; i++) to[i] = from[i];
    long r = CALL(SYS_madvise, made, HUGE, COLLAPSE);
    if (r >= 0) r = CALL(SYS_mprotect, made, HUGE, place.executable ? READ | EXECUTE : READ);
    // In one step, as seen from here: this very line may be in what is replaced.
    if (r >= 0 && CALL(SYS_mremap, made, HUGE, HUGE, MOVE_THERE, place.at) == (long)place.at) return 1;
    CALL(SYS_munmap, made, HUGE);
    return 0;
}

void pd_enlarge(struct noted *noted) {
    struct places places = {0};
    find(noted, &places);
    for (int i = 0; i < places.count; i++) {
        if (!copy(places.all[i])) continue;
        for (uint32_t k = 0; k < noted->count; k++) {
            struct range *range = &noted->ranges[k];
            if (lies_in(range, places.all[i].at)) range->end = range->start;
        }
    }
}
