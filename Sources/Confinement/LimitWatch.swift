// Holds a running step to the limits the kernel does not end it for by itself, and gives the verdict when it has ended.
// CPU time is the first judge. Wall time is the guard for a program that waits: time in which it was ready to run on a
// machine that was busy does not count, so that a full machine does not make a correct program a timeout.

import Glibc
import LinuxSystem
import SandboxCore

struct LimitWatch {
    private let limits: EnforcedLimits
    private let sandbox: Init
    /// The cgroup's counters before the step, and after it: a cgroup serves one job after the other.
    private let before: JobCgroup.Counters
    private var after: JobCgroup.Counters?
    private let memoryBefore: Int
    /// When a step is first looked at. Most are over by then.
    static let firstLook = 5_000_000
    private var sampledProcesses = 0
    private var sampledMemory = 0
    private var nextLook = firstLook
    private var lastLook = 0
    private var lastCPU = -1
    private var interval = firstLook
    private(set) var hasLooked = false
    /// Whether nothing has run for seconds: who supervises it may make itself small.
    private(set) var isAtRest = false
    private var delays = RunDelays()

    /// How often a step is looked at that has been running for a while. Often where looking is all there is, and where
    /// it waits for a busy machine.
    private var longestInterval: Int {
        sandbox.cgroup.hasMemory && sandbox.cgroup.hasPids ? (delays.isWaiting ? 50_000_000 : 400_000_000) : 20_000_000
    }
    /// Where nothing at all has run since the last look, nothing can have reached a limit: thousands of steps that wait for
    /// something would otherwise cost a processor.
    private static let longestIdleInterval = 5_000_000_000
    /// The wall time a busy machine can add, in multiples of the limit: no job lives for ever.
    private static let patience = 9

    init(_ limits: EnforcedLimits, _ sandbox: Init, memoryBefore: Int) {
        self.limits = limits
        self.sandbox = sandbox
        before = sandbox.cgroup.baseline()
        self.memoryBefore = memoryBefore
    }

    /// Until the earliest moment at which some limit could be reached: soon at first, then seldom, and exactly when all
    /// processors together could have used up what is left of the CPU time.
    func nanosecondsToNextLook(since start: Int) -> Int {
        max(0, nextLook - (Processes.now() - start))
    }

    /// - Parameter told: whether the kernel told of a limit.
    mutating func exceeded(since start: Int, reapedCPU: Int, told: Bool) -> Outcome? {
        let now = Processes.now() - start
        if told || now >= nextLook, let outcome = memoryOrProcesses() { return outcome }
        guard now >= nextLook else { return nil }
        hasLooked = true
        let wall = limits.wallTimeMs * 1_000_000
        if isIdle(), now < wall {
            interval = min(interval * 2, Self.longestIdleInterval)
            isAtRest = interval >= 1_000_000_000
            nextLook = min(now + interval, wall)
            nextLook = min(nextLook, now + max(1_000_000, (limits.cpuTimeMs * 1000 - lastCPU) * 1000 / sandbox.cpus))
            return nil
        }
        isAtRest = false
        interval = min(interval * 2, longestInterval)
        let live = sandbox.cgroup.hasCPU && sandbox.cgroup.hasPids && sandbox.cgroup.hasMemory && interval < 20_000_000
            ? [] : ProcScan.pids(limit: 4096)

        let cpu = cpuMicroseconds(reapedCPU: reapedCPU, live: live)
        if cpu > limits.cpuTimeMs * 1000 { return .limitExceeded(limit: .cpuTime, asked: limits.cpuTimeMs, used: (cpu + 999) / 1000) }
        lastCPU = cpu
        delays.look(at: live, elapsed: now - lastLook, since: now)
        lastLook = now
        let allowed = wall + min(delays.total, Self.patience * wall)
        if now >= allowed { return .limitExceeded(limit: .wallTime, asked: limits.wallTimeMs, used: now / 1_000_000) }
        if let outcome = sampled(live) ?? (try? Files.usage("/workspace")).flatMap(diskVerdict.full) { return outcome }

        nextLook = min(now + interval, max(now + 100_000, allowed))
        nextLook = min(nextLook, now + max(1_000_000, (limits.cpuTimeMs * 1000 - cpu) * 1000 / sandbox.cpus))
        return nil
    }

    /// Whether no process of the step has run since it was last looked at. Only a cgroup's account is exact enough to tell.
    private func isIdle() -> Bool {
        guard hasLooked, sandbox.cgroup.hasCPU, sandbox.cgroup.hasPids, sandbox.cgroup.hasMemory else { return false }
        return cpuMicroseconds(reapedCPU: 0, live: []) == lastCPU
    }

    /// Samples what is gone a moment later.
    mutating func lookOnceMore() {
        if before.peakProcesses == nil { sampledProcesses = max(sampledProcesses, sandbox.cgroup.currentProcesses() ?? 0) }
    }

    /// To be called when every process of the step has been reaped: the counters are final.
    mutating func finish() { after = sandbox.cgroup.readCounters() }

