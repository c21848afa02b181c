// Where things are on this machine: what ships with Paddock, what it keeps, and what lives only while it runs.

import Foundation

struct Layout: Sendable {
    /// Holds `policies/` and `images/` as shipped.
    var share: String
    /// Images and blobs: kept between runs.
    var home: String
    /// Sockets and mount points: gone after a reboot.
    var run: String
    var warden: String

    var policies: String { "\(share)/policies" }
    var images: String { "\(share)/images" }
    var languages: String { "\(share)/images/languages.yaml" }
    var store: String { "\(home)/store" }
    var blobs: String { "\(home)/blobs" }
    var socket: String { "\(run)/paddock.sock" }
    var wardenDirectory: String { "\(run)/warden" }

    /// From the environment where it says so (PADDOCK_SHARE, PADDOCK_HOME, PADDOCK_RUN, PADDOCK_WARDEN), otherwise the
    /// usual places for root and for everyone else.
    static func find() throws -> Layout {
        let environment = ProcessInfo.processInfo.environment
        let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        let beside = (executable as NSString).deletingLastPathComponent
        let user = FileManager.default.homeDirectoryForCurrentUser.path
        let isRoot = geteuid() == 0
        let run = environment["PADDOCK_RUN"] ?? (isRoot ? "/run/paddock" : "\(environment["XDG_RUNTIME_DIR"] ?? "/tmp/paddock-\(geteuid())")/paddock")
        return Layout(
            share: try environment["PADDOCK_SHARE"] ?? findShare(from: beside),
            home: environment["PADDOCK_HOME"] ?? (isRoot ? "/var/lib/paddock" : "\(user)/.local/share/paddock"),
            run: run, warden: environment["PADDOCK_WARDEN"] ?? "\(beside)/paddock-warden")
    }

    /// Installed beside `bin`, or somewhere above the build's output in a checkout.
    private static func findShare(from directory: String) throws -> String {
        func holds(_ path: String) -> Bool {
            FileManager.default.fileExists(atPath: "\(path)/policies/default.yaml")
                && FileManager.default.fileExists(atPath: "\(path)/images/languages.yaml")
        }
        var up = directory
        while true {
            for candidate in ["\(up)/share/paddock", up] where holds(candidate) { return candidate }
            let above = (up as NSString).deletingLastPathComponent
            if above == up || up.isEmpty { break }
            up = above
        }
        throw UserError(
            "no policies/ and images/ found at or above \(directory)",
            hint: "name the directory that holds them with PADDOCK_SHARE")
    }

    func makeDirectories() throws {
        for path in [store, blobs, run, wardenDirectory] {
            do {
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
            } catch {
                throw UserError("cannot make \(path): \(error.localizedDescription)", hint: "choose other places with PADDOCK_HOME and PADDOCK_RUN")
            }
        }
    }
}

/// Something the person at the terminal can mend.
struct UserError: Error, CustomStringConvertible {
    var message: String
    var hint: String?
    init(_ message: String, hint: String? = nil) {
        self.message = message
        self.hint = hint
    }
    var description: String { hint.map { "\(message)\nHint: \($0)" } ?? message }
}
