// From a definition to an image of the store: mmdebstrap makes the root filesystem, pip adds wheels, the definition's
// files are placed, what the build brought in from this machine is taken out, and only then does it become visible.

import Foundation

/// Builds images. Needs root, mmdebstrap, and a way to the packages.
public struct ImageBuilder: Sendable {
    public let store: ImageStore
    public init(_ store: ImageStore) { self.store = store }

    /// Builds the image, or does nothing if the store has just this one. An image of that name made from something else
    /// is replaced.
    /// - Parameters:
    ///   - origin: where the definition comes from, for the record.
    ///   - force: build anew even so, to get newer packages.
    /// - Throws: `ImageError`; the store is then as it was.
    public func build(
        _ definition: ImageDefinition, origin: String = "", force: Bool = false,
        progress: @Sendable (ImageProgress) -> Void = { _ in }
    ) async throws -> ImageRecord {
        guard isImageName(definition.name), definition.name != HostImage.name else {
            throw ImageError.badName(definition.name, expected: imageNameRule)
        }
        let digest = definition.digest
        if !force, let record = try reuse(definition, digest, origin) { return record }
        guard Files.isRoot else {
            throw ImageError.toolMissing(tool: "the right to build", hint: "run as root: packages own files as root")
        }
        for tool in ["mmdebstrap", "unshare"] { try Tools.require(tool) }
        let alone = try await waitForTurn(digest, progress)
        defer { _ = alone }
        // Another process may have built it while we waited.
        if !force, let record = try reuse(definition, digest, origin) { return record }

        let work = try store.makeWork()
        // A build has a name of its own even when its definition is an old one's: sandboxes may still use that.
        let layer = sha256(Array("\(digest) \(work.path)".utf8))
        let path = "\(work.path)/\(layer)"
        try Files.makeDirectories(path)
        progress(.step("packages: \(definition.suite) with \(definition.packages.count) packages"))
        try await bootstrap(definition, path + "/root", work) { progress(.output($0)) }
        let root = try Files.openDirectory(path + "/root")
        if !definition.pip.isEmpty {
            progress(.step("pip: \(definition.pip.joined(separator: " "))"))
            try BuiltRoot.borrowNetworkFiles(root)
            try await PipInstall.run(definition.pip, root: path + "/root", work: work) { progress(.output($0)) }
        }
        progress(.step("files and tidying up"))
        try BuiltRoot.tidy(root)
        for file in definition.files { try BuiltRoot.place(file, in: root) }
        try Files.setMode(root, 0o755)
        let size = try LayerTree.makeSafe(root)
        try store.writeLayerInfo(LayerInfo(entries: size.entries, sizeBytes: size.bytes), path)
        let record = ImageRecord(
            name: definition.name, source: .built, origin: origin, createdMs: nowMs(), definitionDigest: digest,
            layers: [layer], environment: definition.environment, sizeBytes: size.bytes)
        try store.publish(record, newLayers: [layer: path])
        return record
    }

    /// The image, if its root filesystem is in the store already, under this name or another.
    private func reuse(_ definition: ImageDefinition, _ digest: String, _ origin: String) throws -> ImageRecord? {
        let candidates = try store.list().filter { $0.definitionDigest == digest }
        guard let found = candidates.first(where: { $0.name == definition.name }) ?? candidates.first else { return nil }
        var holds: [Descriptor] = []
        for layer in found.layers {
            guard let hold = try store.holdLayer(layer) else { return nil }
            holds.append(hold)
        }
        defer { _ = holds }
        if found.name == definition.name && found.environment == definition.environment { return found }
        var record = found
        record.name = definition.name
        record.origin = origin
        record.environment = definition.environment
        try store.publish(record, newLayers: [:])
        return record
    }

    /// One build of a definition at a time; the others wait for its result.
    private func waitForTurn(_ digest: String, _ progress: (ImageProgress) -> Void) async throws -> Descriptor {
        try Files.makeDirectories(store.root + "/locks")
        let lock = try Files.openOrCreate("\(store.root)/locks/\(digest)", mode: 0o600)
        var waited = false
        while try !Files.lock(lock, exclusive: true, wait: false) {
            if !waited { progress(.step("waiting for another build of the same definition")) }
            waited = true
            try await Task.sleep(for: .milliseconds(200))
        }
        return lock
    }

    private func bootstrap(
        _ definition: ImageDefinition, _ target: String, _ work: StoreWork, onLine: @Sendable (String) -> Void
    ) async throws {
        var packages = definition.packages
        if !definition.pip.isEmpty {
            packages.append(["bullseye", "buster"].contains(definition.suite) ? "python-pip-whl" : "python3-pip-whl")
            // What wheels for Linux expect of every machine.
            packages += ["libstdc++6", "zlib1g"]
        }
        // Without apt: an image does not change, so nothing is ever installed in it.
        var arguments = ["--mode=root", "--variant=essential", "--format=directory"]
        if !packages.isEmpty { arguments.append("--include=" + packages.joined(separator: ",")) }
        for unread in ["doc/*", "man/*", "info/*", "locale/*", "lintian/*"] {
            arguments.append("--dpkgopt=path-exclude=/usr/share/\(unread)")
        }
        arguments.append("--dpkgopt=path-include=/usr/share/doc/*/copyright")
        // Maintainer scripts (Java's) put links where manual pages would be.
        arguments.append("--essential-hook=for n in 1 2 3 4 5 6 7 8; do mkdir -p \"$1/usr/share/man/man$n\"; done")
        arguments += [definition.suite, target]
        arguments += AptSources.find(suite: definition.suite, mirror: definition.mirror).lines
        // mmdebstrap unpacks next to its target and has to be able to enter it as another user.
        try Files.setMode(Files.openDirectory(work.path), 0o755)
        do {
            // What mmdebstrap mounts (its /proc and /sys) is seen by it alone, and gone when it is, however it ends.
            try await Tools.run(
                "unshare", ["--mount", "--propagation", "private", "mmdebstrap"] + arguments, input: work.lock,
                environment: ["LC_ALL": "C.UTF-8", "LD_PRELOAD": nil, "DEBIAN_FRONTEND": "noninteractive", "TMPDIR": nil],
                onLine: onLine)
        } catch ImageError.toolFailed(_, let status, let output) {
            throw ImageError.toolFailed(tool: "mmdebstrap", status: status, output: output)
        }
    }
}
