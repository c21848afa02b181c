// Where things are made before they are part of the store: a directory of its own for each build or import, locked for
// as long as anyone works in it, so that what a crash leaves behind can be told from what is under way.

import Foundation

/// A temporary directory of the store. Removed when the last reference goes, or swept by the next process that opens
/// the store if this one was killed.
final class StoreWork: Sendable {
    let path: String
    /// Programs that work in the directory get this as standard input (it is an empty file): as long as one of them
    /// lives, even after us, the directory counts as in use.
    let lock: Descriptor
    private let lockPath: String

    fileprivate init(path: String, lockPath: String, lock: Descriptor) {
        self.path = path
        self.lockPath = lockPath
        self.lock = lock
    }

    deinit {
        // What cannot be removed now is swept later: its lock goes with us.
        if (try? Files.removeTree(path)) != nil { try? Files.removeTree(lockPath) }
    }
}

extension ImageStore {
    var temporary: String { root + "/tmp" }

    /// A new, empty, locked directory.
    func makeWork() throws -> StoreWork {
        // Shared with other makers, but not with a sweep, which could take the lock between making and locking.
        let guarding = try lockStore(exclusive: false)
        defer { _ = guarding }
        let name = "\(Files.processID)-" + hexadecimal((0..<8).map { _ in UInt8.random(in: 0...255) })
        let path = "\(temporary)/\(name)"
        let lock = try Files.openOrCreate(path + ".lock", mode: 0o600)
        guard try Files.lock(lock, exclusive: true, wait: false) else {
            throw ImageError.malformed(item: path, found: "a lock held by another", expected: "a name of our own")
        }
        try Files.makeDirectory(at: Files.openDirectory(temporary), name, mode: 0o700)
        return StoreWork(path: path, lockPath: path + ".lock", lock: lock)
    }

    /// Removes what builds and imports that were killed have left. Skipped while another process is at work on the store.
    func sweep() throws {
        guard let guarding = try tryLockStore() else { return }
        defer { _ = guarding }
        let names = try Files.names(in: temporary)
        for name in names where !name.hasSuffix(".lock") {
            let path = "\(temporary)/\(name)"
            // Without a lock file nobody can be working in it: the lock is made first and removed last.
            if let lock = try? Files.openFile(path + ".lock") {
                guard try Files.lock(lock, exclusive: true, wait: false) else { continue }
            }
            // Something still mounted in there stays, and is tried again next time.
            guard (try? Files.removeTree(path)) != nil else { continue }
            try Files.removeTree(path + ".lock")
        }
        for name in names where name.hasSuffix(".lock") && !names.contains(String(name.dropLast(5))) {
            // Gone by now if its owner has just finished.
            guard let lock = try? Files.openFile("\(temporary)/\(name)") else { continue }
            if try Files.lock(lock, exclusive: true, wait: false) { try Files.removeTree("\(temporary)/\(name)") }
        }
    }

    // The owner's alone: whoever can open a file can lock it, and keep everyone else waiting.
    func lockStore(exclusive: Bool) throws -> Descriptor {
        let file = try Files.openOrCreate(root + "/lock", mode: 0o600)
        _ = try Files.lock(file, exclusive: exclusive, wait: true)
        return file
    }

    func tryLockStore() throws -> Descriptor? {
        let file = try Files.openOrCreate(root + "/lock", mode: 0o600)
        return try Files.lock(file, exclusive: true, wait: false) ? file : nil
    }
}
