// The mount table of one namespace.

import CLinux
import Glibc

public enum Mounts {
    public struct Flags: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }
        public static let readOnly = Flags(rawValue: Int(PD_MS_RDONLY))
        public static let noSetuid = Flags(rawValue: Int(PD_MS_NOSUID))
        public static let noDevices = Flags(rawValue: Int(PD_MS_NODEV))
        public static let noExec = Flags(rawValue: Int(PD_MS_NOEXEC))
        public static let noAccessTimes = Flags(rawValue: Int(PD_MS_NOATIME))
        public static let silent = Flags(rawValue: Int(PD_MS_SILENT))
    }

    public static func mount(_ source: String, _ target: String, type: String, flags: Flags, options: String = "") throws(Errno) {
        try check(source.withCString { s in
            target.withCString { t in
                type.withCString { y in
                    options.withCString { syscall(SYS_mount, address(s), address(t), address(y), flags.rawValue, address($0)) }
                }
            }
        })
    }

    /// A directory with the /proc of this process and of what it may trace, and of nothing else of its pid namespace: mounted nowhere,
    /// so that who has the descriptor has it alone. Linux 5.8.
    public static func ownProcesses() throws(Errno) -> Int32 { try unattachedProc(subset: "pid", MOUNT_ATTR_RDONLY) }

    /// A directory with a whole /proc that nobody else looks at, for its settings.
    public static func settings() throws(Errno) -> Int32 { try unattachedProc(subset: nil, 0) }

    private static func unattachedProc(subset: String?, _ attribute: Int32) throws(Errno) -> Int32 {
        let context = Int32(try check("proc".withCString { syscall(SYS_fsopen, address($0), Int(PD_FSOPEN_CLOEXEC)) }))
        defer { Files.close(context) }
        for (key, value) in [("hidepid", "ptraceable"), ("subset", subset)] {
            guard let value else { continue }
            try check(key.withCString { k in
                value.withCString { syscall(SYS_fsconfig, Int(context), Int(PD_FSCONFIG_SET_STRING), address(k), address($0), 0) }
            })
        }
        try check(syscall(SYS_fsconfig, Int(context), Int(PD_FSCONFIG_CMD_CREATE), 0, 0, 0))
        let attributes = Int(attribute) | Int(MOUNT_ATTR_NOSUID) | Int(MOUNT_ATTR_NODEV) | Int(MOUNT_ATTR_NOEXEC)
        return Int32(try check(syscall(SYS_fsmount, Int(context), Int(PD_FSMOUNT_CLOEXEC), attributes)))
    }

    /// Gives the file system that is mounted at `target` other options. The mount's own flags have to be said again.
    public static func reconfigure(_ target: String, flags: Flags, options: String) throws(Errno) {
        try check(target.withCString { t in
            options.withCString { syscall(SYS_mount, 0, address(t), 0, flags.rawValue | Int(PD_MS_REMOUNT), address($0)) }
        })
    }

    /// Makes what is at `source`, submounts included, appear at `target` too.
    public static func bind(_ source: String, _ target: String, recursive: Bool = true) throws(Errno) {
        let flags = Int(PD_MS_BIND) | (recursive ? Int(PD_MS_REC) : 0)
        try check(source.withCString { s in
            target.withCString { syscall(SYS_mount, address(s), address($0), 0, flags, 0) }
        })
    }

    /// Adds attributes to a mount and all below it, keeping those it has.
    public static func restrict(_ target: String, readOnly: Bool = true, noSetuid: Bool = true, noDevices: Bool = true) throws(Errno) {
        var attributes = mount_attr()
        attributes.attr_set =
            (readOnly ? UInt64(MOUNT_ATTR_RDONLY) : 0) | (noSetuid ? UInt64(MOUNT_ATTR_NOSUID) : 0)
            | (noDevices ? UInt64(MOUNT_ATTR_NODEV) : 0)
        try check(target.withCString { t in
            withUnsafePointer(to: &attributes) {
                syscall(SYS_mount_setattr, Int(AT_FDCWD), address(t), Int(PD_AT_RECURSIVE), address($0), MemoryLayout<mount_attr>.size)
            }
        })
    }

    /// Nothing mounted from here on is seen elsewhere, and nothing mounted elsewhere is seen here.
    public static func makePrivate() throws(Errno) {
        try check("/".withCString { syscall(SYS_mount, 0, address($0), 0, Int(PD_MS_REC | PD_MS_PRIVATE), 0) })
    }

    /// Makes the current directory the root and lets go of the old one, whole.
    public static func pivotToCurrentDirectory() throws(Errno) {
        try check(".".withCString { syscall(SYS_pivot_root, address($0), address($0)) })
        // The old root now lies over the new one: this unmounts the old.
        try check(".".withCString { syscall(SYS_umount2, address($0), Int(PD_MNT_DETACH)) })
        try Files.changeDirectory("/")
    }

    public static func unmount(_ target: String) throws(Errno) {
        try check(target.withCString { syscall(SYS_umount2, address($0), Int(PD_MNT_DETACH)) })
    }
}
