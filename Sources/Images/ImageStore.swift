// The store: directory trees by digest, and images as lists of them. Any number of processes use it at once.
//
//   layers/<sha256>/root        a tree; layer.json beside it says what it is
//   images/<name>.json          an `ImageRecord`
//   host/<fingerprint>/root     skeletons of the `host` image (HostImage.swift); witness beside it: SkeletonWitness.swift
//   tmp/                        builds and imports under way (StoreWork.swift)
//   lock                        taken shared to use layers, exclusive to publish or remove them
//
// A layer is immutable from the rename that makes it visible to the rename that takes it away; an image appears and
// changes by the rename of one small file.

import Foundation
import SandboxCore
import Synchronization

/// Root filesystems on disk, shared by name and by content.
public struct ImageStore: Sendable {
    public let root: String
    /// Whether layers can say in overlay's own terms which names they hide. Not so where the store itself lies on an
    /// overlay (as in a container): images that hide names are then kept as merged trees of hard links.
    public var supportsWhiteouts: Bool { whiteouts.found(below: temporary) }

    private let whiteouts: Whiteouts

    /// Opens the store, makes it if it is not there, and sweeps what killed processes left.
    /// - Throws: `ImageError.system`.
    public init(root: String) throws { try self.init(root: root, whiteouts: nil) }

    /// - Parameter whiteouts: `false` to keep images as on a file system that cannot have whiteouts; `nil` to find out when it
    ///   matters, which is not for who only uses images.
    init(root: String, whiteouts: Bool?) throws {
        // Absolute, because layers are mounted by processes that work elsewhere.
        self.root = root.hasPrefix("/") ? root : URL(fileURLWithPath: root).standardizedFileURL.path
        // Sandboxes of other users look layers up by path, so these can be traversed by all; nothing in them can be
        // written by others (see `safeMode`), and what is still being made is the owner's alone.
        for name in ["", "/layers", "/images", "/host"] { try Files.makeDirectories(self.root + name) }
        try Files.makeDirectories(self.root + "/tmp", mode: 0o700)
        self.whiteouts = Whiteouts(whiteouts)
        try sweep()
    }

    /// All images, by name.
    public func list() throws -> [ImageRecord] { try names().map(inspect) }

    /// - Throws: `ImageError.unknownImage` with the known ones; `ImageError.malformed` for a record that is damaged.
    public func inspect(_ name: String) throws -> ImageRecord {
        guard isImageName(name) else { throw ImageError.badName(name, expected: imageNameRule) }
        let bytes: [UInt8]
        do {
            bytes = try Files.read(recordPath(name), limit: 4 << 20)
        } catch ImageError.system(_, _, 2) {
            throw ImageError.unknownImage(name: name, known: [HostImage.name] + (try names()))
        }
        let record: ImageRecord
        do {
            record = try JSONDecoder().decode(ImageRecord.self, from: Data(bytes))
        } catch {
            throw ImageError.malformed(item: recordPath(name), found: "\(error)", expected: "an image record")
        }
        if record.name != name || !(record.layers + record.parts).allSatisfy(isSHA256) || record.layers.isEmpty {
            throw ImageError.malformed(
                item: recordPath(name), found: "a record of \(quoted(record.name))", expected: "one of '\(name)' with layers")
        }
        return record
    }

    /// What a sandbox of the image is mounted from. `host` is the machine itself.
    public func resolve(_ name: String) throws -> ResolvedImageFiles {
        if name == HostImage.name { return try HostImage().resolve(self) }
        let guarding = try lockStore(exclusive: false)
        defer { _ = guarding }
        let record = try inspect(name)
        var held: [Descriptor] = []
        for layer in record.layers {
            guard let hold = try holdLayer(layer) else {
                throw ImageError.malformed(item: "image '\(name)'", found: "no layer \(layer)", expected: "all its layers")
            }
            held.append(hold)
        }
        return ResolvedImageFiles(
            root: RootFilesystem(layers: record.layers.reversed().map(layerRoot)), environment: record.environment,
            hold: ImageHold(layers: held))
    }

