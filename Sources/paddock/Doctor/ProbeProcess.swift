// The doctor's assistant: a process of its own that gives itself namespaces and mounts, one after the other, and says
// of each whether the kernel let it. Alone in its process, because only a process with one thread gets a user namespace.

import Foundation
import LinuxSystem

enum ProbeProcess {
    /// The hidden first word of its command line; the second is an empty directory to mount on.
    static let verb = "__probe"

    /// Tries everything, prints a line `name<TAB>errno` for each (0 when it went well), and ends the process.
    static func answerAndExit() -> Never {
        guard CommandLine.arguments.count == 3 else { exit(Exit.usage) }
        let place = CommandLine.arguments[2]
        let (uid, gid) = (geteuid(), getegid())
        attempt("user_namespace") { () throws(Errno) in
            try Processes.unshare(.user)
            try Files.writeFile("/proc/self/setgroups", "deny")
            try Files.writeFile("/proc/self/uid_map", "0 \(uid) 1")
            try Files.writeFile("/proc/self/gid_map", "0 \(gid) 1")
        }
        attempt("mount_namespace") { () throws(Errno) in
            try Processes.unshare(.mount)
            try Mounts.makePrivate()
        }
        attempt("ipc_namespace") { () throws(Errno) in try Processes.unshare(.ipc) }
        attempt("uts_namespace") { () throws(Errno) in try Processes.unshare(.uts) }
        attempt("cgroup_namespace") { () throws(Errno) in try Processes.unshare(.cgroup) }
        attempt("network_namespace") { () throws(Errno) in try Processes.unshare(.network) }
        attempt("loopback") { () throws(Errno) in try Processes.loopbackUp() }
        attempt("tmpfs") { () throws(Errno) in
            try Mounts.mount("probe", place, type: "tmpfs", flags: [.noSetuid, .noDevices], options: "size=1m,nr_inodes=64")
        }
        attempt("tmpfs_xattr") { () throws(Errno) in
            try Files.makeDirectory("\(place)/attribute")
            let result = "\(place)/attribute".withCString { path in
                "user.probe".withCString { name in "y".withCString { value in
                    syscall(Int32(SYS_setxattr), Int(bitPattern: path), Int(bitPattern: name), Int(bitPattern: value), 1, 0)
                } }
            }
            try check(result)
        }
        attempt("overlay") { () throws(Errno) in
            for name in ["lower", "upper", "work", "root"] { try Files.makeDirectory("\(place)/\(name)") }
            try Mounts.mount(
                "overlay", "\(place)/root", type: "overlay", flags: [],
                options: "lowerdir=\(place)/lower,upperdir=\(place)/upper,workdir=\(place)/work,userxattr")
        }
        // Last: from here on the next child would be PID 1 of a new namespace.
        attempt("pid_namespace") { () throws(Errno) in try Processes.unshare(.pid) }
        exit(Exit.succeeded)
    }

    private static func attempt(_ name: String, _ work: () throws(Errno) -> Void) {
        do {
            try work()
            Console.out("\(name)\t0")
        } catch {
            Console.out("\(name)\t\(error.code)")
        }
    }

    /// Runs the assistant.
    /// - Returns: errno by what was tried; empty when it could not be run.
    static func ask() -> [String: Int32] {
        let place = FileManager.default.temporaryDirectory.path + "/paddock-probe-\(getpid())"
        guard mkdir(place, 0o700) == 0 else { return [:] }
        // Its mounts go with its namespace.
        defer { rmdir(place) }
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = [verb, place]
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return [:] }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        var answers: [String: Int32] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "\t")
            if parts.count == 2, let code = Int32(parts[1]) { answers[String(parts[0])] = code }
        }
        return answers
    }
}
