// Brings an image of an archive into the store: layer by layer, each verified, each once however many images have it.

import Foundation

/// What is going on, for a person who waits.
public enum ImageProgress: Sendable, Equatable {
    /// A step began.
    case step(String)
    /// A line that a program printed.
    case output(String)
}

/// Imports from OCI image layouts and `docker save` archives, each as a directory or a tar (gzip and zstd too).
public struct ImageImporter: Sendable {
    /// More layers than this are kept as one merged tree: each costs every lookup in every sandbox, and the kernel
    /// takes a limited number.
    public static let maxStacked = 32

    public let store: ImageStore
    public var bounds = ImportBounds()

    public init(_ store: ImageStore) { self.store = store }

    /// Imports one image; one of that name is replaced. Nothing changes unless all of it is good.
    /// - Parameters:
    ///   - path: the archive.
    ///   - name: what jobs will call the image.
    ///   - reference: which image of the archive, where it has several.
    /// - Throws: `ImageError`.
    public func importImage(
        from path: String, as name: String, reference: String? = nil,
        progress: @Sendable (ImageProgress) -> Void = { _ in }
    ) async throws -> ImageRecord {
        guard isImageName(name), name != HostImage.name else { throw ImageError.badName(name, expected: imageNameRule) }
        let work = try store.makeWork()
        progress(.step("reading \(path)"))
        let archive = try await ImageArchive(path, work: work, bounds: bounds)
        let plan = try ImportPlan.read(archive, reference: reference, bounds: bounds)

        var made: [String: String] = [:]
        var holds: [Descriptor] = []
        var infos: [LayerInfo] = []
        for (index, layer) in plan.layers.enumerated() {
            let digest = layer.diffDigest
            if let hold = try store.holdLayer(digest) {
                progress(.step("layer \(index + 1) of \(plan.layers.count) is there"))
                holds.append(hold)
            } else if made[digest] == nil {
                progress(.step("layer \(index + 1) of \(plan.layers.count), \(layer.member.size) bytes"))
                made[digest] = try await extract(layer, work)
            }
            infos.append(try store.layerInfo(made[digest] ?? store.layerPath(digest)))
        }

        // Nothing below a layer that hides its whole root can be seen.
        let first = infos.lastIndex { $0.opaque.contains("") } ?? 0
        var record = ImageRecord(
            name: name, source: plan.source, origin: "\(path) \(plan.reference)", createdMs: nowMs(),
            layers: plan.layers[first...].map(\.diffDigest), environment: plan.environment,
            sizeBytes: infos[first...].reduce(0) { $0 + $1.sizeBytes },
            skipped: Array(infos[first...].flatMap(\.skipped).prefix(100)))
        let hides = infos[(first + 1)...].contains { !$0.whiteouts.isEmpty || !$0.opaque.isEmpty }
        let repeats = Set(record.layers).count < record.layers.count
        if record.layers.count > Self.maxStacked || repeats || hides && !store.supportsWhiteouts {
            progress(.step("merging \(record.layers.count) layers"))
            let (digest, path, hold) = try merge(Array(zip(record.layers, infos[first...])), made, work)
            if let path { made[digest] = path }
            if let hold { holds.append(hold) }
            record.parts = record.layers
            record.layers = [digest]
        }
        try store.publish(record, newLayers: made)
        withExtendedLifetime(holds) {}
        return record
    }

    /// Unpacks a layer into a layer directory of its own, and throws it away if any digest is not what it should be.
    private func extract(_ layer: ImportPlan.Layer, _ work: StoreWork) async throws -> String {
        let path = "\(work.path)/\(layer.diffDigest)"
        try Files.makeDirectories(path + "/root")
        var extractor = try LayerExtractor(name: layer.member.name, into: path + "/root", bounds: bounds)
        var parser = TarParser(name: layer.member.name)
        var blob = SHA256Stream()
        var diff = SHA256Stream()
        if let compression = Compression.detect(try Files.read(layer.member.file, at: layer.member.offset, count: 6)) {
            // Verified before a decompressor sees it.
            let packed = try Compression.spool(layer.member, work)
            try ArchiveMember(name: layer.member.name, file: packed.file, offset: 0, size: layer.member.size)
                .read { blob.update($0) }
            try check(blob.finish(), layer.blobDigest, layer.member.name)
            try await compression.decompress(packed.file, name: layer.member.name, limit: bounds.layerBytes * 2) { bytes in
                diff.update(bytes)
                try parser.feed(bytes, into: &extractor)
            }
            try Files.removeTree("\(work.path)/\(packed.name)")
        } else {
            // Nothing is looked at before it is known to be what it is called.
            try layer.member.read { blob.update($0) }
            try check(blob.finish(), layer.blobDigest ?? layer.diffDigest, layer.member.name)
            try layer.member.read { bytes in
                diff.update(bytes)
                try parser.feed(bytes, into: &extractor)
            }
        }
        try parser.finish()
        try check(diff.finish(), layer.diffDigest, layer.member.name + " (unpacked)")
        if store.supportsWhiteouts { try LayerTree.applyWhiteouts(extractor.info, in: path + "/root") }
        try store.writeLayerInfo(extractor.info, path)
        return path
    }

    private func check(_ found: String, _ expected: String?, _ item: String) throws {
        if let expected, found != expected {
            throw ImageError.digestMismatch(item: item, found: found, expected: expected)
        }
    }

    /// One tree of all layers, named by what it is made of.
    private func merge(
        _ layers: [(String, LayerInfo)], _ made: [String: String], _ work: StoreWork
    ) throws -> (digest: String, made: String?, hold: Descriptor?) {
        let digest = sha256(Array(("merged " + layers.map(\.0).joined(separator: " ")).utf8))
        if let hold = try store.holdLayer(digest) { return (digest, nil, hold) }
        let path = "\(work.path)/\(digest)"
        try Files.makeDirectories(path + "/root")
        try LayerTree.merge(
            layers.map { ((made[$0.0] ?? store.layerPath($0.0)) + "/root", $0.1) }, into: path + "/root")
        let info = LayerInfo(
            entries: layers.reduce(0) { $0 + $1.1.entries }, sizeBytes: layers.reduce(0) { $0 + $1.1.sizeBytes })
        try store.writeLayerInfo(info, path)
        return (digest, path, nil)
    }
}

extension ImageStore {
    func layerInfo(_ layer: String) throws -> LayerInfo {
        let bytes = try Files.read(layer + "/layer.json", limit: 256 << 20)
        do {
            return try JSONDecoder().decode(LayerInfo.self, from: Data(bytes))
        } catch {
            throw ImageError.malformed(item: layer + "/layer.json", found: "\(error)", expected: "a layer's description")
        }
    }

    func writeLayerInfo(_ info: LayerInfo, _ layer: String) throws {
        try Files.replace(layer + "/layer.json", with: Array(JSONEncoder().encode(info)))
    }
}
