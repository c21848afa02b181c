// Reads /proc/self/maps, in any image and without memory of its own.

#include "ahead.h"

void pd_open_maps(struct maps *maps) {
    maps->file = CALL(SYS_openat, PROC, "self/maps", 0);
    maps->at = maps->end = 0;
}

void pd_close_maps(struct maps *maps) {
    if (maps->file >= 0) CALL(SYS_close, maps->file);
}

static int next(struct maps *maps) {
    if (maps->at == maps->end) {
        maps->at = 0;
        maps->end = CALL(SYS_read, maps->file, maps->bytes, sizeof maps->bytes);
        if (maps->end <= 0) return maps->end = 0, -1;
    }
    return (unsigned char)maps->bytes[maps->at++];
}

/// A number, and what comes after it.
static uintptr_t number(struct maps *maps, unsigned base, int *after) {
    uintptr_t value = 0;
    for (;;) {
        int c = next(maps);
        if (c >= '0' && c <= '9') value = value * base + (uintptr_t)(c - '0');
        else if (base == 16 && c >= 'a' && c <= 'f') value = value * base + (uintptr_t)(c - 'a' + 10);
        else return *after = c, value;
    }
}

/// `start-end rwxp offset major:minor inode`, and perhaps a name.
int pd_next_area(struct maps *maps, struct area *area) {
    int c;
    area->start = number(maps, 16, &c);
    area->end = number(maps, 16, &c);
    area->readable = next(maps) == 'r';
    area->writable = next(maps) == 'w';
    area->executable = next(maps) == 'x';
    area->private = next(maps) == 'p';
    next(maps);
    number(maps, 16, &c);
    area->device = number(maps, 16, &c) << 20;
    area->device += number(maps, 16, &c);
    area->inode = number(maps, 10, &c);
    while (c != '\n' && c != -1) c = next(maps);
    return c == '\n';
}
