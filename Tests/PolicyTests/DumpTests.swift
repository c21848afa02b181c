// What a policy says about itself: as a file that means the same, and as prose.

import Testing

@testable import Policy

@Suite("A policy explains itself")
struct DumpTests {
    @Test("A dumped policy reads back as the same, with nothing extended or included", arguments: ["strict", "default", "build", "network"])
    func roundTrip(name: String) throws {
        let policy = try PolicyStore.load(directory: policiesDirectory).policy(named: name)
        try expectSameAfterDump(policy)
    }

    @Test("So does one made of a Docker profile, with odd texts")
    func profile() throws {
        let text = """
            \(header())
            description: "quotes \\" and \\\\ and\\nlines\\tand ünïcode"
            tolerate_missing: [overlay, cgroup_cpu]
            why: {tolerate_missing: "*hosts*: old & small"}
            environment: {A: "#1", B_2: "yes", C: ""}
            seccomp:
              include: {file: docker.json, why: "its #1 choice: all"}
            """
        let policy = try #require(resolve(["p.yaml": text, "docker.json": ociProfile]).policies["p"])
        try expectSameAfterDump(policy)
    }

    private func expectSameAfterDump(_ policy: Policy) throws {
        let text = policy.dump()
        let result = resolve(["\(policy.name).yaml": text])
        #expect(result.errors == [])
        let again = try #require(result.policies[policy.name])
        #expect(try again.compile() == policy.compile())
        var expected = policy
        expected.ancestors = []
        expected.notes = again.notes
        for index in expected.rules.indices { expected.rules[index].origin = policy.name }
        #expect(again == expected)
        #expect(again.dump() == text)
    }

    @Test("The explanation names grants with reasons, limits, conditions, and the doors that stay shut")
    func explain() throws {
        let text = try PolicyStore.load(directory: policiesDirectory).policy(named: "default").explain()
        let lines = text.split(separator: "\n").map(String.init)
        for line in [
            "Builds on strict.",
            "  - the sandbox's own loopback network",
            "  memory        512MiB    (16GiB)",
            "      only if argument 0 masked with 0x7e028000 is 0",
            "      answers ENOSYS",
            "Every other system call answers EPERM and is counted in the result. Among them:",
            "  io_uring_setup, io_uring_enter, io_uring_register",
            "      makes system calls that no filter sees",
        ] {
            #expect(lines.contains(line))
        }
        #expect(lines.allSatisfy { $0.count <= 118 })
    }
}
