#pragma once
#include <errno.h>
#include <seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

// A file in memory for seccomp_export_bpf to write to, close-on-exec: the descriptor or -errno. glibc declares
// memfd_create for _GNU_SOURCE only, which Swift's importer does not define.
static inline int cseccomp_memory_file(void) {
    long fd = syscall(SYS_memfd_create, "seccomp", 1u /* MFD_CLOEXEC */);
    return fd < 0 ? -errno : (int)fd;
}
