// An image of the store as one tar, as `docker import` takes it.

import Foundation

extension ImageStore {
    /// Writes the image's root filesystem, whole, to a tar. The file is there when it is complete, or not at all.
    /// - Throws: `ImageError`; `host` cannot be exported.
    public func exportTar(_ name: String, to path: String) async throws {
        guard name != HostImage.name else {
            throw ImageError.badName(name, expected: "an image of the store; 'host' is the machine itself")
        }
        let image = try resolve(name)
        let work = try makeWork()
        // The lowest first, each with what it hides.
        let layers = try image.root.layers.reversed().map { ($0, try layerInfo(String($0.dropLast("/root".count)))) }
        var root = layers[0].0
        if layers.count > 1 || !layers[0].1.whiteouts.isEmpty {
            root = work.path + "/root"
            try Files.makeDirectories(root)
            try LayerTree.merge(layers.map { (root: $0.0, info: $0.1) }, into: root)
        }
        let temporary = "\(path).\(Files.processID).tmp"
        do {
            try await Tools.run(
                "tar",
                ["--create", "--file", temporary, "--directory", root, "--sort=name", "--numeric-owner", "--owner=0", "--group=0",
                 "--format=posix", "--pax-option=delete=atime,delete=ctime", "."],
                input: work.lock)
            try Files.sync(Files.openOrCreate(temporary))
            try Files.rename(temporary, path)
        } catch {
            try? Files.removeTree(temporary)
            throw error
        }
        withExtendedLifetime(image.hold) {}
    }
}
