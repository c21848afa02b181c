// What the two ends of a template's sockets say to each other: the layouts that `fork.c`, loaded into a template, and the
// init of a sandbox that asks for a fork share. docs/templates.md tells it from a runtime's side.
#pragma once

#include <linux/filter.h>
#include <stdint.h>

enum {
    PD_FORK_VERSION = 1,
    /// Of a request or a job that travels as a datagram; a job's text that is longer comes in a memory file.
    PD_FORK_DATAGRAM = 48 << 10,
    PD_FORK_NAMESPACES = 6,
    PD_FORK_JOINS = 3,
    PD_FORK_LIMITS = 16,
};

enum {
    /// The filter catches calls, and its listener is for the init.
    PD_FORK_NOTIFIES = 1,
    /// Its policy permits keys: the fork gets a session keyring of its own.
    PD_FORK_KEYS = 2,
};

/// From an init to the template: make a fork. Descriptors: the fork's seat (its end of a socket to the init), then the
/// sandbox's namespaces, the user namespace first, then the cgroup files to join. The filter's instructions follow.
struct pd_fork_request {
    uint32_t version;
    uint32_t uid, gid;
    uint32_t flags;
    uint32_t namespaces;
    uint32_t joins;
    uint32_t instructions;
};

/// From an init to a fork, over its seat: become this job. Descriptors: its three standard streams, and a memory file with
/// the text where that did not fit. The limits follow, then the text: NUL-terminated strings, the working directory first,
/// then the arguments, then the environment.
struct pd_fork_job {
    uint32_t version;
    uint32_t limits;
    uint32_t arguments;
    uint32_t variables;
    uint64_t text_bytes;
};

struct pd_fork_limit {
    uint32_t resource, unused;
    uint64_t soft, hard;
};

/// From a fork to its init, twice: when it waits for its job, and when it has become it.
struct pd_fork_said {
    /// The step that failed, 0 for none; in the numbers of the warden's steps.
    uint32_t step;
    int32_t error;
    /// In the sandbox's own numbers.
    int32_t pid;
    /// Of its filter's listener among its own descriptors, -1 for none.
    int32_t listener;
};

/// The warden's steps a fork can fail at; `Step` has the same numbers, and a test that says so.
enum pd_fork_step {
    PD_STEP_NAMESPACES = 64,
    PD_STEP_FORK,
    PD_STEP_CGROUP,
    PD_STEP_CGROUP_NAMESPACE,
    PD_STEP_SESSION,
    PD_STEP_IDS,
    PD_STEP_CAPABILITIES,
    PD_STEP_DESCRIPTORS,
    PD_STEP_JOB,
    PD_STEP_LIMITS,
    PD_STEP_STREAMS,
    PD_STEP_DIRECTORY,
    PD_STEP_SECCOMP,
};

/// Serves requests for forks; returns only in each fork, once that has become its job. -1 when nobody can ask any more.
int paddock_template_serve(int control);
/// Called once before serving, with the text of a job as any fork is told one, its arguments and variables counted: returns 1 in a
/// fork that is to do that job as if it were one and call `paddock_rehearsed` at its end, and 0 in the template when that has
/// ended. What such a job writes to, forks that wait for theirs have for themselves beforehand. The text stays the caller's.
int paddock_rehearse(const char *text, uint64_t bytes, uint32_t arguments, uint32_t variables);
/// Notes what was written; in a fork that does a job it does nothing.
void paddock_rehearsed(void);
/// The text of this fork's job, and what is in it.
const char *paddock_job_text(void);
uint64_t paddock_job_bytes(void);
uint32_t paddock_job_arguments(void);
uint32_t paddock_job_variables(void);
/// Whether standard input is at the start of something that has positions, and the others are pipes.
int paddock_streams_are_usual(void);
/// Makes the job's variables the C library's; -1 where they are too many, and have to be set one by one.
int paddock_take_environment(void);
