import TestKit
import Testing

@testable import Images

/// Remembers everything a parser says.
private struct Recorder: TarSink {
    var entries: [TarEntry] = []
    var contents: [String] = []
    private var current: [UInt8] = []

    mutating func entry(_ entry: TarEntry) { entries.append(entry) }
    mutating func data(_ bytes: ArraySlice<UInt8>) { current += bytes }
    mutating func endEntry() {
        contents.append(String(decoding: current, as: UTF8.self))
        current = []
    }
}

@Suite struct TarParserTests {
    private func parse(_ bytes: [UInt8], piece: Int = .max) throws -> Recorder {
        var recorder = Recorder()
        var parser = TarParser(name: "a.tar")
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(piece)
            try parser.feed(Array(part), into: &recorder)
            rest = rest.dropFirst(part.count)
        }
        try parser.finish()
        return recorder
    }

    @Test("A stream says the same in pieces of any size", arguments: [1, 7, 511, 512, 513, 4096, Int.max])
    func pieces(_ size: Int) throws {
        var tar = Tar()
        tar.directory("d/", mode: 0o1777)
        tar.add("d/empty")
        tar.add("d/a", String(repeating: "x", count: 1000), mode: 0o755)
        tar.add("d/b", String(repeating: "y", count: 512))
        tar.symlink("l", "../x")
        tar.hardLink("h", "d/a")
        tar.add("name", "in two fields", prefix: "a/long")
        tar.gnuLong(String(repeating: "g/", count: 100) + "end")
        tar.add("short", "gnu")
        tar.pax([("path", String(repeating: "p", count: 300)), ("mtime", "12345.678"), ("SCHILY.xattr.user.x", "ignored")])
        tar.add("short", "pax")
        tar.pax([("comment", "abc")], type: "g")
        tar.add("after", "z", type: "\0")
        let seen = try parse(tar.finished + [1, 2, 3], piece: size)
        #expect(seen.entries.map(\.path) == [
            "d/", "d/empty", "d/a", "d/b", "l", "h", "a/long/name", String(repeating: "g/", count: 100) + "end",
            String(repeating: "p", count: 300), "after",
        ])
        #expect(seen.entries.map(\.kind) == [
            .directory, .file, .file, .file, .symbolicLink, .hardLink, .file, .file, .file, .file,
        ])
        #expect(seen.contents == [
            "", String(repeating: "x", count: 1000), String(repeating: "y", count: 512), "in two fields", "gnu", "pax", "z",
        ])
        #expect(seen.entries[0].mode == 0o1777)
        #expect(seen.entries[4].link == "../x" && seen.entries[5].link == "d/a")
        #expect(seen.entries[8].modified == 12345 && seen.entries[9].modified == 1_600_000_000)
    }

    @Test("What the system's tar writes is read, in each of its formats", arguments: ["gnu", "posix", "ustar", "v7"])
    func system(_ format: String) throws {
        let place = try Place()
        try place.write("in/a/one", "1")
        try place.write("in/ü", "2")
        if format == "gnu" || format == "posix" { try place.write("in/" + String(repeating: "n", count: 150), "3") }
        try Files.makeLink(at: Files.openDirectory(place.path + "/in"), "link", to: "a/one")
        #expect(try shell(["tar", "-C", place.path + "/in", "--format=" + format, "-cf", place.path + "/t", "."]).status == 0)
        let seen = try parse(Files.read(place.path + "/t", limit: 1 << 20))
        #expect(Set(seen.contents) == (format == "gnu" || format == "posix" ? ["1", "2", "3"] : ["1", "2"]))
        #expect(seen.entries.contains { $0.path == "./ü" })
        #expect(seen.entries.contains { $0.path == "./link" && $0.link == "a/one" && $0.kind == .symbolicLink })
    }

    @Test("A stream that is cut anywhere within a member is an error")
    func cut() throws {
        var tar = Tar()
        tar.add("a", String(repeating: "x", count: 700))
        for length in [0, 1, 511, 513, 1000, 1211, 1212, 1535] {
            #expect(throws: ImageError.self, "\(length)") { try parse(Array(tar.finished.prefix(length))) }
        }
        #expect(try parse(tar.bytes).entries.count == 1)
    }

    @Test("What a tar must not be is refused, with what was found")
    func refused() {
        func message(_ build: (inout Tar) -> Void) -> String {
            var tar = Tar()
            build(&tar)
            do {
                return "accepted \(try parse(tar.finished).entries)"
            } catch {
                return "\(error)"
            }
        }
        #expect(message { $0.add("a", type: "S") }.contains("of type 'S'"))
        #expect(message { $0.pax([("GNU.sparse.major", "1")]); $0.add("a") }.contains("sparse file"))
        #expect(message { $0.pax([("size", "-1")]); $0.add("a") }.contains("pax size '-1'"))
        #expect(message { $0.pax([("size", "9223372036854775807")]); $0.add("a") }.contains("at most 1125899906842624 bytes"))
        #expect(message { $0.pax([("path", "x")], type: "g"); $0.add("a") }.contains("global header that sets path"))
        #expect(message { $0.pax([("path", "a\0b")]); $0.add("a") }.contains("NUL"))
        #expect(message { $0.add("x", "99999 path=a\n", type: "x"); $0.add("a") }.contains("pax header that cannot be read"))
        #expect(message { $0.add("x", "-5 path=a\n", type: "x"); $0.add("a") }.contains("pax header that cannot be read"))
        #expect(message { $0.pax([("path", String(repeating: "p", count: 5000))]); $0.add("a") }.contains("a path of 5000 bytes"))
        #expect(message { $0.add("x", type: "L", declaredSize: 1 << 30) }.contains("1073741824 bytes"))
        var broken = Tar()
        broken.add("a")
        var bytes = broken.finished
        bytes[0] = UInt8(ascii: "b")
        #expect(throws: ImageError.malformed(item: "a.tar", found: "a header with a wrong checksum at byte 0", expected: "a tar header")) {
            try parse(bytes)
        }
        #expect(throws: ImageError.self) { try parse([UInt8](repeating: 0xff, count: 2048)) }
    }

    @Test("Broken archives are read or refused, and never crash")
    func mutations() {
        var tar = Tar()
        tar.pax([("path", "some/path"), ("mtime", "1.5")])
        tar.add("a", "content")
        tar.gnuLong("long/name")
        tar.add("b", "more")
        tar.symlink("c", "a")
        let whole = tar.finished
        var generator = SeededRandom(42)
        for _ in 0..<1500 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[place] = UInt8.random(in: 0...255, using: &generator)
                // With its checksum made right again, so that what is behind it is reached.
                let start = place / 512 * 512
                let sum = (0..<512).reduce(0) { $0 + ((148..<156).contains($1) ? 32 : Int(bytes[start + $1])) }
                for (index, byte) in Array((String(sum, radix: 8) + "\0 ").utf8).enumerated() {
                    bytes[start + 148 + index] = byte
                }
            }
            _ = try? parse(bytes, piece: 600)
        }
        #expect((try? parse(whole))?.contents == ["content", "more"])
    }
}
