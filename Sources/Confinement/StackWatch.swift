// Tells a stack that ran over from any other SIGSEGV. When a process is dead, nothing the kernel keeps says where its
// stack was; so the job's main process is traced, for its signals only, and asked before this one takes effect. It runs
// at full speed otherwise. Its children and its threads' own stacks are not watched. Where the host forbids tracing, a
// stack that ran over stays a SIGSEGV.

import Glibc
import LinuxSystem
import SandboxCore

struct StackWatch {
    private let main: Int32
    private let limit: Int
    /// How large the stack would have become with the access that failed last.
    private(set) var overrun: Int?

    /// - Parameter main: is traced already, since before it ran: a small stack is full in no time.
    init(_ main: Int32, limit: Int) {
        self.main = main
        self.limit = limit
    }

    /// Takes a stop of the main process and lets it go on as if nobody had looked.
    mutating func take(_ stop: TraceStop, of pid: Int32) {
        switch stop {
        case .signal(let signal):
            if pid == main, signal == SIGSEGV { overrun = excess() }
            Tracing.resume(pid, delivering: signal)
        case .group: Tracing.keepStopped(pid)
        case .other: Tracing.resume(pid, delivering: 0)
        }
    }

    /// Below the stack there is a gap the kernel keeps free; a function may reach far down at once for what it needs.
    private static let reach: UInt = 1 << 20

    private func excess() -> Int? {
        guard let fault = Tracing.faultAddress(main), let pointer = Tracing.stackPointer(main), let stack = ProcScan.stack(main) else { return nil }
        guard fault < stack.lowerBound, fault &+ Self.reach > min(pointer, stack.lowerBound), stack.upperBound > fault else { return nil }
        let size = Int(stack.upperBound - fault)
        // A page or two may be missing: the kernel counts arguments and environment to the stack's room.
        return size > limit - (256 << 10) ? size : nil
    }
}
