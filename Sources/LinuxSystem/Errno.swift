// The kernel's answer when it says no.

// The kernel's constants (O_PATH, SIGKILL, SYS_…) are part of what this room offers.
@_exported import CLinux
import Glibc

/// An error number with its symbolic name and its sentence.
public struct Errno: Error, Sendable, Equatable, CustomStringConvertible {
    public let code: Int32
    public init(_ code: Int32) { self.code = code }

    public var name: String {
        guard let text = unsafe strerrorname_np(code) else { return "errno \(code)" }
        return unsafe String(cString: text)
    }

    /// "No such file or directory".
    public var sentence: String {
        guard let text = unsafe strerrordesc_np(code) else { return name }
        return unsafe String(cString: text)
    }

    public var description: String {
        guard let text = unsafe strerrordesc_np(code) else { return name }
        return unsafe "\(name) (\(String(cString: text)))"
    }
}

/// Turns a shim's `-errno` into a thrown `Errno`.
@discardableResult
@inline(__always)
public func check(_ result: Int) throws(Errno) -> Int {
    if result < 0 { throw Errno(Int32(-result)) }
    return result
}

/// One system call with up to six arguments; `-errno` on failure. `errno` itself stays as it was: a process that shares
/// this one's memory can make calls of its own meanwhile.
@inline(__always)
public func syscall(
    _ number: Int32, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0, _ e: Int = 0, _ f: Int = 0
) -> Int {
    pd_syscall(Int(number), a, b, c, d, e, f)
}

@inline(__always)
func address(_ pointer: UnsafeRawPointer?) -> Int { Int(bitPattern: pointer) }
