// What a template's memory has to be before it is forked into sandboxes of others, and what makes it cheap to fork.

import LinuxSystem

struct TemplateMemory {
    private struct Area {
        var range: Range<UInt>
        var isWritable: Bool
        var isShared: Bool
        /// Empty for memory that stands for no file.
        var name: Substring
    }

    private let pid: Int32
    private let areas: [Area]
    private let threads: Int

    /// Looks at a process; `nil` where the host does not let it be looked at.
    init?(of pid: Int32) {
        guard let status = try? Files.readFile("/proc/\(pid)/status"), let maps = try? Files.readFile("/proc/\(pid)/maps") else { return nil }
        self.pid = pid
        threads = status.split(separator: "\n").first { $0.hasPrefix("Threads:") }.flatMap { Int($0.drop { !$0.isNumber }) } ?? 0
        areas = maps.split(separator: "\n").compactMap(Self.area)
    }

    /// `start-end rwxp offset device inode name`.
    private static func area(_ line: Substring) -> Area? {
        let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
        let bounds = fields.first?.split(separator: "-").compactMap { UInt($0, radix: 16) } ?? []
        guard fields.count >= 5, bounds.count == 2, bounds[0] < bounds[1], fields[1].utf8.count == 4 else { return nil }
        let rights = Array(fields[1].utf8)
        return Area(
            range: bounds[0]..<bounds[1], isWritable: rights[1] == UInt8(ascii: "w"), isShared: rights[3] == UInt8(ascii: "s"),
            // Padded to a column.
            name: fields.count > 5 ? fields[5].drop { $0 == " " } : "")
    }

    /// Why it must not be forked: memory that all its forks would share and could write, or threads, which a fork loses
    /// while their locks stay. `nil` where it can be.
    var objection: String? {
        guard threads == 1 else { return "it has \(threads) threads, and a fork would have one of them: load nothing that starts threads" }
        guard let area = areas.first(where: { $0.isWritable && $0.isShared }) else { return nil }
        return "it has writable memory that its forks would share (\(area.name.isEmpty ? "anonymous" : area.name)): load nothing that maps such"
    }

    private static let hugePage: UInt = 2 << 20

    /// Moves its heaps into huge pages, as far as the kernel likes: a fork copies, and takes down, one entry for each in
    /// place of 512. With NumPy and SymPy loaded that is half of all a short job costs.
    func collapse() {
        let ranges = areas.filter { $0.isWritable && !$0.isShared && ($0.name.isEmpty || $0.name == "[heap]") }.compactMap { area -> Range<UInt>? in
            let start = (area.range.lowerBound + Self.hugePage - 1) / Self.hugePage * Self.hugePage
            let end = area.range.upperBound / Self.hugePage * Self.hugePage
            return start < end ? start..<end : nil
        }
        Processes.collapse(ranges, of: pid)
    }
}
