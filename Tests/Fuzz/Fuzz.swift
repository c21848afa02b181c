// What libFuzzer calls: one entry point for every reader of outside bytes, chosen by PADDOCK_FUZZ_TARGET. A reader may
// refuse anything; what it must not do is crash, hang or grow, and what it accepts it must be able to say again.

import Confinement
import Glibc
import Images
import Judging
import Policy
import SandboxCore
import Wire

private let target = getenv("PADDOCK_FUZZ_TARGET").map { String(cString: $0) } ?? "wire"

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: data, count: count))
    switch target {
    case "wire": fuzzWire(bytes)
    case "policy": fuzzPolicy(bytes)
    case "warden": fuzzWarden(bytes)
    case "judging": fuzzJudging(bytes)
    default: fatalError("PADDOCK_FUZZ_TARGET is \(target), expected wire, policy, warden or judging")
    }
    return 0
}

private func fuzzWire(_ bytes: [UInt8]) {
    _ = try? Bare.Job.decode(bytes)
    guard let request = try? Request.decode(bytes) else { return }
    guard let again = try? Request.decode(request.encode()) else { fatalError("what was decoded cannot be decoded again") }
    precondition(again == request, "a request changes by being encoded")
}

private func fuzzPolicy(_ bytes: [UInt8]) {
    _ = try? PolicyFile.parse(bytes, file: "fuzz.yaml")
    _ = try? OCIProfile.parse(bytes, file: "fuzz.json")
    _ = try? LanguageTable.parse(String(decoding: bytes, as: UTF8.self), file: "fuzz.yaml")
}

private func fuzzWarden(_ bytes: [UInt8]) {
    if let event = try? InitEvent(decoding: bytes), case .report(let report) = event {
        precondition((try? InitEvent(decoding: InitEvent.report(report).encoded())) != nil)
    }
    if let command = try? InitCommand(decoding: bytes) { precondition((try? InitCommand(decoding: command.encoded())) != nil) }
    if let command = try? SpawnerCommand(decoding: bytes) { precondition((try? SpawnerCommand(decoding: command.encoded())) != nil) }
    _ = try? SpawnerEvent(decoding: bytes)
}

private func fuzzJudging(_ bytes: [UInt8]) {
    let output = Output(head: bytes)
    for framework in [TestFramework.tap, .goJSON] {
        let request = TestRequest(framework: framework)
        guard let plan = try? Judge.plan(for: request, command: ["true"]) else { continue }
        _ = Judge.judge(request, plan: plan, outcome: .exited(code: 0), stdout: output, files: [])
    }
    let junit = TestRequest(framework: .junit, report: "report.xml")
    guard let plan = try? Judge.plan(for: junit, command: ["true"]) else { return }
    let file = CollectedFile(path: "report.xml", bytes: bytes, size: bytes.count, mode: 0o644)
    _ = Judge.judge(junit, plan: plan, outcome: .exited(code: 0), stdout: Output(), files: [file])
}
