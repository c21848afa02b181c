import Foundation
import Testing

@testable import Images

/// A base with files, and a layer over it that changes, hides and replaces some of them.
let baseLayer = TestLayer {
    $0.directory("./")
    $0.directory("bin/")
    $0.add("bin/tool", "#!/bin/sh\n", mode: 0o4755)
    $0.hardLink("bin/same", "bin/tool")
    $0.symlink("lib", "usr/lib")
    $0.directory("etc/")
    $0.add("etc/old", "old", mode: 0o640)
    $0.add("etc/kept", "kept", mode: 0o600)
    $0.directory("tmp/", mode: 0o1777)
    $0.directory("cache/", mode: 0o777)
    $0.add("cache/a", "a")
    $0.add("cache/b", "b")
}
let topLayer = TestLayer {
    $0.directory("etc/")
    $0.add("etc/.wh.old")
    $0.add("etc/new", "new")
    $0.directory("cache/")
    $0.add("cache/.wh..wh..opq")
    $0.add("cache/c", "c")
}

@Suite struct ImportTests {
    let place: Place
    let store: ImageStore

    init() throws {
        place = try Place()
        store = try ImageStore(root: place.path + "/store")
    }

    private func put(_ archive: TestArchive, _ name: String = "archive") throws -> String {
        try archive.writeDirectory(place.path + "/" + name)
        return place.path + "/" + name
    }

    private func importing(_ archive: TestArchive, as name: String = "image", into store: ImageStore? = nil) async throws -> ImageRecord {
        try place.write("archive.tar", archive.tar)
        return try await ImageImporter(store ?? self.store).importImage(from: place.path + "/archive.tar", as: name)
    }

    @Test("An OCI layout and a docker save archive of one image give the same layers")
    func formats() async throws {
        let importer = ImageImporter(store)
        let first = try await importer.importImage(from: put(.oci([baseLayer, topLayer], environment: ["A=b=c", "PATH=/x"])), as: "oci")
        #expect(first.layers == [sha256(baseLayer.tar), sha256(topLayer.tar)] || !store.supportsWhiteouts)
        #expect(first.source == .oci && first.environment == ["A": "b=c", "PATH": "/x"])
        let inodes = try Files.names(in: store.root + "/layers").map { Files.status(store.layerRoot($0))?.inode }
        let second = try await importing(.docker([baseLayer, topLayer]), as: "docker")
        #expect(second.source == .docker && second.layers == first.layers)
        #expect(second.origin.hasSuffix("thing:1"))
        #expect(try Files.names(in: store.root + "/layers").map { Files.status(store.layerRoot($0))?.inode } == inodes)
        #expect(try store.list().map(\.name) == ["docker", "oci"])
        #expect(try Files.names(in: store.temporary) == [])
    }

    @Test("Files arrive without what would be dangerous: set-id bits, other people's write permission, unreadable modes")
    func modes() async throws {
        let root = store.layerRoot(try await importing(.oci([baseLayer])).layers[0])
        func mode(_ path: String) -> Int? { Files.status(root + "/" + path)?.mode }
        #expect(mode("bin/tool") == 0o755)
        #expect(mode("etc/old") == 0o644 && mode("etc/kept") == 0o644)
        #expect(mode("tmp") == 0o1777 && mode("cache") == 0o755)
        #expect(Files.status(root + "/bin/tool")?.inode == Files.status(root + "/bin/same")?.inode)
        #expect(Files.status(root + "/etc/old")?.modifiedNs == 1_600_000_000 * 1_000_000_000)
    }

    @Test("Layers packed with gzip and zstd are the layers they unpack to", arguments: ["gzip", "zstd"])
    func packed(_ tool: String) async throws {
        try withKnownMissing(tool)
        guard Tools.find(tool) else { return }
        let plain = try await importing(.oci([baseLayer]))
        let other = try await importing(.oci([try baseLayer.packed(with: tool)]), as: "packed")
        #expect(other.layers == plain.layers)
        try place.write("whole.tar.x", pipe(tool, ["-c"], TestArchive.docker([baseLayer]).tar))
        let third = try await ImageImporter(store).importImage(from: place.path + "/whole.tar.x", as: "whole")
        #expect(third.layers == plain.layers)
    }

    private func withKnownMissing(_ tool: String) throws {
        if !Tools.find(tool) { print("skipped: \(tool) is not installed, so nothing was packed with it") }
    }

