// What an archive says about its image: an OCI image layout's index and manifest, or the manifest of `docker save`,
// read down to a list of layers with the digests their content must have. Every document is verified before it is read.

import Foundation

/// The layers and the environment of one image of an archive.
struct ImportPlan {
    struct Layer {
        var member: ArchiveMember
        /// Of the member as it lies in the archive; `nil` where the format has none.
        var blobDigest: String?
        /// Of the layer's tar, unpacked. Its name in the store.
        var diffDigest: String
    }

    var source: ImageRecord.Source
    var reference: String
    var layers: [Layer]
    var environment: [String: String]

    static func read(_ archive: ImageArchive, reference: String?, bounds: ImportBounds) throws -> ImportPlan {
        // A recent `docker save` writes both; the layout has more digests to hold it to.
        if try archive.find("oci-layout") != nil {
            return try OCILayout(archive: archive, bounds: bounds).plan(reference: reference)
        }
        if try archive.find("manifest.json") != nil {
            return try DockerArchive(archive: archive, bounds: bounds).plan(reference: reference)
        }
        throw ImageError.malformed(
            item: archive.path, found: "neither 'oci-layout' nor 'manifest.json'",
            expected: "an OCI image layout or a docker save archive")
    }

    /// Decodes a document, with its digest checked where it has one.
    static func document<T: Decodable>(
        _ type: T.Type, _ archive: ImageArchive, _ name: String, digest: String? = nil, bounds: ImportBounds
    ) throws -> T {
        let bytes = try archive.document(name, limit: bounds.documentBytes)
        let item = "\(archive.path), \(name)"
        if let digest, case let found = sha256(bytes), found != digest {
            throw ImageError.digestMismatch(item: item, found: found, expected: digest)
        }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as DecodingError {
            throw ImageError.malformed(item: item, found: explain(error), expected: "the JSON of \(what(type))")
        }
    }

    private static func what<T>(_ type: T.Type) -> String {
        switch type {
        case is OCIIndex.Type: "an image index"
        case is OCIManifest.Type: "an image manifest"
        case is ImageConfiguration.Type: "an image configuration"
        case is [DockerManifest].Type: "docker's list of images"
        default: "an OCI layout"
        }
    }

    private static func explain(_ error: DecodingError) -> String {
        func path(_ context: DecodingError.Context) -> String {
            context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context): return "no \(quoted(key.stringValue)) at '\(path(context))'"
        case .typeMismatch(let type, let context): return "something other than \(type) at '\(path(context))'"
        case .valueNotFound(_, let context): return "null at '\(path(context))'"
        case .dataCorrupted(let context): return "broken JSON at '\(path(context))'"
        @unknown default: return "broken JSON"
        }
    }

    /// The configuration's diff digests, one per layer, and its checked environment.
    static func configured(
        _ configuration: ImageConfiguration, layers: Int, item: String, bounds: ImportBounds
    ) throws -> (digests: [String], environment: [String: String]) {
        let ids = configuration.rootfs.diff_ids
        guard ids.count == layers else {
            throw ImageError.malformed(item: item, found: "\(ids.count) diff_ids for \(layers) layers", expected: "one for each")
        }
        guard (1...bounds.layers).contains(layers) else {
            throw ImageError.tooLarge(item: item, found: "\(layers) layers", limit: "1 to \(bounds.layers)")
        }
        if let os = configuration.os, os != "linux" {
            throw ImageError.malformed(item: item, found: "an image for \(quoted(os))", expected: "one for 'linux'")
        }
        if let architecture = configuration.architecture, architecture != hostArchitecture {
            throw ImageError.malformed(
                item: item, found: "an image for \(quoted(architecture))", expected: "one for '\(hostArchitecture)'")
        }
        var environment: [String: String] = [:]
        for entry in configuration.config?.Env ?? [] {
            guard let equals = entry.firstIndex(of: "="), isVariableName(String(entry[..<equals])), !entry.utf8.contains(0),
                entry.utf8.count <= 1 << 16
            else {
                throw ImageError.malformed(item: "\(item), config.Env", found: quoted(entry), expected: "NAME=value")
            }
            environment[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
        }
        return (try ids.enumerated().map { try parseDigest($1, item: "\(item), rootfs.diff_ids[\($0)]") }, environment)
    }
}

