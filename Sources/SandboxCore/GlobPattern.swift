// The patterns of files to bring back: `*`, `?` and `[…]` within one name, `**` across directories.

/// A pattern over relative paths, matched name by name.
public struct GlobPattern: Sendable {
    private let parts: [[UInt8]]

    public init(_ pattern: String) {
        parts = pattern.split(separator: "/").map { Array($0.utf8) }
    }

    public func matches(_ path: String) -> Bool { matches(Array(path.utf8)) }

    /// The same for a path that need not be UTF-8. `?` and `[…]` stand for one byte.
    public func matches(_ path: [UInt8]) -> Bool {
        // For each number of names taken, whether the parts seen so far can have taken them: work grows with the product
        // of the two lengths, whatever the pattern.
        let names = path.split(separator: Self.slash)
        var taken = [Bool](repeating: false, count: names.count + 1)
        taken[0] = true
        for part in parts {
            if part == Self.anyDepth {
                let first = taken.firstIndex(of: true) ?? taken.endIndex
                for i in taken.indices { taken[i] = i >= first }
            } else {
                for i in names.indices.reversed() { taken[i + 1] = taken[i] && Self.matchName(part[...], names[i]) }
                taken[0] = false
            }
        }
        return taken[names.count]
    }

    /// Whether anything below `directory` (a relative path, or empty) can match: spares walking what cannot.
    public func mayMatchBelow(_ directory: String) -> Bool { mayMatchBelow(Array(directory.utf8)) }

    public func mayMatchBelow(_ directory: [UInt8]) -> Bool {
        let names = directory.split(separator: Self.slash)
        for (i, name) in names.enumerated() {
            guard i < parts.count else { return false }
            if parts[i] == Self.anyDepth { return true }
            if !Self.matchName(parts[i][...], name) { return false }
        }
        return names.count < parts.count
    }

    private static let anyDepth = Array("**".utf8)
    private static let slash = UInt8(ascii: "/")

    /// One name against one part, with the usual single backtrack point for `*`.
    private static func matchName(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
        var p = pattern.startIndex, n = name.startIndex
        var star: (p: Int, n: Int)?
        while n < name.endIndex {
            if p < pattern.endIndex, pattern[p] == 0x2a {
                star = (p, n)
                p += 1
            } else if p < pattern.endIndex, let next = step(pattern, p, name[n]) {
                p = next
                n += 1
            } else if let back = star {
                p = back.p + 1
                n = back.n + 1
                star = (back.p, n)
            } else {
                return false
            }
        }
        while p < pattern.endIndex, pattern[p] == 0x2a { p += 1 }
        return p == pattern.endIndex
    }

    /// Where the pattern goes on if its element at `p` accepts `byte`.
    private static func step(_ pattern: ArraySlice<UInt8>, _ p: Int, _ byte: UInt8) -> Int? {
        if pattern[p] == 0x3f { return p + 1 }
        guard pattern[p] == 0x5b, let end = pattern[(p + 1)...].dropFirst().firstIndex(of: 0x5d) else {
            return pattern[p] == byte ? p + 1 : nil
        }
        var i = p + 1
        let negated = pattern[i] == 0x21 || pattern[i] == 0x5e
        if negated { i += 1 }
        var found = false
        while i < end {
            if i + 2 < end, pattern[i + 1] == 0x2d {
                if pattern[i] <= byte && byte <= pattern[i + 2] { found = true }
                i += 3
            } else {
                if pattern[i] == byte { found = true }
                i += 1
            }
        }
        return found != negated ? end + 1 : nil
    }
}
