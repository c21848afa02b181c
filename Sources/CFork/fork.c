// Forks a template into the sandbox that asks for it. Loaded into a template's process by its runtime, which calls
// `paddock_template_serve` when it has loaded everything; every return from there is a new fork, confined like any other
// job and about to become one.
//
//   template ──vfork──▶ passage: enters the sandbox's namespaces
//                       ──vfork──▶ threshold: the first process of ours in its pid namespace
//                                  ──fork──▶ the job
//
// The threshold ends at once, so that the fork becomes a child of the sandbox's init, which waits for it like for any
// other. Passage and threshold share the template's memory: it is copied once. A template has no power at all over its
// host; that it may enter these namespaces is because they were made under its own id, which owns them.
//
// This has to work in whatever image: nothing of libc is used but `fork` and `vfork` (which know the C library's state),
// no memory is allocated, and what fails is told to the init as a step and an errno.

#include "kernel.h"

#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/stat.h>

extern char **environ;

enum { CHILD = 17, CLONE_NEWCGROUP_ = 0x02000000, SOL_SOCKET_ = 1, SCM_RIGHTS_ = 1, MSG_NOSIGNAL_ = 0x4000, MSG_CMSG_CLOEXEC_ = 0x40000000 };
enum { ESRCH_ = 3, EINTR_ = 4, EINVAL_ = 22, EBADMSG_ = 74 };
enum { MOST_DESCRIPTORS = 1 + PD_FORK_NAMESPACES + PD_FORK_JOINS, SEAT = 3 };

// MARK: the kernel

static void leave(int code) {
    for (;;) CALL(SYS_exit_group, code);
}

struct vector { void *base; size_t length; };
struct message { void *name; uint32_t name_length; struct vector *vectors; size_t count; void *control; size_t control_length; int flags; };
struct control { size_t length; int level, type; int descriptors[MOST_DESCRIPTORS]; };

/// One datagram and its descriptors, -1 where there is none. Bytes received, 0 at the end, or -errno.
static long receive(int fd, void *bytes, size_t room, int *descriptors, int most) {
    struct control control = {0};
    struct vector vector = {bytes, room};
    struct message m = {.vectors = &vector, .count = 1, .control = &control, .control_length = sizeof control};
    for (int i = 0; i < most; i++) descriptors[i] = -1;
    long n;
    do n = CALL(SYS_recvmsg, fd, &m, MSG_CMSG_CLOEXEC_); while (n == -EINTR_);
    if (n <= 0 || m.control_length < sizeof(size_t) + 2 * sizeof(int)) return n;
    if (control.level != SOL_SOCKET_ || control.type != SCM_RIGHTS_) return n;
    int got = (int)((control.length - offsetof(struct control, descriptors)) / sizeof(int));
    for (int i = 0; i < got; i++) {
        if (i < most) descriptors[i] = control.descriptors[i]; else CALL(SYS_close, control.descriptors[i]);
    }
    return n;
}

static void say(int seat, uint32_t step, long error, int listener) {
    struct pd_fork_said said = {.step = step, .error = (int32_t)-error, .pid = (int32_t)CALL(SYS_getpid, 0), .listener = listener};
    CALL(SYS_write, seat, &said, sizeof said);
}

static void fail(int seat, uint32_t step, long error) {
    say(seat, step, error, -1);
    leave(1);
}

// MARK: what a fork carries over

static struct {
    struct pd_fork_request request;
    struct sock_filter filter[PD_FORK_DATAGRAM / sizeof(struct sock_filter)];
} asked;
static int given[MOST_DESCRIPTORS];

static union {
    struct pd_fork_job job;
    char bytes[PD_FORK_DATAGRAM];
} told;
static const char *text;
/// Written by the threshold, in its template's memory; its fork has a copy.
static long threshold_pid;

const char *paddock_job_text(void) { return text; }
uint64_t paddock_job_bytes(void) { return told.job.text_bytes; }
uint32_t paddock_job_arguments(void) { return told.job.arguments; }
uint32_t paddock_job_variables(void) { return told.job.variables; }

void pd_pretend(const char *job, uint64_t bytes, uint32_t arguments, uint32_t variables) {
    told.job = (struct pd_fork_job){.version = PD_FORK_VERSION, .arguments = arguments, .variables = variables, .text_bytes = bytes};
    text = job;
}

