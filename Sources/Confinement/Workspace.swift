// A job's files, in before it starts and out after it ended. Both happen inside the sandbox's own root, so no path can
// name anything of the host; and no symbolic link is followed, so that no path can name a thing of the init's either
// (`/proc/self` of a link would be PID 1's).

import Glibc
import LinuxSystem
import SandboxCore

struct Workspace {
    let workspace: Int32
    let temporary: Int32
    let user: UserID
    let singleID: Bool

    func place(_ files: [PlacedFile]) throws(Failure) {
        for file in files {
            try attempt(.placeFiles, file.path) { () throws(Errno) in
                let (directory, path) = try locate(file.path)
                try makeParents(of: path, below: directory)
                // Written with restrictive rights, then given away: the mode asked for may forbid writing.
                let fd = try Files.openBeneath(directory, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, mode: 0o600)
                defer { Files.close(fd) }
                guard try Files.status(fd).st_mode & S_IFMT == S_IFREG else { throw Errno(EEXIST) }
                try Files.writeAll(fd, file.bytes)
                try Files.changeMode(fd, file.mode & 0o777)
                if !singleID { try Files.changeOwner(fd, uid: user.uid, gid: user.gid) }
            }
        }
    }

    private func locate(_ path: String) throws(Errno) -> (Int32, String) {
        if path.hasPrefix("/workspace/") { return (workspace, String(path.dropFirst("/workspace/".count))) }
        if path.hasPrefix("/tmp/") { return (temporary, String(path.dropFirst("/tmp/".count))) }
        if path.isEmpty || path.hasPrefix("/") { throw Errno(EINVAL) }
        return (workspace, path)
    }

    private func makeParents(of path: String, below directory: Int32) throws(Errno) {
        let parts = path.split(separator: "/").dropLast()
        var parent = ""
        for part in parts {
            let name = parent.isEmpty ? String(part) : "\(parent)/\(part)"
            parent = name
            do throws(Errno) {
                let outer = try Files.openBeneath(directory, name.contains("/") ? String(name[..<name.lastIndex(of: "/")!]) : ".", O_RDONLY | O_DIRECTORY)
                defer { Files.close(outer) }
                try Files.makeDirectory(at: outer, String(part))
                let made = try Files.openBeneath(outer, String(part), O_RDONLY | O_DIRECTORY)
                defer { Files.close(made) }
                if !singleID { try Files.changeOwner(made, uid: user.uid, gid: user.gid) }
            } catch { if error.code != EEXIST { throw error } }
        }
    }

    /// What a job may bring back: bounded in number, in size and in how much is searched for it.
    private static let maxFiles = 1000
    private static let maxBytes = 128 << 20
    private static let maxEntries = 100_000

    func collect(_ wanted: [FileOut]) -> Collected {
        var result = Collected()
        var budget = Self.maxBytes
        // All patterns share what may be looked through: a thousand of them take no longer than one.
        var entriesLeft = Self.maxEntries
        for entry in wanted {
            let (directory, pattern) = entry.pattern.hasPrefix("/tmp/") ? (temporary, String(entry.pattern.dropFirst(5))) : (workspace, entry.pattern)
            var paths = [pattern]
            if entry.isPattern {
                var search = Search(pattern, entriesLeft: entriesLeft)
                walk(directory, "", &search)
                entriesLeft = search.entriesLeft
                paths = search.found.sorted()
                if search.gaveUp { result.truncated = true }
                result.skip(search.unnamed, below: directory == temporary ? "/tmp/" : "")
            }
            for path in paths {
                guard result.files.count < Self.maxFiles else {
                    result.truncated = true
                    return result
                }
                guard let file = read(directory, path, limit: min(entry.maxBytes, budget)) else {
                    // What was found a moment ago is still there, however long its path.
                    if entry.isPattern { result.truncated = true }
                    continue
                }
                budget -= file.bytes.count
                result.files.append(CollectedFile(path: directory == temporary ? "/tmp/\(path)" : path, bytes: file.bytes, size: file.size, mode: file.mode))
            }
        }
        return result
    }

    /// Whether a job left a file of exactly this size: what a write is cut to when it reaches the limit of one file.
    /// - Parameter places: besides the usual ones.
    func holdsFile(ofSize size: Int, in places: [String]) -> Bool {
        var left = 20_000
        for top in ["/workspace", "/tmp", "/dev/shm"] + places {
            guard let base = try? Files.open(top, O_RDONLY | O_DIRECTORY) else { continue }
            defer { Files.close(base) }
            var directories = ["."]
            while let directory = directories.popLast(), left > 0 {
                guard let fd = try? Files.openBeneath(base, directory, O_RDONLY | O_DIRECTORY) else { continue }
                defer { Files.close(fd) }
                let entries = (try? Files.entries(fd, limit: left)) ?? []
                left -= entries.count
                for entry in entries {
                    if entry.kind == .directory { directories.append("\(directory)/\(entry.name)") }
                    guard entry.kind == .file, let file = try? Files.openBeneath(fd, entry.name, Int32(PD_O_PATH) | O_NOFOLLOW) else { continue }
                    defer { Files.close(file) }
                    if let status = try? Files.status(file), Int(status.st_size) == size { return true }
                }
            }
        }
        return false
    }

