// What one end writes, the other reads: every call, every answer, every failure. And the shapes docs/protocol.md shows.

import SandboxCore
import Testing

@testable import Wire

@Suite("Both directions of the codec")
struct RoundTripTests {
    private func incoming(_ line: [UInt8]) throws -> IncomingLine {
        #expect(line.last == 0x0a)
        #expect(!line.dropLast().contains(0x0a))
        return try IncomingLine.decode(Array(line.dropLast()), limits: JSONLimits())
    }

    @Test("every call comes back as it was sent", arguments: Samples.calls)
    func calls(_ call: Call) throws {
        for id in [RequestID.number(-3), .string("ä\"")] {
            let line = Request(id: id, call: call).encode()
            #expect(!line.dropLast().contains(0x0a))
            #expect(try Request.decode(Array(line.dropLast())) == Request(id: id, call: call))
        }
    }

    @Test("every answer comes back as it was given", arguments: Samples.answers.indices)
    func answers(_ index: Int) throws {
        let (method, answer) = Samples.answers[index]
        let line = try incoming(Line.answer(.number(5), answer))
        #expect(line.id == .number(5))
        guard case .result(let value) = line.content else { throw ErrorObject.notRequest("no result") }
        #expect(try FieldReader(json: line.json, origin: value).answer(to: method, value) == answer)
    }

    @Test("every failure comes back with its code, and keeps its kind")
    func failures() throws {
        let rejections = Rejected.Code.allCases.map { Failure.rejected(Rejected($0, "m", field: "f", retryAfterMs: 3)) }
        let errors = FarmError.Code.allCases.map { Failure.farm(FarmError($0, "m", retryable: $0 == .storage)) }
        for failure in rejections + errors {
            guard case .error(let error) = try incoming(Line.error(.number(1), ErrorObject(failure))).content else {
                throw ErrorObject.notRequest("no error")
            }
            #expect(error.failure == failure)
        }
        let unknown = ErrorObject(code: -32002, message: "m", kind: .farmError, reason: "new_in_version_9", retryable: true)
        #expect(unknown.failure == .farm(FarmError(.internal, "m", retryable: true)))
    }

    @Test("output comes back, whatever bytes it has")
    func output() throws {
        for bytes in [[], Array("é\n".utf8), [0xff, 0, 10], [0xc3]] as [[UInt8]] {
            let output = JobOutput(job: JobID("j"), request: .string("r"), stream: .stderr, bytes: bytes, droppedBytes: bytes.count)
            guard case .output(let read) = try incoming(Line.output(output)).content else { throw ErrorObject.notRequest("no output") }
            #expect(read == output)
        }
    }

    @Test("a client passes over keys it does not know")
    func newerFarm() throws {
        var text = String(decoding: Line.answer(.number(1), .submitted(JobID("j"))), as: UTF8.self)
        text = text.replacing("\"job\":", with: "\"new\":[{}],\"job\":")
        let line = try incoming(Array(text.utf8))
        guard case .result(let value) = line.content else { throw ErrorObject.notRequest("no result") }
        #expect(try FieldReader(json: line.json, origin: value).answer(to: .jobSubmit, value) == .submitted(JobID("j")))
    }

    @Test("a result looks as the protocol says")
    func resultShape() {
        var result = JobResult(job: JobID("j-1f-2"), outcome: .signaled(signal: 11), stdout: Output(head: Array("hello\n".utf8)))
        result.usage.wallTimeMs = 12.1
        result.stderr = Output(head: [0xff], tail: [0x62], totalBytes: 9)
        result.tests = TestReport(framework: .goJSON, completion: .complete, tests: [TestCase(id: "a", outcome: .passed)], expected: 1)
        let expected = """
            {"job":"j-1f-2","outcome":"signaled","signal":"SIGSEGV","phase":"run",\
            "stdout":{"text":"hello\\n","bytes":6,"truncated":false},\
            "stderr":{"base64":"/w==","bytes":9,"truncated":true,"tail_text":"b"},\
            "usage":{"wall_time_ms":12.1,"cpu_time_ms":0,"queued_ms":0,"setup_ms":0,"run_ms":0,"teardown_ms":0},\
            "denied":[],"unenforced":[],"files":[],\
            "tests":{"framework":"go_json","complete":true,"reason":null,"passed":true,"expected":1,\
            "totals":{"passed":1,"failed":0,"error":0,"skipped":0,"xfailed":0,"xpassed":0},\
            "tests":[{"id":"a","outcome":"passed"}]},"labels":{}}
            """
        #expect(String(decoding: Bare.result(.result(result)), as: UTF8.self) == expected)
    }

    @Test("an error looks as the protocol says")
    func errorShape() {
        let line = Line.error(.number(3), ErrorObject(.rejected(Rejected(.queueFull, "full", retryAfterMs: 250))))
        #expect(String(decoding: line, as: UTF8.self) == """
            {"jsonrpc":"2.0","id":3,"error":{"code":-32001,"message":"full",\
            "data":{"kind":"rejected","code":"queue_full","retry_after_ms":250}}}

            """)
    }

    @Test("signals have the names their users know, in both directions")
    func signals() {
        #expect(SignalName.text(9) == "SIGKILL")
        #expect(SignalName.text(31) == "SIGSYS")
        #expect(SignalName.text(32) == "SIG32")
        #expect(SignalName.text(36) == "SIGRTMIN+2")
        for number in 1...70 { #expect(SignalName.number(SignalName.text(number)) == number) }
        #expect(SignalName.number("KILL") == nil)
    }
}