int paddock_streams_are_usual(void) {
    if (CALL(SYS_lseek, 0, 0, 1) != 0) return 0;
    for (int stream = 1; stream <= 2; stream++) {
        struct statx status;
        if (CALL(SYS_statx, stream, "", 0x1000, STATX_TYPE, &status) != 0) return 0;  // AT_EMPTY_PATH
        if ((status.stx_mode & 0170000) != 0010000) return 0;
    }
    return 1;
}

int paddock_take_environment(void) {
    static char *table[1024];
    if (told.job.variables >= sizeof table / sizeof *table) return -1;
    // The text was seen to end with a zero; what it lacks are strings that are empty.
    char *at = (char *)text, *end = at + told.job.text_bytes;
    for (uint64_t i = 0, skip = 1 + (uint64_t)told.job.arguments; at < end; i++) {
        if (i >= skip && i - skip < told.job.variables) table[i - skip] = at;
        while (*at) at++;
        at++;
    }
    environ = table;
    return 0;
}

// MARK: into the sandbox

/// 1 in the fork, 0 in the template.
static int fork_into_sandbox(void) {
    int passage = vfork();
    if (passage == 0) {
        for (uint32_t i = 0; i < asked.request.namespaces; i++) {
            long r = CALL(SYS_setns, given[1 + i], 0);
            if (r < 0) fail(given[0], PD_STEP_NAMESPACES, r);
        }
        int threshold = vfork();
        if (threshold == 0) {
            threshold_pid = CALL(SYS_getpid, 0);
            int born = fork();
            if (born == 0) return 1;
            if (born < 0) fail(given[0], PD_STEP_FORK, -11);
            leave(0);
        }
        if (threshold < 0) fail(given[0], PD_STEP_FORK, -11);
        CALL(SYS_wait4, threshold, 0, 0x40000000);
        leave(0);
    }
    if (passage < 0) say(given[0], PD_STEP_FORK, -11, -1); else CALL(SYS_wait4, passage, 0, 0x40000000);
    return 0;
}

