// Addresses and networks of IPv4, for what a sandbox may reach. Read strictly: what is written in another way than it
// would be printed is refused, because 010.0.0.1 and 10.1 mean different machines to different programs.

/// One address.
public struct IPv4Address: Sendable, Hashable, CustomStringConvertible {
    /// In the machine's byte order: 127.0.0.1 is 0x7f000001.
    public var raw: UInt32
    public init(_ raw: UInt32) { self.raw = raw }

    /// Four decimal numbers without leading zeros.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        raw = 0
        for part in parts {
            guard let byte = UInt8(part), part == "\(byte)" else { return nil }
            raw = raw << 8 | UInt32(byte)
        }
    }

    public var description: String { "\(raw >> 24).\(raw >> 16 & 255).\(raw >> 8 & 255).\(raw & 255)" }
}

/// The addresses that begin with the same bits: `10.0.0.0/8`.
public struct IPv4Network: Sendable, Hashable, CustomStringConvertible {
    public let first: IPv4Address
    /// How many bits are the same, 0 to 32.
    public let prefix: Int

    /// The network of this size that `address` is in.
    public init(_ address: IPv4Address, prefix: Int) {
        self.prefix = prefix
        first = IPv4Address(address.raw & Self.mask(prefix))
    }

    /// `ADDRESS/PREFIX`, where no bit of the address is beyond the prefix; an address alone is a network of one.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPv4Address(parts[0]) else { return nil }
        guard parts.count == 2 else {
            self.init(address, prefix: 32)
            return
        }
        guard let prefix = Int(parts[1]), parts[1] == "\(prefix)", (0...32).contains(prefix) else { return nil }
        self.init(address, prefix: prefix)
        if first != address { return nil }
    }

    private static func mask(_ prefix: Int) -> UInt32 { prefix == 0 ? 0 : ~0 << UInt32(32 - prefix) }

    public var count: Int { 1 << (32 - prefix) }
    public func contains(_ address: IPv4Address) -> Bool { address.raw & Self.mask(prefix) == first.raw }
    public func overlaps(_ other: IPv4Network) -> Bool { prefix <= other.prefix ? contains(other.first) : other.contains(first) }
    /// The address `offset` after the first.
    public subscript(offset: Int) -> IPv4Address { IPv4Address(first.raw + UInt32(offset)) }

    public var description: String { "\(first)/\(prefix)" }
}
