// Cgroups, the places Paddock keeps its files in, and the tools it calls.

import Foundation
import Images
import SandboxCore

struct PlaceChecks {
    let layout: Layout
    let cgroup: String
    let unenforced: [Mechanism]
    let outbound: HostLack?

    func findings() -> [Finding] { cgroups() + network() + places() + tools() }

    private func cgroups() -> [Finding] {
        let section = "Cgroups"
        let delegation = geteuid() == 0
            ? "mount cgroup2 writable (in a container: --cgroupns=private --privileged), with memory and pids in cgroup.controllers"
            : "run in a delegated cgroup: systemd-run --user --scope -p Delegate=yes paddock …"
        guard cgroup != "none" else {
            return [Finding(section, "hierarchy", .missing, "none that can be written", why: "limits are enforced by rlimits and polling only", fix: delegation)]
        }
        var findings = [Finding(section, "hierarchy", .ok, cgroup == "v2" ? "version 2" : "version 1", why: cgroup == "v2" ? nil : "works; version 2 makes and removes them faster")]
        for (mechanism, name) in [(Mechanism.cgroupMemory, "memory"), (.cgroupPids, "pids"), (.cgroupCPU, "cpu")] {
            findings.append(
                unenforced.contains(mechanism)
                    ? Finding(section, name, mechanism == .cgroupMemory ? .missing : .weak, "the controller cannot be used here", fix: delegation)
                    : Finding(section, name, .ok, "enforced and measured"))
        }
        return findings
    }

    private func network() -> [Finding] {
        guard unenforced.contains(.outbound) else { return [] }
        return [Finding(
            "Network", "way out", .weak, outbound?.found ?? "could not be tried", why: "jobs whose policy says network: outbound are refused", fix: outbound?.fix)]
    }

    private func places() -> [Finding] {
        var findings = [
            FileManager.default.isExecutableFile(atPath: layout.warden)
                ? Finding("Places", "paddock-warden", .ok, layout.warden)
                : Finding("Places", "paddock-warden", .missing, "not at \(layout.warden)", fix: "put it beside paddock, or name it with PADDOCK_WARDEN")
        ]
        do {
            try layout.makeDirectories()
            findings.append(Finding("Places", "directories", .ok, "\(layout.home), \(layout.run)"))
        } catch {
            let complaint = Complaint(error)
            return findings + [Finding("Places", "directories", .missing, complaint.message, fix: complaint.hint)]
        }
        do {
            let store = try ImageStore(root: layout.store)
            let free = Self.freeBytes(layout.store)
            let text = "\(layout.store), \(Human.bytes(free)) free"
            let small = free < 2 << 30
            if store.supportsWhiteouts {
                findings.append(Finding("Places", "image store", small ? .weak : .ok, text, why: small ? "an image with toolchains takes about 1 GiB" : nil))
            } else {
                findings.append(Finding(
                    "Places", "image store", .note, text, why: "it lies on an overlay itself (as in a container): images that delete files are kept merged, which takes more space",
                    fix: "PADDOCK_HOME on a file system of its own"))
            }
        } catch {
            findings.append(Finding("Places", "image store", .missing, Complaint(error).message, fix: "choose another place with PADDOCK_HOME"))
        }
        findings.append(Finding("Places", "socket", .note, layout.socket))
        return findings
    }

    private func tools() -> [Finding] {
        let tools: [(String, String, String)] = [
            ("mmdebstrap", "building images", "apt-get install mmdebstrap"), ("tar", "exporting images", "apt-get install tar"),
            ("zstd", "importing images packed with zstd", "apt-get install zstd"), ("gzip", "importing images packed with gzip", "apt-get install gzip"),
        ]
        return tools.map { tool, purpose, fix in
            let path = Self.find(tool)
            return path.map { Finding("Tools", tool, .ok, $0) } ?? Finding("Tools", tool, .weak, "not installed", why: "needed for \(purpose) only", fix: fix)
        }
    }

    static func find(_ tool: String) -> String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":").map { "\($0)/\(tool)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    private static func freeBytes(_ path: String) -> Int {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return 0 }
        return Int(status.f_bavail) * Int(status.f_frsize)
    }
}
