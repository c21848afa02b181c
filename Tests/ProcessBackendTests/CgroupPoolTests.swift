// Which cgroup a sandbox gets: one below the farm's own, or, of a farm for one sandbox, that itself.

import Foundation
import LinuxSystem
@testable import ProcessBackend
import SandboxCore
import Testing

@Suite("A farm for one sandbox", .enabled(if: Harness.hasCgroups, "this takes cgroups"))
struct OneSandboxTests {
    @Test("gives it its own cgroup, with the limits of each job, and leaves nothing")
    func itsOwn() async throws {
        let backend = try Harness.backend(isForOneSandbox: true)
        for _ in 0..<2 {
            // Whoever waits in the sandbox is in the farm's directory itself; there is no other below it.
            let sandbox = try await backend.makeSandbox(Harness.spec())
            let running = Task { try await sandbox.run(Harness.plan(["sh", "-c", "echo up; exec sleep 20"]) { $0.stream = true }) { _, _ in
                for directory in backend.cgroupDirectories {
                    let inside = (try? Files.readFile("\(directory)/cgroup.procs"))?.split(separator: "\n") ?? []
                    if inside.count != 1 || !children(of: directory).isEmpty { Issue.record("\(directory): \(inside) \(children(of: directory))") }
                }
                sandbox.cancel(by: .client)
            } }
            #expect(try await running.value.outcome == .cancelled(by: .client))
            await sandbox.destroy()
        }
        let greedy = try await Harness.python("x = 'x' * (200 << 20)", on: backend) { $0.limits.memoryBytes = 32 << 20 }
        #expect(greedy.exceeded?.limit == .memory, "\(greedy.outcome)")
        let directories = backend.cgroupDirectories
        #expect(!directories.isEmpty)
        await backend.shutdown()
        #expect(directories.allSatisfy { !FileManager.default.fileExists(atPath: $0) })
    }

    @Test("holds a second one beside the first to its own limits alone")
    func second() async throws {
        let backend = try Harness.backend(isForOneSandbox: true)
        let first = try await backend.makeSandbox(Harness.spec())
        let one = backend.cgroupDirectories.count
        let (started, told) = AsyncStream.makeStream(of: Void.self)
        let running = Task { try await first.run(Harness.plan(["sh", "-c", "echo up; exec sleep 60"]) { $0.stream = true; $0.limits.processes = 2 }) { _, _ in told.yield() } }
        _ = await started.first { true }
        // Twelve processes, where the first may have two.
        let report = try await Harness.sh("for i in 1 2 3 4 5 6 7 8 9 10 11; do sleep 0.2 & done; wait; echo all", on: backend) { $0.limits.processes = 40 }
        #expect(report.stdout.text == "all\n", "\(report.outcome)")
        first.cancel(by: .client)
        #expect(try await running.value.outcome == .cancelled(by: .client))
        await first.destroy()
        let directories = backend.cgroupDirectories
        #expect(directories.count == 2 * one && directories.allSatisfy { FileManager.default.fileExists(atPath: $0) })
        await backend.shutdown()
        #expect(directories.allSatisfy { !FileManager.default.fileExists(atPath: $0) })
    }
}

private func children(of directory: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).filter {
        var isDirectory: ObjCBool = false
        return FileManager.default.fileExists(atPath: "\(directory)/\($0)", isDirectory: &isDirectory) && isDirectory.boolValue
    }
}
