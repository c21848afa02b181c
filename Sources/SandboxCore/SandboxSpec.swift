// What a sandbox is made from: everything decided, nothing left to look up. The backend's input.

/// A sandbox to be made. Two equal specs make interchangeable sandboxes, so a pool can keep them ready.
public struct SandboxSpec: Sendable, Hashable {
    /// Whose jobs it is for; means nothing to the sandbox itself.
    public var pool: String
    public var root: RootFilesystem
    public var hostname: String
    public var network: NetworkMode
    public var proc: ProcMode
    /// Whether `/dev/pts` is there, for programs that want a terminal.
    public var pty: Bool
    /// The seccomp filter of every process a job starts here; `nil` where the host has no seccomp and the policy allows that.
    public var seccomp: SeccompProgram?
    public var user: UserID
    /// Whether the job may run without these; what is missing is named in each result.
    public var tolerateMissing: Set<Mechanism>
    /// What its steps may be forked from; `nil` for a sandbox whose programs all start by themselves.
    public var template: TemplateSpec?

    public init(
        pool: String = "", root: RootFilesystem, hostname: String = "sandbox", network: NetworkMode = .loopback, proc: ProcMode = .masked,
        pty: Bool = false, seccomp: SeccompProgram?, user: UserID = UserID(),
        tolerateMissing: Set<Mechanism> = [], template: TemplateSpec? = nil
    ) {
        self.pool = pool
        self.root = root
        self.hostname = hostname
        self.network = network
        self.proc = proc
        self.pty = pty
        self.seccomp = seccomp
        self.user = user
        self.tolerateMissing = tolerateMissing
        self.template = template
    }
}

extension SandboxSpec {
    /// Of what tells specs apart cheaply: the filter is kilobytes long, and `==` sees at once where two share it.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(pool)
        hasher.combine(root.layers)
        hasher.combine(network)
        hasher.combine(proc)
        hasher.combine(seccomp?.bpf.count)
        hasher.combine(template?.name)
    }
}

/// The ids a job runs under, as seen inside its user namespace.
public struct UserID: Sendable, Equatable {
    public var uid: Int
    public var gid: Int
    public init(uid: Int = 1000, gid: Int = 1000) {
        self.uid = uid
        self.gid = gid
    }
}

/// Where the read-only lower part of a root filesystem comes from.
public struct RootFilesystem: Sendable, Equatable {
    /// Directories stacked as overlay's lower layers, the uppermost first.
    public var layers: [String]
    /// Directories of the host bound read-only over the root, for the `host` image.
    public var binds: [Bind]
    /// Its directories that a job's user may write to, besides /tmp and /workspace, where that is known: then sandboxes see
    /// it as it is, with directories of their own at these places. `nil`: a writable layer lies over all of it.
    public var writable: [String]?

    public struct Bind: Sendable, Equatable {
        public var source: String
        public var target: String
        public init(source: String, target: String) {
            self.source = source
            self.target = target
        }
    }

    public init(layers: [String], binds: [Bind] = [], writable: [String]? = nil) {
        self.layers = layers
        self.binds = binds
        self.writable = writable
    }
}

public enum NetworkMode: String, Sendable, Equatable, CaseIterable {
    /// A network namespace of its own with nothing in it, loopback down.
    case none
    /// A network namespace of its own with loopback up.
    case loopback
    /// Loopback, and a way out through the host that cannot reach the host's own addresses.
    case outbound
}

public enum ProcMode: String, Sendable, Equatable, CaseIterable {
    /// Only the sandbox's own processes: nothing of the machine.
    case pids
    /// What programs expect of `/proc`, with what leaks or can be written masked.
    case masked
}

/// A host mechanism that can be missing. The raw value is what results and `paddock doctor` call it.
public enum Mechanism: String, Sendable, Hashable, CaseIterable {
    case userNamespace = "user_namespace"
    case idRange = "id_range"
    case networkNamespace = "network_namespace"
    case cgroupMemory = "cgroup_memory"
    case cgroupPids = "cgroup_pids"
    case cgroupCPU = "cgroup_cpu"
    case seccomp
    case seccompNotify = "seccomp_notify"
    case overlay
    case outbound
}

/// A compiled seccomp filter: classic BPF as the kernel takes it.
public struct SeccompProgram: Sendable, Equatable {
    /// The instructions, eight bytes each, in the machine's byte order.
    public var bpf: [UInt8]
    /// Whether some action is USER_NOTIF, so that a listener is needed.
    public var notifies: Bool
    /// What happens to a caught syscall: answered EPERM and counted, or the job is killed.
    public var onDenied: DeniedAction
    /// Whether a job can leave keys in the kernel, which outlive its processes and its files.
    public var permitsKeys: Bool
    /// The protocols of netlink sockets that the policy permits, a bit for each; the filter hands over the calls that make
    /// one, because their number has to be bounded. 0 where it permits none, or decides by itself.
    public var countedNetlink: UInt32
    /// Whether it permits what a process does between loading it and executing its program, so that it can be loaded
    /// before the program is known: `SeccompProgram.beforeExec`.
    public var loadsAhead: Bool
    /// Whether a job can make a socket of any kind, by whatever call.
    public var permitsSockets: Bool
    /// Whether a job can make a message queue, a semaphore or shared memory that has a name in its ipc namespace.
    public var permitsIPC: Bool

    /// For a supervisor that wants to hear of the calls by which a job can leave something that is neither a process nor a
    /// file; `nil` where there is no notification.
    public var watching: Watching?

    public struct Watching: Sendable, Equatable {
        /// The filter, but that it hands these calls over wherever it could permit them.
        public var bpf: [UInt8]
        /// Numbers of the calls that make something in a network namespace, and in an ipc namespace.
        public var network: [UInt32]
        public var ipc: [UInt32]

        public init(bpf: [UInt8], network: [UInt32], ipc: [UInt32]) {
            (self.bpf, self.network, self.ipc) = (bpf, network, ipc)
        }
    }

    public enum DeniedAction: String, Sendable, Equatable, CaseIterable {
        case errno, kill
    }

    public init(
        bpf: [UInt8], notifies: Bool, onDenied: DeniedAction, permitsKeys: Bool = true, loadsAhead: Bool = false, countedNetlink: UInt32 = 0,
        permitsSockets: Bool = true, permitsIPC: Bool = true, watching: Watching? = nil
    ) {
        self.bpf = bpf
        self.notifies = notifies
        self.onDenied = onDenied
        self.permitsKeys = permitsKeys
        self.loadsAhead = loadsAhead
        self.countedNetlink = countedNetlink
        self.permitsSockets = permitsSockets
        self.permitsIPC = permitsIPC
        self.watching = watching
    }

    /// What a job's process calls between loading its filter ahead and executing its program, with the arguments that
    /// are always the same.
    public static let beforeExec: [(call: String, arguments: [UInt64?])] = [
        ("futex", [nil, 0]), ("futex", [nil, 1]),  // FUTEX_WAIT, FUTEX_WAKE
        ("prlimit64", [0, nil, nil, 0]), ("dup3", [nil, nil, 0]), ("chdir", [nil]),
        ("close_range", [3, 0xFFFF_FFFF, 4]),  // CLOSE_RANGE_CLOEXEC
        ("execve", [nil, nil, nil]), ("exit_group", [nil]),
    ]
}
