// What a root filesystem needs besides /usr: the few directories, links and files of the `host` image's skeleton.
// Everything in /etc is left out unless it is named here; passwd and its kin are written, not copied.

import Foundation
import SandboxCore

struct HostSkeleton {
    /// Prefix of every path of the machine; empty for the machine itself.
    let machine: String

    /// Raised when the same machine is to give a different skeleton.
    private static let form = "host-skeleton-1"

    /// What of /etc toolchains and the C library read. A trailing `*` matches within one name.
    static let etc = [
        "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "timezone", "os-release",
        "debian_version", "lsb-release", "services", "protocols", "networks", "rpc", "mime.types", "magic", "magic.mime",
        "gai.conf", "host.conf", "locale.alias", "locale.conf", "terminfo", "inputrc",
        "ssl/certs", "ssl/openssl.cnf", "pki/tls/certs", "pki/ca-trust/extracted", "crypto-policies", "ca-certificates.conf",
        "java-*", "java", "jvm", "python3", "python3.*", "perl", "php/*/cli", "php/*/mods-available",
        "R/Renviron", "R/Makeconf", "R/ldpaths", "R/repositories", "R/Rprofile.site", "lua", "ghc", "mono", "fonts",
        "OpenCL", "xml", "sgml",
    ]

    /// Names that are never copied, wherever they lie.
    static let secret = ["private", "shadow", "gshadow", "sudoers", "machine-id", "auth.conf", "auth.conf.d", "pip.conf", "npmrc"]

    private static let rootNames = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"]
    private static let emptyDirectories = [
        "dev", "home", "media", "mnt", "opt", "proc", "run", "srv", "sys", "usr", "var", "var/cache", "var/lib", "var/log",
        "workspace",
    ]
    private static let sharedDirectories = ["tmp"] + writable.map { String($0.dropFirst()) }

    /// What of it everyone may write to, besides /tmp: all else is root's, and no sandbox has the machine's root in it.
    static let writable = ["/var/tmp", "/run/lock"]

    /// Host directories that appear in the sandbox as they are.
    var binds: [RootFilesystem.Bind] {
        (["usr", "opt"] + Self.rootNames).filter { Files.status("\(machine)/\($0)", follow: false)?.kind == .directory }
            .map { .init(source: "\(machine)/\($0)", target: "/\($0)") }
    }

    /// A digest that changes when the skeleton would: of names, inodes, sizes and times, no content. Of links only name and
    /// inode: none can be made to lead elsewhere but by one in its place, which the directory's times tell.
    /// - Parameter witness: what was looked at for it.
    func fingerprint(witness: inout SkeletonWitness) throws -> String {
        var hash = SHA256Stream()
        hash.update(Array(Self.form.utf8))
        for name in Self.rootNames + ["usr", "opt"] { witness.note("\(machine)/\(name)") }
        for name in Self.rootNames { hash.update(Array("\(name)=\(link("/\(name)") ?? "")\0".utf8)) }
        for bind in binds { hash.update(Array("bind \(bind.target)\0".utf8)) }
        for path in Self.resolverFiles { witness.note(machine + path, follow: true) }
        hash.update(Array("\(resolvers())\0".utf8))
        var entries: [UInt8] = []
        for path in try sources(witness: &witness) {
            let (above, name) = Self.split(path)
            let place = "\(machine)/etc/\(above)"
            entries += path.utf8
            try walk(name, in: Files.openDirectory(place), at: place, &witness) { name, numbers in
                entries += name.utf8
                entries.append(0)
                for number in numbers { withUnsafeBytes(of: number.littleEndian) { entries += $0 } }
            }
        }
        hash.update(entries)
        return hash.finish()
    }

    var emptyWitness: SkeletonWitness { SkeletonWitness(of: machine, form: Self.form) }

    func witness(kept bytes: [UInt8]) -> SkeletonWitness? { SkeletonWitness(kept: bytes, of: machine, form: Self.form) }

    /// Writes the skeleton into an empty directory.
    func write(into root: Descriptor) throws {
        try Files.setMode(root, 0o755)
        for name in Self.rootNames {
            switch Files.status("\(machine)/\(name)", follow: false)?.kind {
            case .link?: try Files.makeLink(at: root, name, to: link("/\(name)") ?? "usr/\(name)")
            case .directory?: try directory(name, in: root)
            default: break
            }
        }
        for path in Self.emptyDirectories { try directory(path, in: root) }
        for path in Self.sharedDirectories { try Files.setMode(try directory(path, in: root), 0o1777) }
        let etc = try directory("etc", in: root)
        for (name, content) in written {
            let file = try Files.createFile(at: etc, name)
            try Files.write(file, Array(content.utf8)[...])
            try Files.setMode(file, 0o644)
        }
        try Files.makeLink(at: etc, "mtab", to: "/proc/mounts")
        for path in try sources() {
            let (above, name) = Self.split(path)
            let parent = above.isEmpty ? etc : try directory("etc/" + above, in: root)
            let from = try Files.openDirectory("\(machine)/etc/\(above)")
            try copy(name, from: from, to: parent)
        }
    }

    /// The files whose content is the sandbox's own.
    private var written: [(String, String)] {
        [
            ("passwd",
             """
             root:x:0:0:root:/root:/usr/sbin/nologin
             nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
             sandbox:x:1000:1000:sandbox:/workspace:/bin/bash

             """),
            ("group", "root:x:0:\nnogroup:x:65534:\nsandbox:x:1000:\n"),
            ("hosts", "127.0.0.1 localhost sandbox\n::1 localhost ip6-localhost ip6-loopback\n"),
            ("hostname", "sandbox\n"),
            ("nsswitch.conf",
             """
             passwd: files
             group: files
             shadow: files
             hosts: files dns
             networks: files
             protocols: files
             services: files

             """),
            ("resolv.conf", resolvers()),
        ]
    }

