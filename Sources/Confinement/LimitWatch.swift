// Holds a running step to the limits the kernel does not end it for by itself, and gives the verdict when it has ended.

import Glibc
import LinuxSystem
import SandboxCore

struct LimitWatch {
    private let limits: EnforcedLimits
    private let sandbox: Init
    private let cpus: Int
    // The cgroup's counters before the step: a cgroup serves one job after the other.
    private let cpuBefore: Int?
    private let oomKillsBefore: Int?
    private let refusedForksBefore: Int?
    private let peakProcessesBefore: Int?
    private var sampledProcesses = 0
    private var nextLook = 0
    private var interval = 5_000_000
    /// Time the sandbox was ready to run but the machine was busy, that its wall time was extended by.
    private var excused = 0

    init(_ limits: EnforcedLimits, _ sandbox: Init) {
        self.limits = limits
        self.sandbox = sandbox
        cpus = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        cpuBefore = sandbox.cgroup.cpuMicroseconds()
        oomKillsBefore = sandbox.cgroup.oomKills()
        refusedForksBefore = sandbox.cgroup.refusedForks()
        peakProcessesBefore = sandbox.cgroup.peakProcesses()
    }

    /// Until the earliest moment at which some limit could be reached: soon at first, at most 50 ms apart, and exactly
    /// when all processors together could have used up what is left of the CPU time.
    mutating func nanosecondsToNextLook(since start: Int) -> Int {
        max(0, nextLook == 0 ? interval : nextLook - (Processes.now() - start))
    }

    mutating func exceeded(since start: Int, main: Int32, reapedCPU: Int) -> Outcome? {
        let now = Processes.now() - start
        if let outcome = memoryOrProcesses() { return outcome }
        guard now >= nextLook else { return nil }
        interval = min(interval * 2, 50_000_000)
        nextLook = now + interval

        let live = sandbox.cgroup.hasCPU ? [] : ProcScan.pids(limit: 4096)
        let cpu = cpuMicroseconds(reapedCPU: reapedCPU, live: live)
        if cpu > limits.cpuTimeMs * 1000 { return .limitExceeded(limit: .cpuTime, asked: limits.cpuTimeMs, used: cpu / 1000) }
        nextLook = min(nextLook, now + max(1_000_000, (limits.cpuTimeMs * 1000 - cpu) * 1000 / cpus))

        let wall = limits.wallTimeMs * 1_000_000 + excused
        if now >= wall {
            let extension_ = timeWaitedForCPU() - excused
            // Waiting for a busy machine is not the program's doing. Bounded, so that no job lives for ever.
            if extension_ > 1_000_000, excused < 9 * limits.wallTimeMs * 1_000_000 {
                excused += extension_
            } else {
                return .limitExceeded(limit: .wallTime, asked: limits.wallTimeMs, used: now / 1_000_000)
            }
        }
        nextLook = min(nextLook, max(now + 100_000, limits.wallTimeMs * 1_000_000 + excused))

        sampleProcesses()
        if let disk = diskFull() { return disk }
        // The walk over descriptors only for what has lived long enough to be looked at twice.
        if interval >= 20_000_000 { return openFiles() }
        return nil
    }

    /// Samples what is gone a moment later.
    mutating func lookOnceMore() { sampleProcesses() }

    private mutating func sampleProcesses() { sampledProcesses = max(sampledProcesses, sandbox.cgroup.currentProcesses() ?? 0) }

    /// Limits the kernel tells of by itself.
    private func memoryOrProcesses() -> Outcome? {
        if let kills = sandbox.cgroup.oomKills(), kills > oomKillsBefore ?? 0 {
            return .limitExceeded(limit: .memory, asked: limits.memoryBytes, used: max(limits.memoryBytes, sandbox.cgroup.peakMemory() ?? 0))
        }
        if let refused = sandbox.cgroup.refusedForks(), refused > refusedForksBefore ?? 0 {
            return .limitExceeded(limit: .processes, asked: limits.processes, used: limits.processes + 1)
        }
        return nil
    }

    private func diskFull() -> Outcome? {
        guard let disk = try? Files.usage("/workspace") else { return nil }
        if disk.freeBytes < 4096 { return .limitExceeded(limit: .disk, asked: sandbox.spec.diskBytes, used: disk.usedBytes) }
        if disk.freeInodes == 0 {
            return .limitExceeded(limit: .disk, asked: sandbox.spec.diskInodes, used: disk.usedInodes - Workshop.ownInodes)
        }
        return nil
    }

    private func openFiles() -> Outcome? {
        for pid in ProcScan.pids(limit: 64) {
            if let open = ProcScan.openFiles(pid), open >= limits.openFiles {
                return .limitExceeded(limit: .openFiles, asked: limits.openFiles, used: open)
            }
        }
        return nil
    }

    private func timeWaitedForCPU() -> Int { ProcScan.pids(limit: 4096).compactMap { ProcScan.waitedForCPU($0) }.max() ?? 0 }

    /// CPU time of the step so far. Without a cgroup: what has been reaped and what is alive.
    func cpuMicroseconds(reapedCPU: Int, live: [Int32]) -> Int {
        if let before = cpuBefore, let now = sandbox.cgroup.cpuMicroseconds() { return now - before }
        return reapedCPU + ProcScan.cpuMicroseconds(live)
    }

    /// Exact where the cgroup's own peak grew in this step; otherwise the most that was seen when it was looked at.
    func peakProcesses() -> Int? {
        guard sandbox.cgroup.hasPids else { return nil }
        if let peak = sandbox.cgroup.peakProcesses(), peak > peakProcessesBefore ?? 0 { return peak }
        return max(1, sampledProcesses)
    }

    /// The verdict: what ended the step first, unless the kernel has meanwhile told of a limit that explains it better.
    func verdict(cause: Outcome?, end: ExitStatus?, cpuMicroseconds cpu: Int, usage: Usage) -> Outcome {
        if let cause { return cause }
        if let outcome = memoryOrProcesses() { return outcome }
        if cpu > limits.cpuTimeMs * 1000 { return .limitExceeded(limit: .cpuTime, asked: limits.cpuTimeMs, used: cpu / 1000) }
        if let disk = diskFull() { return disk }
        switch end {
        case .exited(let code)?: return .exited(code: Int(code))
        case .signaled(SIGXCPU)?: return .limitExceeded(limit: .cpuTime, asked: limits.cpuTimeMs, used: cpu / 1000)
        case .signaled(SIGXFSZ)?: return .limitExceeded(limit: .fileSize, asked: limits.fileSizeBytes, used: limits.fileSizeBytes + 1)
        case .signaled(let signal)?: return .signaled(signal: Int(signal))
        case nil: return .signaled(signal: Int(SIGKILL))
        }
    }
}
