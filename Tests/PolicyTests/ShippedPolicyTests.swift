// The repository's own policies, asked about every system call of the machine and about the arguments that matter. What
// programs make of the answers is tested with the real warden, elsewhere.

import Testing

@testable import Policy

@Suite("The shipped policies decide each system call as documented")
struct ShippedPolicyTests {
    static let names = ["strict", "default", "build", "network"]

    /// Everything that is answered ENOSYS or EPERM without being reported.
    static let quiet: [String: [String]] = [
        "errno ENOSYS": [
            "clone3", "seccomp", "io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents", "io_pgetevents",
            "remap_file_pages", "memfd_secret", "statmount", "listmount", "listns", "lsm_get_self_attr", "lsm_set_self_attr",
            "lsm_list_modules", "file_getattr", "file_setattr", "get_mempolicy", "set_mempolicy", "mbind",
            "set_mempolicy_home_node", "migrate_pages", "move_pages", "_sysctl", "uselib", "ustat", "sysfs", "getpmsg",
            "putpmsg", "afs_syscall", "tuxcall", "security", "vserver", "epoll_ctl_old", "epoll_wait_old", "set_thread_area",
            "get_thread_area", "create_module", "get_kernel_syms", "query_module",
        ],
        "errno EPERM": ["setgroups", "adjtimex", "clock_adjtime", "sync", "syncfs"],
    ]

    /// What is caught and counted.
    static let caught = [
        "ptrace", "syslog", "modify_ldt", "pivot_root", "chroot", "acct", "settimeofday", "mount", "umount2", "swapon", "swapoff",
        "reboot", "sethostname", "setdomainname", "iopl", "ioperm", "init_module", "delete_module", "quotactl", "nfsservctl",
        "lookup_dcookie", "vhangup", "clock_settime", "kexec_load", "kexec_file_load", "add_key", "request_key", "keyctl",
        "unshare", "setns", "perf_event_open", "fanotify_init", "fanotify_mark", "name_to_handle_at", "open_by_handle_at",
        "process_vm_readv", "process_vm_writev", "kcmp", "finit_module", "bpf", "userfaultfd", "io_uring_setup",
        "io_uring_enter", "io_uring_register", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick",
        "pidfd_getfd", "process_madvise", "mount_setattr", "quotactl_fd", "process_mrelease", "open_tree_attr",
    ]

    /// Decided by their arguments; see the tests below.
    static let byArgument = ["clone", "socket", "socketpair", "prctl", "personality", "prlimit64", "mknod", "mknodat"]

    /// What `strict` catches and the others allow.
    static let processes = [
        "fork", "vfork", "vmsplice", "shmget", "shmat", "shmdt", "shmctl", "semget", "semop", "semtimedop", "semctl", "msgget",
        "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr",
    ]

