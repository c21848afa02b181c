"""A job that tries to leave its sandbox. Everything it tries is denied; what the policy caught is named in its result."""

from __future__ import annotations

from paddock import Job, Labels, Limits

PROGRAM = """
import ctypes, os

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNS, PTRACE_ATTACH, MS_BIND = 0x10000000, 0x00020000, 16, 4096


def attempt(what, code):
    if code == -1:
        print(f"{what}: {os.strerror(ctypes.get_errno())}")
        return 0
    print(f"{what}: DONE")
    return 1


def opened(path):
    try:
        open(path).close()
    except OSError as error:
        ctypes.set_errno(error.errno)
        return -1
    return 0


escaped = sum([
    attempt("mount the root again, writable", libc.mount(b"/", b"/tmp", None, MS_BIND, None)),
    attempt("attach a debugger to process 1", libc.ptrace(PTRACE_ATTACH, 1, None, None)),
    attempt("become root of a new namespace", libc.unshare(CLONE_NEWUSER | CLONE_NEWNS)),
    attempt("join the namespaces of process 1", libc.setns(0, 0)),
    attempt("rename the machine", libc.sethostname(b"mine", 4)),
    attempt("read the memory of process 1", libc.process_vm_readv(1, None, 0, None, 0, 0)),
    attempt("read the machine's passwords", opened("/etc/shadow")),
])
raise SystemExit(escaped)
"""

#: Syscalls that must be named in the result.
DENIED = {"mount", "ptrace", "unshare"}

JOB = Job(
    command=["python3", "escape.py"], files={"escape.py": PROGRAM}, limits=Limits(cpu_time_ms=5_000),
    labels=Labels(rollout="escape", group="hostile"))
