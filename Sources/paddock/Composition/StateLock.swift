// One daemon to a state directory: a farm empties its blobs when it starts, which would pull them out from under another.

import Foundation

/// Held until the process ends, however it ends: the kernel lets go of it.
struct StateLock {
    /// - Throws: who has it.
    static func take(_ directory: String) throws {
        let path = "\(directory)/daemon.pid"
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard file >= 0 else {
            throw UserError(
                "cannot open \(path): \(String(cString: strerror(errno)))", hint: "choose another place with PADDOCK_HOME", exit: Exit.farm)
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            let holder = (try? String(contentsOfFile: path, encoding: .utf8)).flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
            close(file)
            guard reason == EWOULDBLOCK else {
                throw UserError("cannot lock \(path): \(String(cString: strerror(reason)))", exit: Exit.farm)
            }
            throw UserError(
                "another daemon\(holder.map { " (pid \($0))" } ?? "") keeps its images and blobs in \(directory)",
                hint: "stop it, or give this one a directory of its own with PADDOCK_HOME or 'home' in its file", exit: Exit.farm)
        }
        // For whoever comes second; the lock alone decides.
        ftruncate(file, 0)
        _ = Console.write(file, Array("\(getpid())\n".utf8))
    }
}
