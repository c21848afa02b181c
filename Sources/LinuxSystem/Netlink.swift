// Netlink: requests to the kernel's network and netfilter, answered message by message.

import CLinux
import Glibc

/// A message under construction: header, fixed part, attributes.
public struct NetlinkMessage {
    private(set) var bytes: [UInt8] = []

    /// - Parameters:
    ///   - flags: besides `NLM_F_REQUEST`.
    ///   - fixed: the structure that this type of message begins with.
    public init<Fixed: BitwiseCopyable>(_ type: Int, flags: Int32 = 0, _ fixed: Fixed) {
        append(nlmsghdr(nlmsg_len: 0, nlmsg_type: UInt16(type), nlmsg_flags: UInt16(NLM_F_REQUEST | flags), nlmsg_seq: 0, nlmsg_pid: 0))
        append(fixed)
    }

    private mutating func append<T: BitwiseCopyable>(_ value: T) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
        pad()
    }

    private mutating func pad() { while bytes.count % 4 != 0 { bytes.append(0) } }

    public mutating func put(_ attribute: Int, _ content: [UInt8]) {
        append(nlattr(nla_len: UInt16(4 + content.count), nla_type: UInt16(attribute)))
        bytes += content
        pad()
    }

    /// A number in the machine's byte order.
    public mutating func put(_ attribute: Int, _ value: UInt32) { put(attribute, withUnsafeBytes(of: value) { Array($0) }) }
    /// An IPv4 address or another number in the network's byte order.
    public mutating func put(_ attribute: Int, bigEndian value: UInt32) { put(attribute, value.bigEndian) }
    /// A name, with the zero that ends it.
    public mutating func put(_ attribute: Int, _ name: String) { put(attribute, Array(name.utf8) + [0]) }

    /// An attribute that holds attributes.
    public mutating func nest(_ attribute: Int, _ body: (inout NetlinkMessage) -> Void) {
        nest(attribute, nil as UInt32?, body)
    }

    /// The same, with a structure in front of them.
    public mutating func nest<Fixed: BitwiseCopyable>(_ attribute: Int, _ fixed: Fixed?, _ body: (inout NetlinkMessage) -> Void) {
        let start = bytes.count
        append(nlattr(nla_len: 0, nla_type: UInt16(attribute)))
        if let fixed { append(fixed) }
        body(&self)
        set(UInt16(bytes.count - start), at: start)
    }

    private mutating func set<T: BitwiseCopyable>(_ value: T, at offset: Int) {
        withUnsafeBytes(of: value) { bytes.replaceSubrange(offset..<(offset + $0.count), with: $0) }
    }

    /// Ready to be sent.
    consuming func finished(_ more: Int32) -> [UInt8] {
        set(UInt32(bytes.count), at: 0)
        let flags = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 6, as: UInt16.self) }
        set(flags | UInt16(more), at: 6)
        return bytes
    }
}

/// Attributes of a message that came back, by type.
public struct NetlinkAttributes {
    private var found: [Int: ArraySlice<UInt8>] = [:]

    /// Stops at the first attribute that is not whole.
    public init(_ bytes: ArraySlice<UInt8>) {
        var at = bytes.startIndex
        while bytes.endIndex - at >= 4 {
            let length = Int(Self.load(bytes[at...], as: UInt16.self)), type = Int(Self.load(bytes[(at + 2)...], as: UInt16.self)) & 0x3fff
            guard length >= 4, length <= bytes.endIndex - at else { return }
            found[type] = bytes[(at + 4)..<(at + length)]
            at += min((length + 3) & ~3, bytes.endIndex - at)
        }
    }

    static func load<T: BitwiseCopyable>(_ bytes: ArraySlice<UInt8>, as: T.Type) -> T { bytes.withUnsafeBytes { $0.loadUnaligned(as: T.self) } }

    public func bytes(_ type: Int) -> ArraySlice<UInt8>? { found[type] }
    public func number(_ type: Int) -> UInt32? { found[type].flatMap { $0.count == 4 ? Self.load($0, as: UInt32.self) : nil } }
    public func bigEndian(_ type: Int) -> UInt32? { number(type).map { UInt32(bigEndian: $0) } }
    public func text(_ type: Int) -> String? { found[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) } }
}

/// A socket of the network namespace it was opened in, wherever its process goes afterwards.
public struct NetlinkSocket: ~Copyable {
    private let fd: Int32

    /// - Parameter family: `NETLINK_ROUTE`, `NETLINK_NETFILTER`.
    public init(_ family: Int32) throws(Errno) {
        fd = Int32(try check(syscall(SYS_socket, Int(AF_NETLINK), Int(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), Int(family))))
    }

    deinit { Files.close(fd) }

    /// Has the kernel do something, and waits until it has.
    public func request(_ message: consuming NetlinkMessage) throws(Errno) {
        try send(message.finished(NLM_F_ACK))
        try receive { _, _ in }
    }

    /// Everything of a kind.
    /// - Parameter each: gets a message's type and what follows its header.
    public func dump(_ message: consuming NetlinkMessage, _ each: (_ type: Int, _ body: ArraySlice<UInt8>) -> Void) throws(Errno) {
        try send(message.finished(NLM_F_ROOT | NLM_F_MATCH))
        try receive(each)
    }

    private func send(_ bytes: [UInt8]) throws(Errno) {
        try check(bytes.withUnsafeBytes { syscall(SYS_sendto, Int(fd), address($0.baseAddress), $0.count) })
    }

    /// Reads until the kernel has said that this was all.
    private func receive(_ each: (Int, ArraySlice<UInt8>) -> Void) throws(Errno) {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let n = buffer.withUnsafeMutableBytes { syscall(SYS_recvfrom, Int(fd), address($0.baseAddress), $0.count) }
            if n == -Int(EINTR) { continue }
            var rest = buffer[..<(try check(n))]
            while rest.count >= MemoryLayout<nlmsghdr>.size {
                let header = NetlinkAttributes.load(rest, as: nlmsghdr.self)
                let length = Int(header.nlmsg_len)
                guard length >= 16, length <= rest.count else { throw Errno(EBADMSG) }
                let body = rest[(rest.startIndex + 16)..<(rest.startIndex + length)]
                switch Int32(header.nlmsg_type) {
                // Both begin with an error number, where there was one.
                case NLMSG_ERROR, NLMSG_DONE:
                    let code = body.count >= 4 ? NetlinkAttributes.load(body, as: Int32.self) : 0
                    if code < 0 { throw Errno(-code) }
                    return
                default: each(Int(header.nlmsg_type), body)
                }
                rest = rest.dropFirst((length + 3) & ~3)
            }
        }
    }
}