    private static let resolverFiles = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]

    /// The machine's name servers, as far as they can be reached from a network namespace of its own.
    private func resolvers() -> String {
        for path in Self.resolverFiles {
            guard let bytes = try? Files.read(machine + path, limit: 1 << 16) else { continue }
            let servers = String(decoding: bytes, as: UTF8.self).split(separator: "\n").filter { line in
                let words = line.split(whereSeparator: \.isWhitespace)
                return words.count >= 2 && words[0] == "nameserver" && !words[1].hasPrefix("127.") && words[1] != "::1"
            }
            if !servers.isEmpty { return servers.prefix(3).reduce(into: "") { $0 += $1 + "\n" } }
        }
        return ""
    }

    private func sources() throws -> [String] {
        var witness = emptyWitness
        return try sources(witness: &witness)
    }

    /// The entries of `etc` that the machine has, patterns resolved, relative to /etc.
    private func sources(witness: inout SkeletonWitness) throws -> [String] {
        var found: [String] = []
        var listed: [String: [String]] = [:]
        var seen: Set<String> = []
        func see(_ above: String) {
            // Its times tell which of the patterns' names are in it.
            if seen.insert(above).inserted { witness.note("\(machine)/etc/\(above)", follow: true) }
        }
        func names(in above: String) -> [String] {
            if let names = listed[above] { return names }
            let names = (try? Files.names(in: "\(machine)/etc/\(above)")) ?? []
            listed[above] = names
            return names
        }
        for pattern in Self.etc {
            var paths = [""]
            for part in pattern.split(separator: "/").map(String.init) {
                paths = paths.flatMap { above -> [String] in
                    see(above)
                    let names = part.hasSuffix("*") ? names(in: above).filter { $0.hasPrefix(part.dropLast()) } : [part]
                    return names.map { above.isEmpty ? $0 : "\(above)/\($0)" }
                }
            }
            // Links on the way (not the last name) could lead anywhere; /etc's own directories are plain.
            found += paths.filter { Files.status("\(machine)/etc/\($0)", follow: false) != nil }
        }
        return found.sorted()
    }

    /// Names come with the descriptor of the directory they are in: whole paths would be looked up from the root each time.
    /// - Parameter place: the path of `parent`, for the witness.
    private func walk(
        _ name: String, in parent: Descriptor, at place: String, depth: Int = 32, _ witness: inout SkeletonWitness,
        _ visit: (String, [UInt64]) -> Void
    ) throws {
        let path = "\(place)/\(name)"
        witness.note(path)
        guard depth > 0, let status = try Files.status(at: parent, name) else { return }
        visit(name, Self.numbers(status))
        guard status.kind == .directory, status.mode & 0o005 == 0o005 else { return }
        let directory = try Files.openDirectory(at: parent, name)
        for entry in try Files.entries(directory) {
            if entry.kind == .link { visit(entry.name, [entry.inode]) } else {
                try walk(entry.name, in: directory, at: path, depth: depth - 1, &witness, visit)
            }
        }
        visit("/", Self.numbers(status))
    }

    private static func numbers(_ status: FileStatus) -> [UInt64] {
        [UInt64(status.mode), status.inode, UInt64(status.size), UInt64(bitPattern: Int64(status.modifiedNs)), UInt64(bitPattern: Int64(status.changedNs))]
    }

    /// Copies a name, links as links. What not everyone on the machine may read is nobody's business here.
    private func copy(_ name: String, from: Descriptor, to: Descriptor, depth: Int = 32) throws {
        guard depth > 0, !Self.secret.contains(name), !name.hasSuffix(".key"),
            let status = try Files.status(at: from, name), try Files.status(at: to, name) == nil
        else { return }
        switch status.kind {
        case .link: try Files.makeLink(at: to, name, to: Files.readLink(at: from, name))
        case .file:
            guard status.mode & 0o004 != 0 else { return }
            try LayerTree.copy(name, status, from, to)
            try Files.setMode(Files.openFile(at: to, name), safeMode(status.mode, directory: false))
        case .directory:
            guard status.mode & 0o005 == 0o005 else { return }
            try Files.makeDirectory(at: to, name)
            let (inner, copied) = (try Files.openDirectory(at: from, name), try Files.openDirectory(at: to, name))
            try Files.setMode(copied, 0o755)
            for name in try Files.names(inner) { try copy(name, from: inner, to: copied, depth: depth - 1) }
        case .other: break
        }
    }

    /// The directory at a path of several names, made where it is missing.
    @discardableResult
    private func directory(_ path: String, in root: Descriptor) throws -> Descriptor {
        var directory = root
        for part in path.split(separator: "/").map(String.init) {
            if try Files.status(at: directory, part) == nil {
                try Files.makeDirectory(at: directory, part)
                try Files.setMode(Files.openDirectory(at: directory, part), 0o755)
            }
            directory = try Files.openDirectory(at: directory, part)
        }
        return directory
    }

    private func link(_ path: String) -> String? {
        let (above, name) = Self.split(machine + path)
        guard let parent = try? Files.openDirectory(above + "/") else { return nil }
        return try? Files.readLink(at: parent, name)
    }

    /// What stands before a path's last slash, and the name behind it.
    private static func split(_ path: String) -> (above: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return ("", path) }
        return (String(path[..<slash]), String(path[path.index(after: slash)...]))
    }
}
