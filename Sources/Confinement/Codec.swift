// The warden's message encoding: fixed-width little-endian integers, counted bytes. One end is hostile only when a
// sandbox's init was taken over, but the daemon reads as if it always were: every count is checked before it is used.

/// Appends values to a message.
public struct MessageWriter {
    public private(set) var bytes: [UInt8] = []
    public init() {}

    public mutating func put(_ value: UInt8) { bytes.append(value) }
    public mutating func put(_ value: Bool) { bytes.append(value ? 1 : 0) }
    public mutating func put<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    public mutating func put(_ value: [UInt8]) {
        put(UInt32(value.count))
        bytes.append(contentsOf: value)
    }
    public mutating func put(_ value: String) {
        put(UInt32(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }
    /// An optional non-negative number; -1 stands for none.
    public mutating func put(_ value: Int?) { put(Int64(value ?? -1)) }
    public mutating func put<T>(_ values: [T], _ each: (inout MessageWriter, T) -> Void) {
        put(UInt32(values.count))
        for value in values { each(&self, value) }
    }
}

/// A message that does not follow the protocol.
public struct MalformedMessage: Error, Sendable, Equatable {
    public var at: Int
    public var expected: String
}

/// Takes values from a message, in the order they were put.
public struct MessageReader {
    private let bytes: [UInt8]
    private var at = 0
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public var isAtEnd: Bool { at == bytes.count }

    private mutating func take(_ count: Int, _ what: String) throws(MalformedMessage) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count - at else { throw MalformedMessage(at: at, expected: what) }
        defer { at += count }
        return bytes[at..<(at + count)]
    }

    public mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(MalformedMessage) -> T {
        let slice = try take(MemoryLayout<T>.size, "an integer of \(MemoryLayout<T>.size) bytes")
        return T(littleEndian: slice.withUnsafeBytes { $0.loadUnaligned(as: T.self) })
    }
    public mutating func flag() throws(MalformedMessage) -> Bool {
        let value: UInt8 = try integer()
        guard value <= 1 else { throw MalformedMessage(at: at - 1, expected: "0 or 1") }
        return value == 1
    }
    public mutating func number() throws(MalformedMessage) -> Int { Int(try integer(Int64.self)) }
    public mutating func optional() throws(MalformedMessage) -> Int? {
        let value = try number()
        return value < 0 ? nil : value
    }
    /// A finite number that is not negative: what JSON can say of a time.
    public mutating func time() throws(MalformedMessage) -> Double {
        let value = Double(bitPattern: try integer())
        guard value.isFinite, value >= 0 else { throw MalformedMessage(at: at - 8, expected: "a time") }
        return value
    }
    public mutating func data() throws(MalformedMessage) -> [UInt8] {
        let count = Int(try integer(UInt32.self))
        return Array(try take(count, "\(count) bytes"))
    }
    public mutating func text() throws(MalformedMessage) -> String { String(decoding: try data(), as: UTF8.self) }
    public mutating func raw<R: RawRepresentable>(_ type: R.Type = R.self) throws(MalformedMessage) -> R where R.RawValue == UInt8 {
        let value: UInt8 = try integer()
        guard let result = R(rawValue: value) else { throw MalformedMessage(at: at - 1, expected: "a known \(R.self)") }
        return result
    }
    public mutating func named<R: RawRepresentable>(_ type: R.Type = R.self) throws(MalformedMessage) -> R where R.RawValue == String {
        let start = at
        guard let result = R(rawValue: try text()) else { throw MalformedMessage(at: start, expected: "a known \(R.self)") }
        return result
    }
    /// A counted list. Each element takes at least one byte, so the count cannot ask for more memory than the message has.
    public mutating func list<T>(_ each: (inout MessageReader) throws(MalformedMessage) -> T) throws(MalformedMessage) -> [T] {
        let start = at
        let count = Int(try integer(UInt32.self))
        guard count <= bytes.count - at else { throw MalformedMessage(at: start, expected: "a count of at most \(bytes.count - at)") }
        var result: [T] = []
        result.reserveCapacity(count)
        for _ in 0..<count { result.append(try each(&self)) }
        return result
    }
    public func finish() throws(MalformedMessage) {
        if !isAtEnd { throw MalformedMessage(at: at, expected: "the end of the message") }
    }
}
