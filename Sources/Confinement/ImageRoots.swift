// Images in which a job can write to a few known places alone. The spawner puts each together once, without a writable layer, as
// the root of a mount namespace that has nothing else in it. A sandbox is born in a copy of that, with its root in place: it mounts
// what is its own, and need not change its root, for which the kernel would look at every thread of the machine. One file
// system less for each, too, which is the dearest part of making one, and of thousands the kernel keeps an account of each for each.

import CLinux
import Glibc
import LinuxSystem
import SandboxCore

struct ImageRoots {
    private struct Image {
        let parts: [Part]
        let namespace: Int32
    }

    /// A layer, or a directory of the host's, as it is now. One that was removed and made again has the same path.
    private struct Part: Equatable {
        let path: String, target: String
        let device: UInt64, inode: UInt64, seconds: Int, nanoseconds: Int
    }

    private let workshop: Workshop
    /// The spawner's own mount namespace, and the directory that is its root.
    private let home: (namespace: Int32, root: Int32)
    /// The one used last comes last.
    private var images: [Image] = []
    private static let most = 8
    /// Whether this process's root is another than that of its mount namespace: a directory it was confined to, or one that another lies
    /// over. An image is put in the place of the one, and whoever enters a namespace gets the other.
    private var isRootAnother = false

    init(_ workshop: Workshop) throws(Failure) {
        self.workshop = workshop
        do {
            home = (try Files.open("/proc/self/ns/mnt", O_RDONLY), try Files.open("/", Int32(PD_O_PATH) | O_DIRECTORY))
        } catch { throw Failure(.prepare, error.code, "mount namespace") }
    }

    /// Runs `body`, which clones, where a sandbox of this image is to be born.
    /// - Parameter hasResolvers: whether answers for names are laid over the image.
    mutating func birth<T>(of root: RootFilesystem, hasResolvers: Bool, _ body: (Workshop) throws(Failure) -> T) throws(Failure) -> T {
        // Where the job's user is the farm's own, the image's files are its own too.
        guard root.writable != nil, workshop.privileged, !hasResolvers, !isRootAnother else { return try body(workshop) }
        guard let namespace = try namespace(of: root) else {
            isRootAnother = true
            return try body(workshop)
        }
        try attempt(.mountOverlay, "entering") { () throws(Errno) in try Processes.enter(namespace, .mount) }
        defer { leave() }
        var inImage = workshop
        inImage.isInImage = true
        return try body(inImage)
    }

    /// - Returns: `nil` where a process that enters the image's namespace would not have the image for its root.
    private mutating func namespace(of root: RootFilesystem) throws(Failure) -> Int32? {
        var parts: [Part] = []
        for layer in root.layers { parts.append(try Self.part(layer, "")) }
        for bind in root.binds { parts.append(try Self.part(bind.source, bind.target)) }
        let found: Image
        if let index = images.firstIndex(where: { $0.parts == parts }) {
            found = images.remove(at: index)
        } else {
            guard let namespace = try assemble(root) else { return nil }
            found = Image(parts: parts, namespace: namespace)
            // Sandboxes that are there have copies.
            if images.count >= Self.most { Files.close(images.removeFirst().namespace) }
        }
        images.append(found)
        return found.namespace
    }

