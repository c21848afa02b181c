// Programs in C, compiled by the machine's own gcc when a test first needs them.

import Foundation
import SandboxCore
import Synchronization
import Testing

enum Victim {
    static let hasCompiler: Bool = {
        let found = FileManager.default.isExecutableFile(atPath: "/usr/bin/gcc")
        if !found { print("no /usr/bin/gcc on this machine: tests with victims in C are skipped") }
        return found
    }()

    private static let made = Mutex<[String: [UInt8]]>([:])

    /// The compiled program as a file to be placed in a sandbox, called `victim`.
    static func c(_ source: String, _ flags: [String] = []) throws -> PlacedFile {
        let key = flags.joined(separator: " ") + source
        if let known = made.withLock({ $0[key] }) { return PlacedFile(path: "victim", bytes: known, mode: 0o755) }
        let path = "\(Harness.scratch)/victim-\(UUID().uuidString)"
        try source.write(toFile: path + ".c", atomically: true, encoding: .utf8)
        let gcc = try Program(["/usr/bin/gcc", "-O1", "-w", "-pthread", "-o", path, path + ".c"] + flags)
        try #require(gcc.wait() == 0, "gcc compiles the victim: \(gcc.text)")
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        made.withLock { $0[key] = bytes }
        return PlacedFile(path: "victim", bytes: bytes, mode: 0o755)
    }
}
