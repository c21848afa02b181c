// Each kind of mistake in a policy file, and the exact message an operator gets for it.

import Testing

@testable import Policy

@Suite("A mistake in a policy file is named with file, line, path, what was found and what was expected")
struct ParserErrorTests {
    static let cases: [(text: String, errors: [String])] = [
        ("version: 2\nname: p", ["p.yaml:1: version: found \"2\", expected 1, the only version there is"]),
        ("name: p", ["p.yaml:1: the key \"version\" is missing, expected version: 1"]),
        ("version: 1", ["p.yaml:1: the key \"name\" is missing"]),
        ("version: \"1\"\nname: p", ["p.yaml:1: version: found \"1\", expected 1, the only version there is"]),
        ("- 1", ["p.yaml:1: found a list, expected a mapping"]),
        ("hello", ["p.yaml:1: found \"hello\", expected a mapping"]),
        (
            "version: 1\nname: Bad Name",
            ["p.yaml:2: name: found \"Bad Name\", expected a policy name: 1 to 64 lower-case letters, digits, \"_\" and \"-\", a letter first"]
        ),
        ("version: 1\nname: p\nnetwrok: none", ["p.yaml:3: netwrok: unknown key \"netwrok\"; did you mean \"network\"?"]),
        (
            "version: 1\nname: p\nzzz: none",
            ["p.yaml:3: zzz: unknown key \"zzz\", expected one of version, name, description, extends, network, proc, pty, "
                + "on_denied, limits, ceiling, environment, tolerate_missing, why, seccomp"]
        ),
        (
            "version: 1\nname: p\nnetwork: lopback\nwhy: {network: tests}",
            [
                "p.yaml:3: network: found \"lopback\", expected one of none, loopback, outbound; did you mean \"loopback\"?",
                "p.yaml:4: why.network: explains a grant that this file does not make",
            ]
        ),
        ("version: 1\nname: p\nnetwork: [none]", ["p.yaml:3: network: found a list, expected one of none, loopback, outbound"]),
        ("version: 1\nname: p\npty: yes", ["p.yaml:3: pty: found \"yes\", expected true or false"]),
        ("version: 1\nname: p\npty:", ["p.yaml:3: pty: found nothing, expected true or false"]),
        ("version: 1\nname: p\npty: true", ["p.yaml:3: pty: is a grant: why.pty has to say why"]),
        ("version: 1\nname: p\nproc: masked\nwhy: {proc: \"--\"}", ["p.yaml:4: why.proc: found \"--\", expected a reason in words"]),
        (
            "version: 1\nname: p\ntolerate_missing: [cgroup_memroy]\nwhy: {tolerate_missing: small hosts}",
            ["p.yaml:3: tolerate_missing[0]: found \"cgroup_memroy\", expected one of user_namespace, id_range, network_namespace, "
                + "cgroup_memory, cgroup_pids, cgroup_cpu, seccomp, seccomp_notify, overlay, outbound; did you mean \"cgroup_memory\"?"]
        ),
        (
            "version: 1\nname: p\nlimits:\n  memory: 5\n  cpu_time_ms: 10 s\n  processes: 0\n  disk_bytes: [1]",
            [
                "p.yaml:4: limits.memory: unknown key \"memory\", expected one of cpu_time_ms, wall_time_ms, memory_bytes, processes, "
                    + "disk_bytes, disk_inodes, output_bytes, open_files, stack_bytes, file_size_bytes",
                "p.yaml:5: limits.cpu_time_ms: found \"10 s\", expected milliseconds, or a time such as 10s (ms, s, min, h)",
                "p.yaml:6: limits.processes: found \"0\", expected 1 to 1000000",
                "p.yaml:7: limits.disk_bytes: found a list, expected bytes, or a size such as 512MiB (B, KiB, MiB, GiB, TiB)",
            ]
        ),
        (
            "version: 1\nname: p\nceiling: {memory_bytes: 99999999999999999999, stack_bytes: -1, open_files: 1e3}",
            [
                "p.yaml:3: ceiling.memory_bytes: found \"99999999999999999999\", expected bytes, or a size such as 512MiB (B, KiB, MiB, GiB, TiB)",
                "p.yaml:3: ceiling.open_files: found \"1e3\", expected a whole number",
                "p.yaml:3: ceiling.stack_bytes: found \"-1\", expected bytes, or a size such as 512MiB (B, KiB, MiB, GiB, TiB)",
            ]
        ),
        (
            "version: 1\nname: p\nenvironment:\n  \"A=B\": x\n  C: [1]\n  D: \"a\\0b\"",
            [
                "p.yaml:4: environment.\"A=B\": found \"A=B\", expected a variable's name without \"=\" and spaces",
                "p.yaml:5: environment.C: found a list, expected text (quote an empty one)",
                "p.yaml:6: environment.D: found \"a\\0b\", expected text (quote an empty one) without control characters",
            ]
        ),
    ]

