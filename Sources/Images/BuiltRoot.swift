// What becomes of a root filesystem between mmdebstrap and the store: out goes what came from this machine or serves
// only installing, in come the names a sandbox needs and the definition's files.

import Foundation

enum BuiltRoot {
    /// Emptied, not removed.
    private static let emptied = [
        "dev", "run", "tmp", "proc", "sys", "root", "var/tmp", "var/log", "var/cache", "var/lib/apt", "var/backups",
    ]
    /// Of this machine, or different in every build.
    private static let removed = [
        "etc/apt", "etc/resolv.conf", "etc/hostname", "etc/hosts", "etc/machine-id", "etc/mtab", "var/lib/dbus/machine-id",
        "etc/shadow-", "etc/gshadow-", "etc/passwd-", "etc/group-",
    ]

    /// For the time of a build: how names are looked up on this machine.
    static func borrowNetworkFiles(_ root: Descriptor) throws {
        let etc = try Files.openDirectory(at: root, "etc")
        for name in ["resolv.conf", "hosts"] {
            guard let bytes = try? Files.read("/etc/" + name, limit: 1 << 20) else { continue }
            try write(bytes, mode: 0o644, name, in: etc)
        }
    }

    static func tidy(_ root: Descriptor) throws {
        for path in emptied {
            if let (parent, name) = try find(path, root), try Files.status(at: parent, name)?.kind == .directory {
                try Files.removeContents(of: Files.openDirectory(at: parent, name))
            }
        }
        for path in removed {
            if let (parent, name) = try find(path, root) { try Files.removeTree(at: parent, name) }
        }
        for path in ["workspace", "home", "dev", "proc", "sys", "run/lock", "tmp", "var/tmp", "var/log", "var/cache"] {
            let directory = try reach(path, root)
            try Files.setMode(directory, ["tmp", "var/tmp", "run/lock"].contains(path) ? 0o1777 : 0o755)
        }
        let etc = try Files.openDirectory(at: root, "etc")
        try write(Array("sandbox\n".utf8), mode: 0o644, "hostname", in: etc)
        try write(Array("127.0.0.1 localhost sandbox\n::1 localhost\n".utf8), mode: 0o644, "hosts", in: etc)
        try append("sandbox:x:1000:1000:sandbox:/workspace:/bin/bash\n", to: "passwd", in: etc)
        try append("sandbox:x:1000:\n", to: "group", in: etc)
    }

    /// Writes a definition's file, its directories made where they are missing.
    static func place(_ file: ImageDefinition.File, in root: Descriptor) throws {
        guard isImagePath(file.path) else {
            throw ImageError.hostile(item: "file \(quoted(file.path))", reason: "expected \(imagePathRule)")
        }
        let parts = file.path.split(separator: "/")
        do {
            let parent = try reach(parts.dropLast().joined(separator: "/"), root)
            if try Files.status(at: parent, String(parts.last!))?.kind == .directory {
                throw ImageError.malformed(item: "file \(quoted(file.path))", found: "a directory there", expected: "none")
            }
            try write(file.content, mode: file.mode, String(parts.last!), in: parent)
        } catch ImageError.system(_, let name, let code) where code == ENOTDIR || code == ELOOP {
            throw ImageError.malformed(
                item: "file \(quoted(file.path))", found: "\(quoted(name)) on the way, which is a link or a file in the image",
                expected: "the real path: /usr/bin for /bin")
        }
    }

    private static func append(_ line: String, to name: String, in etc: Descriptor) throws {
        guard try Files.status(at: etc, name)?.kind == .file else { return try write(Array(line.utf8), mode: 0o644, name, in: etc) }
        var bytes = try Files.readAll(Files.openFile(at: etc, name), name: name, limit: 1 << 20)
        let user = line.split(separator: ":")[0] + ":"
        let text = String(decoding: bytes, as: UTF8.self)
        guard !text.split(separator: "\n").contains(where: { $0.hasPrefix(user) }) else { return }
        if bytes.last != 10 { bytes.append(10) }
        try write(bytes + Array(line.utf8), mode: 0o644, name, in: etc)
    }

    /// Replaces whatever has that name; a link is replaced, not followed.
    private static func write(_ bytes: [UInt8], mode: Int, _ name: String, in parent: Descriptor) throws {
        try Files.removeTree(at: parent, name)
        let file = try Files.createFile(at: parent, name)
        try Files.write(file, bytes[...])
        try Files.setMode(file, mode)
    }

    /// The directory at `path`, made where it is missing, never through a link.
    private static func reach(_ path: String, _ root: Descriptor) throws -> Descriptor {
        var directory = root
        for part in path.split(separator: "/").map(String.init) {
            if try Files.status(at: directory, part) == nil { try Files.makeDirectory(at: directory, part) }
            directory = try Files.openDirectory(at: directory, part)
        }
        return directory
    }

    /// The directory that holds `path` and its last name; `nil` where the way is missing or a link.
    private static func find(_ path: String, _ root: Descriptor) throws -> (Descriptor, String)? {
        var parts = path.split(separator: "/").map(String.init)
        let name = parts.removeLast()
        var directory = root
        for part in parts {
            guard try Files.status(at: directory, part)?.kind == .directory else { return nil }
            directory = try Files.openDirectory(at: directory, part)
        }
        return (directory, name)
    }
}
