// Runs a suite as the farm would, but outside any sandbox: places the plan's files, runs its command in a directory of
// its own, brings the report back, and judges.

import Foundation
import SandboxCore
import Testing

@testable import Judging

struct Bench {
    let root: URL
    var environment: [String: String]

    init(_ files: [String: String] = [:]) throws {
        root = FileManager.default.temporaryDirectory.appendingPathComponent("judging-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        environment = ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"]
        for (path, text) in files { try write(path, text) }
    }

    func write(_ path: String, _ text: String) throws {
        let url = root.appendingPathComponent(path)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    func remove() { try? FileManager.default.removeItem(at: root) }

    struct Ran {
        var outcome: Outcome
        var stdout: String
    }

    /// The command's standard output goes to a file, so that no size of it can block the command.
    /// - Parameter renames: as the farm does with a plan's.
    func run(_ arguments: [String], renames: [String: String] = [:]) throws -> Ran {
        var environment = environment
        for (name, other) in renames { if let value = environment.removeValue(forKey: name), !value.isEmpty { environment[other] = value } }
        let output = FileManager.default.temporaryDirectory.appendingPathComponent("judging-\(UUID().uuidString).out")
        try Data().write(to: output)
        defer { try? FileManager.default.removeItem(at: output) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.environment = environment
        process.currentDirectoryURL = root
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = process.standardOutput
        try process.run()
        process.waitUntilExit()
        let code = Int(process.terminationStatus)
        let text = String(decoding: try Data(contentsOf: output), as: UTF8.self)
        return Ran(outcome: process.terminationReason == .exit ? .exited(code: code) : .signaled(signal: code), stdout: text)
    }

    /// The whole journey of a test job. `tamper` may change the report before it is judged.
    func judge(_ request: TestRequest, tamper: (inout [UInt8]) -> Void = { _ in }) throws -> (report: TestReport, ran: Ran) {
        let plan = try Judge.plan(for: request, command: nil)
        let directory = URL(fileURLWithPath: plan.files[0].path).deletingLastPathComponent()
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        for file in plan.files { try Data(file.bytes).write(to: URL(fileURLWithPath: file.path)) }
        let ran = try run(plan.arguments, renames: plan.renames)
        var files: [CollectedFile] = []
        for wanted in plan.collect {
            guard let data = FileManager.default.contents(atPath: wanted.pattern) else { continue }
            var bytes = [UInt8](data)
            tamper(&bytes)
            files.append(CollectedFile(path: wanted.pattern, bytes: bytes, size: bytes.count, mode: 0o600))
        }
        #expect(!FileManager.default.fileExists(atPath: directory.appendingPathComponent("key").path), "the key was left behind")
        return (Judge.judge(request, plan: plan, outcome: ran.outcome, stdout: Output(), files: files), ran)
    }
}

/// Runs a suite of these files and judges it.
func judged(
    _ framework: TestFramework, _ files: [String: String], paths: [String] = [], arguments: [String] = [],
    environment: [String: String] = [:]
) throws -> TestReport {
    var bench = try Bench(files)
    defer { bench.remove() }
    bench.environment.merge(environment) { $1 }
    return try bench.judge(TestRequest(framework: framework, paths: paths, arguments: arguments)).report
}

extension TestReport {
    var outcomes: [String: TestOutcome] { Dictionary(tests.map { ($0.id, $0.outcome) }) { first, _ in first } }

    var reason: String {
        switch completion {
        case .complete: ""
        case .endedEarly(let reason), .unreadable(let reason): reason
        }
    }
}
