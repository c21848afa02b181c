// Finds a suite's report among the files that were brought back: the same patterns as in `collect`.

enum Glob {
    /// Whether `path` is what `pattern` asks for: `*`, `?` and `[…]` do not cross `/`, `**` as a whole part does.
    /// Both may be relative to `/workspace` or absolute.
    static func matches(_ pattern: String, path: String) -> Bool {
        let pattern = relative(pattern).split(separator: "/").map { Array($0.utf8) }
        let path = relative(path).split(separator: "/").map { Array($0.utf8) }
        // Which prefixes of the path the pattern's parts so far can match: linear in both, whatever the pattern.
        var reachable = Set([0])
        for part in pattern {
            if part == Array("**".utf8) {
                reachable = Set((reachable.min() ?? path.count + 1)..<(path.count + 1))
            } else {
                reachable = Set(reachable.filter { $0 < path.count && matches(part, path[$0]) }.map { $0 + 1 })
            }
            if reachable.isEmpty { return false }
        }
        return reachable.contains(path.count)
    }

    private static func relative(_ path: String) -> Substring {
        if path.hasPrefix("/workspace/") { return path.dropFirst(11) }
        return path.hasPrefix("./") ? path.dropFirst(2) : path[...]
    }

    private static func matches(_ pattern: [UInt8], _ name: [UInt8]) -> Bool {
        var reachable = Set([0])
        var at = 0
        while at < pattern.count {
            let byte = pattern[at]
            at += 1
            switch byte {
            case UInt8(ascii: "*"):
                guard let first = reachable.min() else { return false }
                reachable = Set(first...name.count)
            case UInt8(ascii: "["):
                guard let (accepts, end) = set(pattern, from: at) else { fallthrough }
                at = end
                reachable = Set(reachable.filter { $0 < name.count && accepts(name[$0]) }.map { $0 + 1 })
            default:
                reachable = Set(reachable.filter { $0 < name.count && (byte == UInt8(ascii: "?") || name[$0] == byte) }.map { $0 + 1 })
            }
            if reachable.isEmpty { return false }
        }
        return reachable.contains(name.count)
    }

    /// A bracket expression from after its `[` to after its `]`; `nil` without an end, when `[` is itself.
    private static func set(_ pattern: [UInt8], from start: Int) -> (accepts: (UInt8) -> Bool, end: Int)? {
        var at = start
        let negated = at < pattern.count && (pattern[at] == UInt8(ascii: "!") || pattern[at] == UInt8(ascii: "^"))
        if negated { at += 1 }
        let first = at
        var ranges: [ClosedRange<UInt8>] = []
        while at < pattern.count, pattern[at] != UInt8(ascii: "]") || at == first {
            if at + 2 < pattern.count, pattern[at + 1] == UInt8(ascii: "-"), pattern[at + 2] != UInt8(ascii: "]") {
                if pattern[at] <= pattern[at + 2] { ranges.append(pattern[at]...pattern[at + 2]) }
                at += 3
            } else {
                ranges.append(pattern[at]...pattern[at])
                at += 1
            }
        }
        guard at < pattern.count else { return nil }
        let found = ranges
        return ({ byte in found.contains { $0.contains(byte) } != negated }, at + 1)
    }
}
