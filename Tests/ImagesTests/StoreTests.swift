import Foundation
import Testing

@testable import Images

@Suite struct StoreTests {
    let place: Place
    let store: ImageStore

    init() throws {
        place = try Place()
        store = try ImageStore(root: place.path + "/store")
    }

    private func layer(_ name: String) -> TestLayer { TestLayer { $0.add(name, name) } }

    @discardableResult
    private func importing(_ layers: [String], as name: String) async throws -> ImageRecord {
        let path = place.path + "/\(name).tar"
        try place.write("\(name).tar", TestArchive.oci(layers.map(layer)).tar)
        return try await ImageImporter(store).importImage(from: path, as: name)
    }

    private func layers() throws -> Set<String> { Set(try Files.names(in: store.root + "/layers")) }
    private func digest(_ name: String) -> String { sha256(layer(name).tar) }

    @Test("Removing an image removes the layers no other image has")
    func removal() async throws {
        try await importing(["base", "one"], as: "one")
        try await importing(["base", "two"], as: "two")
        #expect(try layers() == [digest("base"), digest("one"), digest("two")])
        #expect(try store.remove("one") == [])
        #expect(try layers() == [digest("base"), digest("two")])
        #expect(try Place.tree(store.layerRoot(digest("base"))) == ["base"])
        try await importing(["three"], as: "two")
        #expect(try layers() == [digest("three")])
        try store.remove("two")
        #expect(try layers() == [] && store.list() == [])
        #expect(try Files.names(in: store.temporary) == [])
    }

    @Test("Layers that a sandbox stands on outlive their image until it ends")
    func holds() async throws {
        try await importing(["base", "one"], as: "one")
        var image: ResolvedImageFiles? = try store.resolve("one")
        let root = try #require(image?.root.layers.first)
        #expect(Set(try store.remove("one")) == [digest("base"), digest("one")])
        #expect(try Place.tree(root) == ["one"])
        try await importing(["other"], as: "other")
        #expect(try layers().count == 3)
        // The same layers again, while the old ones are still in use: they are taken as they are.
        try await importing(["base"], as: "again")
        try store.remove("again")
        image = nil
        #expect(image == nil)
        try store.remove("other")
        #expect(try layers() == [])
    }

    @Test("A name that is not known is an error that lists the known ones")
    func unknown() async throws {
        try await importing(["a"], as: "python")
        #expect(throws: ImageError.unknownImage(name: "pyhton", known: ["host", "python"])) { try store.resolve("pyhton") }
        #expect(throws: ImageError.unknownImage(name: "x", known: ["host", "python"])) { try store.remove("x") }
        let error = #expect(throws: ImageError.self) { try store.inspect("pyhton") }
        #expect(error?.description == "unknown image 'pyhton': known are host, python; did you mean 'python'?")
        for name in ["../images/python", "", "A", "a/b", "a\0b"] {
            #expect(throws: ImageError.badName(name, expected: imageNameRule)) { try store.resolve(name) }
        }
        #expect(throws: ImageError.self) { try store.remove("host") }
        await #expect(throws: ImageError.self) { try await store.exportTar("host", to: place.path + "/x") }
    }

    @Test("An image has a PATH, and keeps its own")
    func environment() async throws {
        try place.write("a.tar", TestArchive.oci([layer("a")], environment: ["X=1"]).tar)
        _ = try await ImageImporter(store).importImage(from: place.path + "/a.tar", as: "a")
        #expect(try store.resolve("a").environment == ["X": "1", "PATH": defaultPath])
        try await importing(["b"], as: "b")
        #expect(try store.resolve("b").environment == ["PATH": "/usr/bin:/bin"])
    }

