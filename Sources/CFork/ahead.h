// What a rehearsal finds out, and who uses it.
#pragma once

#include "kernel.h"

/// The /proc of this process, for as long as it rehearses; nothing is there where the kernel cannot give one alone.
enum { PROC = 5 };
enum { MOST_RANGES = 2048 };
/// The kernel maps what it has of a file in windows of this size.
enum { WINDOW = 64 << 10 };

enum use { LOOKS, WRITES };
struct range { uintptr_t start, end; enum use use; };
/// In the order of their addresses. Of what is only looked at a range is one page, for all of its window.
struct noted { uint32_t count; uintptr_t page, bytes; struct range ranges[MOST_RANGES]; };

/// A line of /proc/self/maps.
struct area { uintptr_t start, end, device, inode; int readable, writable, executable, private; };
enum { READ_ROOM = 4096 };
struct maps { long file, at, end; char bytes[READ_ROOM]; };

WITHIN void pd_open_maps(struct maps *maps);
/// 0 at the end.
WITHIN int pd_next_area(struct maps *maps, struct area *area);
WITHIN void pd_close_maps(struct maps *maps);

/// Keeps for this template's forks what one of them found it needs.
WITHIN void pd_keep(const struct noted *noted);
/// Puts what is looked at of the program and its libraries into huge pages, and takes it off the list.
WITHIN void pd_enlarge(struct noted *noted);
