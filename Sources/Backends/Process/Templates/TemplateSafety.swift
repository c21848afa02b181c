// What a process must not have before it is forked into sandboxes of others: memory that all its forks would share and
// could write, and threads, which a fork loses while their locks stay.

import LinuxSystem

enum TemplateSafety {
    /// Why it cannot be forked; `nil` where it can.
    static func objection(to pid: Int32) -> String? {
        guard let status = try? Files.readFile("/proc/\(pid)/status"), let maps = try? Files.readFile("/proc/\(pid)/maps") else {
            return "its memory cannot be looked at"
        }
        if let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Threads:") }), let count = Int(line.drop { !$0.isNumber }), count != 1 {
            return "it has \(count) threads, and a fork would have one of them: load nothing that starts threads"
        }
        for line in maps.split(separator: "\n") {
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count >= 5, fields[1].utf8.count == 4 else { continue }
            let rights = Array(fields[1].utf8)
            if rights[1] == UInt8(ascii: "w"), rights[3] == UInt8(ascii: "s") {
                return "it has writable memory that its forks would share (\(fields.count > 5 ? fields[5] : "anonymous")): load nothing that maps such"
            }
        }
        return nil
    }
}
