// The calls of libseccomp; with RegularFile.swift the only file of this room that touches C. A filter goes in as numbers and comes out as classic
// BPF; nothing is loaded into the kernel here. Called by `Compile` and `Syscalls`.

import CSeccomp
import Glibc
import Synchronization

enum Libseccomp {
    /// What `number(of:)` answers for a name that is no system call of any architecture.
    static let noSuchCall = -1

    /// What happens to one system call, whatever its arguments.
    struct Rule: Hashable {
        var number: Int
        var action: SeccompAction
    }

    /// The library's call that failed, and its errno.
    struct Failure: Error {
        var call: String
        var errno: Int32
    }

    /// libseccomp probes the kernel into static variables on first use.
    private static let lock = Mutex(())

    static var version: String {
        guard let version = unsafe seccomp_version() else { return "" }
        return unsafe "\(version.pointee.major).\(version.pointee.minor).\(version.pointee.micro)"
    }

    /// Native number, a number below -1 for a call of other architectures only, or `noSuchCall`.
    static func number(of name: String) -> Int {
        lock.withLock { _ in Int(unsafe seccomp_syscall_resolve_name(name)) }
    }

    static func name(of number: Int) -> String? {
        lock.withLock { _ in
            guard let text = unsafe seccomp_syscall_resolve_num_arch(seccomp_arch_native(), Int32(number)) else { return nil }
            defer { unsafe free(text) }
            return unsafe String(cString: text)
        }
    }

    /// The filter's instructions, eight bytes each. It kills a process that uses another architecture's table.
    static func export(defaultAction: SeccompAction, rules: [Rule]) throws(Failure) -> [UInt8] {
        let result: Result<[UInt8], Failure> = lock.withLock { _ in
            do throws(Failure) {
                return .success(try build(defaultAction, rules))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private static func build(_ defaultAction: SeccompAction, _ rules: [Rule]) throws(Failure) -> [UInt8] {
        guard let context = unsafe seccomp_init(defaultAction.number) else {
            throw Failure(call: "seccomp_init", errno: EINVAL)
        }
        defer { unsafe seccomp_release(context) }
        let attributes: [(scmp_filter_attr, UInt32)] = [
            (SCMP_FLTATR_ACT_BADARCH, SeccompAction.killProcess.number),
            // One listener for one process: threads are not there yet when the filter is loaded.
            (SCMP_FLTATR_CTL_TSYNC, 0),
            // A binary tree over the numbers instead of a list of 300 comparisons for each call.
            (SCMP_FLTATR_CTL_OPTIMIZE, 2),
        ]
        for (attribute, value) in attributes {
            try check("seccomp_attr_set", unsafe seccomp_attr_set(context, attribute, value))
        }
        for rule in rules {
            try check(
                "seccomp_rule_add for system call \(rule.number)",
                unsafe seccomp_rule_add_array(context, rule.action.number, Int32(rule.number), 0, nil))
        }
        return try unsafe exported(context)
    }

    private static func exported(_ context: scmp_filter_ctx) throws(Failure) -> [UInt8] {
        let file = cseccomp_memory_file()
        guard file >= 0 else { throw Failure(call: "memfd_create", errno: -file) }
        defer { close(file) }
        try check("seccomp_export_bpf", unsafe seccomp_export_bpf(context, file))
        let size = lseek(file, 0, SEEK_END)
        guard size > 0, size <= 1 << 20 else { throw Failure(call: "seccomp_export_bpf", errno: EIO) }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe pread(file, $0.baseAddress, $0.count, 0) }
        guard count == bytes.count else { throw Failure(call: "pread", errno: count < 0 ? errno : EIO) }
        return bytes
    }

    private static func check(_ call: String, _ result: Int32) throws(Failure) {
        if result < 0 { throw Failure(call: call, errno: -result) }
    }
}

extension SeccompAction {
    /// The kernel's SECCOMP_RET_ value.
    var number: UInt32 {
        switch self {
        case .allow: 0x7FFF_0000
        case .log: 0x7FFC_0000
        case .errno(let number): 0x0005_0000 | UInt32(number & 0xFFFF)
        case .notify: 0x7FC0_0000
        case .trap: 0x0003_0000
        case .killThread: 0x0000_0000
        case .killProcess: 0x8000_0000
        }
    }
}
