// System calls by name and number, on this machine's native table. Names come from libseccomp, and for calls younger than
// the libseccomp of Debian 12 from the list below.

/// The name of a system call of this machine, as results call it; `nil` for a number that is nobody's.
public func syscallName(number: Int) -> String? { Syscalls.name(of: number) }

/// The number of a system call of this machine; `nil` when there is none of that name here.
public func syscallNumber(name: String) -> Int? {
    if case .native(let number) = Syscalls.lookUp(name) { number } else { nil }
}

/// The version of the library that makes filters: another one may make others of the same rules.
public var filterLibraryVersion: String { Libseccomp.version }

enum Syscalls {
    enum Finding: Equatable {
        case native(Int)
        /// A system call, but of other architectures only.
        case elsewhere
        case unknown
    }

    /// Since 5.0 a new call gets the same number on every architecture. libseccomp 2.5.4 ends at 450.
    static let younger: [(name: String, number: Int)] = [
        ("cachestat", 451), ("fchmodat2", 452), ("map_shadow_stack", 453), ("futex_wake", 454), ("futex_wait", 455),
        ("futex_requeue", 456), ("statmount", 457), ("listmount", 458), ("lsm_get_self_attr", 459),
        ("lsm_set_self_attr", 460), ("lsm_list_modules", 461), ("mseal", 462), ("setxattrat", 463), ("getxattrat", 464),
        ("listxattrat", 465), ("removexattrat", 466), ("open_tree_attr", 467), ("file_getattr", 468),
        ("file_setattr", 469), ("listns", 470),
    ]

    /// The youngest call that was known when the policies were written. Younger ones answer ENOSYS in every policy, as
    /// on a kernel that lacks them: a C library then falls back, which it does not do on EPERM.
    static let newestNumber = 470

    /// Every native call's name, in the order of numbers.
    static let names: [String] = (0...newestNumber).compactMap { name(of: $0) }

    static func lookUp(_ name: String) -> Finding {
        if let call = younger.first(where: { $0.name == name }) { return .native(call.number) }
        // The longest name has 28 letters.
        guard name.utf8.count <= 64, name.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else { return .unknown }
        let number = Libseccomp.number(of: name)
        return number >= 0 ? .native(number) : number == Libseccomp.noSuchCall ? .unknown : .elsewhere
    }

    static func name(of number: Int) -> String? {
        guard (0...newestNumber).contains(number) else { return nil }
        return younger.first { $0.number == number }?.name ?? Libseccomp.name(of: number)
    }
}
