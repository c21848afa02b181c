// Policies that build on others, directories of them, and the limits a job may ask for.

import Foundation
import SandboxCore
import Testing

@testable import Policy

@Suite("A policy builds on one other")
struct InheritanceTests {
    @Test("Scalars, limits and environment are taken over unless written anew; rules per system call")
    func merge() throws {
        let parent = wholePolicy("parent", extra: """
            description: the parent
            pty: true
            on_denied: kill
            tolerate_missing: [overlay]
            why: {pty: terminals, tolerate_missing: old kernels}
            environment: {A: one, B: two}
            """, rules: """
                - {names: [read, socket], action: SCMP_ACT_ALLOW, why: input}
                - {names: [personality], action: SCMP_ACT_ERRNO, errnoRet: EINVAL, why: none}
            """)
        let child = """
            version: 1
            name: child
            extends: parent
            pty: false
            limits: {memory_bytes: 32MiB}
            environment: {B: three, C: ""}
            seccomp:
              syscalls:
                - {names: [personality], action: SCMP_ACT_ALLOW, why: debuggers}
                - names: [socket]
                  action: SCMP_ACT_ALLOW
                  args: [{index: 0, op: SCMP_CMP_EQ, value: 1}]
                  why: unix only
            """
        let result = resolve(["parent.yaml": parent, "child.yaml": child])
        #expect(result.errors == [])
        let policy = try #require(result.policies["child"])
        #expect(policy.description == "")
        #expect(policy.ancestors == ["parent"])
        #expect(policy.pty == false)
        #expect(policy.onDenied == .kill)
        #expect(policy.tolerateMissing == [.overlay])
        #expect(policy.reasons == ["tolerate_missing": "old kernels"])
        #expect(policy.environment == ["A": "one", "B": "three", "C": ""])
        #expect(policy.limits.memoryBytes == 32 << 20)
        #expect(policy.limits.cpuTimeMs == 10_000)
        #expect(policy.ceiling == result.policies["parent"]?.ceiling)
        let filter = try Filter(policy)
        #expect(filter.ask("read") == "allow")
        #expect(filter.ask("personality", 7) == "allow")
        #expect(filter.ask("socket", 1) == "allow")
        #expect(filter.ask("socket", 2) == "notify")
        #expect(try policy.compile().onDenied == .kill)
    }

    static let mistakes: [(files: [String: String], errors: [String])] = [
        (
            ["a.yaml": "version: 1\nname: a\nextends: b", "b.yaml": "version: 1\nname: b\nextends: a"],
            ["d/b.yaml:3: extends: goes in a circle: a -> b -> a"]
        ),
        (["a.yaml": "version: 1\nname: a\nextends: a"], ["d/a.yaml:3: extends: goes in a circle: a -> a"]),
        (
            ["a.yaml": "version: 1\nname: a\nextends: bas", "base.yaml": wholePolicy("base")],
            ["d/a.yaml:3: extends: found \"bas\", expected the name of another policy; did you mean \"base\"?"]
        ),
        (
            ["a.yaml": "version: 1\nname: b"],
            ["d/a.yaml:2: name: found \"b\", expected \"a\", as the file is called"]
        ),
        (
            ["a.yaml": "version: 1\nname: a\nextends: base\nseccomp: {include: {file: gone.json, why: as there}}", "base.yaml": wholePolicy("base")],
            ["d/gone.json: cannot be read"]
        ),
        (
            ["a.yaml": "version: 1\nname: a\nextends: base\nlimits: {memory_bytes: 2GiB}", "base.yaml": wholePolicy("base")],
            ["d/a.yaml:2: limits.memory_bytes: found 2GiB, above the ceiling of 1GiB"]
        ),
        (
            ["a.yaml": wholePolicy("a").replacing("network: none\n", with: "").replacing("cpu_time_ms: 10s, ", with: "")],
            [
                "d/a.yaml:2: limits.cpu_time_ms: is missing, and nothing is inherited that has it",
                "d/a.yaml:2: network: is missing, and nothing is inherited that has it",
            ]
        ),
    ]

    @Test("Mistakes between files", arguments: mistakes.indices)
    func mistake(index: Int) {
        #expect(resolve(Self.mistakes[index].files).errors == Self.mistakes[index].errors)
    }

