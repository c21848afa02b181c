// Making, ending and waiting for processes; what is set on the process itself.

import CLinux
import Glibc

public struct Namespaces: OptionSet, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static let user = Namespaces(rawValue: UInt64(CLONE_NEWUSER))
    public static let pid = Namespaces(rawValue: UInt64(CLONE_NEWPID))
    public static let mount = Namespaces(rawValue: UInt64(CLONE_NEWNS))
    public static let ipc = Namespaces(rawValue: UInt64(CLONE_NEWIPC))
    public static let uts = Namespaces(rawValue: UInt64(CLONE_NEWUTS))
    public static let network = Namespaces(rawValue: UInt64(CLONE_NEWNET))
    public static let cgroup = Namespaces(rawValue: UInt64(CLONE_NEWCGROUP))
}

/// How a process ended, as the kernel reports it.
public enum ExitStatus: Sendable, Equatable {
    case exited(Int32)
    case signaled(Int32)
    /// It has not ended: it is traced, and waits.
    case stopped(TraceStop)

    /// - Parameter status: as `wait4` gives it.
    public init(_ status: Int32) {
        self = status & 0x7f == 0 ? .exited((status >> 8) & 0xff) : status & 0xff == 0x7f ? .stopped(TraceStop(status)) : .signaled(status & 0x7f)
    }
}

public struct ChildEnd: Sendable {
    public var pid: Int32
    public var status: ExitStatus
    public var cpuTimeMicroseconds: Int
    public var maxResidentBytes: Int

    public init(pid: Int32, status: ExitStatus, cpuTimeMicroseconds: Int = 0, maxResidentBytes: Int = 0) {
        (self.pid, self.status) = (pid, status)
        (self.cpuTimeMicroseconds, self.maxResidentBytes) = (cpuTimeMicroseconds, maxResidentBytes)
    }
}

public enum Processes {
    /// Forks into new namespaces. Returns 0 in the child.
    public static func fork(into namespaces: Namespaces) throws(Errno) -> Int32 {
        var arguments = clone_args()
        arguments.flags = namespaces.rawValue
        arguments.exit_signal = UInt64(SIGCHLD)
        return Int32(try check(withUnsafePointer(to: &arguments) {
            syscall(SYS_clone3, address($0), MemoryLayout<clone_args>.size)
        }))
    }

    /// Starts `body(argument)` in a child that shares this process's memory and descriptors and runs beside it. The kernel
    /// clears the word at `alive`, which holds its pid, and wakes who waits on it, when the child execs or ends.
    public static func start(
        stack: UnsafeMutableRawBufferPointer, alive: UnsafeMutablePointer<Int32>,
        body: @convention(c) (UnsafeMutableRawPointer?) -> Int32, argument: UnsafeMutableRawPointer
    ) throws(Errno) -> Int32 {
        var arguments = clone_args()
        arguments.flags =
            UInt64(CLONE_VM) | UInt64(CLONE_FILES) | UInt64(CLONE_PARENT_SETTID) | UInt64(CLONE_CHILD_CLEARTID) | CLONE_CLEAR_SIGHAND_
        arguments.exit_signal = UInt64(SIGCHLD)
        arguments.parent_tid = UInt64(address(alive))
        arguments.child_tid = UInt64(address(alive))
        arguments.stack = UInt64(address(stack.baseAddress))
        arguments.stack_size = UInt64(stack.count)
        return Int32(try check(withUnsafeMutablePointer(to: &arguments) { pd_clone3_call($0, body, argument) }))
    }

    // A 64-bit macro that the importer drops.
    private static var CLONE_CLEAR_SIGHAND_: UInt64 { 0x1_0000_0000 }

