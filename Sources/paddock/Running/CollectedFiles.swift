// Files brought back from a sandbox → a directory of this machine. Their names were chosen by the program: none can
// leave the directory, follow a link that lies in it, or become a program that is run by its rights.

import Foundation
import LinuxSystem
import SandboxCore

struct OutputDirectory {
    let path: String

    /// Makes the directory, or takes the one there is.
    init(_ path: String) throws {
        self.path = path
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw UserError("--output-dir: \(Human.safe(path)): \(Complaint.reason(error))")
        }
    }

    func write(_ files: [CollectedFile]) throws {
        let root: Int32
        do { root = try Files.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) } catch { throw failure("", error) }
        defer { Files.close(root) }
        for file in files { try write(file, in: root) }
    }

    private func write(_ file: CollectedFile, in root: Int32) throws {
        let parts = file.path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard !parts.isEmpty, !parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." || $0.utf8.contains(0) }) else {
            throw FarmError(.internal, "the sandbox gave back a file named '\(Human.safe(file.path))'")
        }
        do {
            var directory = root
            defer { if directory != root { Files.close(directory) } }
            for name in parts.dropLast() {
                do { try Files.makeDirectory(at: directory, name) } catch where error.code == EEXIST {}
                let inner = try Files.openBeneath(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                if directory != root { Files.close(directory) }
                directory = inner
            }
            // A file of that name is replaced, not written through: it may be a link, or one of several.
            unlinkat(directory, parts[parts.count - 1], 0)
            let new = try Files.openBeneath(
                directory, parts[parts.count - 1], O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode: file.mode & 0o644 | 0o600)
            defer { Files.close(new) }
            try Files.writeAll(new, file.bytes)
        } catch {
            throw failure(file.path, error)
        }
    }

    private func failure(_ name: String, _ error: any Error) -> UserError {
        UserError("--output-dir: \(Human.safe(path))/\(Human.safe(name)): \((error as? Errno)?.sentence ?? Complaint.reason(error))", exit: Exit.farm)
    }
}
