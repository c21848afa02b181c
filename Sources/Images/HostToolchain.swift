// Whether the machine's own toolchain is still the one it was. The `host` image has /usr and /opt as they are, so what a
// compiler makes of a source can change while a farm runs: with the compiler, or with a library or header it reads.

import Foundation

/// The state of the machine's toolchains, as far as a few dozen calls can tell it.
public struct HostToolchain: Sendable {
    /// Prefix of every path of the machine; empty for the machine itself.
    private let machine: String

    public init(machine: String = "/") { self.machine = machine == "/" ? "" : machine }

    /// What package managers write to with every package they change.
    static let packages = ["/var/lib/dpkg/status", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages", "/lib/apk/db/installed", "/var/lib/pacman/local"]

    /// Where toolchains, libraries and headers are put by hand: their entries, not what is further below.
    static let directories = [
        "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/include", "/usr/local/bin", "/usr/local/lib", "/usr/local/lib64", "/usr/local/include", "/opt",
    ]

    /// A text that differs when a package was installed, upgraded or removed, when `program` is another file than before,
    /// and when something was put in one of `directories`. A file that is written to in its place further below is not
    /// seen.
    /// - Parameters:
    ///   - program: a name that is looked up in `path`, or a path.
    ///   - path: the sandbox's PATH.
    public func state(of program: String, path: String) -> String {
        var state = ""
        for place in Self.packages + Self.directories { state += line(place) }
        // The first that is there is the one that runs; one that is put before it is first then.
        let places = program.contains("/") ? [program] : path.split(separator: ":").map { "\($0)/\(program)" }
        for place in places {
            let found = line(place)
            state += found
            if !found.isEmpty { break }
        }
        return state
    }

    /// Links are followed on the machine, which is where the sandbox's lead, too. The change time tells what an archive's
    /// own modification times do not.
    private func line(_ place: String) -> String {
        guard let status = Files.status(machine + place) else { return "" }
        return "\(place) \(status.device) \(status.inode) \(status.size) \(status.modifiedNs) \(status.changedNs)\n"
    }
}
