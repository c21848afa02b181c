// Directories named by open descriptors, for mounts whose options everybody can read in `/proc/self/mountinfo`.

import CLinux
import Glibc

extension Files {
    /// Opens a directory for nothing but being named.
    public static func directoryHandle(_ path: String) throws(Errno) -> Int32 {
        try open(path, Int32(PD_O_PATH) | O_DIRECTORY)
    }

    /// A path for `fd` that says nothing of where it is.
    public static func anonymousPath(_ fd: Int32) -> String { "/proc/self/fd/\(fd)" }
}