/// The part of an image's configuration that both formats share.
struct ImageConfiguration: Decodable {
    struct Config: Decodable { var Env: [String]? }
    struct RootFS: Decodable { var diff_ids: [String] }
    var architecture: String?
    var os: String?
    var config: Config?
    var rootfs: RootFS
}

struct OCIDescriptor: Decodable {
    struct Platform: Decodable {
        var architecture: String
        var os: String
    }
    var mediaType: String?
    var digest: String
    var size: Int
    var annotations: [String: String]?
    var platform: Platform?

    /// Names a person may call it by.
    var references: [String] {
        ["org.opencontainers.image.ref.name", "io.containerd.image.name"].compactMap { annotations?[$0] }
    }
}

struct OCIIndex: Decodable { var manifests: [OCIDescriptor] }
struct OCIManifest: Decodable {
    var config: OCIDescriptor
    var layers: [OCIDescriptor]
}
struct OCILayoutVersion: Decodable { var imageLayoutVersion: String }

/// A directory or tar with `oci-layout`, `index.json` and `blobs/sha256/`.
struct OCILayout {
    let archive: ImageArchive
    let bounds: ImportBounds

    func plan(reference: String?) throws -> ImportPlan {
        let version = try ImportPlan.document(OCILayoutVersion.self, archive, "oci-layout", bounds: bounds).imageLayoutVersion
        guard version == "1.0.0" else {
            throw ImageError.malformed(item: "\(archive.path), oci-layout", found: "version \(quoted(version))", expected: "'1.0.0'")
        }
        let index = try ImportPlan.document(OCIIndex.self, archive, "index.json", bounds: bounds)
        let chosen = try choose(index.manifests, reference: reference, depth: 4)
        let manifest = try blob(OCIManifest.self, chosen)
        let configuration = try blob(ImageConfiguration.self, manifest.config)
        let (digests, environment) = try ImportPlan.configured(
            configuration, layers: manifest.layers.count, item: "\(archive.path), configuration", bounds: bounds)
        let layers = try zip(manifest.layers, digests).map { layer, diff in
            let type = layer.mediaType ?? ""
            guard type.contains("layer") && type.contains("tar") || type.contains("rootfs.diff.tar") || type.isEmpty,
                !type.contains("encrypted"), !type.contains("foreign")
            else {
                throw ImageError.malformed(
                    item: "\(archive.path), layer \(quoted(layer.digest))", found: "media type \(quoted(type))",
                    expected: "a layer as tar, tar+gzip or tar+zstd")
            }
            return ImportPlan.Layer(
                member: try member(layer), blobDigest: try parseDigest(layer.digest, item: "layer"), diffDigest: diff)
        }
        return ImportPlan(
            source: .oci, reference: chosen.references.first ?? chosen.digest, layers: layers, environment: environment)
    }

