// What every sandbox's processes do, done once in the spawner where nothing comes of it. The language's runtime looks a
// type up when it is first used, which takes it up to a hundred microseconds; a process that is forked from the spawner
// inherits what was looked up before.

import LinuxSystem
import SandboxCore

enum Rehearsal {
    static func run(in workshop: Workshop) {
        let roles = CgroupFile.allCases
        // None of these descriptors is open: every call on them is refused.
        let cgroup = JobCgroup(version: .none, roles: roles, descriptors: roles.map { _ in -1 })
        _ = cgroup.forgetPeak()
        _ = cgroup.readCounters()
        _ = try? InitCommand(decoding: InitCommand.run(plan, hasInput: true, cgroupFiles: roles).encoded())
        _ = ChildMemory.candidates(plan.arguments, plan.environment)
        _ = ChildMemory.resourceLimits(plan.limits, hasMemory: false, hasPids: false, singleID: true)
        _ = ["/one", "/other"].joined(separator: ":")
        // Copies of these are made by way of their types.
        types = [[Workshop.Masked].self, Outcome?.self, InitEvent?.self, [UInt8].self]
        // As `ChildMemory` has them.
        var pointers: [UnsafeMutableRawPointer] = []
        for _ in 0..<2 { pointers.append(.allocate(byteCount: 1, alignment: 1)) }
        for pointer in pointers { pointer.deallocate() }
        _ = InitEvent.ready.encoded() + InitEvent.report(report).encoded()
        var poll = PollSet()
        poll.add(-1)
        _ = (poll.isReady(-1), poll.hungUp(-1), poll.hasInput(-1))
        poll.removeAll()
    }

    /// Kept, or the compiler would see that nobody looks at them.
    private nonisolated(unsafe) static var types: [Any.Type] = []

    private static let plan = LaunchPlan(
        arguments: ["true"], environment: ["PATH=/bin"], files: [PlacedFile(path: "a", bytes: [0])],
        collect: [FileOut(pattern: "a", maxBytes: 1)],
        limits: EnforcedLimits(
            cpuTimeMs: 1, wallTimeMs: 1, memoryBytes: 1, processes: 1, diskBytes: 1, diskInodes: 1, outputBytes: 1, openFiles: 1,
            stackBytes: 1, fileSizeBytes: 1))

    private static var report: StepReport {
        var capture = OutputCapture(keep: 1)
        [UInt8]("ab".utf8).withUnsafeBytes { capture.append($0) }
        return StepReport(
            outcome: .exited(code: 0), stdout: capture.output, usage: Usage(), denied: Denials().list + [DeniedSyscall(syscall: "1:1", count: 1)],
            files: [CollectedFile(path: "a", bytes: [0], size: 1, mode: 0o644)])
    }
}