    /// Limits that show only while processes are alive.
    private mutating func sampled(_ live: [Int32]) -> Outcome? {
        sampledProcesses = max(sampledProcesses, sandbox.cgroup.currentProcesses() ?? live.count)
        if !sandbox.cgroup.hasPids, live.count >= limits.processes {
            return .limitExceeded(limit: .processes, asked: limits.processes, used: live.count)
        }
        if !sandbox.cgroup.hasMemory {
            let used = ProcScan.privateMemory(live) + ((try? Files.usage("/workspace"))?.usedBytes ?? 0)
            sampledMemory = max(sampledMemory, used)
            if used > limits.memoryBytes { return .limitExceeded(limit: .memory, asked: limits.memoryBytes, used: used) }
        }
        for pid in live.prefix(64) {
            if let open = ProcScan.openFiles(pid), open >= limits.openFiles {
                return .limitExceeded(limit: .openFiles, asked: limits.openFiles, used: open)
            }
        }
        return nil
    }

    /// Limits the kernel tells of by itself.
    private func memoryOrProcesses() -> Outcome? {
        if let kills = after?.oomKills ?? sandbox.cgroup.oomKills(), kills > before.oomKills ?? 0 {
            return .limitExceeded(limit: .memory, asked: limits.memoryBytes, used: max(limits.memoryBytes, sandbox.cgroup.peakMemory() ?? 0))
        }
        if let refused = after?.refusedForks ?? sandbox.cgroup.refusedForks(), refused > before.refusedForks ?? 0 {
            return .limitExceeded(limit: .processes, asked: limits.processes, used: limits.processes + 1)
        }
        return nil
    }

    private var diskVerdict: DiskVerdict { DiskVerdict(limits: limits, own: sandbox.ownDisk) }

    /// CPU time of the step so far. Without a cgroup: what has been reaped and what is alive.
    func cpuMicroseconds(reapedCPU: Int, live: [Int32]) -> Int {
        if let before = before.cpuMicroseconds, let now = after?.cpuMicroseconds ?? sandbox.cgroup.cpuMicroseconds() { return now - before }
        return reapedCPU + ProcScan.cpuMicroseconds(live)
    }

    /// Exact where the cgroup's own peak grew in this step, and where one more was refused; otherwise the most that was seen
    /// when it was looked at.
    func peakProcesses() -> Int? {
        if let peak = after?.peakProcesses, peak > before.peakProcesses ?? 0 { return peak }
        if let refused = after?.refusedForks, refused > before.refusedForks ?? 0 { return max(limits.processes, sampledProcesses) }
        return max(1, sampledProcesses)
    }

    /// The step's own peak. What was in the cgroup before it, files its last jobs had read, is not this one's use, as
    /// far as it is still there: what was given up for this step's sake, as its limit came near, made room for its own.
    /// - Parameter largestResident: of one process of the step, for where the host keeps no better account.
    func peakMemory(largestResident: Int?) -> Int? {
        guard sandbox.cgroup.hasMemory, let peak = sandbox.cgroup.peakMemory() else {
            return max(sampledMemory, largestResident ?? 0) > 0 ? max(sampledMemory, largestResident ?? 0) : nil
        }
        // One that neither grew nor could be forgotten is an earlier step's.
        if !sandbox.cgroup.forgetsPeak { return peak > memoryBefore ? peak : largestResident }
        let nearLimit = peak > limits.memoryBytes - limits.memoryBytes / 8
        let own = peak - (nearLimit ? min(memoryBefore, sandbox.cgroup.cachedFiles()) : memoryBefore)
        return max(own, Self.accountBatch)
    }

    /// The kernel charges a cgroup for 64 pages at a time, ahead of their use: of less it cannot tell one program's from another's,
    /// and a small one that uses up what was charged before would seem to have used nothing.
    private static let accountBatch = 64 * 4096

    /// Time the step was ready to run but did not, in nanoseconds.
    func waited(main: Int) -> Int { max(main, delays.total) }

    /// The verdict: what ended the step first, unless the kernel has meanwhile told of a limit that explains it better.
    /// - Parameter atSizeLimit: whether a file of the largest size allowed is there; asked only when it matters.
    /// - Parameter overrun: how large the stack would have become when the last SIGSEGV was for that.
    /// - Parameter disk: what the scratch file system holds at the end.
    func verdict(cause: Outcome?, end: ExitStatus?, overrun: Int?, disk: Files.Usage?, cpuMicroseconds cpu: Int, atSizeLimit: () -> Bool) -> Outcome {
        if let cause { return cause }
        if let outcome = memoryOrProcesses() { return outcome }
        // The account says so, and not the signal: SIGXCPU below the limit is the program's own doing.
        if cpu > limits.cpuTimeMs * 1000 { return .limitExceeded(limit: .cpuTime, asked: limits.cpuTimeMs, used: (cpu + 999) / 1000) }
        if let disk, let outcome = diskVerdict.full(disk) { return outcome }
        let fileSize = Outcome.limitExceeded(limit: .fileSize, asked: limits.fileSizeBytes, used: limits.fileSizeBytes + 1)
        switch end {
        case .exited(0)?: return .exited(code: 0)
        case .exited(let code)?: return atSizeLimit() ? fileSize : .exited(code: Int(code))
        case .signaled(SIGXFSZ)?: return fileSize
        case .signaled(SIGSEGV)? where overrun != nil:
            return .limitExceeded(limit: .stack, asked: limits.stackBytes, used: max(overrun ?? 0, limits.stackBytes))
        case .signaled(let signal)?: return atSizeLimit() ? fileSize : .signaled(signal: Int(signal))
        case .stopped?, nil: return .signaled(signal: Int(SIGKILL))
        }
    }
}
