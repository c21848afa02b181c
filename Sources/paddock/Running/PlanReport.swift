// What `--dry-run` prints: the sandbox and each step as the backend would have got them.

import Foundation
import SandboxCore

struct PlanReport: Encodable {
    struct Step: Encodable {
        var argv: [String]
        var env: [String]
        var cwd: String
        var stdin: String
        var files: [File]
        var collect: [String]
        var limits: [String: Int]
    }

    struct File: Encodable {
        var path: String
        var bytes: Int
        var mode: String
    }

    struct Bind: Encodable {
        var source: String
        var target: String
    }

    var image: String
    var policy: String
    var layers: [String]
    var binds: [Bind]
    var mounts: [String]
    var network: String
    var hostname: String
    var user: String
    var seccompInstructions: Int
    var deniedSyscalls: String
    var steps: [Step]
    var unenforced: [String]

    init(_ plan: RecordedPlan, image: String, policy: String, unenforced: [Mechanism]) {
        let spec = plan.sandbox
        self.image = image
        self.policy = policy
        self.unenforced = unenforced.map(\.rawValue)
        layers = spec.root.layers
        binds = spec.root.binds.map { Bind(source: $0.source, target: $0.target) }
        let disk = plan.steps.last.map { "\(Human.bytes($0.limits.diskBytes)) and \(Human.count($0.limits.diskInodes)) inodes together" } ?? "nothing is run"
        // As the warden decides: without root the image's files are the job's own, and a way out has its name servers laid over them.
        let places = geteuid() == 0 ? spec.root.writable : nil
        let isLayered = places == nil || spec.network == .outbound
        let writable = ["/workspace", "/tmp", "/dev/shm"] + (places ?? []) + (isLayered ? ["the writable layer"] : [])
        mounts = [
            isLayered ? "/ (overlay: the image, read-only, under a writable layer)" : "/ (the image, read-only)",
            "\(writable.dropLast().joined(separator: ", ")) and \(writable.last ?? "") (tmpfs, \(disk))",
            "/dev (null, zero, full, random, urandom\(spec.pty ? ", pts" : ""))",
            spec.proc == .pids ? "/proc (the sandbox's own processes only)" : "/proc (masked where it leaks or can be written)",
        ]
        network = spec.network.rawValue
        hostname = spec.hostname
        user = "\(spec.user.uid):\(spec.user.gid)"
        seccompInstructions = (spec.seccomp?.bpf.count ?? 0) / 8
        deniedSyscalls = spec.seccomp?.onDenied.rawValue ?? "not filtered"
        steps = plan.steps.map { step in
            let stdin = switch step.stdin {
            case .empty: "empty"
            case .bytes(let bytes): Human.bytes(bytes.count)
            case .descriptor: "a pipe from this process"
            }
            let limits: [String: Int] = [
                "cpu_time_ms": step.limits.cpuTimeMs, "wall_time_ms": step.limits.wallTimeMs, "memory_bytes": step.limits.memoryBytes,
                "processes": step.limits.processes, "disk_bytes": step.limits.diskBytes, "disk_inodes": step.limits.diskInodes, "output_bytes": step.limits.outputBytes, "open_files": step.limits.openFiles,
                "stack_bytes": step.limits.stackBytes, "file_size_bytes": step.limits.fileSizeBytes,
            ]
            return Step(
                argv: step.arguments, env: step.environment, cwd: step.workingDirectory, stdin: stdin,
                files: step.files.map { File(path: $0.path, bytes: $0.bytes.count, mode: "0" + String($0.mode, radix: 8)) },
                collect: step.collect.map(\.pattern), limits: limits)
        }
    }

    /// For a person.
    func text(_ style: Style) -> String {
        var lines: [String] = []
        func line(_ label: String, _ value: String) {
            lines.append("  " + style.dim(label.padding(toLength: 10, withPad: " ", startingAt: 0)) + " " + value)
        }
        func list(_ label: String, _ values: [String], atMost: Int = 12) {
            for (index, value) in values.prefix(atMost).enumerated() { line(index == 0 ? label : "", value) }
            if values.count > atMost { line("", "… and \(values.count - atMost) more (--json shows all)") }
        }
        lines.append(style.bold("Sandbox"))
        line("image", image)
        list("layers", layers)
        list("binds", binds.map { $0.source == $0.target ? "\($0.source) (read-only)" : "\($0.source) on \($0.target) (read-only)" })
        list("mounts", mounts)
        line("policy", policy)
        line("network", network)
        line("seccomp", seccompInstructions == 0 ? "none" : "\(seccompInstructions) instructions; what is denied: \(deniedSyscalls)")
        line("user", "\(user), host name \(hostname)")
        line("unenforced", unenforced.isEmpty ? "nothing: this host enforces all of it" : unenforced.joined(separator: ", "))
        for (index, step) in steps.enumerated() {
            lines.append("")
            lines.append(style.bold(steps.count == 1 ? "Step" : index == steps.count - 1 ? "Step \(index + 1): run" : "Step \(index + 1): compile"))
            line("argv", step.argv.map(Self.quoted).joined(separator: " "))
            line("cwd", step.cwd)
            list("env", step.env.map { Human.safe($0) }, atMost: 40)
            line("stdin", step.stdin)
            list("files", step.files.map { "\(Human.safe($0.path)) (\(Human.bytes($0.bytes)), \($0.mode))" })
            list("collect", step.collect.map { Human.safe($0) })
            list("limits", LimitField.all.compactMap { field in
                step.limits[field.key].map { field.name.padding(toLength: 12, withPad: " ", startingAt: 0) + " " + Human.limit($0, field.unit) }
            })
        }
        return lines.joined(separator: "\n")
    }

    /// As one would type it in a shell.
    private static func quoted(_ argument: String) -> String {
        let plain = !argument.isEmpty && argument.utf8.allSatisfy { "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%".utf8.contains($0) }
        return plain ? argument : "'" + Human.safe(argument, limit: 2000).replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
}
