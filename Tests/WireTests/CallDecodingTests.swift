// Lines from outside: what is right becomes a typed call, what is wrong names the field, what was found, what was expected.

import SandboxCore
import Testing

@testable import Wire

@Suite("Decoding requests")
struct CallDecodingTests {
    private func decode(_ text: String) throws(Request.Invalid) -> Request { try Request.decode(Array(text.utf8)) }

    private func call(_ method: String, _ params: String) throws(Request.Invalid) -> Call {
        try decode(#"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(params)}"#).call
    }

    private func job(_ params: String) throws -> JobRequest {
        guard case .jobRun(let job) = try call("job.run", params) else { throw ErrorObject.notRequest("another call") }
        return job
    }

    @Test("a whole job is read field by field")
    func wholeJob() throws {
        let sum = String(repeating: "0a", count: 32)
        let job = try job("""
            {"command": ["python3", "-c", "print('hé')"], "stdin": {"text": "in\\n"}, "env": {"A": "1", "B_é": ""}, "cwd": "/tmp",
             "files": [{"path": "a/b.py", "text": "x"}, {"path": "c", "base64": "AP8=", "mode": "0755"}, {"path": "d", "blob": "\(sum)", "mode": "600"}],
             "collect": [{"path": "out/**/*.txt"}, {"path": "log", "max_bytes": 10}],
             "limits": {"cpu_time_ms": 1e3, "memory_bytes": 268435456, "processes": 8}, "policy": "strict", "image": "host", "pool": "p",
             "labels": {"rollout": "r", "group": "g"}, "priority": -5, "deadline_ms": 60000, "stream": true,
             "idempotency_key": "k", "on_disconnect": "finish"}
            """)
        #expect(job == JobRequest(
            work: .command(["python3", "-c", "print('hé')"]), stdin: .bytes(Array("in\n".utf8)), environment: ["A": "1", "B_é": ""],
            workingDirectory: "/tmp",
            files: [
                FileIn(path: "a/b.py", content: .bytes([0x78])), FileIn(path: "c", content: .bytes([0, 255]), mode: 0o755),
                FileIn(path: "d", content: .blob(sum), mode: 0o600),
            ],
            collect: [FileOut(pattern: "out/**/*.txt"), FileOut(pattern: "log", maxBytes: 10)],
            limits: Limits(cpuTimeMs: 1_000, memoryBytes: 256 << 20, processes: 8), policy: "strict", image: "host", pool: "p",
            labels: Labels(rollout: "r", group: "g"), priority: -5, deadlineMs: 60_000, stream: true, idempotencyKey: "k",
            surviveDisconnect: true))
    }

    @Test("a job survives its connection unless told otherwise only when it was submitted")
    func defaults() throws {
        #expect(try job(#"{"command":["a"]}"#) == JobRequest(work: .command(["a"])))
        #expect(try call("job.submit", #"{"command":["a"]}"#) == .jobSubmit(JobRequest(work: .command(["a"]), surviveDisconnect: true)))
        #expect(try call("job.submit", #"{"command":["a"],"on_disconnect":"cancel"}"#) == .jobSubmit(JobRequest(work: .command(["a"]))))
    }

    @Test("every other method is read")
    func otherMethods() throws {
        let sum = String(repeating: "f0", count: 32)
        #expect(try call("job.wait", #"{"job":"j-1","timeout_ms":0}"#) == .jobWait(JobID("j-1"), timeoutMs: 0))
        #expect(try call("job.wait", #"{"job":"j-1"}"#) == .jobWait(JobID("j-1"), timeoutMs: nil))
        #expect(try call("job.get", #"{"job":"j-1"}"#) == .jobGet(JobID("j-1")))
        #expect(try call("job.cancel", #"{"job":"j-1"}"#) == .jobCancel(JobID("j-1")))
        #expect(try call("job.list", #"{"state":"queued","pool":"p","limit":5}"#) == .jobList(JobFilter(state: .queued, pool: "p", limit: 5)))
        #expect(try call("blob.put", #"{"text":"é"}"#) == .blobPut(BlobPut(bytes: [0xc3, 0xa9])))
        #expect(try call("blob.put", #"{"base64":"/w==","sha256":"\#(sum)"}"#) == .blobPut(BlobPut(bytes: [255], sha256: sum)))
        #expect(try call("blob.has", #"{"blobs":["\#(sum)"]}"#) == .blobHas([sum]))
        #expect(try call("pool.set", #"{"pool":"p","size":4,"queue":0}"#) == .poolSet(PoolChange(pool: "p", size: 4, queue: 0)))
        #expect(try call("pool.drain", #"{"pool":"p"}"#) == .poolDrain("p"))
        #expect(try call("pool.resume", #"{"pool":"p"}"#) == .poolResume("p"))
        for (method, expected) in [("farm.info", Call.farmInfo), ("farm.stats", .farmStats), ("pool.list", .poolList)] {
            #expect(try call(method, "{}") == expected)
            #expect(try decode(#"{"method":"\#(method)","id":"x","jsonrpc":"2.0"}"#) == Request(id: .string("x"), call: expected))
        }
    }

    @Test("a wrong envelope is an invalid request that names its field", arguments: [
        ("[]", nil, -32600),
        ("1", nil, -32600),
        ("{}", "id", -32600),
        (#"{"jsonrpc":"2.0","method":"farm.info"}"#, "id", -32600),
        (#"{"jsonrpc":"2.0","id":null,"method":"farm.info"}"#, "id", -32600),
        (#"{"jsonrpc":"2.0","id":1.5,"method":"farm.info"}"#, "id", -32600),
        (#"{"jsonrpc":"2.0","id":{},"method":"farm.info"}"#, "id", -32600),
        (#"{"id":1,"method":"farm.info"}"#, "jsonrpc", -32600),
        (#"{"jsonrpc":2.0,"id":1,"method":"farm.info"}"#, "jsonrpc", -32600),
        (#"{"jsonrpc":"1.0","id":1,"method":"farm.info"}"#, "jsonrpc", -32600),
        (#"{"jsonrpc":"2.0","id":1}"#, "method", -32600),
        (#"{"jsonrpc":"2.0","id":1,"method":7}"#, "method", -32600),
        (#"{"jsonrpc":"2.0","id":1,"method":"farm.info","parms":{}}"#, "parms", -32600),
        (#"{"jsonrpc":"2.0","id":1,"method":"job.rum"}"#, "method", -32601),
        (#"{"jsonrpc":"2.0","id":1,"method":"farm.info","params":[]}"#, "params", -32602),
        ("{\"a\":1", nil, -32700),
        ("", nil, -32700),
        ("[{\"jsonrpc\":\"2.0\"}]", nil, -32600), ("\u{0}", nil, -32700),
    ] as [(String, String?, Int)])
    func envelope(_ text: String, _ field: String?, _ code: Int) {
        let invalid = #expect(throws: Request.Invalid.self) { _ = try decode(text) }
        #expect(invalid?.error.code == code)
        #expect(invalid?.error.field == field)
    }

    @Test("an error is answered under the request's own id, where it has one")
    func errorID() {
        for (id, expected) in [("7", RequestID.number(7)), ("\"a\"", .string("a")), ("1e2", .number(100))] {
            let invalid = #expect(throws: Request.Invalid.self) { _ = try decode(#"{"params":{},"id":\#(id),"jsonrpc":"2.0","method":"x"}"#) }
            #expect(invalid?.id == expected)
        }
        let long = String(repeating: "x", count: 257)
        #expect(throws: Request.Invalid.self) { _ = try decode(#"{"jsonrpc":"2.0","id":"\#(long)","method":"farm.info"}"#) }
    }

    @Test("a wrong parameter is named by its path, with what was found and what was expected", arguments: [
        (#"{}"#, "command", "missing"),
        (#"{"command":"ls"}"#, "command", "found the string \"ls\""),
        (#"{"command":[]}"#, "command", "no program"),
        (#"{"command":[""]}"#, "command", "no program"),
        (#"{"command":["a",1]}"#, "command[1]", "found the number 1"),
        (#"{"command":["a\u0000b"]}"#, "command[0]", "NUL"),
        (#"{"comand":["a"]}"#, "comand", "nearest known one is \"command\""),
        (#"{"zzzzzzz":1}"#, "zzzzzzz", "expected one of command, source"),
        (#"{"command":["a"],"source":{"text":"","language":"c"}}"#, "source", "exactly one"),
        (#"{"source":{"text":"x"}}"#, "source.language", "missing"),
        (#"{"source":{"language":"c"}}"#, "source.text", "missing"),
        (#"{"source":{"text":"x","language":"c","arg":[]}}"#, "source.arg", "\"args\""),
        (#"{"source":"x"}"#, "source", "expected an object"),
        (#"{"command":["a"],"stdin":"x"}"#, "stdin", "expected an object"),
        (#"{"command":["a"],"stdin":{}}"#, "stdin.text", "exactly one"),
        (#"{"command":["a"],"stdin":{"text":"a","blob":"b"}}"#, "stdin.blob", "hexadecimal"),
        (#"{"command":["a"],"stdin":{"text":"a","base64":""}}"#, "stdin.base64", "second content"),
        (#"{"command":["a"],"stdin":{"base64":"x"}}"#, "stdin.base64", "not base64"),
        (#"{"command":["a"],"env":[]}"#, "env", "an object of strings"),
        (#"{"command":["a"],"env":{"A":1}}"#, "env.A", "found the number 1"),
        (#"{"command":["a"],"env":{"A=B":"x"}}"#, "env.A=B", "variable's name"),
        (#"{"command":["a"],"env":{"":"x"}}"#, "env.", "variable's name"),
        (#"{"command":["a"],"env":{"A":"\u0000"}}"#, "env.A", "NUL"),
        (#"{"command":["a"],"cwd":""}"#, "cwd", "0 bytes long"),
        (#"{"command":["a"],"cwd":"a\u0000"}"#, "cwd", "NUL"),
        (#"{"command":["a"],"files":{}}"#, "files", "an array of files"),
        (#"{"command":["a"],"files":[{"path":"a","text":""},{"text":"x"}]}"#, "files[1].path", "missing"),
        (#"{"command":["a"],"files":[{"path":"a"}]}"#, "files[0].text", "exactly one"),
        (#"{"command":["a"],"files":[{"path":"/etc/passwd","text":""}]}"#, "files[0].path", "absolute"),
        (#"{"command":["a"],"files":[{"path":"a/../../b","text":""}]}"#, "files[0].path", "'..'"),
        (#"{"command":["a"],"files":[{"path":"..","text":""}]}"#, "files[0].path", "'..'"),
        (#"{"command":["a"],"files":[{"path":"a\u0000b","text":""}]}"#, "files[0].path", "NUL"),
        (#"{"command":["a"],"files":[{"path":"a/","text":""}]}"#, "files[0].path", "directory"),
        (#"{"command":["a"],"files":[{"path":"","text":""}]}"#, "files[0].path", "0 bytes"),
        (#"{"command":["a"],"files":[{"path":"a","text":"","mode":420}]}"#, "files[0].mode", "octal string"),
        (#"{"command":["a"],"files":[{"path":"a","text":"","mode":"4755"}]}"#, "files[0].mode", "octal"),
        (#"{"command":["a"],"files":[{"path":"a","text":"","mode":"+755"}]}"#, "files[0].mode", "octal"),
        (#"{"command":["a"],"files":[{"path":"a","text":"","mode":"0788"}]}"#, "files[0].mode", "octal"),
        (#"{"command":["a"],"collect":["x"]}"#, "collect[0]", "expected an object"),
        (#"{"command":["a"],"collect":[{"path":"x","max_bytes":-1}]}"#, "collect[0].max_bytes", "from 0 to"),
        (#"{"command":["a"],"collect":[{"path":"../x"}]}"#, "collect[0].path", "'..'"),
        (#"{"command":["a"],"limits":{"memory":1}}"#, "limits.memory", "unknown key"),
        (#"{"command":["a"],"limits":{"memory_byte":1}}"#, "limits.memory_byte", "memory_bytes"),
        (#"{"command":["a"],"limits":{"cpu_time_ms":-1}}"#, "limits.cpu_time_ms", "from 1 to 86400000, found the number -1"),
        (#"{"command":["a"],"limits":{"cpu_time_ms":1.5}}"#, "limits.cpu_time_ms", "1.5"),
        (#"{"command":["a"],"limits":{"processes":"8"}}"#, "limits.processes", "found the string \"8\""),
        (#"{"command":["a"],"limits":{"memory_bytes":99999999999999999999}}"#, "limits.memory_bytes", "from"),
        (#"{"command":["a"],"limits":{"memory_bytes":1e400}}"#, "limits.memory_bytes", "1e400"),
        (#"{"command":["a"],"limits":null}"#, "limits", "found null"),
        (#"{"command":["a"],"policy":""}"#, "policy", "0 bytes"),
        (#"{"command":["a"],"pool":"a\nb"}"#, "pool", "control"),
        (#"{"command":["a"],"image":5}"#, "image", "found the number 5"),
        (#"{"command":["a"],"labels":{"grup":"g"}}"#, "labels.grup", "\"group\""),
        (#"{"command":["a"],"labels":{"group":null}}"#, "labels.group", "found null"),
        (#"{"command":["a"],"priority":101}"#, "priority", "from -100 to 100"),
        (#"{"command":["a"],"priority":true}"#, "priority", "found true"),
        (#"{"command":["a"],"deadline_ms":0}"#, "deadline_ms", "from 1"),
        (#"{"command":["a"],"stream":"yes"}"#, "stream", "true or false"),
        (#"{"command":["a"],"stream":1}"#, "stream", "true or false"),
        (#"{"command":["a"],"idempotency_key":""}"#, "idempotency_key", "1 to 128"),
        (#"{"command":["a"],"on_disconnect":"die"}"#, "on_disconnect", "\"cancel\", \"finish\""),
        (#"{"tests":{}}"#, "tests.framework", "missing"),
        (#"{"tests":{"framework":"nose"}}"#, "tests.framework", "\"pytest\""),
        (#"{"tests":{"framework":"pytest"},"command":["a"]}"#, "tests", "neither"),
        (#"{"tests":{"framework":"pytest","report":"x"}}"#, "tests.report", "no use"),
        (#"{"tests":{"framework":"junit"}}"#, "tests", "expected a command"),
        (#"{"tests":{"framework":"junit"},"command":["a"]}"#, "tests.report", "missing"),
        (#"{"tests":{"framework":"tap","paths":["x"]},"command":["a"]}"#, "tests.paths", "no use"),
        (#"{"tests":{"framework":"go_json","args":["x"]},"command":["a"]}"#, "tests.args", "no use"),
        (#"{"tests":{"framework":"unittest","fail_to_pass":[1]}}"#, "tests.fail_to_pass[0]", "found the number 1"),
        (#"{"command":[{"a":[1,{"b":null}]}]}"#, "command[0]", "found an object"),
    ])
    func wrongJob(_ params: String, _ field: String, _ says: String) {
        let invalid = #expect(throws: Request.Invalid.self) { _ = try call("job.run", params) }
        #expect(invalid?.error.code == -32602)
        #expect(invalid?.error.field == field)
        #expect(invalid?.error.message.contains(says) == true, "\(invalid?.error.message ?? "")")
        #expect(invalid?.id == .number(1))
    }

    @Test("wrong parameters of the other methods are named", arguments: [
        ("job.wait", "{}", "job"),
        ("job.wait", #"{"job":"j","timeout_ms":-1}"#, "timeout_ms"),
        ("job.get", #"{"job":5}"#, "job"),
        ("job.get", #"{"id":"j"}"#, "id"),
        ("job.list", #"{"state":"dead"}"#, "state"),
        ("job.list", #"{"limit":0}"#, "limit"),
        ("blob.put", "{}", "text"),
        ("blob.put", #"{"text":"a","base64":""}"#, "base64"),
        ("blob.put", #"{"text":"a","sha256":"ABC"}"#, "sha256"),
        ("blob.has", "{}", "blobs"),
        ("blob.has", #"{"blobs":["x"]}"#, "blobs[0]"),
        ("farm.info", #"{"a":1}"#, "a"),
        ("pool.set", #"{"size":1}"#, "pool"),
        ("pool.set", #"{"pool":"p","size":-1}"#, "size"),
        ("pool.set", #"{"pool":"p","size":1e9}"#, "size"),
        ("pool.drain", "[]", "params"),
        ("blob.has", #"{"blobs":["\#(String(repeating: "F0", count: 32))"]}"#, "blobs[0]"),
    ])
    func wrongOther(_ method: String, _ params: String, _ field: String) {
        let invalid = #expect(throws: Request.Invalid.self) { _ = try call(method, params) }
        #expect(invalid?.error.code == -32602)
        #expect(invalid?.error.field == field)
    }

    @Test("what is found is quoted, but never at length")
    func longFindings() {
        let long = String(repeating: "x", count: 100_000)
        for params in [#"{"\#(long)":1}"#, #"{"command":["a"],"on_disconnect":"\#(long)"}"#, #"{"command":["a"],"env":{"\#(long)":1}}"#] {
            let invalid = #expect(throws: Request.Invalid.self) { _ = try call("job.run", params) }
            #expect((invalid?.error.message.utf8.count ?? .max) < 500)
            #expect((invalid?.error.field?.utf8.count ?? .max) < 100)
        }
    }
}
