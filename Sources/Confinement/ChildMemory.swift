// Prepares a job's child: every string, array and structure it will use, allocated before it is born and freed after
// its exec.

import Glibc
import LinuxSystem
import SandboxCore

final class ChildMemory {
    let plan: UnsafeMutablePointer<ChildPlan>
    private var allocations: [UnsafeMutableRawPointer] = []

    init(_ launch: LaunchPlan, _ sandbox: borrowing Init, stdin: Int32, stdout: Int32, stderr: Int32) {
        plan = .allocate(capacity: 1)
        let limits = Self.resourceLimits(launch.limits, sandbox)
        let table = UnsafeMutablePointer<ResourceLimit>.allocate(capacity: limits.count)
        table.initialize(from: limits, count: limits.count)
        allocations.append(UnsafeMutableRawPointer(table))

        var strings: [UnsafeMutableRawPointer] = []
        func cString(_ text: String) -> UnsafeMutablePointer<CChar> {
            let copy = strdup(text)!
            strings.append(UnsafeMutableRawPointer(copy))
            return copy
        }
        func cStrings(_ texts: [String]) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> {
            let array = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: texts.count + 1)
            for (i, text) in texts.enumerated() { array[i] = cString(text) }
            array[texts.count] = nil
            strings.append(UnsafeMutableRawPointer(array))
            return array
        }

        let directory = launch.workingDirectory
        plan.initialize(to: ChildPlan(
            argv: cStrings(launch.arguments), environment: cStrings(launch.environment),
            candidates: cStrings(Self.candidates(launch.arguments, launch.environment)), directory: cString(directory), limits: table,
            limitCount: limits.count))
        plan.pointee.streams = (stdin, stdout, stderr)
        allocations += strings
    }

    deinit {
        for a in allocations { free(a) }
        plan.deallocate()
    }

    /// What PATH says for a bare name; a name with a slash stands for itself.
    static func candidates(_ arguments: [String], _ environment: [String]) -> [String] {
        guard let name = arguments.first, !name.isEmpty else { return [] }
        if name.contains("/") { return [name] }
        let path = environment.last { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(name)" }
    }

    /// The bounds every single process has. Where a cgroup counts for all of them together, these are only the second
    /// line; where there is none, they are what there is.
    static func resourceLimits(_ limits: EnforcedLimits, _ sandbox: borrowing Init) -> [ResourceLimit] {
        resourceLimits(limits, hasMemory: sandbox.cgroup.hasMemory, hasPids: sandbox.cgroup.hasPids, singleID: sandbox.singleID)
    }

    /// - Parameters:
    ///   - hasMemory: whether a cgroup counts memory; `hasPids`, processes.
    static func resourceLimits(_ limits: EnforcedLimits, hasMemory: Bool, hasPids: Bool, singleID: Bool) -> [ResourceLimit] {
        // SIGXCPU at the limit, SIGKILL a second later: should the init be kept from looking.
        let cpuSeconds = (limits.cpuTimeMs + 999) / 1000
        var result = [
            // 1 and not 0: a host's pattern that is a pipe ignores 0, and takes 1 as the sign to leave it.
            ResourceLimit(.core, 1),
            ResourceLimit(.openFiles, limits.openFiles),
            ResourceLimit(.stack, limits.stackBytes),
            ResourceLimit(.fileSize, limits.fileSizeBytes),
            ResourceLimit(.cpuSeconds, soft: cpuSeconds + 1, hard: cpuSeconds + 2),
            ResourceLimit(.messageQueues, 800 << 10),
            ResourceLimit(.nice, 0),
            ResourceLimit(.realtime, 0),
            ResourceLimit(.lockedMemory, min(limits.memoryBytes, 8 << 20)),
        ]
        // Well above the limit: what is written to is looked at while the job runs, and a JVM asks for more than it uses.
        if !hasMemory { result.append(ResourceLimit(.data, 4 * limits.memoryBytes)) }
        // An init that has the job's id counts as one of the job's processes.
        if !hasPids { result.append(ResourceLimit(.processes, limits.processes + (singleID ? 1 : 0))) }
        return result
    }
}
