import Foundation
import Testing

@testable import Images

/// Archives that try to get out, to lie, or to be too much. None of them leaves a trace in the store or beside it.
@Suite struct HostileArchiveTests {
    let place: Place
    let store: ImageStore

    init() throws {
        place = try Place()
        store = try ImageStore(root: place.path + "/store")
        try place.write("victim", "untouched")
        try place.write("outside/file", "untouched")
    }

    /// The error an import ends with; afterwards everything is as it was before.
    private func refusal(_ archive: TestArchive, _ change: (inout ImageImporter) -> Void = { _ in }) async throws -> String {
        try place.write("archive.tar", archive.tar)
        let before = try place.tree()
        var importer = ImageImporter(store)
        change(&importer)
        var message = "accepted"
        do {
            _ = try await importer.importImage(from: place.path + "/archive.tar", as: "image")
        } catch {
            message = "\(error)"
        }
        #expect(try place.tree() == before)
        #expect(try place.text("victim") == "untouched" && place.text("outside/file") == "untouched")
        return message
    }

    private func refusal(_ build: (inout Tar) -> Void) async throws -> String {
        try await refusal(.oci([TestLayer(build)]))
    }

    @Test("A path that leaves its layer is refused by name")
    func paths() async throws {
        #expect(try await refusal { $0.add("../victim", "x") }.contains("'../victim' has '..' in it"))
        #expect(try await refusal { $0.add("a/../../victim", "x") }.contains("has '..' in it"))
        #expect(try await refusal { $0.add("/etc/passwd-paddock", "x") }.contains("'/etc/passwd-paddock' is an absolute path"))
        #expect(try await refusal { $0.pax([("path", "../../../victim")]); $0.add("a", "x") }.contains("has '..' in it"))
        #expect(try await refusal { $0.gnuLong("/victim"); $0.add("a", "x") }.contains("is an absolute path"))
        #expect(try await refusal { $0.add("", "x") }.contains("an empty path"))
        #expect(!Files.exists("/etc/passwd-paddock"))
    }

