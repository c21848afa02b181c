// The emulated machine with cgroup v2 starts its command in a chroot, where the kernel lets nobody make a user
// namespace. There, and only there, this process makes its root the machine's.

import Foundation
import LinuxSystem

enum Guest {
    static func settle() {
        guard ProcessInfo.processInfo.environment["CGROUP2_VM"] == "1", let root = try? Files.directoryHandle("/") else { return }
        let directory = FileManager.default.currentDirectoryPath
        mkdir("/tmp/below", 0o755)
        // With its root below and itself above, it can climb as far as there are directories.
        guard chroot("/tmp/below") == 0, fchdir(root) == 0 else { return }
        for _ in 0..<32 { chdir("..") }
        _ = "".withCString { empty in
            ".".withCString { here in
                // MOVE_MOUNT_F_EMPTY_PATH: the mount that `root` is of comes to lie over the machine's own root.
                LinuxSystem.syscall(SYS_move_mount, Int(root), Int(bitPattern: empty), Int(AT_FDCWD), Int(bitPattern: here), 4)
            }
        }
        fchdir(root)
        chroot(".")
        chdir(directory)
        Files.close(root)
    }
}
