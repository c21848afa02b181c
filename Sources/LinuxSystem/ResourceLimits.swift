// The bounds a single process has.

import CLinux
import Glibc

/// The kernel's RLIMIT numbers (the same on every architecture Paddock runs on).
public enum Resource: Int, Sendable {
    case cpuSeconds = 0, fileSize = 1, data = 2, stack = 3, core = 4, processes = 6, openFiles = 7, lockedMemory = 8
    case messageQueues = 12, nice = 13, realtime = 14
}

public struct ResourceLimit: Sendable {
    public var resource: Int
    public var value: pd_rlimit

    /// A limit, or this process's own hard one where that is lower: raising it takes a capability over the host.
    public init(_ resource: Resource, soft: Int, hard: Int) {
        let top = min(UInt64(hard), Self.ceilings[resource.rawValue])
        self.resource = resource.rawValue
        value = pd_rlimit(soft: min(UInt64(soft), top), hard: top)
    }

    public init(_ resource: Resource, _ value: Int) { self.init(resource, soft: value, hard: value) }

    /// This process's hard limits by number, as they were when one was first asked for: nothing here lowers its own.
    private static let ceilings: [UInt64] = (0...Resource.realtime.rawValue).map { number in
        var now = pd_rlimit()
        _ = withUnsafeMutablePointer(to: &now) { syscall(SYS_prlimit64, 0, number, 0, Int(bitPattern: $0)) }
        return now.hard
    }

    /// Lets this process open as many files as its hard limit allows: the soft one is often 1024 for the sake of
    /// programs that use select.
    public static func raiseOpenFiles() {
        ResourceLimit(.openFiles, Int.max).apply()
    }

    /// Sets it for this process.
    public func apply() {
        var value = value
        _ = withUnsafePointer(to: &value) { syscall(SYS_prlimit64, 0, resource, Int(bitPattern: $0), 0) }
    }
}
