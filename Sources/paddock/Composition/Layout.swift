// Where things are on this machine: what ships with Paddock, what it keeps, and what lives only while it runs.

import Foundation

struct Layout: Sendable {
    /// Images, blobs and compiled policies: kept between runs.
    var home: String
    /// Sockets and mount points: gone after a reboot.
    var run: String
    var warden: String

    /// Directories of policies, and of image definitions with the language table.
    var policies: String
    var images: String

    var languages: String { "\(images)/languages.yaml" }
    var store: String { "\(home)/store" }
    var blobs: String { "\(home)/blobs" }
    var compiledPolicies: String { "\(home)/policies" }
    var socket: String { "\(run)/paddock.sock" }
    var wardenDirectory: String { "\(run)/warden" }

    /// A variable of the environment: a few are asked for, and to copy all of them takes longer.
    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// From the environment where it says so (PADDOCK_SHARE, PADDOCK_HOME, PADDOCK_RUN, PADDOCK_WARDEN), otherwise the
    /// usual places for root and for everyone else.
    static func find() throws -> Layout {
        // By the C library's calls, here and below: the first use of a FileManager takes longer than what it is asked.
        let executable = target(of: "/proc/self/exe") ?? CommandLine.arguments[0]
        let beside = directory(above: executable)
        let share = try absolute(variable("PADDOCK_SHARE")) ?? findShare(from: beside)
        return Layout(
            home: absolute(variable("PADDOCK_HOME")) ?? usualHome,
            run: runDirectory, warden: absolute(variable("PADDOCK_WARDEN")) ?? "\(beside)/paddock-warden",
            policies: "\(share)/policies", images: "\(share)/images")
    }

    /// Where a client looks for the daemon: PADDOCK_SOCKET, or where `paddock serve` of the same user listens.
    static var clientSocket: String { absolute(variable("PADDOCK_SOCKET")) ?? "\(runDirectory)/paddock.sock" }

    /// Nobody's home is looked up for root, which has none of it here: that asks the name service.
    private static var usualHome: String {
        geteuid() == 0 ? "/var/lib/paddock" : "\(FileManager.default.homeDirectoryForCurrentUser.path)/.local/share/paddock"
    }

    private static var runDirectory: String {
        if let run = absolute(variable("PADDOCK_RUN")) { return run }
        if geteuid() == 0 { return "/run/paddock" }
        return "\(variable("XDG_RUNTIME_DIR") ?? "/tmp/paddock-\(geteuid())")/paddock"
    }

    /// A path of the environment; mounts and other processes need it whole.
    private static func absolute(_ path: String?) -> String? {
        guard let path, !path.isEmpty else { return nil }
        return path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }

    private static func target(of link: String) -> String? {
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, count in
            count = max(0, readlink(link, buffer.baseAddress!, buffer.count))
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    private static func directory(above path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "" }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Installed beside `bin`, or somewhere above the build's output in a checkout.
    private static func findShare(from directory: String) throws -> String {
        func holds(_ path: String) -> Bool {
            access("\(path)/policies/default.yaml", F_OK) == 0 && access("\(path)/images/languages.yaml", F_OK) == 0
        }
        var up = directory
        while true {
            for candidate in ["\(up)/share/paddock", up] where holds(candidate) { return candidate }
            let above = Self.directory(above: up)
            if above == up || up.isEmpty { break }
            up = above
        }
        throw UserError(
            "no policies/ and images/ found at or above \(directory)",
            hint: "name the directory that holds them with PADDOCK_SHARE", exit: Exit.farm)
    }

    func makeDirectories() throws {
        for path in [store, run, wardenDirectory] {
            var status = stat()
            if stat(path, &status) != 0 || status.st_mode & S_IFMT != S_IFDIR { try make(path) }
            // Below /tmp anybody may have been there first, and what is below here is mounted and executed.
            guard stat(path, &status) == 0, status.st_uid == geteuid() || status.st_uid == 0 else {
                throw UserError(
                    "the directory \(path) belongs to another user", hint: "choose another place with PADDOCK_HOME or PADDOCK_RUN",
                    exit: Exit.farm)
            }
        }
        for (path, variable) in [(store, "PADDOCK_HOME"), (wardenDirectory, "PADDOCK_RUN")] {
            if let closed = Passage.closed(onTheWayTo: path) { throw closed.complaint(place: path, variable: variable) }
        }
    }

    private func make(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        } catch {
            throw UserError(
                "cannot make the directory \(path): \(Complaint.reason(error))",
                hint: "choose other places with PADDOCK_HOME and PADDOCK_RUN", exit: Exit.farm)
        }
    }
}
