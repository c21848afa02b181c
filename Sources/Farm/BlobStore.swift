// Contents that many jobs share: uploaded once, named by their SHA-256, kept on disk within a bound. The least
// recently used goes first, but never one that a queued or running job still needs.

import Crypto
import FoundationEssentials
import SandboxCore
import Synchronization

final class BlobStore: Sendable {
    private struct Entry: Sendable {
        var bytes: Int
        /// Jobs that need it.
        var pins = 0
        var lastUse: UInt64
    }
    private struct Index: Sendable {
        var entries: [String: Entry] = [:]
        /// Bytes of all entries, and of those that are being written.
        var bytes = 0
        var uses: UInt64 = 0

        mutating func use() -> UInt64 {
            uses += 1
            return uses
        }
    }

    private let directory: String
    private let capacity: Int
    private let index = Mutex(Index())

    /// - Parameter directory: empty for a store that takes nothing.
    /// - Throws: `storage` when the directory cannot be made or read.
    init(directory: String, capacity: Int) throws(FarmError) {
        self.directory = directory
        self.capacity = capacity
        guard !directory.isEmpty else { return }
        do {
            let files = FileManager.default
            try files.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            // A blob that was there when the machine or the daemon went down may be half of one; clients ask
            // `blob.has` and put it again. Nothing but the store's own files is removed.
            for name in try files.contentsOfDirectory(atPath: directory) where Self.isOurs(name) {
                try files.removeItem(atPath: directory + "/" + name)
            }
        } catch {
            throw FarmError(.storage, "blob directory \(directory): \(error)")
        }
    }

    var usage: (count: Int, bytes: Int) { index.withLock { ($0.entries.count, $0.bytes) } }

    /// Keeps `bytes` under their digest.
    /// - Throws: `Rejected` when they are not what `expected` says or larger than the store; `FarmError` (`storage`)
    ///   when the disk fails or everything in the store is needed by jobs.
    func put(_ bytes: [UInt8], expected: String?) throws -> String {
        guard !directory.isEmpty else { throw Rejected(.invalidRequest, "this farm keeps no blobs") }
        let digest = hexadecimal(SHA256.hash(data: bytes))
        if let expected {
            try checkDigest(expected, "sha256")
            guard expected == digest else { throw invalid("sha256", "found \(expected), but the content's is \(digest)") }
        }
        guard bytes.count <= capacity else {
            throw Rejected(.invalidRequest, "found \(bytes.count) bytes, the store holds \(capacity)")
        }
        if index.withLock({ touch(digest, &$0) }) { return digest }
        guard index.withLock({ reserve(bytes.count, &$0) }) else {
            throw FarmError(.storage, "the blob store is full of blobs that jobs need", retryable: true)
        }
        let temporary = "\(directory)/.put-\(UUID().uuidString)"
        do {
            try Data(bytes).write(to: URL(filePath: temporary))
        } catch {
            try? FileManager.default.removeItem(atPath: temporary)
            index.withLock { $0.bytes -= bytes.count }
            throw FarmError(.storage, "writing a blob: \(error)", retryable: true)
        }
        try settle(temporary, as: digest, bytes: bytes.count)
        return digest
    }

    /// The digests there is nothing of. Those there are count as used.
    func missing(_ digests: [String]) -> [String] {
        index.withLock { index in digests.filter { !touch($0, &index) } }
    }

    /// Keeps blobs from being removed until `unpin`.
    /// - Returns: the size of each.
    /// - Throws: the first one that is not there; then none is pinned.
    func pin(_ digests: [String]) throws(UnknownBlob) -> [String: Int] {
        try index.withLock { (index) throws(UnknownBlob) in
            if let unknown = digests.first(where: { index.entries[$0] == nil }) { throw UnknownBlob(digest: unknown) }
            var sizes: [String: Int] = [:]
            for digest in digests {
                index.entries[digest]!.pins += 1
                index.entries[digest]!.lastUse = index.use()
                sizes[digest] = index.entries[digest]!.bytes
            }
            return sizes
        }
    }

    func unpin(_ digests: [String]) {
        index.withLock { index in
            for digest in digests { index.entries[digest]?.pins -= 1 }
        }
    }

    /// The content of a blob that is pinned.
    func read(_ digest: String) throws(FarmError) -> [UInt8] {
        let bytes: [UInt8]
        do {
            bytes = [UInt8](try Data(contentsOf: URL(filePath: path(digest))))
        } catch {
            throw FarmError(.storage, "reading blob \(digest): \(error)", retryable: true)
        }
        guard let size = index.withLock({ $0.entries[digest]?.bytes }), size == bytes.count else {
            throw FarmError(.storage, "blob \(digest) has \(bytes.count) bytes, not those that were put")
        }
        return bytes
    }

    // MARK: Within

    private func touch(_ digest: String, _ index: inout Index) -> Bool {
        guard index.entries[digest] != nil else { return false }
        index.entries[digest]!.lastUse = index.use()
        return true
    }

    /// Makes room, a tenth of the store more than needed, so that the search is not repeated for every blob.
    private func reserve(_ bytes: Int, _ index: inout Index) -> Bool {
        if index.bytes + bytes > capacity {
            let unpinned = index.entries.filter { $0.value.pins == 0 }.sorted { $0.value.lastUse < $1.value.lastUse }
            for (digest, entry) in unpinned {
                guard index.bytes + bytes > capacity - capacity / 10 else { break }
                try? FileManager.default.removeItem(atPath: path(digest))
                index.entries[digest] = nil
                index.bytes -= entry.bytes
            }
            guard index.bytes + bytes <= capacity else { return false }
        }
        index.bytes += bytes
        return true
    }

    /// Gives a blob that is whole its name, unless another put of the same content was faster.
    private func settle(_ temporary: String, as digest: String, bytes: Int) throws {
        try index.withLock { index in
            if touch(digest, &index) {
                index.bytes -= bytes
                try? FileManager.default.removeItem(atPath: temporary)
                return
            }
            do {
                try FileManager.default.moveItem(atPath: temporary, toPath: path(digest))
            } catch {
                index.bytes -= bytes
                try? FileManager.default.removeItem(atPath: temporary)
                throw FarmError(.storage, "naming a blob: \(error)", retryable: true)
            }
            index.entries[digest] = Entry(bytes: bytes, lastUse: index.use())
        }
    }

    private func path(_ digest: String) -> String { "\(directory)/\(digest)" }

    private static func isOurs(_ name: String) -> Bool {
        name.hasPrefix(".put-") || (try? checkDigest(name, "")) != nil
    }
}

struct UnknownBlob: Error { var digest: String }

func hexadecimal(_ digest: SHA256.Digest) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
