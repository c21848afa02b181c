// What the kernel, its settings and this user's rights allow. Each check tries the thing itself where that is possible.

import Foundation
import LinuxSystem
import SandboxCore

struct HostChecks {
    let facts: HostFacts
    let answers = ProbeProcess.ask()
    let isRoot = geteuid() == 0

    func findings() -> [Finding] {
        [kernel()] + namespaces() + files() + [seccomp()] + capabilities() + [idRange()] + settings()
    }

    private func kernel() -> Finding {
        let parts = facts.kernel.split { !$0.isNumber }.compactMap { Int($0) }
        let version = (parts.first ?? 0, parts.dropFirst().first ?? 0)
        let found = "Linux \(facts.kernel), \(facts.architecture), \(Human.counted(facts.cpus, "cpu")), \(Human.bytes(facts.memoryBytes))"
        if version < (5, 11) {
            return Finding("Kernel", "version", .missing, found, why: "overlay in a user namespace and clone3 into a cgroup need Linux 5.11", fix: "a newer kernel")
        }
        if version < (6, 6) {
            return Finding("Kernel", "version", .weak, found, why: "below Linux 6.6 a tmpfs has no user attributes, and deleted files of an image may show again")
        }
        return Finding("Kernel", "version", .ok, found)
    }

    private func namespaces() -> [Finding] {
        let names = [
            ("user_namespace", "user namespace"), ("mount_namespace", "mount namespace"), ("pid_namespace", "pid namespace"),
            ("ipc_namespace", "ipc namespace"), ("uts_namespace", "uts namespace"), ("network_namespace", "network namespace"),
            ("cgroup_namespace", "cgroup namespace"), ("loopback", "loopback"),
        ]
        return names.map { key, name in
            finding("Isolation", key, name, fix: key == "user_namespace" ? userNamespaceFix() : "ask who runs this machine or container to allow it")
        }
    }

    private func files() -> [Finding] {
        [
            finding("Isolation", "tmpfs", "tmpfs", fix: "allow mounts in user namespaces"),
            finding("Isolation", "overlay", "overlay (userxattr)", fix: "load the module: modprobe overlay; in a container, ask for a kernel with it"),
            finding("Isolation", "tmpfs_xattr", "tmpfs attributes", fix: "Linux 6.6 or later with CONFIG_TMPFS_XATTR", failed: .weak),
        ]
    }

    private func finding(_ section: String, _ key: String, _ name: String, fix: String, failed: Finding.State = .missing) -> Finding {
        guard let code = answers[key] else { return Finding(section, name, .missing, "could not be tried", fix: "run 'paddock doctor' from where its executable can be read") }
        return code == 0 ? Finding(section, name, .ok, "works") : Finding(section, name, failed, "refused: \(Errno(code))", fix: fix)
    }

    private func userNamespaceFix() -> String {
        for (name, wrong, fix) in [
            ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
            ("kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run as root"),
            ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=65536"),
        ] where Self.setting(name) == wrong { return fix }
        return "in a container: start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined, or --privileged"
    }

    private func seccomp() -> Finding {
        let actions = Self.setting("kernel/seccomp/actions_avail") ?? ""
        if actions.isEmpty { return Finding("Isolation", "seccomp", .missing, "the kernel has no seccomp filters", fix: "a kernel with CONFIG_SECCOMP_FILTER") }
        guard actions.split(separator: " ").contains("user_notif") else {
            return Finding("Isolation", "seccomp", .weak, "filters, but no user notification", why: "what is blocked is not named in results", fix: "Linux 5.0 or later")
        }
        return Finding("Isolation", "seccomp", .ok, "filters and user notification")
    }

    private func capabilities() -> [Finding] {
        guard isRoot else {
            return [Finding("Rights", "user", .weak, "uid \(geteuid()), not root", why: "one id for all sandboxes, and cgroups only where they are delegated", fix: "run the daemon as root, or in a systemd unit with Delegate=yes")]
        }
        let needed: [(String, String)] = [
            ("cap_sys_admin", "mounts and namespaces"), ("cap_setuid", "an id range for each sandbox"), ("cap_setgid", "an id range for each sandbox"),
            ("cap_chown", "files that belong to the sandbox's user"), ("cap_kill", "ending what runs in sandboxes"), ("cap_dac_override", "reading images"),
        ]
        let lacking = needed.filter { !Capabilities.effective($0.0) }
        var findings = [
            lacking.isEmpty
                ? Finding("Rights", "user", .ok, "root with the capabilities that are needed")
                : Finding(
                    "Rights", "user", .missing, "root without \(lacking.map { "\($0.0) (\($0.1))" }.joined(separator: ", "))",
                    fix: "give them: docker run --cap-add, or CapabilityBoundingSet= of the systemd unit")
        ]
        if !Capabilities.effective("cap_sys_resource") {
            findings.append(Finding(
                "Rights", "cap_sys_resource", .note, "not there",
                why: "limits such as open files cannot be raised above this process's own, and the daemon cannot protect itself from the OOM killer",
                fix: "--cap-add SYS_RESOURCE, where that matters"))
        }
        return findings
    }

    private func idRange() -> Finding {
        let text = (try? String(contentsOfFile: "/proc/self/uid_map", encoding: .utf8)) ?? ""
        let ranges = text.split(separator: "\n").map { $0.split(separator: " ").compactMap { Int($0) } }.filter { $0.count == 3 }
        let last = 0x4000_0000 + 65_536
        if !isRoot { return Finding("Rights", "id ranges", .weak, "one id for all sandboxes, because the daemon is not root", fix: "run it as root") }
        if ranges.contains(where: { $0[0] <= 0x4000_0000 && $0[0] + $0[2] >= last }) { return Finding("Rights", "id ranges", .ok, "65,536 ids of its own for each sandbox") }
        return Finding(
            "Rights", "id ranges", .missing, "ids from \(Human.count(0x4000_0000)) on are not mapped here: this is a container with a small range of ids",
            fix: "give the container a larger id map")
    }

    private func settings() -> [Finding] {
        var findings: [Finding] = []
        var files = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        let open = Int(clamping: files.rlim_cur)
        findings.append(Finding(
            "Settings", "open files", open < 4096 ? .weak : .ok, "at most \(Human.count(open)) for this process",
            why: open < 4096 ? "a farm needs some for each job and connection" : nil, fix: open < 4096 ? "ulimit -n 65536, or LimitNOFILE=65536 of the systemd unit" : nil))
        if let max = Self.setting("kernel/pid_max").flatMap({ Int($0) }) {
            findings.append(Finding(
                "Settings", "processes", max < 65_536 ? .note : .ok, "at most \(Human.count(max)) on this machine (kernel.pid_max)",
                fix: max < 65_536 ? "for more than some thousand sandboxes: sysctl -w kernel.pid_max=4194304" : nil))
        }
        if let scope = Self.setting("kernel/yama/ptrace_scope") {
            findings.append(Finding("Settings", "ptrace", .note, "kernel.yama.ptrace_scope is \(scope); sandboxes may not trace unless their policy grants it"))
        }
        return findings
    }

    static func setting(_ name: String) -> String? {
        (try? String(contentsOfFile: "/proc/sys/\(name)", encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
