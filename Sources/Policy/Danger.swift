// The system calls that are more than a program's business, with what is wrong with each. Read by `Lint` (which refuses
// them), `Compile` (which proves they are closed) and `Explain` (which says so).

enum Danger {
    struct Group {
        var names: [String]
        /// Completes "never granted: it …" and "denied: …".
        var reason: String
    }

    /// No policy grants these; an included profile that does has them left out, with a note.
    static let never: [Group] = [
        Group(names: ["clone3"], reason: "carries its flags in memory, where no filter can see a new namespace asked for"),
        Group(names: ["unshare", "setns"], reason: "makes or enters namespaces, in which a job would hold capabilities"),
        Group(
            names: [
                "mount", "umount2", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig", "fsmount", "fspick",
                "mount_setattr", "pivot_root", "chroot",
            ], reason: "changes what the sandbox's files are"),
        Group(
            names: ["bpf", "perf_event_open", "userfaultfd"],
            reason: "reaches deep into the kernel and has a history of escapes"),
        Group(
            names: ["io_uring_setup", "io_uring_enter", "io_uring_register"],
            reason: "makes system calls that no filter sees"),
        Group(
            names: ["init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"],
            reason: "replaces or ends the kernel"),
        Group(
            names: [
                "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog", "settimeofday", "clock_settime",
                "sethostname", "setdomainname", "iopl", "ioperm", "vhangup", "nfsservctl", "lookup_dcookie",
            ], reason: "is the machine's administration"),
        Group(
            names: ["add_key", "request_key", "keyctl"],
            reason: "reaches kernel keyrings, which namespaces do not separate"),
        Group(names: ["open_by_handle_at"], reason: "opens files by number, past every path and mount"),
        Group(names: ["fanotify_init", "fanotify_mark"], reason: "watches and blocks other programs' files"),
    ]

    /// Grants that are accepted, and noted.
    static let loud: [Group] = [
        Group(
            names: ["ptrace", "process_vm_readv", "process_vm_writev", "process_madvise"],
            reason: "processes of the job may read and change each other's memory"),
        Group(names: ["pidfd_getfd", "kcmp"], reason: "processes of the job may take or compare each other's descriptors"),
        Group(names: ["name_to_handle_at"], reason: "tells files' numbers, half of an old way out of containers"),
        Group(names: ["modify_ldt"], reason: "changes segment descriptors, with a history of kernel bugs"),
        Group(names: ["seccomp"], reason: "the job may add filters of its own"),
    ]

    /// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. (NEWTIME cannot be asked for with clone.)
    static let namespaceFlags: [UInt64] = [
        0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
    ]

    static let neverNames = Set(never.flatMap(\.names))
}