    private struct Search {
        let glob: GlobPattern
        var entriesLeft: Int
        var found: [String] = []
        /// What matches, or may hold what does (then with a slash at its end), and has a name that is not UTF-8.
        var unnamed: [[UInt8]] = []
        /// Whether something was not looked at any more.
        var gaveUp = false
        /// What the names of both may take of this process's memory, which is not the job's.
        private var bytesLeft = 8 << 20

        mutating func note(_ path: String) {
            if room(path.utf8.count) { found.append(path) }
        }

        mutating func note(unnamed path: [UInt8]) {
            if unnamed.count <= Collected.maxSkipped, room(path.count) { unnamed.append(path) }
        }

        private mutating func room(_ bytes: Int) -> Bool {
            bytesLeft -= bytes
            if bytesLeft < 0 { gaveUp = true }
            return bytesLeft >= 0
        }

        init(_ pattern: String, entriesLeft: Int) {
            glob = GlobPattern(pattern)
            self.entriesLeft = entriesLeft
        }
    }

    private func walk(_ base: Int32, _ directory: String, _ search: inout Search) {
        guard search.glob.mayMatchBelow(directory) else { return }
        // A directory that cannot be opened is one whose path is too long.
        guard search.entriesLeft > 0, search.found.count < Self.maxFiles,
            let fd = try? Files.openBeneath(base, directory.isEmpty ? "." : directory, O_RDONLY | O_DIRECTORY)
        else {
            search.gaveUp = true
            return
        }
        let entries = (try? Files.entries(fd, limit: search.entriesLeft)) ?? []
        Files.close(fd)
        search.entriesLeft -= entries.count
        // The last one that may be looked at is taken for one of more.
        if search.entriesLeft == 0 { search.gaveUp = true }
        for entry in entries {
            if let name = entry.rawName {
                let path = (directory.isEmpty ? [] : Array("\(directory)/".utf8)) + name
                if entry.kind == .file, search.glob.matches(path) { search.note(unnamed: path) }
                if entry.kind == .directory, search.glob.mayMatchBelow(path) { search.note(unnamed: path + [UInt8(ascii: "/")]) }
                continue
            }
            let path = directory.isEmpty ? entry.name : "\(directory)/\(entry.name)"
            if entry.kind == .directory { walk(base, path, &search) }
            if entry.kind == .file, search.glob.matches(path) { search.note(path) }
        }
    }

    /// A regular file's first `limit` bytes; anything else is not there.
    private func read(_ directory: Int32, _ path: String, limit: Int) -> (bytes: [UInt8], size: Int, mode: Int)? {
        guard let fd = try? Files.openBeneath(directory, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW) else { return nil }
        defer { Files.close(fd) }
        guard let status = try? Files.status(fd), status.st_mode & S_IFMT == S_IFREG else { return nil }
        let size = Int(status.st_size)
        let wanted = min(size, limit)
        var bytes = [UInt8](repeating: 0, count: wanted)
        var done = 0
        while done < wanted {
            guard let n = try? bytes.withUnsafeMutableBytes({ b in
                try Files.pread(fd, UnsafeMutableRawBufferPointer(rebasing: b[done...]), at: done)
            }), n > 0 else { break }
            done += n
        }
        return (Array(bytes[..<done]), size, Int(status.st_mode & 0o7777))
    }
}

/// What was brought back, and whether there may be more that was asked for.
struct Collected {
    var files: [CollectedFile] = []
    var skipped: [String] = []
    var truncated = false
    static let maxSkipped = 100

    /// Notes files whose names no answer can have, in a form that one can.
    mutating func skip(_ paths: [[UInt8]], below directory: String) {
        for path in paths.map({ directory + Self.escaped($0) }).sorted() where !skipped.contains(path) {
            guard skipped.count < Self.maxSkipped else {
                truncated = true
                return
            }
            skipped.append(path)
        }
    }

    /// Bytes that are no printable ASCII as `\xff`, and a backslash as two.
    private static func escaped(_ path: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".unicodeScalars)
        var text = ""
        for byte in path {
            switch byte {
            case UInt8(ascii: "\\"): text += "\\\\"
            case 0x20...0x7e: text.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                text += "\\x"
                text.unicodeScalars.append(digits[Int(byte >> 4)])
                text.unicodeScalars.append(digits[Int(byte & 15)])
            }
        }
        return text
    }
}
