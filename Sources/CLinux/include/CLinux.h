// What Swift cannot call by itself: variadic and raw system calls, control messages, clone3 with a function.
// No policy, no allocation, no stdio in here. Every shim returns the kernel's value or -errno: errno itself can change
// under Swift's reference counting before anyone reads it.
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/openat2.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/veth.h>
#include <malloc.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "SystemCall.h"

// GNU extensions. _GNU_SOURCE itself would give the types of libc's headers another shape than the one Swift's Glibc
// module has already seen.
extern const char *strerrorname_np(int code);
extern const char *strerrordesc_np(int code);
enum { PD_O_PATH = 010000000, PD_AT_RECURSIVE = 0x8000, PD_CLOSE_RANGE_CLOEXEC = 4 };
struct pd_rlimit { uint64_t soft, hard; };
extern int posix_spawn_file_actions_addclosefrom_np(void *actions, int from);
static inline int pd_spawn_close_from(void *actions, int from) {
    return posix_spawn_file_actions_addclosefrom_np(actions, from);
}
enum { PD_SPAWN_SETSID = 0x80 };
// From <linux/netfilter.h> and <linux/ip.h>, which cannot stand beside <netinet/in.h> on every libc.
enum { PD_NFPROTO_INET = 1, PD_IPV4_DEVCONF_FORWARDING = 1 };

// From <sys/mount.h>, which cannot stand beside <linux/mount.h> on every libc.
enum {
    PD_MS_RDONLY = 1, PD_MS_NOSUID = 2, PD_MS_NODEV = 4, PD_MS_NOEXEC = 8, PD_MS_REMOUNT = 32, PD_MS_NOATIME = 1024, PD_MS_BIND = 4096,
    PD_MS_REC = 16384, PD_MS_SILENT = 32768, PD_MS_PRIVATE = 1 << 18,
    PD_MNT_DETACH = 2, PD_FSOPEN_CLOEXEC = 1, PD_FSMOUNT_CLOEXEC = 1, PD_FSCONFIG_SET_STRING = 1, PD_FSCONFIG_CMD_CREATE = 6,
};

// clone3 whose child shares this process's memory, runs `fn(arg)` on the stack given in `args` and never returns into
// the caller's frames. A plain clone3 cannot be used with CLONE_VM from any language: parent and child would return
// through the same stack.
static inline long pd_clone3_call(struct clone_args *args, int (*fn)(void *), void *arg) {
#if defined(__x86_64__)
    register long ret __asm__("rax") = SYS_clone3;
    register void *r_args __asm__("rdi") = args;
    register size_t r_size __asm__("rsi") = sizeof *args;
    register int (*r_fn)(void *) __asm__("r12") = fn;
    register void *r_arg __asm__("r13") = arg;
    __asm__ volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xor %%ebp, %%ebp\n\t"
        "mov %%r13, %%rdi\n\t"
        "call *%%r12\n\t"
        "mov %%eax, %%edi\n\t"
        "mov %[nr_exit], %%eax\n\t"
        "syscall\n\t"
        "hlt\n"
        "1:"
        : "+r"(ret)
        : "r"(r_args), "r"(r_size), "r"(r_fn), "r"(r_arg), [nr_exit] "i"(SYS_exit_group)
        : "rcx", "r11", "memory", "cc");
    return ret;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = (long)args;
    register size_t x1 __asm__("x1") = sizeof *args;
    register int (*r_fn)(void *) __asm__("x19") = fn;
    register void *r_arg __asm__("x20") = arg;
    __asm__ volatile(
        "svc #0\n\t"
        "cbnz x0, 1f\n\t"
        "mov x29, xzr\n\t"
        "mov x0, x20\n\t"
        "blr x19\n\t"
        "mov x8, %[nr_exit]\n\t"
        "svc #0\n\t"
        "brk #1\n"
        "1:"
        : "+r"(x0)
        : "r"(x8), "r"(x1), "r"(r_fn), "r"(r_arg), [nr_exit] "i"(SYS_exit_group)
        : "x30", "memory", "cc");
    return x0;
#else
#error "clone3 with a function is written for x86_64 and aarch64"
#endif
}

static inline int pd_load_acquire(const int *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void pd_store_release(int *word, int value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

// Sends one datagram with up to 32 descriptors.
static inline long pd_sendmsg(int fd, const void *bytes, size_t count, const int *fds, int nfds, int flags) {
    char control[CMSG_SPACE(32 * sizeof(int))];
    struct iovec iov = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (nfds < 0 || nfds > 32) return -EINVAL;
    if (nfds > 0) {
        memset(control, 0, sizeof control);
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
    }
    long r = sendmsg(fd, &m, flags | MSG_NOSIGNAL);
    return r == -1 ? -errno : r;
}

// Receives one datagram; descriptors arrive close-on-exec in `fds` (room for 32). -EMSGSIZE when either did not fit:
// what did arrive is then closed.
static inline long pd_recvmsg(int fd, void *bytes, size_t room, int *fds, int *nfds, int flags) {
    char control[CMSG_SPACE(32 * sizeof(int))];
    struct iovec iov = {.iov_base = bytes, .iov_len = room};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    *nfds = 0;
    long r = recvmsg(fd, &m, flags | MSG_CMSG_CLOEXEC);
    if (r == -1) return -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), n * sizeof(int));
        *nfds = n;
    }
    if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (int i = 0; i < *nfds; i++) close(fds[i]);
        *nfds = 0;
        return -EMSGSIZE;
    }
    return r;
}

// ioctl numbers are built by macros that Swift does not see.
static inline unsigned long pd_seccomp_notif_recv(void) { return SECCOMP_IOCTL_NOTIF_RECV; }
static inline unsigned long pd_seccomp_notif_send(void) { return SECCOMP_IOCTL_NOTIF_SEND; }

static inline int pd_loopback_up(void) {
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s < 0) return -errno;
    struct ifreq r;
    memset(&r, 0, sizeof r);
    memcpy(r.ifr_name, "lo", 3);
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    int result = ioctl(s, SIOCSIFFLAGS, &r) == -1 ? -errno : 0;
    close(s);
    return result;
}

// The C library's module leaves malloc.h out.
static inline void pd_heap_trim(void) { (void)malloc_trim(0); }