    @Test("Names that a layer hides are overlay's whiteouts, or gone from the merged tree", arguments: [true, false])
    func whiteouts(_ overlay: Bool) async throws {
        let store = try ImageStore(root: place.path + "/other", whiteouts: overlay)
        guard !overlay || self.store.supportsWhiteouts else {
            print("skipped: \(place.path) lies on a file system that cannot have whiteouts")
            return
        }
        let record = try await importing(.oci([baseLayer, topLayer]), into: store)
        if overlay {
            #expect(try Place.tree(store.layerRoot(sha256(topLayer.tar))) == ["cache/", "cache/c", "etc/", "etc/new", "etc/old (device)"])
            #expect(record.parts == [] && record.layers.count == 2)
            #expect(try store.resolve("image").root.layers == record.layers.reversed().map(store.layerRoot))
        } else {
            #expect(record.parts == [sha256(baseLayer.tar), sha256(topLayer.tar)] && record.layers.count == 1)
            let root = store.layerRoot(record.layers[0])
            #expect(try Place.tree(root) == merged)
            #expect(
                Files.status(root + "/bin/tool")?.inode == Files.status(store.layerRoot(record.parts[0]) + "/bin/tool")?.inode)
            // The same base under another image costs no second copy.
            let other = TestLayer { $0.add("etc/.wh.kept") }
            let second = try await importing(.oci([baseLayer, other]), as: "second", into: store)
            #expect(
                Files.status(store.layerRoot(second.layers[0]) + "/bin/tool")?.inode == Files.status(root + "/bin/tool")?.inode)
        }
        try await store.exportTar("image", to: place.path + "/out.tar")
        try Files.makeDirectories(place.path + "/out")
        #expect(try shell(["tar", "-C", place.path + "/out", "-xf", place.path + "/out.tar"]).status == 0)
        #expect(try place.tree("out") == merged)
    }

    private let merged = [
        "bin/", "bin/same", "bin/tool", "cache/", "cache/c", "etc/", "etc/kept", "etc/new", "lib -> usr/lib", "tmp/",
    ]

    @Test("The kernel's overlay, mounted in a user namespace, shows what the layers mean")
    func mounted() async throws {
        guard store.supportsWhiteouts, Files.isRoot else {
            print("skipped: needs root and a store that can have whiteouts")
            return
        }
        _ = try await importing(.oci([baseLayer, topLayer]))
        let image = try store.resolve("image")
        try Files.makeDirectories(place.path + "/seen")
        try Files.setMode(Files.openDirectory(place.path), 0o755)
        let options = "userxattr,lowerdir=" + image.root.layers.joined(separator: ":")
        let result = try shell([
            "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
            "mount -t overlay -o \"$0\" overlay \"$1\" && cd \"$1\" && find . ! -name . | LC_ALL=C sort && cat etc/kept", options,
            place.path + "/seen",
        ])
        guard result.status == 0 || !result.text.contains("unshare failed") else {
            print("skipped: no user namespaces here: \(result.text)")
            return
        }
        let expected = merged.map { "./" + ($0.hasSuffix("/") ? String($0.dropLast()) : String($0.prefix { $0 != " " })) }
        #expect(result.text == expected.sorted().joined(separator: "\n") + "\nkept")
        withExtendedLifetime(image.hold) {}
    }

    @Test("A layer that hides its whole root leaves nothing below it; a layer that comes twice is merged")
    func unusual() async throws {
        let fresh = TestLayer {
            $0.add(".wh..wh..opq")
            $0.add("only", "this")
        }
        #expect(try await importing(.oci([baseLayer, fresh])).layers == [sha256(fresh.tar)])
        let again = try await importing(.oci([baseLayer, topLayer, baseLayer]), as: "again")
        #expect(again.layers.count == 1 && again.parts.count == 3)
        #expect(try Place.tree(store.layerRoot(again.layers[0])).contains("etc/old"))
        let many = (0..<40).map { number in TestLayer { $0.add("f\(number)", "x") } }
        let tall = try await importing(.oci(many), as: "tall")
        #expect(tall.layers.count == 1 && tall.parts.count == 40)
        #expect(try Place.tree(store.layerRoot(tall.layers[0])).count == 40)
    }

    @Test("An image for several machines gives the one for this; without a choice the choices are named")
    func choice() async throws {
        var archive = TestArchive.oci([baseLayer], reference: "one")
        let other = TestArchive.oci([topLayer], reference: "two")
        archive.files += other.files.filter { $0.path.hasPrefix("blobs/") }
        func manifests(_ archive: TestArchive) -> [[String: Any]] {
            let index = try! JSONSerialization.jsonObject(with: Data(archive.files.first { $0.path == "index.json" }!.bytes))
            return (index as! [String: Any])["manifests"] as! [[String: Any]]
        }
        archive.replace("index.json", TestArchive.json(["manifests": manifests(archive) + manifests(other)]))
        let path = try put(archive)
        let error = await #expect(throws: ImageError.self) { try await ImageImporter(store).importImage(from: path, as: "a") }
        #expect(error?.description.contains("found 2 images") == true && error?.description.contains("'one', 'two'") == true)
        #expect(try await ImageImporter(store).importImage(from: path, as: "a", reference: "two").layers == [sha256(topLayer.tar)])

        var foreign = manifests(other)[0]
        foreign["platform"] = ["architecture": "s390x", "os": "linux"]
        var native = manifests(TestArchive.oci([baseLayer], reference: "one"))[0]
        native["platform"] = ["architecture": hostArchitecture, "os": "linux"]
        let inner = TestArchive.json(["manifests": [foreign, native]])
        archive.files.append(("blobs/sha256/" + sha256(inner), inner))
        archive.replace("index.json", TestArchive.json(["manifests": [
            TestArchive.descriptor("application/vnd.oci.image.index.v1+json", inner)
        ]]))
        let nested = try put(archive, "nested")
        #expect(try await ImageImporter(store).importImage(from: nested, as: "b").layers == [sha256(baseLayer.tar)])
    }
}
