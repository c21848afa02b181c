// A connection that costs next to nothing per job, for what is measured with thousands: lines that were encoded before go
// out, and of the lines that come only the beginning is read. One thread drives any number of them.

import Glibc
import SandboxCore
import Wire

final class BareConnection {
    /// Of an answer: its id, and whether it is the result of a program that exited with 0, or what `job.submit` answers.
    struct Heard {
        var id: Int
        var good: Bool
    }

    private let socket: Int32
    private var out: [UInt8] = [], sent = 0
    private var rest: [UInt8] = []
    private var buffer = [UInt8](repeating: 0, count: 1 << 15)

    /// - Throws: where nobody listens at the path.
    init(path: String) throws {
        socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix($0.count - 1)) }
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        guard code == 0 else {
            let reason = String(cString: strerror(errno))
            close(socket)
            throw BenchError("\(path): \(reason)")
        }
        _ = fcntl(socket, F_SETFL, O_NONBLOCK)
    }

    deinit { close(socket) }

    static func line(_ id: Int, _ call: Call) -> [UInt8] { Request(id: .number(id), call: call).encode() }

    func send(_ line: [UInt8]) { out += line }

    /// Writes what the socket takes and tells what has come.
    func turn(_ hear: (Heard) throws -> Void) throws {
        try write()
        while true {
            let count = recv(socket, &buffer, buffer.count, 0)
            guard count > 0 else {
                if count == 0 { throw BenchError("the daemon closed the connection") }
                guard errno == EAGAIN || errno == EINTR else { throw BenchError("recv: \(String(cString: strerror(errno)))") }
                return
            }
            try cut(count, hear)
        }
    }

    private func write() throws {
        while sent < out.count {
            let count = out.withUnsafeBytes { Glibc.send(socket, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else {
                guard errno == EAGAIN || errno == EINTR else { throw BenchError("send: \(String(cString: strerror(errno)))") }
                return
            }
            sent += count
        }
        out.removeAll(keepingCapacity: true)
        sent = 0
    }

    private func cut(_ count: Int, _ hear: (Heard) throws -> Void) throws {
        var begin = 0
        while begin < count {
            guard let end = buffer[begin..<count].firstIndex(of: UInt8(ascii: "\n")) else {
                rest += buffer[begin..<count]
                return
            }
            let line = rest + buffer[begin..<end]
            rest.removeAll(keepingCapacity: true)
            begin = end + 1
            try hear(Self.read(line))
        }
    }

    private static let beforeID = Array(#"{"jsonrpc":"2.0","id":"#.utf8)
    private static let afterID = Array(#","result":"#.utf8)

    private static func read(_ line: [UInt8]) throws -> Heard {
        guard line.starts(with: beforeID) else { throw BenchError("an answer of another form: \(String(decoding: line, as: UTF8.self))") }
        var id = 0, index = beforeID.count
        while index < line.count, case let digit = Int(line[index]) - 48, (0...9).contains(digit) {
            id = id * 10 + digit
            index += 1
        }
        let result = line[index...]
        guard result.starts(with: afterID) else { throw BenchError("a job failed: \(String(decoding: line, as: UTF8.self))") }
        // {"job":"…","outcome":"exited","exit_code":0,… or {"job":"…"}
        let text = Substring(decoding: result.dropFirst(afterID.count).prefix(96), as: UTF8.self)
        return Heard(id: id, good: text.hasSuffix("\"}}") || text.contains(#""outcome":"exited","exit_code":0,"#))
    }
}
