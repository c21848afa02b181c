// What the store knows about an image: the content of `images/<name>.json`.

import Foundation
import SandboxCore

/// An image of the store.
public struct ImageRecord: Sendable, Equatable, Codable {
    public enum Source: String, Sendable, Equatable, Codable {
        case built, oci, docker
    }

    public var name: String
    public var source: Source
    /// What it was made from: a definition's path, or an archive's path and the reference in it.
    public var origin: String
    /// Milliseconds since 1970.
    public var createdMs: Int
    /// The digest of the definition it was built from; `nil` for an import.
    public var definitionDigest: String?
    /// The layers a sandbox stacks, the lowest first.
    public var layers: [String]
    /// Layers kept only because others are made from them: the parts of a merged tree.
    public var parts: [String]
    public var environment: [String: String]
    /// Bytes of all layers together, each shared layer counted in full.
    public var sizeBytes: Int
    /// What an import left out, and why; bounded.
    public var skipped: [String]

    enum CodingKeys: String, CodingKey {
        case name, source, origin, layers, parts, environment, skipped
        case createdMs = "created_ms"
        case definitionDigest = "definition_digest"
        case sizeBytes = "size_bytes"
    }

    public init(
        name: String, source: Source, origin: String, createdMs: Int, definitionDigest: String? = nil,
        layers: [String], parts: [String] = [], environment: [String: String] = [:], sizeBytes: Int = 0,
        skipped: [String] = []
    ) {
        self.name = name
        self.source = source
        self.origin = origin
        self.createdMs = createdMs
        self.definitionDigest = definitionDigest
        self.layers = layers
        self.parts = parts
        self.environment = environment
        self.sizeBytes = sizeBytes
        self.skipped = skipped
    }
}

/// An image, ready to be mounted.
public struct ResolvedImageFiles: Sendable {
    public var root: RootFilesystem
    /// At least `PATH`.
    public var environment: [String: String]
    /// Keep this as long as a sandbox may use the files: removing or rebuilding the image leaves them alone until then.
    public let hold: ImageHold

    init(root: RootFilesystem, environment: [String: String], hold: ImageHold) {
        self.root = root
        self.environment = environment.merging(["PATH": defaultPath]) { own, _ in own }
        self.hold = hold
    }
}

/// Layers in use. They are given back when the last reference goes, or the process ends.
public final class ImageHold: Sendable {
    private let layers: [Descriptor]
    init(layers: [Descriptor]) { self.layers = layers }
}

let defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func nowMs() -> Int { Int(Date().timeIntervalSince1970 * 1000) }
