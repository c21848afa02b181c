// Archives made by hand, down to the header's bytes, so that tests can say exactly what is wrong with one.

import Crypto
import Foundation
import Testing

@testable import Images

/// A tar, member by member.
struct Tar {
    private(set) var bytes: [UInt8] = []

    mutating func add(
        _ path: String, _ content: String = "", mode: Int = 0o644, type: Character = "0", link: String = "",
        prefix: String = "", declaredSize: Int? = nil
    ) {
        let body = Array(content.utf8)
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, _ offset: Int, _ length: Int) {
            for (index, byte) in text.utf8.prefix(length).enumerated() { header[offset + index] = byte }
        }
        put(path, 0, 100)
        put(octal(mode, 7), 100, 8)
        put(octal(0, 7), 108, 8)
        put(octal(0, 7), 116, 8)
        put(octal(declaredSize ?? body.count, 11), 124, 12)
        put(octal(1_600_000_000, 11), 136, 12)
        put(String(type), 156, 1)
        put(link, 157, 100)
        put("ustar", 257, 6)
        put("00", 263, 2)
        put(prefix, 345, 155)
        let sum = header.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
        put(octal(sum, 6) + "\0 ", 148, 8)
        bytes += header + body + [UInt8](repeating: 0, count: (512 - body.count % 512) % 512)
    }

    mutating func directory(_ path: String, mode: Int = 0o755) { add(path, mode: mode, type: "5") }
    mutating func symlink(_ path: String, _ target: String) { add(path, mode: 0o777, type: "2", link: target) }
    mutating func hardLink(_ path: String, _ target: String) { add(path, type: "1", link: target) }

    /// An extended header for the member after it.
    mutating func pax(_ records: [(String, String)], type: Character = "x") {
        var text = ""
        for (key, value) in records {
            let rest = " \(key)=\(value)\n"
            var length = rest.utf8.count + 1
            while "\(length)\(rest)".utf8.count != length { length = "\(length)\(rest)".utf8.count }
            text += "\(length)\(rest)"
        }
        add("PaxHeaders/x", text, type: type)
    }

    mutating func gnuLong(_ path: String, type: Character = "L") { add("././@LongLink", path + "\0", type: type) }

    /// With the two empty blocks at its end.
    var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }

    private func octal(_ value: Int, _ width: Int) -> String {
        let digits = String(value, radix: 8)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

/// A layer as it lies in an archive.
struct TestLayer {
    var tar: [UInt8]
    var packed: [UInt8]
    var mediaType: String

    init(_ tar: [UInt8], packed: [UInt8]? = nil, suffix: String = "") {
        self.tar = tar
        self.packed = packed ?? tar
        mediaType = "application/vnd.oci.image.layer.v1.tar" + suffix
    }

    init(_ build: (inout Tar) -> Void) {
        var tar = Tar()
        build(&tar)
        self.init(tar.finished)
    }

    /// Packed with the program of that name.
    func packed(with tool: String) throws -> TestLayer {
        TestLayer(tar, packed: try pipe(tool, ["-c"], tar), suffix: tool == "gzip" ? "+gzip" : "+zstd")
    }
}

/// An image as an OCI layout's or docker archive's files.
struct TestArchive {
    var files: [(path: String, bytes: [UInt8])] = []

    static func configuration(_ layers: [TestLayer], environment: [String], architecture: String = hostArchitecture) -> [UInt8] {
        json([
            "architecture": architecture, "os": "linux", "created": "2025-01-01T00:00:00Z",
            "config": ["Env": environment, "Cmd": ["bash"], "WorkingDir": "/"],
            "rootfs": ["type": "layers", "diff_ids": layers.map { "sha256:" + sha256($0.tar) }],
            "history": layers.map { _ in ["created_by": "by hand"] },
        ])
    }

    /// As `skopeo copy … oci:` and buildah write them.
    static func oci(_ layers: [TestLayer], environment: [String] = ["PATH=/usr/bin:/bin"], reference: String = "latest") -> TestArchive {
        var archive = TestArchive()
        let configuration = configuration(layers, environment: environment)
        let manifest = json([
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", configuration),
            "layers": layers.map { descriptor($0.mediaType, $0.packed) },
        ])
        var entry = descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
        entry["annotations"] = ["org.opencontainers.image.ref.name": reference]
        archive.files.append(("oci-layout", Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8)))
        archive.files.append(("index.json", json(["schemaVersion": 2, "manifests": [entry]])))
        for blob in [configuration, manifest] + layers.map(\.packed) { archive.files.append(("blobs/sha256/" + sha256(blob), blob)) }
        return archive
    }

    /// As `docker save` wrote them up to version 24.
    static func docker(_ layers: [TestLayer], environment: [String] = ["PATH=/usr/bin:/bin"], tag: String = "thing:1") -> TestArchive {
        var archive = TestArchive()
        let configuration = configuration(layers, environment: environment)
        let names = layers.map { sha256(Array("id".utf8) + $0.tar) + "/layer.tar" }
        for (name, layer) in zip(names, layers) {
            archive.files.append((name.replacingOccurrences(of: "layer.tar", with: "VERSION"), Array("1.0".utf8)))
            archive.files.append((name, layer.packed))
        }
        archive.files.append((sha256(configuration) + ".json", configuration))
        archive.files.append(
            ("manifest.json", json([["Config": sha256(configuration) + ".json", "RepoTags": [tag], "Layers": names] as [String: Any]])))
        return archive
    }

    static func descriptor(_ type: String, _ bytes: [UInt8]) -> [String: Any] {
        ["mediaType": type, "digest": "sha256:" + sha256(bytes), "size": bytes.count]
    }

    static func json(_ value: Any) -> [UInt8] {
        Array(try! JSONSerialization.data(withJSONObject: value, options: [.sortedKeys]))
    }

    mutating func replace(_ path: String, _ bytes: [UInt8]) {
        files = files.map { $0.path == path ? (path, bytes) : $0 }
    }

    func writeDirectory(_ path: String) throws {
        for file in files {
            let place = path + "/" + file.path
            try FileManager.default.createDirectory(
                atPath: (place as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try Data(file.bytes).write(to: URL(fileURLWithPath: place))
        }
    }

    var tar: [UInt8] {
        var tar = Tar()
        for file in files { tar.addBytes(file.path, file.bytes) }
        return tar.finished
    }
}

extension Tar {
    mutating func addBytes(_ path: String, _ content: [UInt8]) {
        // The name may be longer than a header holds.
        if path.utf8.count > 99 { gnuLong(path) }
        add(String(path.prefix(99)), declaredSize: content.count)
        bytes += content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }
}

/// A program's output for some input. The input has to fit a file, not a pipe.
func pipe(_ tool: String, _ arguments: [String], _ input: [UInt8]) throws -> [UInt8] {
    let place = try Place()
    let file = place.path + "/input"
    try Data(input).write(to: URL(fileURLWithPath: file))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [tool] + arguments
    process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let bytes = Array(output.fileHandleForReading.readDataToEndOfFile())
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(tool) exited with \(process.terminationStatus)")
    return bytes
}