/// What is the same for every job of the sandbox; the warden's own children do the same in `JobChild`.
static void settle(void) {
    int seat = given[0];
    // When the threshold is gone the init is its parent, and can wait for it.
    while (CALL(SYS_getppid, 0) != 1) CALL(SYS_sched_yield, 0);
    // And when the passage has reaped it, the sandbox is as empty as any.
    while (CALL(SYS_kill, threshold_pid, 0) != -ESRCH_) CALL(SYS_sched_yield, 0);
    // Its cgroup first: what it uses from here on is counted, and is what its cgroup namespace has as root.
    for (uint32_t i = 0; i < asked.request.joins; i++) {
        long r = CALL(SYS_write, given[1 + asked.request.namespaces + i], "0", 1);
        if (r < 0) fail(seat, PD_STEP_CGROUP, r);
    }
    long r = CALL(SYS_unshare, CLONE_NEWCGROUP_);
    if (r < 0) fail(seat, PD_STEP_CGROUP_NAMESPACE, r);
    if ((r = CALL(SYS_setsid, 0)) < 0) fail(seat, PD_STEP_SESSION, r);
    // A spawner waits for its children by a descriptor, and so with their signal blocked; a job does as it likes.
    uint64_t none_blocked = 0;
    if ((r = CALL(SYS_rt_sigprocmask, 2, &none_blocked, 0, sizeof none_blocked)) < 0) fail(seat, PD_STEP_SESSION, r);
    CALL(SYS_umask, 022);
    if (asked.request.flags & PD_FORK_KEYS) CALL(SYS_keyctl, 1, 0);

    // Nothing of the template's, or of the way here: the seat alone stays. Neither call can fail but for a bad seat.
    r = seat == SEAT ? 0 : CALL(SYS_dup3, seat, SEAT, 02000000);
    if (r >= 0) r = CALL(SYS_close_range, SEAT + 1, ~0u, 0);
    if (r < 0) fail(seat, PD_STEP_DESCRIPTORS, r);

    // Entering a user namespace gave it every capability there. They go, and the way to any new ones.
    for (long capability = 0; ; capability++) {
        r = CALL(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
        if (r == -EINVAL_ && capability > 0) break;
        if (r < 0) fail(SEAT, PD_STEP_CAPABILITIES, r);
    }
    if ((r = CALL(SYS_setgroups, 0, 0)) < 0) fail(SEAT, PD_STEP_IDS, r);
    if ((r = CALL(SYS_setresgid, asked.request.gid, asked.request.gid, asked.request.gid)) < 0) fail(SEAT, PD_STEP_IDS, r);
    if ((r = CALL(SYS_setresuid, asked.request.uid, asked.request.uid, asked.request.uid)) < 0) fail(SEAT, PD_STEP_IDS, r);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    if ((r = CALL(SYS_capset, &header, none)) < 0) fail(SEAT, PD_STEP_CAPABILITIES, r);
    if ((r = CALL(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) < 0) fail(SEAT, PD_STEP_CAPABILITIES, r);
    // As after an exec: its init may watch it, and /proc shows it as its own.
    CALL(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/// Waits for its job and takes on what that says.
static void become(void) {
    int streams[4];
    long n = receive(SEAT, &told, sizeof told, streams, 4);
    // Nobody wants it: the sandbox has ended, or its job was not one for a fork.
    if (n <= 0) leave(0);
    const struct pd_fork_job *job = &told.job;
    size_t head = sizeof *job + (size_t)job->limits * sizeof(struct pd_fork_limit);
    if ((size_t)n < sizeof *job || job->version != PD_FORK_VERSION || job->limits > PD_FORK_LIMITS || streams[2] < 0 || (size_t)n < head)
        fail(SEAT, PD_STEP_JOB, -EBADMSG_);
    long r;
    if (streams[3] >= 0) {
        r = CALL(SYS_mmap, 0, job->text_bytes, 3, 2, streams[3], 0);
        if (r < 0 && r > -4096) fail(SEAT, PD_STEP_JOB, r);
        text = (const char *)r;
    } else {
        if ((size_t)n - head != job->text_bytes) fail(SEAT, PD_STEP_JOB, -EBADMSG_);
        text = told.bytes + head;
    }
    if (job->text_bytes == 0 || text[job->text_bytes - 1] != 0) fail(SEAT, PD_STEP_JOB, -EBADMSG_);

    const struct pd_fork_limit *limits = (const struct pd_fork_limit *)(told.bytes + sizeof *job);
    for (uint32_t i = 0; i < job->limits; i++) {
        if ((r = CALL(SYS_prlimit64, 0, limits[i].resource, &limits[i].soft, 0)) < 0) fail(SEAT, PD_STEP_LIMITS, r);
    }
    for (int i = 0; i < 3; i++) {
        if ((r = CALL(SYS_dup3, streams[i], i, 0)) < 0) fail(SEAT, PD_STEP_STREAMS, r);
    }
    if ((r = CALL(SYS_chdir, text)) < 0) fail(SEAT, PD_STEP_DIRECTORY, r);
    if ((r = CALL(SYS_close_range, SEAT + 1, ~0u, 0)) < 0) fail(SEAT, PD_STEP_DESCRIPTORS, r);

    // The filter last: from here only what the policy allows, which is to read, write and close in any policy.
    int listener = -1;
    if (asked.request.instructions > 0) {
        struct sock_fprog program = {.len = (unsigned short)asked.request.instructions, .filter = asked.filter};
        r = CALL(SYS_seccomp, SECCOMP_SET_MODE_FILTER, asked.request.flags & PD_FORK_NOTIFIES ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0, &program);
        if (r < 0) fail(SEAT, PD_STEP_SECCOMP, r);
        if (asked.request.flags & PD_FORK_NOTIFIES) listener = (int)r;
    }
    say(SEAT, 0, 0, listener);
    // Until the init has its own handle on the listener, and watches.
    char go;
    do r = CALL(SYS_read, SEAT, &go, 1); while (r == -EINTR_);
    if (r != 1) leave(0);
    if (listener >= 0) CALL(SYS_close, listener);
    CALL(SYS_close, SEAT);
}

int paddock_template_serve(int control) {
    for (;;) {
        long n = receive(control, &asked, sizeof asked, given, MOST_DESCRIPTORS);
        if (n <= 0) return -1;
        const struct pd_fork_request *request = &asked.request;
        int usable = n >= (long)sizeof *request && request->version == PD_FORK_VERSION && request->namespaces <= PD_FORK_NAMESPACES
            && request->joins <= PD_FORK_JOINS && n == (long)(sizeof *request + request->instructions * sizeof(struct sock_filter))
            && given[request->namespaces + request->joins] >= 0;
        if (usable && fork_into_sandbox()) {
            settle();
            say(SEAT, 0, 0, -1);
            pd_write_ahead(SEAT);
            become();
            return 0;
        }
        for (int i = 0; i < MOST_DESCRIPTORS; i++) if (given[i] >= 0) CALL(SYS_close, given[i]);
    }
}
