// The socket's place in the file system: made with its mode from the first moment, taken over only from a daemon that is
// gone, and removed only by the daemon it belongs to.

import Glibc

/// Why a server does not start.
public enum ServerError: Error, Sendable, Equatable, CustomStringConvertible {
    case badPath(String, reason: String)
    /// Something that is not a socket is at the path.
    case inTheWay(String)
    /// A daemon answers at the path.
    case alreadyServed(String)
    /// Another process has held the directory's lock for a second: a daemon that is starting, or something hostile.
    case busy(directory: String)
    case system(String, step: String, errno: Int32)

    public var description: String {
        switch self {
        case .badPath(let path, let reason): "socket \(path): \(reason)"
        case .inTheWay(let path): "socket \(path): there is a file that is not a socket, expected nothing or a socket"
        case .alreadyServed(let path): "socket \(path): another daemon answers there; stop it, or give another --socket"
        case .busy(let directory): "socket: another process holds the lock on \(directory)"
        case .system(let path, _, _): "socket \(path): \(reason)"
        }
    }

    /// Why, without the path where that is all that is missing.
    public var reason: String {
        switch self {
        case .badPath(_, let reason): reason
        case .system(_, let step, let code): "\(step): \(String(cString: strerror(code)))"
        case .inTheWay, .alreadyServed, .busy: description
        }
    }
}

struct SocketFile: Sendable {
    /// Connections the kernel holds until they are accepted; it cuts this to its own `somaxconn`.
    private static let backlog: Int32 = 4_096

    let path: String
    private let device: dev_t
    private let inode: ino_t

    /// Makes the socket and listens on it.
    /// - Returns: the listening descriptor, which is the caller's, and the file to remove in the end.
    static func listen(path: String, mode: Int) async throws(ServerError) -> (descriptor: Int32, file: SocketFile) {
        let address = try SocketAddressBytes(path: path)
        // Between finding a dead socket and putting one's own in its place, no other daemon may do the same.
        let lock = try await lockDirectory(of: path)
        defer { close(lock) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw .system(path, step: "socket", errno: errno) }
        do throws(ServerError) {
            try removeDead(address)
            // The file takes its mode from the socket, so that at no moment it is open to more than it should be; what
            // the umask took away is given afterwards.
            try check(fchmod(descriptor, mode_t(mode)), "fchmod", path)
            try check(address.call { bind(descriptor, $0, $1) }, "bind", path)
            try check(chmod(path, mode_t(mode)), "chmod", path)
            try check(Glibc.listen(descriptor, backlog), "listen", path)
            var status = stat()
            try check(lstat(path, &status), "stat", path)
            return (descriptor, SocketFile(path: path, device: status.st_dev, inode: status.st_ino))
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Sets a listening socket's backlog again.
    static func setBacklog(_ descriptor: Int32) { _ = Glibc.listen(descriptor, backlog) }

    /// Removes the file, unless another daemon has put its own there.
    func remove() {
        var status = stat()
        if lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode { unlink(path) }
    }

    private static func removeDead(_ address: SocketAddressBytes) throws(ServerError) {
        var status = stat()
        guard lstat(address.path, &status) == 0 else {
            if errno == ENOENT { return }
            throw .system(address.path, step: "stat", errno: errno)
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .inTheWay(address.path) }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard probe >= 0 else { throw .system(address.path, step: "socket", errno: errno) }
        defer { close(probe) }
        // Whatever is not a plain refusal may be somebody: EAGAIN is a daemon with a full backlog.
        guard address.call({ connect(probe, $0, $1) }) != 0, errno == ECONNREFUSED else { throw .alreadyServed(address.path) }
        try check(unlink(address.path), "unlink", address.path)
    }

    /// Whether a socket can be made at the path, as far as the path alone says.
    static func check(path: String) throws(ServerError) {
        _ = try SocketAddressBytes(path: path)
        close(try openDirectory(of: path))
    }

    private static func openDirectory(of path: String) throws(ServerError) -> Int32 {
        let directory = directory(of: path)
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(path, step: "the directory \(directory)", errno: errno) }
        return descriptor
    }

    private static func directory(of path: String) -> String {
        path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    }

    private static func lockDirectory(of path: String) async throws(ServerError) -> Int32 {
        let descriptor = try openDirectory(of: path)
        for _ in 0..<100 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
            guard errno == EWOULDBLOCK || errno == EINTR, (try? await Task.sleep(for: .milliseconds(10))) != nil else { break }
        }
        close(descriptor)
        throw .busy(directory: directory(of: path))
    }

    private static func check(_ result: Int32, _ step: String, _ path: String) throws(ServerError) {
        if result != 0 { throw .system(path, step: step, errno: errno) }
    }
}

/// A path as the kernel's `sockaddr_un`.
struct SocketAddressBytes {
    let path: String
    private var address = sockaddr_un()

    init(path: String) throws(ServerError) {
        self.path = path
        let room = MemoryLayout.size(ofValue: address.sun_path) - 1
        let length = path.utf8.count
        guard length > 0 else { throw .badPath(path, reason: "the path is empty") }
        guard !path.utf8.contains(0) else { throw .badPath(path, reason: "the path has a NUL byte") }
        guard length <= room else {
            throw .badPath(path, reason: "the path is \(length) bytes long, expected at most \(room): the kernel takes no more")
        }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    }

    func call(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }
}
