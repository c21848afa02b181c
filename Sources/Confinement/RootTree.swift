// A root file system that is being put together somewhere below the present one, or in its place already: what lies in it that
// is the same for every sandbox of an image. An image is nobody's friend: where it has a symbolic link, nothing is mounted.

import CLinux
import Glibc
import LinuxSystem
import SandboxCore

struct RootTree: ~Copyable {
    /// Where it is; empty where it is the root.
    private let place: String
    /// `nil` where it is the root.
    private let root: Int32?

    init(at place: String) throws(Failure) {
        self.place = place
        do {
            root = place.isEmpty ? nil : try Files.open(place, Int32(PD_O_PATH) | O_DIRECTORY)
        } catch { throw Failure(.mountOverlay, error.code, "root") }
    }

    deinit { if let root { Files.close(root) } }

    /// A directory of it to mount on, made where the image lacks it. An image that has a symbolic link there is refused: the
    /// link would be followed on the host. Where the image is the root there is no host to follow it on.
    func mountPoint(_ path: String, _ step: Step) throws(Failure) -> String {
        guard let root else { return path }
        let name = String(path.dropFirst())
        func look() throws(Errno) { Files.close(try Files.openBeneath(root, name, Int32(PD_O_PATH) | O_DIRECTORY | O_NOFOLLOW)) }
        try attempt(step, path) { () throws(Errno) in
            do throws(Errno) { try look() } catch {
                guard error.code == ENOENT else { throw error }
                try Files.makeDirectory(at: root, name)
                try look()
            }
        }
        return place + path
    }

    /// What is not a sandbox's own: directories of the host, and the devices that the spawner made once.
    func bindShared(_ binds: [RootFilesystem.Bind], _ workshop: Workshop) throws(Failure) {
        try bindHost(binds)
        try bindDevices(workshop)
    }

    private func bindHost(_ binds: [RootFilesystem.Bind]) throws(Failure) {
        for bind in binds {
            let target = try mountPoint(bind.target, .bindHost)
            try attempt(.bindHost, bind.source) { () throws(Errno) in
                try Mounts.bind(bind.source, target)
                try Mounts.restrict(target)
            }
        }
    }

    private func bindDevices(_ workshop: Workshop) throws(Failure) {
        let target = try mountPoint("/dev", .mountDevices)
        try attempt(.mountDevices) { () throws(Errno) in
            try Mounts.bind(workshop.devices, target)
            try Mounts.restrict(target, noDevices: false)
        }
    }

    /// Makes it the root of this mount namespace. Of the one before nothing is left.
    consuming func becomeRoot() throws(Failure) {
        try attempt(.pivotRoot) { () throws(Errno) in
            try Files.changeDirectory(place)
            try Mounts.pivotToCurrentDirectory()
        }
    }
}
