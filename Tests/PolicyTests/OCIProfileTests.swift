// Seccomp profiles in Docker's and Podman's format, taken as they are.

import Testing

@testable import Policy

/// A profile with everything Docker's has, tabs included, written for these tests.
let ociProfile = """
    {
    \t"defaultAction": "SCMP_ACT_ERRNO",
    \t"defaultErrnoRet": 1,
    \t"archMap": [
    \t\t{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
    \t\t{"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}
    \t],
    \t"syscalls": [
    \t\t{"names": ["execve", "exit", "exit_group", "rt_sigreturn", "write", "close", "sendmsg", "sendmsg", "from_the_future"],
    \t\t "action": "SCMP_ACT_ALLOW", "args": [], "comment": "", "includes": {}, "excludes": {}},
    \t\t{"names": ["ptrace", "process_vm_readv"], "action": "SCMP_ACT_ALLOW", "args": null, "includes": {"minKernel": "4.8"}},
    \t\t{"names": ["kcmp"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.1"}},
    \t\t{"names": ["mincore"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}},
    \t\t{"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 4294967295, "op": "SCMP_CMP_EQ"}]},
    \t\t{"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 131072, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]},
    \t\t{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]},
    \t\t{"names": ["mount", "setns", "unshare", "bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
    \t\t{"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
    \t\t "excludes": {"caps": ["CAP_SYS_ADMIN"], "arches": ["s390", "s390x"]}},
    \t\t{"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 1, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
    \t\t "comment": "s390 parameter ordering for clone is different", "includes": {"arches": ["s390", "s390x"]}, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
    \t\t{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
    \t\t{"names": ["io_uring_setup", "open_by_handle_at", "read"], "action": "SCMP_ACT_ALLOW"},
    \t\t{"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
    \t\t{"names": ["getitimer"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64", "arm64"]}},
    \t\t{"names": ["fcntl"], "action": "SCMP_ACT_ALLOW", "args": [
    \t\t\t{"index": 1, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 3, "op": "SCMP_CMP_EQ"}]}
    \t]
    }
    """

@Suite("A Docker or Podman seccomp profile is taken as it is")
struct OCIProfileTests {
    static let including = """
        \(header())
        seccomp:
          include: {file: docker.json, why: The container runtime's own choice.}
        """

    private func policy(_ text: String = including, profile: String = ociProfile) throws -> Policy {
        let result = resolve(["p.yaml": text, "docker.json": profile])
        #expect(result.errors == [])
        return try #require(result.policies["p"])
    }

    @Test("Its rules hold as for a process without capabilities, on this architecture and kernel")
    func rules() throws {
        let filter = try Filter(try policy())
        #expect(filter.ask("execve") == "allow")
        #expect(filter.ask("ptrace") == "allow")
        #expect(filter.ask("kcmp") == "errno EPERM")
        #expect(filter.ask("mincore") == "errno EPERM")
        #expect(filter.ask("getitimer") == "errno EPERM")
        #expect(filter.ask("mount") == "errno EPERM")
        #expect(filter.ask("clone3") == "errno ENOSYS")
        #expect(filter.ask("clone", 17) == "allow")
        #expect(filter.ask("clone", 0x1000_0011) == "errno EPERM")
        #expect(filter.ask("personality", 0xFFFF_FFFF) == "allow")
        #expect(filter.ask("personality", 8) == "errno EPERM")
        #expect(filter.ask("socket", 2) == "allow")
        #expect(filter.ask("socket", 40) == "errno EPERM")
        #if arch(x86_64)
        #expect(filter.ask("arch_prctl") == "allow")
        #endif
    }

    @Test("Two conditions on one argument are alternatives, as container runtimes read them")
    func alternatives() throws {
        let filter = try Filter(try policy())
        #expect(["allow", "errno EPERM", "allow"] == [1, 2, 3].map { filter.ask("fcntl", 0, $0) })
    }

