// The keys an object may have.

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
