// Facts about this machine and this process.

import Foundation
import ProcessBackend
import Wire

enum HostProbe {
    static func facts(_ backend: ProcessBackend) -> HostFacts {
        var name = utsname()
        uname(&name)
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return HostFacts(
            kernel: text(name.release), architecture: text(name.machine), cpus: ProcessInfo.processInfo.activeProcessorCount,
            memoryBytes: Int(ProcessInfo.processInfo.physicalMemory), cgroup: backend.cgroupVersion, root: geteuid() == 0)
    }

    /// Resident memory of this process.
    static func residentBytes() -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
