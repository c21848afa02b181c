// Results, errors and jobs outside of the protocol's envelope.

import SandboxCore
import Testing

@testable import Wire

@Suite("Parts of lines by themselves")
struct BareTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test("an answer's result and an error are what stands in their lines", arguments: Samples.answers.indices)
    func answers(_ index: Int) {
        let answer = Samples.answers[index].1
        #expect(text(Line.answer(.number(0), answer)) == #"{"jsonrpc":"2.0","id":0,"result":\#(text(Bare.result(answer)))}"# + "\n")
        let error = ErrorObject(.rejected(Rejected(.queueFull, "m", field: "f", retryAfterMs: 3)))
        #expect(text(Line.error(.number(0), error)) == #"{"jsonrpc":"2.0","id":0,"error":\#(text(Bare.error(error)))}"# + "\n")
    }

    @Test("a job by itself is what job.run would have got", arguments: Samples.jobs)
    func jobs(_ job: JobRequest) throws {
        let line = text(Request(id: .number(0), call: .jobRun(job)).encode())
        let params = try #require(line.wholeMatch(of: #/.*?"params":(.*)}\n/#)).1
        #expect(try Bare.Job.decode(Array(params.utf8)) == Bare.Job(request: job))
    }

    @Test("a job's own id comes back beside it, wherever it stands", arguments: [
        (#"{"id":7,"command":["a"]}"#, "7"), (#"{"command":["a"],"id":"x"}"#, #""x""#), (#" {"command":["a"] , "id" : -1.50e3 } "#, "-1.50e3"),
        (#"{"id":"\u00e9\n\"","command":["a"]}"#, #""é\n\"""#), (#"{"\u0069d":1,"command":["a"]}"#, "1"), (#"{"command":["a"]}"#, nil),
    ] as [(String, String?)])
    func ids(line: String, id: String?) throws {
        let job = try Bare.Job.decode(Array(line.utf8))
        #expect(job.id.map(text) == id && job.request.work == .command(["a"]))
    }

    @Test("what is no job is told by its field, with the id it had", arguments: [
        ("{nope", nil, nil, "byte 1"), ("7", nil, "params", "expected an object"), (#"{"id":1}"#, "1", "command", "missing"),
        (#"{"id":1,"comand":["a"]}"#, "1", "comand", "\"command\""), (#"{"id":{},"command":["a"]}"#, nil, "id", "a string or a number"),
        (#"{"id":"\#(String(repeating: "x", count: 257))","command":["a"]}"#, nil, "id", "256 bytes"),
        (#"{"command":["a"],"env":{"id":1}}"#, nil, "env.id", "found the number 1"),
        (#"{"command":["a"],"labels":{"id":"x"}}"#, nil, "labels.id", "unknown key"), (#"{"id":1,"id":2}"#, nil, nil, "twice"),
    ] as [(String, String?, String?, String)])
    func invalid(line: String, id: String?, field: String?, says: String) {
        let invalid = #expect(throws: Bare.Job.Invalid.self) { _ = try Bare.Job.decode(Array(line.utf8)) }
        #expect(invalid?.id.map(text) == id && invalid?.error.field == field)
        #expect(invalid?.error.message.contains(says) == true, "\(invalid?.error.message ?? "")")
    }
}
