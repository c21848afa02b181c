// A `docker save` archive of the older form: `manifest.json` names a configuration and a tar per layer.

import Foundation

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
