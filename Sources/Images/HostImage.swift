// The image that needs no build: the machine's own toolchains, read-only, without anything that is the machine's own
// business. One small skeleton directory in the store holds the names a root needs; `/usr` and `/opt` are bound over it.
//
// Not part of it: /root, /home, /run, /var, sockets, and of /etc all but the list in HostSkeleton.swift. A toolchain
// below a home directory (/root/.cargo, /root/.pyenv) is therefore not part of it either.

import Foundation
import SandboxCore

/// The machine as an image.
public struct HostImage: Sendable {
    public static let name = "host"

    /// The root of the machine; anything else only where a machine is described by a directory.
    let machine: String

    public init(machine: String = "/") { self.machine = machine == "/" ? "" : machine }

    /// The skeleton of the machine as it is now, made if it is not there or the machine's files have changed, and the
    /// binds over it. The binds' sources can have mounts below them: they are to be bound recursively.
    public func resolve(_ store: ImageStore) throws -> ResolvedImageFiles {
        let skeleton = HostSkeleton(machine: machine)
        if let (path, hold) = known(skeleton, store) { return files(skeleton, path, hold) }
        var witness = skeleton.emptyWitness
        let path = "\(store.root)/host/\(try skeleton.fingerprint(witness: &witness))"
        var hold = try store.holdDirectory(path)
        if hold == nil {
            try make(skeleton, path, store)
            hold = try store.holdDirectory(path)
        }
        guard let hold else { throw ImageError.system(operation: "open host skeleton", path: path, errno: 2) }
        keep(witness, path, store)
        return files(skeleton, path, hold)
    }

    private func files(_ skeleton: HostSkeleton, _ path: String, _ hold: Descriptor) -> ResolvedImageFiles {
        ResolvedImageFiles(
            root: RootFilesystem(layers: [path + "/root"], binds: skeleton.binds, writable: HostSkeleton.writable), environment: environment(),
            hold: ImageHold(layers: [hold]))
    }

    /// The skeleton that is there and still is what it was made from.
    private func known(_ skeleton: HostSkeleton, _ store: ImageStore) -> (path: String, hold: Descriptor)? {
        for name in (try? Files.names(in: store.root + "/host")) ?? [] {
            let path = "\(store.root)/host/\(name)"
            guard let bytes = try? Files.read(path + "/witness", limit: 1 << 22), let witness = skeleton.witness(kept: bytes), witness.holds(),
                let hold = try? store.holdDirectory(path)
            else { continue }
            return (path, hold)
        }
        return nil
    }

    /// Where it cannot be kept the next command walks /etc again.
    private func keep(_ witness: SkeletonWitness, _ path: String, _ store: ImageStore) {
        guard let work = try? store.makeWork(), let parent = try? Files.openDirectory(work.path),
            let file = try? Files.createFile(at: parent, "witness"), (try? Files.write(file, witness.bytes[...])) != nil
        else { return }
        try? Files.rename(work.path + "/witness", path + "/witness")
    }

    private func make(_ skeleton: HostSkeleton, _ path: String, _ store: ImageStore) throws {
        let work = try store.makeWork()
        let parent = try Files.openDirectory(work.path)
        try Files.makeDirectory(at: parent, "skeleton")
        let whole = try Files.openDirectory(at: parent, "skeleton")
        try Files.setMode(whole, 0o755)
        try Files.makeDirectory(at: whole, "root")
        try skeleton.write(into: Files.openDirectory(at: whole, "root"))
        try Files.syncFileSystem(parent)
        let guarding = try store.lockStore(exclusive: true)
        defer { _ = guarding }
        if !Files.exists(path) { try Files.rename(work.path + "/skeleton", path) }
        // Skeletons of what the machine was before, unless a sandbox still stands on one.
        for name in try Files.names(in: store.root + "/host") where !path.hasSuffix(name) {
            let old = "\(store.root)/host/\(name)"
            if try Files.lock(Files.openDirectory(old), exclusive: true, wait: false) {
                try Files.rename(old, "\(work.path)/\(name)")
            }
        }
    }

    /// The directories of our own PATH that the sandbox has too, and where toolchains are unpacked by hand.
    private func environment() -> [String: String] {
        let shared = ["/usr/", "/opt/"]
        var path = (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":").map(String.init)
            .filter { directory in shared.contains { directory.hasPrefix($0) } && !directory.contains("..") }
        for (above, below) in [("/opt", "bin"), ("/opt", "usr/bin"), ("/usr/local", "bin")] {
            for name in (try? Files.names(in: machine + above)) ?? [] { path.append("\(above)/\(name)/\(below)") }
        }
        path.removeAll { !Files.isDirectory(machine + $0) }
        path += defaultPath.split(separator: ":").map(String.init)
        // By hand: a set and a joined sequence are types to be looked up, a hundredth of `paddock run`.
        var (text, seen): (String, [String]) = ("", [])
        for directory in path where !seen.contains(directory) {
            seen.append(directory)
            text += (text.isEmpty ? "" : ":") + directory
        }
        return ["PATH": text, "LANG": "C.UTF-8"]
    }
}

extension ImageStore {
    /// A directory of the store, kept from removal while the descriptor is; `nil` if it is not there.
    func holdDirectory(_ path: String) throws -> Descriptor? {
        // Under the store's lock, so that nobody takes the directory away between opening and locking it.
        let guarding = try lockStore(exclusive: false)
        defer { _ = guarding }
        guard Files.isDirectory(path) else { return nil }
        let directory = try Files.openDirectory(path)
        return try Files.lock(directory, exclusive: false, wait: false) ? directory : nil
    }
}
