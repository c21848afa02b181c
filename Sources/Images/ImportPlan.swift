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
