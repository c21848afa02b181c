// A directory of a test's own, and what tests ask about files.

import Foundation
import Testing

@testable import Images

/// A fresh directory, removed with the last reference.
final class Place: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "paddock-images-\(UInt64.random(in: 0...UInt64.max))"
        try Files.makeDirectories(path)
    }

    deinit { try? Files.removeTree(path) }

    func write(_ name: String, _ text: String, mode: Int = 0o644) throws {
        try write(name, Array(text.utf8), mode: mode)
    }

    func write(_ name: String, _ bytes: [UInt8], mode: Int = 0o644) throws {
        let place = path + "/" + name
        try Files.makeDirectories((place as NSString).deletingLastPathComponent)
        let file = try Files.openOrCreate(place, truncate: true)
        try Files.write(file, bytes[...])
        try Files.setMode(file, mode)
    }

    func text(_ name: String) throws -> String {
        String(decoding: try Files.read(path + "/" + name, limit: 1 << 24), as: UTF8.self)
    }

    func exists(_ name: String) -> Bool { Files.status(path + "/" + name, follow: false) != nil }

    /// Every path below, sorted; a link with its target.
    func tree(_ name: String = "") throws -> [String] { try Self.tree(path + "/" + name) }

    static func tree(_ path: String) throws -> [String] {
        var found: [String] = []
        func walk(_ directory: Descriptor, _ prefix: String) throws {
            for name in try Files.names(directory) {
                let status = try #require(try Files.status(at: directory, name))
                switch status.kind {
                case .directory:
                    found.append(prefix + name + "/")
                    try walk(Files.openDirectory(at: directory, name), prefix + name + "/")
                case .link: found.append(prefix + name + " -> " + (try Files.readLink(at: directory, name)))
                case .file: found.append(prefix + name)
                case .other: found.append(prefix + name + " (device)")
                }
            }
        }
        try walk(Files.openDirectory(path), "")
        return found.sorted()
    }
}

/// The repository's own definitions.
let imagesFolder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path + "/images"

/// Runs a program; its output and errors together, and its exit status.
func shell(_ arguments: [String]) throws -> (status: Int32, text: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
}