    /// Removes the image, and the layers no other image has.
    /// - Returns: the layers that go only when the sandboxes that use them have ended; they are removed with the next
    ///   image that is published or removed.
    @discardableResult
    public func remove(_ name: String) throws -> [String] {
        guard name != HostImage.name else {
            throw ImageError.badName(name, expected: "an image of the store; 'host' is the machine itself")
        }
        let grave = try makeWork()
        let guarding = try lockStore(exclusive: true)
        defer { _ = guarding }
        guard Files.exists(recordPath(name)) else {
            _ = try inspect(name)
            return []
        }
        // A damaged record can be removed too.
        try Files.removeTree(recordPath(name))
        return try collectGarbage(into: grave)
    }

    /// Makes new layers and an image of them visible, at once as far as anyone can tell.
    /// - Parameter newLayers: finished layer directories in a work directory, by digest.
    func publish(_ record: ImageRecord, newLayers: [String: String]) throws {
        let grave = try makeWork()
        try Files.syncFileSystem(Files.openDirectory(temporary))
        let guarding = try lockStore(exclusive: true)
        defer { _ = guarding }
        for (digest, path) in newLayers where !Files.exists(layerPath(digest)) {
            try Files.rename(path, layerPath(digest))
        }
        for layer in record.layers + record.parts where !Files.isDirectory(layerRoot(layer)) {
            throw ImageError.malformed(item: "image '\(record.name)'", found: "no layer \(layer)", expected: "all its layers")
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        try Files.replace(recordPath(record.name), with: Array(try encoder.encode(record)) + [10])
        try collectGarbage(into: grave)
    }

    /// A layer that is there, kept from removal while the descriptor is; `nil` if it is not there.
    func holdLayer(_ digest: String) throws -> Descriptor? { try holdDirectory(layerPath(digest)) }

    /// Moves unused layers out of sight; the caller holds the store's lock. They are deleted with the work directory.
    @discardableResult
    private func collectGarbage(into grave: StoreWork) throws -> [String] {
        // While an image's record is damaged nobody knows what is garbage; `list` says which record it is.
        guard let records = try? list() else { return [] }
        var used: Set<String> = []
        for record in records { used.formUnion(record.layers + record.parts) }
        var busy: [String] = []
        for layer in try Files.names(in: root + "/layers") where !used.contains(layer) {
            let directory = try Files.openDirectory("\(root)/layers/\(layer)")
            guard try Files.lock(directory, exclusive: true, wait: false) else {
                busy.append(layer)
                continue
            }
            do {
                try Files.rename("\(root)/layers/\(layer)", "\(grave.path)/\(layer)")
            } catch ImageError.system(_, _, EXDEV) {
                // An overlay does not move directories of its lower layers: a store that came with a container's image.
                try Files.removeTree("\(root)/layers/\(layer)")
            }
        }
        return busy
    }

    func names() throws -> [String] {
        try Files.names(in: root + "/images").filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }
            .filter(isImageName)
    }

    private func recordPath(_ name: String) -> String { "\(root)/images/\(name).json" }
    func layerPath(_ digest: String) -> String { "\(root)/layers/\(digest)" }
    func layerRoot(_ digest: String) -> String { "\(root)/layers/\(digest)/root" }
}

/// Whether the store's file system can have whiteouts, tried once.
private final class Whiteouts: Sendable {
    private let known: Mutex<Bool?>

    init(_ known: Bool?) { self.known = Mutex(known) }

    func found(below directory: String) -> Bool {
        known.withLock { known in
            if let known { return known }
            // Where nothing can be made at all, whoever imports an image is told why.
            let found = (try? Self.probe(directory)) ?? false
            known = found
            return found
        }
    }

    private static func probe(_ directory: String) throws -> Bool {
        let name = "probe-\(Files.processID)-\(UInt32.random(in: 0...UInt32.max))"
        let parent = try Files.openDirectory(directory)
        try Files.makeDirectory(at: parent, name)
        defer { try? Files.removeTree(at: parent, name) }
        let place = try Files.openDirectory(at: parent, name)
        return Files.makeWhiteout(at: place, "whiteout") == 0 && Files.setAttribute(place, opaqueAttribute, "y") == 0
    }
}

/// How a directory says in the `userxattr` form of overlay that it hides all of the layers below.
let opaqueAttribute = "user.overlay.opaque"
