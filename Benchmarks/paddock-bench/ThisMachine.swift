// The machine a run is measured on.

import Foundation
import Measuring

extension Machine {
    static func this() -> Machine {
        var name = utsname()
        uname(&name)
        let kernel = withUnsafeBytes(of: name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return Machine(
            kernel: kernel, processor: field("model name", of: "/proc/cpuinfo") ?? "unknown", processors: ProcessInfo.processInfo.activeProcessorCount,
            memoryBytes: Int(ProcessInfo.processInfo.physicalMemory),
            cgroup: FileManager.default.fileExists(atPath: "/sys/fs/cgroup/cgroup.controllers") ? "v2" : "v1", commit: commit(),
            loadBefore: contents("/proc/loadavg").split(separator: " ").first.flatMap { Double($0) } ?? 0)
    }

    private static func commit() -> String {
        guard let hash = try? output(["git", "rev-parse", "--short=10", "HEAD"]) else { return "unknown" }
        let changes = (try? output(["git", "status", "--porcelain"])) ?? ""
        return hash.trimmingCharacters(in: .whitespacesAndNewlines) + (changes.isEmpty ? "" : "+")
    }
}

/// Bytes that can still be had without swapping, as the kernel estimates it.
func availableMemory() throws -> Int {
    guard let text = field("MemAvailable", of: "/proc/meminfo"), let kib = Int(text.split(separator: " ")[0]) else {
        throw BenchError("/proc/meminfo has no MemAvailable")
    }
    return kib * 1024
}

/// A value of a file with a `name: value` on each line.
private func field(_ name: String, of path: String) -> String? {
    contents(path).split(separator: "\n").first { $0.hasPrefix(name) }?.split(separator: ":", maxSplits: 1).last?.trimmingCharacters(in: .whitespaces)
}

func contents(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

/// What a program prints.
/// - Throws: where it cannot be started or does not end with 0.
func output(_ arguments: [String], environment: [String: String] = [:]) throws -> String {
    let process = Process(), pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw BenchError("\(arguments.joined(separator: " ")): exit code \(process.terminationStatus)") }
    return String(decoding: data, as: UTF8.self)
}

/// A thousand connections take as many descriptors.
func raiseDescriptorLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