    @Test("A record that is damaged is named, and costs no other image its layers")
    func damaged() async throws {
        try await importing(["a"], as: "a")
        try await importing(["b"], as: "b")
        for text in ["", "{", #"{"name":"a"}"#, try place.text("store/images/b.json"), String(repeating: "[", count: 100_000)] {
            try place.write("store/images/a.json", text)
            let error = #expect(throws: ImageError.self) { try store.resolve("a") }
            #expect(error?.description.contains("store/images/a.json") == true)
            #expect(throws: ImageError.self) { try store.list() }
        }
        try place.write("store/images/a.json", try place.text("store/images/b.json")
            .replacingOccurrences(of: #""b""#, with: #""a""#).replacingOccurrences(of: digest("b"), with: "../../../etc"))
        #expect(throws: ImageError.self) { try store.resolve("a") }
        try store.remove("b")
        #expect(try layers() == [digest("a"), digest("b")])
        try store.remove("a")
        #expect(try layers() == [])
    }

    @Test("A layer that went missing is an error, not half an image")
    func missingLayer() async throws {
        try await importing(["a", "b"], as: "a")
        try Files.removeTree(store.layerPath(digest("a")))
        let error = #expect(throws: ImageError.self) { try store.resolve("a") }
        #expect(error?.description.contains("no layer \(digest("a"))") == true)
        try await importing(["a", "b"], as: "a")
        #expect(try store.resolve("a").root.layers.count == 2)
    }

    @Test("What a killed process left is swept when the store is opened; what is under way is not")
    func sweeping() throws {
        // As a killed build leaves it: the directory and the lock file, which nobody holds.
        try place.write("store/tmp/1-dead/root/etc/passwd", "x")
        try place.write("store/tmp/1-dead.lock", "")
        try place.write("store/tmp/2-dead/root/x", "x")
        try place.write("store/tmp/3-dead.lock", "")
        let alive = try store.makeWork()
        try place.write("store/tmp/" + (alive.path as NSString).lastPathComponent + "/x", "x")
        _ = try ImageStore(root: store.root)
        #expect(try Files.names(in: store.temporary).count == 2)
        #expect(Files.exists(alive.path + "/x"))
    }

    @Test("A directory that a program of a killed process still works in is not swept")
    func programsHold() throws {
        let path = store.temporary + "/9-killed"
        try place.write("store/tmp/9-killed/x", "x")
        #expect(try shell(["mkfifo", place.path + "/fifo"]).status == 0)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "read line < \"$0\"", place.path + "/fifo"]
        do {
            // As `Tools.run` does it; then the lock is only the program's.
            let lock = try Files.openOrCreate(path + ".lock")
            #expect(try Files.lock(lock, exclusive: true, wait: false))
            process.standardInput = FileHandle(fileDescriptor: lock.raw, closeOnDealloc: false)
            try process.run()
        }
        _ = try ImageStore(root: store.root)
        #expect(Files.exists(path + "/x"))
        try #require(FileHandle(forWritingAtPath: place.path + "/fifo")).write(contentsOf: Data("done\n".utf8))
        process.waitUntilExit()
        _ = try ImageStore(root: store.root)
        #expect(try Files.names(in: store.temporary) == [])
    }

    @Test("Removal stops at the border of another file system")
    func mounts() throws {
        try place.write("tree/a/x", "x")
        try Files.makeDirectories(place.path + "/tree/proc")
        // /proc/self/fdinfo is how mounts are told apart, and /proc itself is one that is always there.
        #expect(try Files.mountID(Files.openDirectory("/proc")) != Files.mountID(Files.openDirectory(place.path)))
        #expect(throws: ImageError.malformed(item: "proc", found: "something mounted on it", expected: "a plain directory")) {
            try Files.removeTree("/proc")
        }
        try Files.removeTree(place.path + "/tree")
        #expect(!place.exists("tree"))
    }

    @Test("Twenty imports and removals at once, of images that share layers, end in a whole store")
    func concurrent() async throws {
        for number in 0..<4 { try place.write("\(number).tar", TestArchive.oci(["base", "\(number)"].map(layer)).tar) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for round in 0..<20 {
                group.addTask {
                    // A store of its own, as another process would have.
                    let store = try ImageStore(root: self.store.root)
                    let number = round % 4
                    _ = try await ImageImporter(store).importImage(from: "\(self.place.path)/\(number).tar", as: "i\(number)")
                    if round % 3 == 0 {
                        // Another may have removed it first.
                        do { try store.remove("i\(number)") } catch ImageError.unknownImage {}
                    } else if let image = try? store.resolve("i\(number)") {
                        #expect(try Place.tree(image.root.layers[0]) == ["\(number)"])
                        #expect(try Place.tree(image.root.layers[1]) == ["base"])
                    }
                }
            }
            try await group.waitForAll()
        }
        var expected: Set<String> = []
        for record in try store.list() {
            expected.formUnion(record.layers)
            #expect(try store.resolve(record.name).root.layers.count == 2)
        }
        _ = try ImageStore(root: store.root)
        try await importing(["last"], as: "last")
        #expect(try layers() == expected.union([digest("last")]))
        #expect(try Files.names(in: store.temporary) == [])
    }
}
