// Other sandboxes that Debian has, asked for the same as a job gets: the machine's own /usr, read-only; no network, no
// capabilities, a /tmp that is gone afterwards. How each is started, and what it needs before.

import Foundation

/// A program that runs a command in a sandbox of its own.
struct Peer: Sendable {
    var name: String
    /// Debian's package, which is also the program's name where that is not another one.
    var package: String
    /// What is made once: root file systems, bundles. Throws where the peer cannot be used here.
    var prepare: @Sendable (_ place: String) throws -> Void = { _ in }
    /// The command that runs `work` in a sandbox; the number is nobody else's.
    var command: @Sendable (_ work: PeerWork, _ place: String, _ number: Int) -> Command

    static let all = [bubblewrap, crun, docker]
}

/// What all of them run.
enum PeerWork: String, CaseIterable, Sendable {
    case nothing, python, pytest

    var arguments: [String] {
        switch self {
        case .nothing: ["/bin/true"]
        case .python: ["/usr/bin/python3", "-c", "print(1)"]
        case .pytest: ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "/suite/test_five.py"]
        }
    }

    /// The same where nothing is mounted elsewhere.
    func bare(_ place: String) -> [String] { arguments.map { $0.replacingOccurrences(of: "/suite/", with: "\(place)/suite/") } }
}

extension Peer {
    static let bubblewrap = Peer(name: "bubblewrap", package: "bubblewrap") { work, place, _ in
        let links = ["bin", "lib", "lib64"].flatMap { ["--symlink", "usr/\($0)", "/\($0)"] }
        return Command(
            arguments: [
                "/usr/bin/bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc",
                "--ro-bind", "\(place)/suite", "/suite", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
            ] + links + ["--"] + work.arguments)
    }

    /// One bundle for each work, because what is run stands in it.
    static let crun = Peer(name: "crun", package: "crun") { place in
        for work in PeerWork.allCases {
            let bundle = "\(place)/\(work.rawValue)"
            try root(at: "\(bundle)/rootfs")
            let data = try JSONSerialization.data(withJSONObject: ociConfiguration(work, place))
            try data.write(to: URL(fileURLWithPath: "\(bundle)/config.json"))
        }
    } command: { work, place, number in
        Command(arguments: ["/usr/bin/crun", "--cgroup-manager=cgroupfs", "run", "--bundle", "\(place)/\(work.rawValue)", "pdk-bench-\(getpid())-\(number)"])
    }

    private static let image = "paddock-bench"

    static let docker = Peer(name: "docker", package: "docker") { place in
        do {
            _ = try output(["docker", "info"])
        } catch {
            throw BenchError("no docker daemon answers")
        }
        try root(at: "\(place)/rootfs")
        _ = try output(["sh", "-c", "tar -c -C '\(place)/rootfs' . | docker import - \(image)"])
    } command: { work, place, _ in
        Command(
            arguments: [
                "/usr/bin/env", "docker", "run", "--rm", "--network", "none", "--cap-drop", "ALL", "--memory", "512m", "--pids-limit", "128", "--tmpfs", "/tmp",
                "--volume", "/usr:/usr:ro", "--volume", "\(place)/suite:/suite:ro", image,
            ] + work.arguments)
    }

    /// A root file system with nothing but places to mount on and the links that a merged /usr has.
    private static func root(at path: String) throws {
        for directory in ["usr", "etc", "proc", "dev", "tmp", "suite"] {
            try FileManager.default.createDirectory(atPath: "\(path)/\(directory)", withIntermediateDirectories: true)
        }
        for link in ["bin", "lib", "lib64"] { try FileManager.default.createSymbolicLink(atPath: "\(path)/\(link)", withDestinationPath: "usr/\(link)") }
    }

    private static func ociConfiguration(_ work: PeerWork, _ place: String) -> [String: Any] {
        func bind(_ source: String, _ destination: String) -> [String: Any] {
            ["source": source, "destination": destination, "type": "none", "options": ["rbind", "ro"]]
        }
        func temporary(_ destination: String) -> [String: Any] {
            ["source": "tmpfs", "destination": destination, "type": "tmpfs", "options": ["nosuid", "nodev"]]
        }
        return [
            "ociVersion": "1.0.2",
            "process": [
                "user": ["uid": 65_534, "gid": 65_534], "args": work.arguments, "env": Command.nothing.environment + ["PATH=/usr/bin:/bin"], "cwd": "/",
                "noNewPrivileges": true, "capabilities": [:] as [String: Any],
            ],
            "root": ["path": "rootfs", "readonly": true], "hostname": "peer",
            "mounts": [
                bind("/usr", "/usr"), bind("/etc", "/etc"), bind("\(place)/suite", "/suite"), ["source": "proc", "destination": "/proc", "type": "proc"],
                temporary("/dev"), temporary("/tmp"),
            ],
            "linux": [
                "namespaces": ["pid", "network", "ipc", "uts", "mount"].map { ["type": $0] },
                "resources": ["memory": ["limit": 512 << 20], "pids": ["limit": 128]],
            ],
        ]
    }
}
