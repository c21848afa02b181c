// An OCI image layout: from `index.json` down to the one manifest that can run here. Blobs are found by their digest and
// believed only when their content has it.

import Foundation

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
