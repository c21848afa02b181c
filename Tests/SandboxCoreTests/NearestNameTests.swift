// Hints for names that are not known.

import SandboxCore
import Testing

@Suite("The nearest name")
struct NearestNameTests {
    private static let known = [
        "command", "cwd", "env", "files", "limits", "cpu_time_ms", "memory_bytes", "deadline_ms", "seccomp", "network", "queue", "job.run",
    ]

    @Test("is offered when it is near", arguments: [
        ("netwrok", "network"), ("Limits", "limits"), ("seccom", "seccomp"), ("comand", "command"), ("cmd", "cwd"), ("evn", "env"),
        ("file", "files"), ("qeueu", nil), ("quue", "queue"), ("cpu_time", "cpu_time_ms"), ("memorybytes", "memory_bytes"),
        ("deadline", "deadline_ms"), ("job_run", "job.run"), ("commnads", "command"),
    ] as [(String, String?)])
    func near(name: String, expected: String?) { #expect(nearestName(to: name, among: Self.known) == expected) }

    @Test("is not offered when nothing is near", arguments: ["", "id", "xyz", "run", "timeout", String(repeating: "command", count: 10)])
    func far(name: String) { #expect(nearestName(to: name, among: Self.known) == nil) }

    @Test("is the first of those that are equally near")
    func ties() {
        #expect(nearestName(to: "poo", among: ["pool", "poor"]) == "pool")
        #expect(nearestName(to: "x", among: []) == nil)
    }
}
