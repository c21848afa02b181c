// Whether sandboxes get to the places they are made from. Where the daemon is root, each sandbox has user ids of its own
// before it opens its image's layers and its mount point, and to these ids every directory on the way belongs to others.

import Foundation

/// A directory that a sandbox's ids cannot pass.
struct Passage {
    var directory: String
    var mode: Int
    var owner: String

    /// The first directory on the way to `path`, itself included, that is closed; `nil` where none is, and where
    /// sandboxes have this process's own id.
    static func closed(onTheWayTo path: String) -> Passage? {
        guard geteuid() == 0 else { return nil }
        // Links are followed, as they will be: it is the real directories that open or close the way.
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        var directory = ""
        for part in String(cString: resolved).split(separator: "/") {
            directory += "/\(part)"
            var status = stat()
            guard stat(directory, &status) == 0, status.st_mode & S_IXOTH == 0 else { continue }
            let owner = getpwuid(status.st_uid).map { String(cString: $0.pointee.pw_name) } ?? "\(status.st_uid)"
            return Passage(directory: directory, mode: Int(status.st_mode & 0o7777), owner: owner)
        }
        return nil
    }

    func complaint(place: String, variable: String) -> UserError {
        let octal = String(mode, radix: 8)
        let found = String(repeating: "0", count: max(0, 4 - octal.count)) + octal
        return UserError(
            "sandboxes cannot get to \(place): found \(directory) with mode \(found) (\(owner)'s), expected one that others may pass (o+x)",
            hint: "chmod o+x \(directory), or choose another place with \(variable)", exit: Exit.farm)
    }
}
