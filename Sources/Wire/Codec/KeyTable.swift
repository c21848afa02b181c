// The keys an object may have. A key that is not among them is an error that names the nearest one that is.

/// The keys of one kind of object, as an enum whose raw values are what the wire calls them.
protocol WireKey: CaseIterable, RawRepresentable, Sendable where RawValue == String {
    static var table: KeyTable<Self> { get }
}

/// Finds a key by its bytes without making a string of them.
struct KeyTable<Key: WireKey>: Sendable {
    private struct Entry {
        var start: Int
        var length: Int
        var key: Key
    }

    private var names: [UInt8] = []
    private var entries: [Entry] = []

    init() {
        for key in Key.allCases {
            let name = Array(key.rawValue.utf8)
            entries.append(Entry(start: names.count, length: name.count, key: key))
            names += name
        }
    }

    func find(_ name: ArraySlice<UInt8>) -> Key? {
        for entry in entries where entry.length == name.count {
            var index = 0
            while index < entry.length, names[entry.start + index] == name[name.startIndex + index] { index += 1 }
            if index == entry.length { return entry.key }
        }
        return nil
    }
}

/// Which of `known` was probably meant by `found`: the nearest by single-character edits, if it is near enough.
func nearest(to found: String, among known: [String]) -> String? {
    let found = Array(found.utf8.prefix(64))
    let scored = known.map { (distance(found, Array($0.utf8)), $0) }
    guard let best = scored.min(by: { $0.0 < $1.0 }) else { return nil }
    return best.0 <= max(2, best.1.utf8.count / 3) ? best.1 : nil
}

/// Levenshtein's distance, one row at a time.
private func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var row = Array(0...right.count)
    for (i, a) in left.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, b) in right.enumerated() {
            let substituted = diagonal + (a == b ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
        }
    }
    return row[right.count]
}