    @Test("Mistakes of several files are reported together")
    func several() {
        let errors = resolve(["a.yaml": "version: 3\nname: a", "b.yaml": "version: 1\nname: b\nqty: true"]).errors
        #expect(errors == [
            "d/a.yaml:1: version: found \"3\", expected 1, the only version there is",
            "d/b.yaml:3: qty: unknown key \"qty\"; did you mean \"pty\"?",
        ])
    }

    @Test("A policy for another architecture is refused here")
    func architecture() {
        let other = Machine.current.architecture == .x86_64 ? "SCMP_ARCH_AARCH64" : "SCMP_ARCH_X86_64"
        let text = wholePolicy().replacing("seccomp:\n", with: "seccomp:\n  architectures: [\(other)]\n")
        #expect(resolve(["p.yaml": text]).errors.first?.contains("seccomp.architectures: found \(other), expected") == true)
    }

    @Test("A directory is read whole, and a name that is not there gets the nearest")
    func store() throws {
        let store = try PolicyStore.load(directory: policiesDirectory)
        #expect(store.names == ["build", "default", "network", "strict"])
        #expect(store["default"]?.name == "default")
        #expect(store["nothing"] == nil)
        #expect(throws: Rejected(.unknownPolicy, "found \"defualt\"; did you mean \"default\"?", field: "policy")) {
            try store.policy(named: "defualt")
        }
    }

    @Test("One policy read alone is the one of the whole directory, with the files it was made of")
    func alone() throws {
        let store = try PolicyStore.load(directory: policiesDirectory)
        for name in store.names {
            let lineage = try #require(PolicyStore.lineage(of: name, in: policiesDirectory))
            let whole = try #require(store[name])
            #expect(try lineage.policy.compile() == whole.compile())
            #expect(lineage.policy.limits == whole.limits && lineage.policy.environment == whole.environment)
            #expect(Set(lineage.files.keys).isSuperset(of: ([name] + whole.ancestors).map { "\($0).yaml" }))
            for (file, bytes) in lineage.files { #expect(PolicyStore.bytes(of: file, in: policiesDirectory) == bytes) }
        }
    }

    @Test("Where anything is wrong nothing is read alone", arguments: ["gone", "../policies/default", "", ".hidden", "circle", "bad", "child"])
    func nothingAlone(name: String) throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("policies-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let files = [
            "circle": "version: 1\nname: circle\nextends: circle", "bad": "version: 3\nname: bad", "child": "version: 1\nname: child\nextends: bad",
            ".hidden": wholePolicy(".hidden"),
        ]
        for (file, text) in files { try text.write(toFile: "\(directory)/\(file).yaml", atomically: true, encoding: .utf8) }
        #expect(PolicyStore.lineage(of: name, in: directory)?.policy.name == nil)
    }

    @Test("The example of the reference is a policy")
    func example() throws {
        let reference = try String(contentsOfFile: referenceFile, encoding: .utf8)
        let start = try #require(reference.range(of: "```yaml\n"))
        let example = try #require(reference[start.upperBound...].split(separator: "```").first)
        var files = ["crawler.yaml": String(example)]
        for name in ["strict", "default", "network"] {
            files["\(name).yaml"] = try String(contentsOfFile: "\(policiesDirectory)/\(name).yaml", encoding: .utf8)
        }
        let result = resolve(files)
        #expect(result.errors == [])
        let policy = try #require(result.policies["crawler"])
        #expect(policy.ancestors == ["network", "default", "strict"])
        #expect(policy.notes == ["grants ptrace: processes of the job may read and change each other's memory"])
        #expect(try Filter(policy).ask("ptrace") == "allow")
    }

    @Test("A directory without policies, one that is not there, and a pipe called a policy")
    func directories() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("policies-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        #expect(loadErrors(directory) == ["\(directory): found no .yaml file, expected policies"])
        #expect(loadErrors(directory + "/none").first?.hasPrefix("\(directory)/none: cannot be listed: ") == true)
        try FileManager.default.createDirectory(atPath: directory + "/a.yaml", withIntermediateDirectories: true)
        #expect(loadErrors(directory) == ["\(directory)/a.yaml: is not a regular file"])
    }

    private func loadErrors(_ directory: String) -> [String] {
        do throws(PolicyErrors) {
            _ = try PolicyStore.load(directory: directory)
            return []
        } catch {
            return error.errors.map(\.description)
        }
    }

    @Test("A job gets the policy's limits, or what it asks for up to the ceiling")
    func limits() throws {
        let policy = try PolicyStore.load(directory: policiesDirectory).policy(named: "default")
        let expected = Limits(
            cpuTimeMs: 10_000, wallTimeMs: 30_000, memoryBytes: 512 << 20, processes: 128, diskBytes: 256 << 20,
            diskInodes: 32768, outputBytes: 16 << 20, openFiles: 1024, stackBytes: 64 << 20, fileSizeBytes: 256 << 20)
        #expect(policy.limits == expected)
        #expect(try policy.limits(for: Limits()) == expected)
        #expect(try policy.limits(for: Limits(memoryBytes: 1 << 30)).memoryBytes == 1 << 30)
        for (asked, found) in [(1 << 35, "34359738368"), (0, "0"), (-5, "-5")] {
            #expect(throws: Rejected(
                .invalidRequest, "found \(found), expected 1048576 to 17179869184, the ceiling of policy default",
                field: "limits.memory_bytes")
            ) { try policy.limits(for: Limits(memoryBytes: asked)) }
        }
    }
}
