// What the parts of a template's library have in common: the kernel, without a libc, and who calls whom.
#pragma once

#include "../CLinux/include/SystemCall.h"
#include "CFork.h"

#include <stddef.h>
#include <sys/syscall.h>

/// Of libc's, which knows what has to be seen to when its process is copied.
extern int fork(void);
extern int vfork(void) __attribute__((returns_twice));

#define CALL(nr, ...) CALL_(nr, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(nr, a, b, c, d, e, f, ...) pd_syscall(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/// Not for the runtime to call.
#define WITHIN __attribute__((visibility("hidden")))

/// Makes this process's job one that nobody sent. Its text stays the caller's.
WITHIN void pd_pretend(const char *job, uint64_t bytes, uint32_t arguments, uint32_t variables);

/// Makes the pages its job is expected to write this fork's own, until the seat has something to read.
WITHIN void pd_write_ahead(int seat);