    private func choose(_ manifests: [OCIDescriptor], reference: String?, depth: Int) throws -> OCIDescriptor {
        guard depth > 0 else {
            throw ImageError.malformed(item: archive.path, found: "indexes within indexes", expected: "at most 3 levels")
        }
        var candidates = manifests
        if let reference {
            candidates = candidates.filter { $0.references.contains(reference) || $0.digest == reference }
        }
        // Attestations and other machines' images lie beside the one that can run here.
        candidates = candidates.filter { candidate in
            guard let platform = candidate.platform else { return true }
            return platform.os == "linux" && platform.architecture == hostArchitecture
        }
        guard candidates.count == 1, let found = candidates.first else {
            let known = manifests.flatMap { $0.references.isEmpty ? [$0.digest] : $0.references }.prefix(20)
            throw ImageError.malformed(
                item: "\(archive.path), index.json",
                found: "\(candidates.count) images for linux/\(hostArchitecture)" + (reference.map { " named \(quoted($0))" } ?? ""),
                expected: "one; name it by one of \(known.map { quoted($0) }.joined(separator: ", "))")
        }
        guard found.mediaType?.contains("index") == true || found.mediaType?.contains("manifest.list") == true else { return found }
        var inner = try choose(blob(OCIIndex.self, found).manifests, reference: nil, depth: depth - 1)
        if inner.references.isEmpty { inner.annotations = found.annotations }
        return inner
    }

    private func blob<T: Decodable>(_ type: T.Type, _ descriptor: OCIDescriptor) throws -> T {
        let member = try member(descriptor)
        guard member.size <= bounds.documentBytes else {
            throw ImageError.tooLarge(item: member.name, found: "\(member.size) bytes", limit: "\(bounds.documentBytes) bytes")
        }
        let digest = try parseDigest(descriptor.digest, item: "\(archive.path), digest")
        return try ImportPlan.document(type, archive, "blobs/sha256/\(digest)", digest: digest, bounds: bounds)
    }

    private func member(_ descriptor: OCIDescriptor) throws -> ArchiveMember {
        let digest = try parseDigest(descriptor.digest, item: "\(archive.path), digest")
        let member = try archive.member("blobs/sha256/\(digest)")
        guard member.size == descriptor.size else {
            throw ImageError.malformed(item: member.name, found: "\(member.size) bytes", expected: "\(descriptor.size), as its descriptor says")
        }
        return member
    }
}

struct DockerManifest: Decodable {
    var Config: String
    var RepoTags: [String]?
    var Layers: [String]
}

/// What `docker save` wrote before it wrote OCI layouts: `manifest.json`, a configuration, a tar per layer.
struct DockerArchive {
    let archive: ImageArchive
    let bounds: ImportBounds

    func plan(reference: String?) throws -> ImportPlan {
        let images = try ImportPlan.document([DockerManifest].self, archive, "manifest.json", bounds: bounds)
        let candidates = images.filter { image in
            guard let reference else { return true }
            return image.RepoTags?.contains(reference) == true || image.Config == reference
        }
        guard candidates.count == 1, let image = candidates.first else {
            let known = images.flatMap { $0.RepoTags ?? [$0.Config] }.prefix(20)
            throw ImageError.malformed(
                item: "\(archive.path), manifest.json",
                found: "\(candidates.count) images" + (reference.map { " named \(quoted($0))" } ?? ""),
                expected: "one; name it by one of \(known.map { quoted($0) }.joined(separator: ", "))")
        }
        // `<sha256>.json`, or `blobs/sha256/<sha256>`: an image's id is the digest of its configuration.
        let stem = (image.Config as NSString).lastPathComponent
        let digest = stem.hasSuffix(".json") ? String(stem.dropLast(5)) : stem
        guard isSHA256(digest) else {
            throw ImageError.malformed(
                item: "\(archive.path), manifest.json, Config", found: quoted(image.Config), expected: "a name that is its SHA-256")
        }
        let configuration = try ImportPlan.document(
            ImageConfiguration.self, archive, image.Config, digest: digest, bounds: bounds)
        let (digests, environment) = try ImportPlan.configured(
            configuration, layers: image.Layers.count, item: "\(archive.path), \(image.Config)", bounds: bounds)
        let layers = try zip(image.Layers, digests).map {
            ImportPlan.Layer(member: try archive.member($0), blobDigest: nil, diffDigest: $1)
        }
        return ImportPlan(
            source: .docker, reference: image.RepoTags?.first ?? digest, layers: layers, environment: environment)
    }
}