    @Test("Each call of the machine is allowed, answered or caught, and none is forgotten", arguments: names)
    func everyCall(name: String) throws {
        let filter = try shipped(name)
        for number in 0...Syscalls.newestNumber {
            let answer = filter.ask(UInt32(number))
            guard let call = syscallName(number: number) else {
                #expect(answer == "notify", "a hole in the table at \(number)")
                continue
            }
            if Self.byArgument.contains(call) { continue }
            let expected = Self.quiet.first { $0.value.contains(call) }?.key
                ?? (Self.caught.contains(call) || name == "strict" && Self.processes.contains(call) ? "notify" : "allow")
            #expect(answer == expected, "\(call)")
            // Arguments make no difference.
            if call != "ioctl" { #expect(filter.ask(UInt32(number), Array(repeating: .max, count: 6)) == expected, "\(call)") }
        }
    }

    @Test("Every dangerous call is among those caught or answered", arguments: Danger.never + Danger.loud)
    func dangers(group: Danger.Group) {
        for name in group.names {
            #expect(Self.caught.contains(name) || Self.quiet["errno ENOSYS"]?.contains(name) == true, "\(name)")
        }
    }

    @Test("32-bit calls, x32 and unknown architectures kill the process", arguments: names)
    func foreign(name: String) throws {
        let filter = try shipped(name)
        for number: UInt32 in [0, 1, 2, 4, 11, 59, 102, 120, 400, 500, 0x4000_0000, 0xFFFF_FFFF] {
            #expect(filter.ask(number, arch: Filter.i386) == "kill")
            #expect(filter.ask(number, arch: 0x4000_0028) == "kill")
            #expect(filter.ask(number, arch: 0) == "kill")
        }
        #if arch(x86_64)
        for number in 0...UInt32(600) { #expect(filter.ask(0x4000_0000 | number) == "kill") }
        #expect(filter.ask(0x8000_0000) == "kill")
        #expect(filter.ask(0xFFFF_FFFE) == "kill")
        #endif
    }

    @Test("Calls younger than the policies answer ENOSYS, so that libraries fall back", arguments: names)
    func younger(name: String) throws {
        let filter = try shipped(name)
        for number: UInt32 in [471, 480, 600, 0x3FFF_FFFF] { #expect(filter.ask(number) == "errno ENOSYS") }
    }

    /// CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM|SETTLS|PARENT_SETTID|CHILD_CLEARTID, as glibc and musl make threads.
    static let thread: UInt64 = 0x3D_0F00

    @Test("strict makes threads and no processes")
    func strictClone() throws {
        let filter = try shipped("strict")
        #expect(filter.ask("clone", Self.thread) == "allow")
        #expect(filter.ask("clone", 0x7D_0F00) == "allow", "musl adds CLONE_DETACHED")
        #expect(filter.ask("clone", 0x5_0F00) == "allow", "Go has no TLS flags")
        for flags: UInt64 in [17, 0x0120_0011, 0x4111, 0x4100, 0x100, 0, Self.thread & ~0x1_0000, Self.thread & ~0x100] {
            #expect(filter.ask("clone", flags) == "notify", "\(flags)")
        }
        #expect(filter.ask("fork") == "notify")
        #expect(filter.ask("vfork") == "notify")
    }

    @Test("Processes and threads come without new namespaces and not as children of init", arguments: names)
    func clone(name: String) throws {
        let filter = try shipped(name)
        #expect(filter.ask("clone", Self.thread) == "allow")
        if name != "strict" {
            for flags: UInt64 in [17, 0x0120_0011, 0x4111] { #expect(filter.ask("clone", flags) == "allow") }
        }
        for flag in Danger.namespaceFlags + [0x8000 /* CLONE_PARENT */] {
            for others: UInt64 in [0, 17, Self.thread, 0xFFFF_FFFF_0000_0000] {
                #expect(filter.ask("clone", others | flag) == "notify", "\(flag) \(others)")
            }
        }
        #expect(filter.ask("clone3") == "errno ENOSYS")
    }

    @Test("Netlink sockets are left to the rules where the kernel hands no calls over")
    func netlinkWithoutNotification() throws {
        let filter = try Filter(try PolicyStore.load(directory: policiesDirectory).policy(named: "default"), notify: false)
        #expect(filter.countedNetlink == 0 && filter.ask("socket", 16, 3, 0) == "allow")
    }

    @Test("Queues, semaphores and shared memory that have a name: none can be made in strict", arguments: names)
    func ipc(name: String) throws { #expect(try shipped(name).permitsIPC == (name != "strict")) }

    @Test("Sockets: none in strict; Unix, TCP, UDP and the question about interfaces elsewhere; nothing raw", arguments: names)
    func sockets(name: String) throws {
        let filter = try shipped(name)
        let flags: UInt64 = 0x8_0800 // SOCK_CLOEXEC | SOCK_NONBLOCK
        let inet = name == "strict" ? "notify" : "allow"
        for type: UInt64 in [1, 2, 5] {
            #expect(filter.ask("socket", 1, type, 0) == (name == "strict" ? "errno EAFNOSUPPORT" : "allow"))
            #expect(filter.ask("socketpair", 1, type | flags, 0) == inet)
        }
        #expect(filter.permitsSockets == (name != "strict"))
        for family: UInt64 in [2, 10] {
            #expect(filter.ask("socket", family, 1 | flags, 0) == inet)
            #expect(filter.ask("socket", family, 1, 6) == inet)
            #expect(filter.ask("socket", family, 2 | flags, 17) == inet)
            #expect(filter.ask("socket", family, 2, 0) == inet)
            #expect(filter.ask("socket", family, 1, 262) == (name == "strict" ? "notify" : "errno EPROTONOSUPPORT"))
            // Raw, packet, DCCP and SCTP sockets, ICMP, UDP-Lite, SMC.
            let rarer: [(UInt64, UInt64)] = [
                (3, 0), (3, 1), (3 | flags, 255), (10, 0), (6, 33), (5, 132), (1, 132), (2, 1), (2, 58), (2, 136), (1, 256), (4, 0),
            ]
            for (type, proto) in rarer { #expect(filter.ask("socket", family, type, proto) == "notify", "\(type) \(proto)") }
            #expect(filter.ask("socketpair", family, 1, 0) == "notify")
        }
        // Netlink is counted: NETLINK_ROUTE where there is a network, and nothing else.
        #expect(filter.countedNetlink == (name == "strict" ? 0 : 1))
        for family: UInt64 in [16, 1 << 32 | 16] { #expect(filter.ask("socket", family, 3 | flags, 0) == "notify") }
        #expect(filter.ask("socket", 16, 3, 1 << 32) == "notify")
        for proto: UInt64 in [1, 4, 9, 12, 15, 16] { #expect(filter.ask("socket", 16, 3, proto) == "notify", "netlink \(proto)") }
        #expect(filter.ask("socket", 1, 3, 0) == (name == "strict" ? "errno EAFNOSUPPORT" : "notify"))
        // AX25 … PACKET, ALG, CAN, VSOCK, XDP and the rest; and a known family with bits the kernel would drop.
        for family: UInt64 in [0] + Array(3...9) + Array(11...15) + Array(17...50) + [1 << 32 | 1, 1 << 32 | 40] {
            for type: UInt64 in [1, 2, 3, 5] { #expect(filter.ask("socket", family, type, 0) == "notify", "family \(family)") }
        }
    }

    @Test("ioctl takes everything but keystrokes into terminals, whatever is in the unused half", arguments: names)
    func ioctl(name: String) throws {
        let filter = try shipped(name)
        for request: UInt64 in [0x5401, 0x5413, 0x5411, 0x541B, 0x541D, 0x8912, 0, .max] { #expect(filter.ask("ioctl", 0, request) == "allow") }
        for request: UInt64 in [0x5412, 0x541C] {
            for upper: UInt64 in [0, 1 << 32, 0xFFFF_FFFF << 32] { #expect(filter.ask("ioctl", 3, request | upper) == "notify") }
        }
    }

    @Test("Limits of other processes, personalities, device nodes and odd prctls stay out", arguments: names)
    func arguments(name: String) throws {
        let filter = try shipped(name)
        #expect(filter.ask("prlimit64", 0, 7) == "allow")
        for pid: UInt64 in [1, 2, 0xFFFF_FFFF, 1 << 32] { #expect(filter.ask("prlimit64", pid, 7) == "notify") }

        for persona: UInt64 in [0, 0x0002_0000, 0x0004_0000, 0x0006_0000, 0xFFFF_FFFF, .max] {
            #expect(filter.ask("personality", persona) == "allow")
        }
        for persona: UInt64 in [8 /* LINUX32 */, 0x0040_0000 /* READ_IMPLIES_EXEC */, 0x0010_0000, 6] {
            #expect(filter.ask("personality", persona) == "notify")
        }

        for (kind, answer) in [(0, "allow"), (0x8000, "allow"), (0x1000, "allow"), (0xC000, "allow"), (0x2000, "notify"), (0x6000, "notify")] as [(UInt64, String)] {
            if syscallNumber(name: "mknod") != nil { #expect(filter.ask("mknod", 0, kind | 0o644) == answer) }
            #expect(filter.ask("mknodat", 0, 0, kind | 0o644) == answer)
        }

        for option: UInt64 in [1, 15, 16, 23, 36, 38, 39, 0x5356_4D41] { #expect(filter.ask("prctl", option) == "allow", "\(option)") }
        // PR_SET_SECCOMP, PR_SET_SECUREBITS; PR_SET_MM, PR_SET_SYSCALL_USER_DISPATCH, PR_SCHED_CORE, what is to come.
        for option: UInt64 in [22, 28] { #expect(filter.ask("prctl", option) == "errno EINVAL") }
        for option: UInt64 in [0, 35, 59, 62, 1000, 1 << 32 | 15] { #expect(filter.ask("prctl", option) == "notify", "\(option)") }
    }

    @Test("build and network differ from default in limits, terminal and network only")
    func variants() throws {
        let store = try PolicyStore.load(directory: policiesDirectory)
        let (build, network, base) = (try store.policy(named: "build"), try store.policy(named: "network"), try store.policy(named: "default"))
        #expect(build.rules == base.rules && network.rules == base.rules)
        #expect([build.network, network.network, base.network] == [.loopback, .outbound, .loopback])
        #expect([build.pty, network.pty, base.pty] == [true, false, false])
        #expect([build.proc, network.proc, base.proc] == [.masked, .masked, .masked])
        let strict = try store.policy(named: "strict")
        #expect(strict.network == .none && strict.proc == .pids && !strict.pty)
        #expect(store.names.allSatisfy { store[$0]?.tolerateMissing == [] && store[$0]?.notes == [] })
    }
}
