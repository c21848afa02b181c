// Root's power in pieces, and how to give all of them up (libcap).

import CCap
import CLinux
import Glibc

public enum Capabilities {
    /// Nothing executed from here on can gain a capability, whatever its file says.
    public static func dropBoundingSet() throws(Errno) {
        // Until the kernel knows no more of them; asking for each first would cost as much again.
        var capability: cap_value_t = 0
        while cap_drop_bound(capability) == 0 { capability += 1 }
        guard errno == EINVAL, capability > 0, cap_get_bound(capability) < 0 else { throw Errno(errno) }
        _ = syscall(SYS_prctl, Int(PR_CAP_AMBIENT), Int(PR_CAP_AMBIENT_CLEAR_ALL))
    }

    /// An empty capability state, made ahead of time because libcap allocates it.
    public static func emptyState() throws(Errno) -> OpaquePointer {
        guard let state = cap_init() else { throw Errno(errno) }
        return state
    }

    /// Takes on a prepared state; 0, or -1 with errno. No allocation.
    @inline(__always)
    public static func set(_ state: OpaquePointer) -> Int32 { cap_set_proc(state) }

    public static func release(_ state: OpaquePointer) { cap_free(UnsafeMutableRawPointer(state)) }

    /// Whether this process has a capability (`cap_sys_admin`) in effect, for `paddock doctor`.
    public static func effective(_ capability: String) -> Bool {
        guard let state = cap_get_proc() else { return false }
        defer { cap_free(UnsafeMutableRawPointer(state)) }
        var value: cap_value_t = 0
        var flag = CAP_CLEAR
        guard cap_from_name(capability, &value) == 0, cap_get_flag(state, value, CAP_EFFECTIVE, &flag) == 0 else { return false }
        return flag == CAP_SET
    }
}
