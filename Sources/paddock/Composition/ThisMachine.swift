// Facts about this machine and this process.

import Foundation
import SandboxCore

enum ThisMachine {
    /// - Parameter cgroup: `v1`, `v2` or `none`.
    static func facts(cgroup: String) -> HostFacts {
        var name = utsname()
        uname(&name)
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return HostFacts(
            kernel: text(name.release), architecture: text(name.machine), cpus: ProcessInfo.processInfo.activeProcessorCount,
            memoryBytes: Int(ProcessInfo.processInfo.physicalMemory), cgroup: cgroup, root: geteuid() == 0)
    }

    /// Resident memory of this process.
    static func residentBytes() -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