    /// Reaps one ended child without waiting; `nil` when none has ended, ECHILD when there is none at all.
    public static func reapAny(wait: Bool = false) throws(Errno) -> ChildEnd? {
        var status: Int32 = 0
        var usage = rusage()
        let pid = try check(withUnsafeMutablePointer(to: &status) { s in
            withUnsafeMutablePointer(to: &usage) {
                syscall(SYS_wait4, -1, address(s), wait ? Int(__WALL) : Int(WNOHANG | __WALL), address($0))
            }
        })
        if pid == 0 { return nil }
        let cpu =
            Int(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1_000_000
            + Int(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
        return ChildEnd(
            pid: Int32(pid), status: ExitStatus(status), cpuTimeMicroseconds: cpu, maxResidentBytes: Int(usage.ru_maxrss) * 1024)
    }

    /// The pid of some child that has ended and is not reaped yet.
    public static func peekEnded() -> Int32? {
        var info = siginfo_t()
        let r = withUnsafeMutablePointer(to: &info) {
            syscall(SYS_waitid, Int(P_ALL.rawValue), 0, address($0), Int(WEXITED | WNOHANG | WNOWAIT), 0)
        }
        guard r == 0 else { return nil }
        // si_pid is the first field of the union after three ints and padding.
        let pid = withUnsafeBytes(of: &info) { $0.load(fromByteOffset: 16, as: Int32.self) }
        return pid == 0 ? nil : pid
    }

    /// A descriptor that becomes readable when the process ends.
    public static func descriptor(of pid: Int32) throws(Errno) -> Int32 { Int32(try check(syscall(SYS_pidfd_open, Int(pid), 0))) }

    /// Moves another process's memory into huge pages; what the kernel does not do is left as it is (Linux 6.1).
    public static func collapse(_ ranges: [Range<UInt>], of pid: Int32) {
        guard let process = try? descriptor(of: pid) else { return }
        defer { Files.close(process) }
        for range in ranges {
            var vector = iovec(iov_base: UnsafeMutableRawPointer(bitPattern: range.lowerBound), iov_len: range.count)
            _ = withUnsafePointer(to: &vector) { syscall(SYS_process_madvise, Int(process), address($0), 1, 25, 0) }  // MADV_COLLAPSE
        }
    }

    /// A copy of another process's descriptor. Takes the right to trace it.
    public static func copyDescriptor(_ number: Int32, of pid: Int32) throws(Errno) -> Int32 {
        let process = try descriptor(of: pid)
        defer { Files.close(process) }
        return Int32(try check(syscall(SYS_pidfd_getfd, Int(process), Int(number), 0)))
    }

    public static func kill(_ pid: Int32, _ signal: Int32) throws(Errno) { try check(syscall(SYS_kill, Int(pid), Int(signal))) }

    public static func signalDescriptor(_ signals: [Int32]) throws(Errno) -> Int32 {
        var mask: UInt64 = 0
        for s in signals { mask |= 1 << UInt64(s - 1) }
        try check(withUnsafePointer(to: &mask) { syscall(SYS_rt_sigprocmask, Int(SIG_BLOCK), address($0), 0, 8) })
        return Int32(try check(withUnsafePointer(to: &mask) {
            syscall(SYS_signalfd4, -1, address($0), 8, Int(SFD_CLOEXEC | SFD_NONBLOCK))
        }))
    }

    /// Every signal does what the kernel says it does, those included that libc keeps to itself and its posix_spawn ignores.
    public static func resetSignals() {
        // struct sigaction as the kernel has it: handler, flags, restorer, mask.
        var action = (0, 0, 0, 0)
        for signal in 1...64 { _ = withUnsafePointer(to: &action) { syscall(SYS_rt_sigaction, signal, address($0), 0, 8) } }
    }

    public static func control(_ option: Int32, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0) -> Int {
        syscall(SYS_prctl, Int(option), a, b, c, d)
    }

    /// 0 as everyone, below it more urgent.
    /// - Parameter pid: 0 for the caller.
    public static func setPriority(_ nice: Int, of pid: Int32 = 0) throws(Errno) {
        _ = try check(syscall(SYS_setpriority, Int(PRIO_PROCESS.rawValue), Int(pid), nice))
    }

    /// Leaves the session keyring it was started with for an empty one.
    public static func leaveSessionKeyring() { _ = syscall(SYS_keyctl, 1, 0) }  // KEYCTL_JOIN_SESSION_KEYRING

    /// The most resident memory this process ever had, in bytes.
    public static func largestResident() -> Int {
        var usage = rusage()
        _ = withUnsafeMutablePointer(to: &usage) { syscall(SYS_getrusage, 0, address($0)) }
        return Int(usage.ru_maxrss) * 1024
    }

    public static func unshare(_ namespaces: Namespaces) throws(Errno) {
        try check(syscall(SYS_unshare, Int(namespaces.rawValue)))
    }

    /// Leaves all supplementary groups.
    public static func dropGroups() throws(Errno) { try check(syscall(SYS_setgroups, 0, 0)) }

    public static func setIDs(uid: Int, gid: Int) throws(Errno) {
        try check(syscall(SYS_setresgid, gid, gid, gid))
        try check(syscall(SYS_setresuid, uid, uid, uid))
    }

    /// Acts as this user until told otherwise; what power it has comes and goes with being root.
    public static func actAs(_ uid: Int) throws(Errno) { try check(syscall(SYS_setresuid, -1, uid, -1)) }

    public static func leaveSession() throws(Errno) { try check(syscall(SYS_setsid)) }

    public static func forbidNewPrivileges() throws(Errno) { try check(control(PR_SET_NO_NEW_PRIVS, 1)) }

    /// Tries each path until one is executed; returns only to say why none was.
    public static func execute(_ candidates: [String], _ arguments: [String], environment: [String]) -> Errno {
        func pointers(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] { texts.map { strdup($0) } + [nil] }
        let (argv, envp) = (pointers(arguments), pointers(environment))
        var refused = Errno(ENOENT)
        for path in candidates {
            let r = path.withCString { p in
                argv.withUnsafeBufferPointer { a in envp.withUnsafeBufferPointer { syscall(SYS_execve, address(p), address(a.baseAddress), address($0.baseAddress)) } }
            }
            if r != -Int(ENOENT), r != -Int(ENOTDIR) { refused = Errno(Int32(-r)) }
        }
        return refused
    }

    public static func setHostname(_ name: String) throws(Errno) {
        try check(name.withCString { syscall(SYS_sethostname, address($0), name.utf8.count) })
    }

    /// Moves this process, which has to have one thread, into a namespace that `descriptor` stands for.
    public static func enter(_ descriptor: Int32, _ kind: Namespaces) throws(Errno) {
        try check(syscall(SYS_setns, Int(descriptor), Int(kind.rawValue)))
    }

    public static func loopbackUp() throws(Errno) { try check(Int(pd_loopback_up())) }

    public static func exit(_ code: Int32) -> Never {
        _ = syscall(SYS_exit_group, Int(code))
        while true {}
    }

    /// Nanoseconds of the monotonic clock.
    public static func now() -> Int {
        var t = timespec()
        _ = clock_gettime(CLOCK_MONOTONIC, &t)
        return t.tv_sec * 1_000_000_000 + t.tv_nsec
    }
}

/// A set of descriptors to wait on, kept between calls.
public struct PollSet {
    private var entries: [pollfd] = []
    public init() {}

    public mutating func removeAll() { entries.removeAll(keepingCapacity: true) }
    public mutating func add(_ fd: Int32, read: Bool = true, write: Bool = false, priority: Bool = false) {
        entries.append(pollfd(
            fd: fd, events: Int16((read ? POLLIN : 0) | (write ? POLLOUT : 0) | (priority ? POLLPRI : 0)), revents: 0))
    }

    /// Waits until something is ready or `nanoseconds` have passed (`nil`: for ever).
    public mutating func wait(nanoseconds: Int?) throws(Errno) {
        var time = timespec(tv_sec: (nanoseconds ?? 0) / 1_000_000_000, tv_nsec: (nanoseconds ?? 0) % 1_000_000_000)
        let n = entries.withUnsafeMutableBufferPointer { e in
            withUnsafeMutablePointer(to: &time) { t in
                syscall(SYS_ppoll, address(e.baseAddress), e.count, nanoseconds == nil ? 0 : address(t), 0, 8)
            }
        }
        if n == -Int(EINTR) { for i in entries.indices { entries[i].revents = 0 } } else { try check(n) }
    }

    public func isReady(_ fd: Int32) -> Bool { entries.contains { $0.fd == fd && $0.revents != 0 } }
    public func hungUp(_ fd: Int32) -> Bool { entries.contains { $0.fd == fd && $0.revents & Int16(POLLHUP | POLLERR) != 0 } }
    /// Something to read, and not only a hang-up.
    public func hasInput(_ fd: Int32) -> Bool { entries.contains { $0.fd == fd && $0.revents & Int16(POLLIN) != 0 } }
}
