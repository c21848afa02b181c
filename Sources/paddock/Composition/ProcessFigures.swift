// What the kernel says of this process.

import Foundation

struct ProcessFigures: Sendable {
    var cpuSeconds: Double
    var residentBytes: Int
    var openDescriptors: Int
    var mostDescriptors: Int
    /// Seconds since the epoch.
    var startedAt: Double

    static func now(startedAt: Double) -> ProcessFigures {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return ProcessFigures(
            cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime), residentBytes: ThisMachine.residentBytes(),
            openDescriptors: countOpen(), mostDescriptors: Int(clamping: limit.rlim_cur), startedAt: startedAt)
    }

    private static func countOpen() -> Int {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        // Without `.`, `..` and the directory's own.
        var count = -3
        while readdir(directory) != nil { count += 1 }
        return max(0, count)
    }
}
