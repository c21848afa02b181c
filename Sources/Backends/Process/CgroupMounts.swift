// Where cgroups are mounted, and which of them this process is in.

import LinuxSystem

/// What `/proc/self/mountinfo` and `/proc/self/cgroup` say. Whole files of lines, of which three or four matter: they are read as
/// bytes, because taking them apart as text was a tenth of `paddock run`.
struct CgroupMounts {
    /// The unified hierarchy's mount point and this process's own directory in it.
    var unified: (root: String, own: String)?
    /// This process's own directory, by v1 controller.
    private var legacy: [(controller: String, own: String)] = []

    static func read() -> CgroupMounts {
        var result = CgroupMounts()
        // Of v2 the list of controllers is empty.
        let groups = lines(of: "/proc/self/cgroup", with: ":").compactMap { line -> (controllers: [Substring], path: String)? in
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            return parts.count == 3 ? (parts[1].split(separator: ",", omittingEmptySubsequences: false), String(parts[2])) : nil
        }
        func path(_ controller: Substring) -> String? { groups.first { $0.controllers.contains(controller) }?.path }
        func below(_ mount: String, _ root: String, _ path: String?) -> String {
            guard var path, path != "/" else { return mount }
            // A mount of a part of the hierarchy (a container's) shows only what is below that part.
            if root != "/", path.hasPrefix(root) { path.removeFirst(root.count) }
            let full = mount + (path.hasPrefix("/") || path.isEmpty ? path : "/" + path)
            return Files.exists(full) ? full : mount
        }
        for line in lines(of: "/proc/self/mountinfo", with: " - cgroup") {
            // Six fields, any number of optional ones, a dash, and three more.
            let fields = line.split(separator: " ")
            guard fields.count > 9, let dash = fields[6...].firstIndex(of: "-"), dash + 3 < fields.count else { continue }
            let (root, mount) = (String(fields[3]), String(fields[4]))
            if fields[dash + 1] == "cgroup2" { result.unified = (mount, below(mount, root, path(""))) }
            if fields[dash + 1] == "cgroup" {
                for option in fields[dash + 3].split(separator: ",") {
                    if let path = path(option) { result.legacy.append((String(option), below(mount, root, path))) }
                }
            }
        }
        return result
    }

    func legacy(_ controller: String) -> String? { legacy.last { $0.controller == controller }?.own }

    /// The lines of a file that have `mark` in them.
    private static func lines(of path: String, with mark: String) -> [String] {
        guard let bytes = try? Files.readData(path) else { return [] }
        let mark = Array(mark.utf8)
        var (found, start): ([String], Int) = ([], 0)
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            var at = start
            while at + mark.count <= end, !bytes[at..<at + mark.count].elementsEqual(mark) { at += 1 }
            if at + mark.count <= end { found.append(String(decoding: bytes[start..<end], as: UTF8.self)) }
            start = end + 1
        }
        return found
    }
}