    @Test("What no policy grants is left out, and said; so are names of other kernels")
    func leftOut() throws {
        let policy = try policy()
        let filter = try Filter(policy)
        #expect(filter.ask("io_uring_setup") == "errno EPERM")
        #expect(filter.ask("open_by_handle_at") == "errno EPERM")
        #expect(filter.ask("read") == "allow")
        #expect(policy.notes == [
            "docker.json grants what no policy does, left out: io_uring_setup, open_by_handle_at",
            "docker.json names calls unknown here, left out: from_the_future",
            "grants ptrace, process_vm_readv: processes of the job may read and change each other's memory",
        ])
    }

    @Test("Foreign tables are killed though the profile lists them")
    func subArchitectures() throws {
        let filter = try Filter(try policy())
        #expect(filter.ask(0, arch: Filter.i386) == "kill")
        #if arch(x86_64)
        #expect(filter.ask(0x4000_0000) == "kill")
        #endif
    }

    @Test("The policy's own default and rules win over the profile's")
    func own() throws {
        let filter = try Filter(try policy("""
            \(header())
            seccomp:
              defaultAction: SCMP_ACT_NOTIFY
              include: {file: docker.json, why: The container runtime's own choice.}
              syscalls:
                - {names: [ptrace], action: SCMP_ACT_ERRNO, errnoRet: EACCES, why: No debuggers here.}
                - {names: [mincore], action: SCMP_ACT_ALLOW, why: Databases ask.}
            """))
        #expect(filter.ask("ptrace") == "errno EACCES")
        #expect(filter.ask("process_vm_readv") == "allow")
        #expect(filter.ask("mincore") == "allow")
        #expect(filter.ask("kcmp") == "notify")
    }

    @Test("Podman's words: errnos by name, a default of ENOSYS, one name instead of names")
    func podman() throws {
        let filter = try Filter(try policy(profile: """
            {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "defaultErrno": "ENOSYS", "architectures": null, "flags": [],
             "syscalls": [
              {"names": ["execve", "exit", "exit_group", "rt_sigreturn", "write", "close", "sendmsg"], "action": "SCMP_ACT_ALLOW"},
              {"names": ["bdflush", "mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "errno": "EPERM"},
              {"name": "read", "action": "SCMP_ACT_ALLOW"},
              {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22, "errno": "EINVAL", "args": [
                {"index": 0, "value": 16, "valueTwo": 0, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 9, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]},
              {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 2, "value": 9, "valueTwo": 0, "op": "SCMP_CMP_NE"}]},
              {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 16, "valueTwo": 0, "op": "SCMP_CMP_NE"}]}
             ]}
            """))
        #expect(filter.ask("mount") == "errno EPERM")
        #expect(filter.ask("swapon") == "errno ENOSYS")
        #expect(filter.ask("read") == "allow")
        #expect(filter.ask("socket", 16, 3, 9) == "errno EINVAL")
        // Others are permitted, by whoever counts them.
        #expect(filter.ask("socket", 16, 3, 0) == "notify" && filter.countedNetlink == .max ^ 1 << 9)
        #expect(filter.ask("socket", 1, 3, 9) == "allow")
    }

    static let mistakes: [(profile: String, error: String)] = [
        ("[]", "d/docker.json:1: found a list, expected a mapping"),
        ("{", "d/docker.json:2: not YAML: did not find expected node content at column 1"),
        ("{}", "d/docker.json:1: the key \"defaultAction\" is missing"),
        ("{\"defaultAction\": 1}", "d/docker.json:1: defaultAction: found \"1\", expected one of SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, "
            + "SCMP_ACT_NOTIFY, SCMP_ACT_KILL, SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_THREAD, SCMP_ACT_LOG, SCMP_ACT_TRAP"),
        ("{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"sycalls\": []}", "d/docker.json:1: sycalls: unknown key \"sycalls\"; did you mean \"syscalls\"?"),
        ("{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n\"syscalls\": [{\"action\": \"SCMP_ACT_ALLOW\"}]}",
            "d/docker.json:2: syscalls[0]: names no system call"),
        ("{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n\"syscalls\": [{\"names\": [\"read\"]}]}",
            "d/docker.json:2: syscalls[0]: the key \"action\" is missing"),
        ("{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n\"syscalls\": [{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"minKernel\": \"new\"}}]}",
            "d/docker.json:2: syscalls[0].includes.minKernel: found \"new\", expected a kernel version such as 4.8"),
    ]

    @Test("A mistake in it is named as in a policy", arguments: mistakes.indices)
    func mistake(index: Int) {
        let result = resolve(["p.yaml": Self.including, "docker.json": Self.mistakes[index].profile])
        #expect(result.errors == [Self.mistakes[index].error])
    }

    @Test("A profile that allows by default is refused")
    func allowAll() {
        let result = resolve(["p.yaml": Self.including, "docker.json": "{\"defaultAction\": \"SCMP_ACT_ALLOW\"}"])
        #expect(result.errors.first == "d/p.yaml:2: seccomp.defaultAction: found SCMP_ACT_ALLOW, expected an action that denies: "
            + "a policy lists what it grants")
    }

    @Test("A rule for an older kernel or another machine is chosen by the machine's own facts")
    func machines() throws {
        let profile = try OCIProfile.parse(Array(ociProfile.utf8), file: "docker.json")
        let old = Machine(architecture: .aarch64, kernel: .init(major: 4, minor: 7))
        let names = Set(profile.rules(on: old, why: "x").rules.flatMap(\.rule.names))
        #expect(names.contains("mincore"))
        #expect(!names.contains("ptrace"))
        #expect(!names.contains("arch_prctl"))
    }
}