    @Test("Nothing is written, linked or hidden through a link")
    func links() async throws {
        let outside = place.path + "/outside"
        #expect(
            try await refusal { $0.symlink("d", outside); $0.add("d/file", "x") }.contains("goes through the symbolic link 'd'"))
        #expect(try await refusal { $0.symlink("d", "../../.."); $0.directory("d/e/") }.contains("symbolic link 'd'"))
        #expect(try await refusal { $0.symlink("d", outside); $0.hardLink("h", "d/file") }.contains("not a file of this layer"))
        #expect(try await refusal { $0.hardLink("h", "../../victim") }.contains("has '..' in it"))
        #expect(try await refusal { $0.hardLink("h", place.path + "/victim") }.contains("is an absolute path"))
        #expect(try await refusal { $0.hardLink("h", "missing") }.contains("not a file of this layer"))
        #expect(try await refusal { $0.directory("d/"); $0.hardLink("h", "d") }.contains("not a file of this layer"))
        #expect(try await refusal { $0.symlink("d", "") }.contains("a symbolic link to nothing"))
        #expect(try await refusal { $0.symlink("d", outside); $0.add("d/.wh.file") }.contains("symbolic link 'd'"))
        #expect(try await refusal { $0.add("f", "x"); $0.add("f/g", "y") }.contains("'f', which is not a directory"))
    }

    @Test("A link that points outside is kept as the data it is, and replaced, not followed, by a file of its name")
    func replacedLink() async throws {
        let layer = TestLayer {
            $0.symlink("f", place.path + "/victim")
            $0.add("f", "inside")
            $0.symlink("g", "/etc/shadow")
            $0.symlink("d", place.path + "/outside")
            $0.directory("d/")
            $0.add("d/file", "inside")
        }
        try place.write("archive.tar", TestArchive.oci([layer]).tar)
        let record = try await ImageImporter(store).importImage(from: place.path + "/archive.tar", as: "image")
        let root = store.layerRoot(record.layers[0])
        #expect(try Place.tree(root) == ["d/", "d/file", "f", "g -> /etc/shadow"])
        #expect(try place.text("victim") == "untouched" && place.text("outside/file") == "untouched")
    }

    @Test("Whiteouts cannot name anything but a file of the layers below")
    func whiteouts() async throws {
        for name in [".wh.", ".wh..", ".wh..."] {
            let message = try await refusal { $0.add(name) }
            #expect(message.contains("a whiteout of"), "\(name): \(message)")
        }
        // Merged, a whiteout below a link of a lower layer removes nothing outside.
        let store = try ImageStore(root: place.path + "/merging", whiteouts: false)
        let below = TestLayer { $0.symlink("d", place.path + "/outside") }
        let above = TestLayer {
            $0.add("d/.wh.file")
            $0.add("d/.wh..wh..opq")
            $0.add("d2/x", "x")
        }
        try place.write("archive.tar", TestArchive.oci([below, above]).tar)
        let record = try await ImageImporter(store).importImage(from: place.path + "/archive.tar", as: "image")
        #expect(try Place.tree(store.layerRoot(record.layers[0])) == ["d/", "d2/", "d2/x"])
        #expect(try place.text("outside/file") == "untouched")
    }

    @Test("Devices and fifos are left out, and the record says so")
    func devices() async throws {
        let layer = TestLayer {
            $0.add("null", type: "3")
            $0.add("disk", type: "4")
            $0.add("fifo", type: "6")
            $0.add("file", "x")
        }
        try place.write("archive.tar", TestArchive.oci([layer]).tar)
        let record = try await ImageImporter(store).importImage(from: place.path + "/archive.tar", as: "image")
        #expect(try Place.tree(store.layerRoot(record.layers[0])) == ["file"])
        #expect(record.skipped == ["'null': a device", "'disk': a device", "'fifo': a fifo"])
    }

    @Test("A digest that is not its content's is an error that names the blob, what was found and what was expected")
    func digests() async throws {
        var archive = TestArchive.oci([baseLayer])
        let layer = sha256(baseLayer.tar)
        var changed = baseLayer.tar
        changed[600] ^= 1
        archive.replace("blobs/sha256/" + layer, changed)
        var message = try await refusal(archive)
        #expect(message.contains("blobs/sha256/\(layer): found digest sha256:\(sha256(changed)), expected sha256:\(layer)"))

        // Of the packed bytes as the manifest has it, of the unpacked ones as the configuration has it.
        let packed = try baseLayer.packed(with: "gzip")
        message = try await refusal(.oci([TestLayer(topLayer.tar, packed: packed.packed, suffix: "+gzip")]))
        #expect(message.contains("(unpacked): found digest sha256:\(layer), expected sha256:\(sha256(topLayer.tar))"))

        var docker = TestArchive.docker([baseLayer])
        let member = try #require(docker.files.first { $0.path.hasSuffix("layer.tar") }?.path)
        docker.replace(member, changed)
        message = try await refusal(docker)
        #expect(message.contains("expected sha256:\(layer)"))

        docker = TestArchive.docker([baseLayer])
        let name = try #require(docker.files.first { $0.path.hasSuffix(".json") && $0.path != "manifest.json" }?.path)
        docker.replace(name, TestArchive.configuration([topLayer], environment: []))
        message = try await refusal(docker)
        #expect(message.contains("\(name): found digest sha256:"))

        archive = TestArchive.oci([baseLayer])
        archive.files.removeAll { $0.path.hasSuffix(layer) }
        #expect(try await refusal(archive).contains("found no member 'blobs/sha256/\(layer)'"))
    }

    @Test("Documents that lie, reach out, or are too large or too deep are refused")
    func documents() async throws {
        func docker(_ manifest: Any) async throws -> String {
            var archive = TestArchive.docker([baseLayer])
            archive.replace("manifest.json", TestArchive.json(manifest))
            return try await refusal(archive)
        }
        let good = try #require(TestArchive.docker([baseLayer]).files.first { $0.path.hasSuffix(".json") }?.path)
        #expect(try await docker([["Config": "../../victim", "Layers": []]]).contains("a name that is its SHA-256"))
        #expect(try await docker([["Config": good, "Layers": ["../../victim"]]]).contains("its name reaches outside the archive"))
        #expect(try await docker([["Config": good, "Layers": ["/etc/passwd"]]]).contains("its name reaches outside the archive"))
        #expect(try await docker([["Config": good, "Layers": []] as [String: Any]]).contains("found 1 diff_ids for 0 layers"))
        #expect(try await docker([["Config": 3, "Layers": []] as [String: Any]]).contains("something other than String at '[0].Config'"))
        #expect(try await docker(["a": 1]).contains("docker's list of images"))

        var archive = TestArchive.docker([baseLayer])
        archive.replace("manifest.json", Array(String(repeating: "[", count: 1_000_000).utf8))
        #expect(try await refusal(archive).contains("broken JSON"))
        archive.replace("manifest.json", [UInt8](repeating: 32, count: 5 << 20))
        #expect(try await refusal(archive).contains("found 5242880 bytes, expected at most 4194304 bytes"))

        archive = .oci([baseLayer])
        archive.replace("oci-layout", Array(#"{"imageLayoutVersion":"2"}"#.utf8))
        #expect(try await refusal(archive).contains("expected '1.0.0'"))
        archive = .oci([baseLayer])
        archive.replace("index.json", TestArchive.json(["manifests": [["digest": "sha256:../../../victim", "size": 9]]]))
        #expect(try await refusal(archive).contains("'sha256:' and 64 hexadecimal digits"))
        archive.replace("index.json", TestArchive.json(["manifests": [["digest": "md5:" + sha256([]), "size": 9]]]))
        #expect(try await refusal(archive).contains("'sha256:' and 64 hexadecimal digits"))
        #expect(try await refusal(.oci([baseLayer], environment: ["NOVALUE"])).contains("config.Env: found 'NOVALUE'"))
        #expect(try await refusal(.oci([baseLayer], environment: ["A B=c"])).contains("expected NAME=value"))
        #expect(try await refusal(.oci([TestLayer(baseLayer.tar, suffix: "+encrypted")])).contains("media type"))
        #expect(try await refusal(.oci([])).contains("found 0 layers"))
        #expect(try await refusal(TestArchive(files: [("a", [1])])).contains("neither 'oci-layout' nor 'manifest.json'"))
    }

    @Test("Links of an archive are followed inside it only, and not in circles")
    func archiveLinks() async throws {
        var tar = Tar()
        for file in TestArchive.docker([baseLayer]).files {
            if file.path.hasSuffix("layer.tar") { tar.symlink(String(file.path.prefix(99)), place.path + "/victim") } else { tar.addBytes(file.path, file.bytes) }
        }
        try place.write("escaping.tar", tar.finished)
        let importer = ImageImporter(store)
        let escaping = await #expect(throws: ImageError.self) { try await importer.importImage(from: place.path + "/escaping.tar", as: "a") }
        #expect(escaping?.description.contains("found no member") == true)
        tar = Tar()
        tar.symlink("manifest.json", "other")
        tar.symlink("other", "manifest.json")
        try place.write("circle.tar", tar.finished)
        let circle = await #expect(throws: ImageError.self) { try await importer.importImage(from: place.path + "/circle.tar", as: "a") }
        #expect(circle?.description.contains("a chain of more than 8 links") == true)

        // A directory's links are not followed at all.
        try TestArchive.oci([baseLayer]).writeDirectory(place.path + "/layout")
        try place.write("index-elsewhere", place.text("layout/index.json"))
        try Files.removeTree(place.path + "/layout/index.json")
        try Files.makeLink(at: Files.openDirectory(place.path + "/layout"), "index.json", to: "../index-elsewhere")
        await #expect(throws: ImageError.self) { try await importer.importImage(from: place.path + "/layout", as: "a") }
    }

    @Test("What is too much is refused before it fills the disk")
    func bombs() async throws {
        let big = TestLayer { $0.add("zeros", String(repeating: "\0", count: 4 << 20)) }
        let packed = try big.packed(with: "gzip")
        #expect(packed.packed.count < 16 << 10)
        #expect(try await refusal(.oci([packed])) { $0.bounds.layerBytes = 1 << 20 }.contains("more than 1048576 bytes of files"))
        let trailing = TestLayer(Tar().finished + [UInt8](repeating: 0, count: 4 << 20))
        #expect(
            try await refusal(.oci([try trailing.packed(with: "gzip")])) { $0.bounds.layerBytes = 1 << 20 }
                .contains("more than 2097152 bytes unpacked"))
        let many = TestLayer { tar in for number in 0..<50 { tar.add("f\(number)") } }
        #expect(try await refusal(.oci([many])) { $0.bounds.entries = 40 }.contains("more than 40 members"))
        #expect(
            try await refusal { $0.gnuLong(String(repeating: "d/", count: 300)); $0.directory("d/") }.contains("300 directories deep"))
        #expect(try await refusal { $0.gnuLong(String(repeating: "n", count: 300)); $0.add("n") }.contains("a name of 300 bytes"))
        #expect(try await refusal { $0.add("f", declaredSize: 1 << 30) }.contains("whole tar archive"))
        let broken = TestLayer(baseLayer.tar, packed: Array(try baseLayer.packed(with: "gzip").packed.dropLast(20)), suffix: "+gzip")
        #expect(try await refusal(.oci([broken])).contains("data that gzip cannot unpack"))
        let layers = (0..<5).map { number in TestLayer { $0.add("f\(number)") } }
        #expect(try await refusal(.oci(layers)) { $0.bounds.layers = 4 }.contains("found 5 layers"))
    }

    @Test("An archive that is not there, not an archive, or not a file is an error that says so")
    func notAnArchive() async throws {
        let importer = ImageImporter(store)
        func message(_ path: String, as name: String = "a") async -> String {
            do {
                return "accepted \(try await importer.importImage(from: path, as: name))"
            } catch {
                return "\(error)"
            }
        }
        try place.write("text", String(repeating: "hello ", count: 200))
        try place.write("empty", "")
        #expect(await message(place.path + "/missing").contains("No such file"))
        #expect(await message(place.path + "/text").contains("expected octal digits"))
        #expect(await message(place.path + "/empty").contains("whole tar archive"))
        #expect(await message("/dev/null").contains("a special file"))
        #expect(await message(place.path + "/outside").contains("neither 'oci-layout' nor 'manifest.json'"))
        #expect(await message(place.path + "/text", as: "host").contains("image name: found 'host'"))
        #expect(await message(place.path + "/text", as: "../x").contains("image name: found '../x'"))
    }
}