    /// A mount namespace whose root is the image, with all in it that its sandboxes have in common.
    private func assemble(_ image: RootFilesystem) throws(Failure) -> Int32? {
        try attempt(.mountOverlay, "mount namespace") { () throws(Errno) in try Processes.unshare(.mount) }
        defer { leave() }
        // Overlay takes no single layer without one to write to, and none that was opened in another namespace.
        try LayerMount(image.layers).mount(on: workshop.image, below: [workshop.emptyLayer])
        try attempt(.mountOverlay, "image") { () throws(Errno) in try Mounts.restrict(workshop.image) }
        let tree = try RootTree(at: workshop.image)
        // What each sandbox will mount on without looking.
        for place in ["/tmp", "/workspace"] + (image.writable ?? []) { _ = try tree.mountPoint(place, .bindScratch) }
        try tree.bindShared(image.binds, workshop)
        // Each sandbox mounts its own over this one, for which the kernel wants one in sight. Nobody is to see more by it than by that.
        let proc = try tree.mountPoint("/proc", .mountProc)
        try attempt(.mountProc, "image") { () throws(Errno) in try Mounts.mount("proc", proc, type: "proc", flags: ProcMount.flags, options: "hidepid=2") }
        let root: stat
        do { root = try Files.status(workshop.image) } catch { throw Failure(.mountOverlay, error.code, "image") }
        try tree.becomeRoot()
        let namespace: Int32
        do { namespace = try Files.open("/proc/self/ns/mnt", O_RDONLY) } catch { throw Failure(.mountOverlay, error.code, "mount namespace") }
        var isKept = false
        defer { if !isKept { Files.close(namespace) } }
        // As a birth will: nothing is to be made of the host's own root.
        try attempt(.mountOverlay, "looking") { () throws(Errno) in
            try Processes.enter(namespace, .mount)
            let seen = try Files.status("/")
            isKept = (seen.st_dev, seen.st_ino) == (root.st_dev, root.st_ino)
        }
        return isKept ? namespace : nil
    }

    /// Back to where the host can be seen. A spawner that stayed would make the next sandbox of whatever it finds.
    private func leave() {
        do throws(Errno) {
            try Processes.enter(home.namespace, .mount)
            // The kernel gives it the namespace's root, which may be another than it had.
            try Files.changeRoot(home.root)
        } catch { Processes.exit(1) }
    }

    private static func part(_ path: String, _ target: String) throws(Failure) -> Part {
        do throws(Errno) {
            let status = try Files.status(path)
            return Part(
                path: path, target: target, device: UInt64(status.st_dev), inode: UInt64(status.st_ino), seconds: status.st_ctim.tv_sec,
                nanoseconds: status.st_ctim.tv_nsec)
        } catch { throw Failure(target.isEmpty ? .mountOverlay : .bindHost, error.code, path) }
    }
}

/// An image's layers, opened, to be mounted as one. By descriptor, not by name: a mount's options are there for every job to read. It also
/// makes the list short, and takes any path an image can have.
struct LayerMount: ~Copyable {
    private var handles: [Int32] = []
    private let uppermost: String

    init(_ layers: [String]) throws(Failure) {
        uppermost = layers.first ?? ""
        for layer in layers { handles.append(try Self.handle(layer)) }
    }

    deinit { for fd in handles { Files.close(fd) } }

    private static func handle(_ path: String) throws(Failure) -> Int32 {
        do { return try Files.directoryHandle(path) } catch { throw Failure(.mountOverlay, error.code, path) }
    }

    /// - Parameters:
    ///   - writable: where what is written goes, and overlay's own directory beside it.
    ///   - below: more layers, below all others.
    func mount(on target: String, writable: (upper: String, work: String)? = nil, below: [String] = []) throws(Failure) {
        var opened: [Int32] = []
        defer { for fd in opened { Files.close(fd) } }
        func anonymous(_ path: String) throws(Failure) -> String {
            opened.append(try Self.handle(path))
            return Files.anonymousPath(opened[opened.count - 1])
        }
        var layers = handles.map { Files.anonymousPath($0) }
        for path in below { layers.append(try anonymous(path)) }
        // `xino` so that a directory's number comes from the image, and does not tell which was looked at first.
        var options = "lowerdir=\(layers.joined(separator: ":")),xino=on"
        // `userxattr` because that mount belongs to a user namespace.
        if let writable { options += ",upperdir=\(try anonymous(writable.upper)),workdir=\(try anonymous(writable.work)),userxattr" }
        guard options.utf8.count < 4096 else { throw Failure(.mountOverlay, E2BIG, "\(layers.count) layers") }
        try attempt(.mountOverlay, uppermost) { () throws(Errno) in try Mounts.mount("overlay", target, type: "overlay", flags: Scratch.flags, options: options) }
    }
}
