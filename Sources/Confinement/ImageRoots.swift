// Images in which a job can write to a few known places alone. The spawner mounts each once, without a writable layer, and its
// sandboxes bind it and have directories of their own at those places: one file system less for each, which is the
// dearest part of making one, and of thousands the kernel keeps an account of each for each.

import CLinux
import Glibc
import LinuxSystem
import SandboxCore

struct ImageRoots {
    private struct Mounted {
        let image: [Layer]
        let directory: String
    }

    /// A layer as it is now. One that was removed and made again has the same path.
    private struct Layer: Equatable {
        let path: String
        let device: UInt64, inode: UInt64, seconds: Int, nanoseconds: Int
    }

    /// The one used last comes last.
    private var mounted: [Mounted] = []
    /// Directories that were made to mount on, and have nothing mounted.
    private var free: [String] = []
    /// Each is in every mount namespace that is made from then on.
    private static let most = 8

    /// Where the image of a sandbox is mounted that sees it as it is; `nil` for one that has a writable layer over it.
    /// - Parameter hasResolvers: whether answers for names are laid over the image.
    mutating func directory(of root: RootFilesystem, hasResolvers: Bool, in workshop: Workshop) throws(Failure) -> String? {
        // Where the job's user is the farm's own, the image's files are its own too.
        guard root.writable != nil, workshop.privileged, !hasResolvers else { return nil }
        let mount = try LayerMount(root.layers)
        var image: [Layer] = []
        for (path, fd) in zip(root.layers, mount.handles) { image.append(try Self.layer(path, fd)) }
        if let index = mounted.firstIndex(where: { $0.image == image }) {
            let found = mounted.remove(at: index)
            mounted.append(found)
            return found.directory
        }
        if mounted.count >= Self.most {
            // The directory stays: to remove it would take the mount from the namespaces that were made with it.
            free.append(mounted.removeFirst().directory)
            try? Mounts.unmount(free[free.count - 1])
        }
        let directory = free.popLast() ?? "\(workshop.images)/\(mounted.count)"
        do throws(Failure) {
            try attempt(.mountOverlay, directory) { () throws(Errno) in try Files.ensureDirectory(directory) }
            // Overlay takes no single layer without one to write to.
            try mount.mount(on: directory, below: [workshop.emptyLayer])
        } catch {
            free.append(directory)
            throw error
        }
        mounted.append(Mounted(image: image, directory: directory))
        return directory
    }

    private static func layer(_ path: String, _ fd: Int32) throws(Failure) -> Layer {
        do throws(Errno) {
            let status = try Files.status(fd)
            return Layer(
                path: path, device: UInt64(status.st_dev), inode: UInt64(status.st_ino), seconds: status.st_ctim.tv_sec, nanoseconds: status.st_ctim.tv_nsec)
        } catch { throw Failure(.mountOverlay, error.code, path) }
    }
}

/// An image's layers, opened, to be mounted as one. By descriptor, not by name: a mount's options are there for every job to read. It also
/// makes the list short, and takes any path an image can have.
struct LayerMount: ~Copyable {
    private(set) var handles: [Int32] = []
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