    @Test("at the top of the file", arguments: cases.indices)
    func top(index: Int) {
        #expect(parseErrors(Self.cases[index].text) == Self.cases[index].errors)
    }

    static let seccompCases: [(section: String, errors: [String])] = [
        (
            "defaultAction: SCMP_ACT_ERNO",
            ["p.yaml:4: seccomp.defaultAction: found \"SCMP_ACT_ERNO\", expected one of SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_ACT_NOTIFY, "
                + "SCMP_ACT_KILL, SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_THREAD, SCMP_ACT_LOG, SCMP_ACT_TRAP; did you mean \"SCMP_ACT_ERRNO\"?"]
        ),
        (
            "defaultAction: SCMP_ACT_NOTIFY\n  defaultErrnoRet: 1",
            ["p.yaml:5: seccomp.defaultErrnoRet: belongs to SCMP_ACT_ERRNO, not to SCMP_ACT_NOTIFY"]
        ),
        (
            "defaultAction: SCMP_ACT_ERRNO\n  defaultErrnoRet: EWHAT",
            ["p.yaml:5: seccomp.defaultErrnoRet: found \"EWHAT\", expected an errno: a number from 0 to 4095, or a name such as EPERM"]
        ),
        (
            "architectures: [SCMP_ARCH_X86]",
            ["p.yaml:4: seccomp.architectures[0]: found \"SCMP_ARCH_X86\", expected one of SCMP_ARCH_X86_64, SCMP_ARCH_AARCH64: "
                + "other system call tables are never allowed; did you mean \"SCMP_ARCH_X86_64\"?"]
        ),
        ("include: {why: as in Docker}", ["p.yaml:4: seccomp.include: the key \"file\" is missing"]),
        ("include: {file: a.json}", ["p.yaml:4: seccomp.include: the key \"why\" is missing: each grant has its reason"]),
        (
            "include: {file: ../a.json, why: as in Docker}",
            ["p.yaml:4: seccomp.include.file: found \"../a.json\", expected the name of a .json file in the policy's own directory"]
        ),
        (
            "syscalls:\n    - {names: [raed], action: SCMP_ACT_ALLOW, why: input}",
            ["p.yaml:5: seccomp.syscalls[0].names[0]: unknown system call \"raed\"; did you mean \"read\"?"]
        ),
        (
            "syscalls:\n    - {names: [read, read], action: SCMP_ACT_ALLOW, why: input}",
            ["p.yaml:5: seccomp.syscalls[0].names[1]: read is there twice"]
        ),
        (
            "syscalls:\n    - {names: [], action: SCMP_ACT_ALLOW, why: input}",
            ["p.yaml:5: seccomp.syscalls[0].names: found an empty list, expected system call names"]
        ),
        (
            "syscalls:\n    - {names: [read], action: SCMP_ACT_ALLOW}",
            ["p.yaml:5: seccomp.syscalls[0]: the key \"why\" is missing: each grant has its reason"]
        ),
        (
            "syscalls:\n    - {why: nothing in it}",
            [
                "p.yaml:5: seccomp.syscalls[0]: the key \"names\" is missing",
                "p.yaml:5: seccomp.syscalls[0]: the key \"action\" is missing",
            ]
        ),
        (
            "syscalls:\n    - {names: [read], action: SCMP_ACT_TRACE, why: input}",
            ["p.yaml:5: seccomp.syscalls[0].action: found \"SCMP_ACT_TRACE\", expected one of SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_ACT_NOTIFY, "
                + "SCMP_ACT_KILL, SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_THREAD, SCMP_ACT_LOG, SCMP_ACT_TRAP; did you mean \"SCMP_ACT_TRAP\"?"]
        ),
        (
            "syscalls:\n    - {names: [read], errnoRet: 1, why: input}",
            [
                "p.yaml:5: seccomp.syscalls[0]: the key \"action\" is missing",
                "p.yaml:5: seccomp.syscalls[0].errnoRet: is there without an action",
            ]
        ),
        (
            rule(args: "[{index: 6, op: SCMP_CMP_EQ, value: 1}, {index: 0, op: SCMP_CMP_QE, value: 1}]"),
            [
                "p.yaml:8: seccomp.syscalls[0].args[0].index: found \"6\", expected a whole number from 0 to 5",
                "p.yaml:8: seccomp.syscalls[0].args[1].op: found \"SCMP_CMP_QE\", expected one of SCMP_CMP_NE, SCMP_CMP_LT, SCMP_CMP_LE, "
                    + "SCMP_CMP_EQ, SCMP_CMP_GE, SCMP_CMP_GT, SCMP_CMP_MASKED_EQ; did you mean \"SCMP_CMP_NE\"?",
            ]
        ),
        (
            rule(args: "[{index: 0, op: SCMP_CMP_EQ, value: -1}, {index: 1, op: SCMP_CMP_EQ, value: []}, {index: 2, op: SCMP_CMP_NE, value: [1]}]"),
            [
                "p.yaml:8: seccomp.syscalls[0].args[0].value: found \"-1\", expected a whole number from 0 to 18446744073709551615",
                "p.yaml:8: seccomp.syscalls[0].args[1].value: found an empty list, expected numbers",
                "p.yaml:8: seccomp.syscalls[0].args[2].value: found a list, expected a whole number from 0 to 18446744073709551615",
            ]
        ),
        (
            rule(args: "[{index: 0, op: SCMP_CMP_MASKED_EQ, value: 0xf}, {index: 1, op: SCMP_CMP_MASKED_EQ, value: 0xf, valueTwo: 0x10}]"),
            [
                "p.yaml:8: seccomp.syscalls[0].args[0]: the key \"valueTwo\" is missing: what the argument masked with \"value\" has to be",
                "p.yaml:8: seccomp.syscalls[0].args[1].valueTwo: found 16, which has bits outside the mask 15: it would never match",
            ]
        ),
        (
            rule(args: "[{index: 0, op: SCMP_CMP_EQ, value: 1, valueTwo: 2}, {index: 0, op: SCMP_CMP_EQ, value: 3}]"),
            [
                "p.yaml:8: seccomp.syscalls[0].args[0].valueTwo: belongs to SCMP_CMP_MASKED_EQ, not to SCMP_CMP_EQ",
                "p.yaml:8: seccomp.syscalls[0].args[1]: argument 0 has a condition already: list values, or write another rule",
            ]
        ),
    ]

    private static func rule(args: String) -> String {
        "syscalls:\n    - names: [read]\n      action: SCMP_ACT_ALLOW\n      why: input\n      args: \(args)"
    }

    @Test("in the seccomp section", arguments: seccompCases.indices)
    func seccomp(index: Int) {
        let text = "version: 1\nname: p\nseccomp:\n  \(Self.seccompCases[index].section)"
        #expect(parseErrors(text) == Self.seccompCases[index].errors)
    }

    @Test("All mistakes of a file are reported at once, at most fifty of them")
    func many() {
        let keys = (1...70).map { "unknown_\($0): 1" }.joined(separator: "\n")
        let errors = parseErrors("version: 1\nname: p\n\(keys)")
        #expect(errors.count == 51)
        #expect(errors.first?.hasPrefix("p.yaml:3: unknown_1: unknown key \"unknown_1\", expected one of ") == true)
        #expect(errors.last == "p.yaml: 20 further errors are not listed")
    }
}
