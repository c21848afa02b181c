// Which compiles are kept, within a number and within bytes: the least recently used go first. Pure: the time is told.

import SandboxCore

struct KeptCompiles: Sendable {
    /// A compiler that failed may have failed for its machine's reasons (a fork that the host refused), which its exit code
    /// does not tell. So a failure is believed for so many nanoseconds only: long enough for the jobs of one batch.
    static let failureLife = 60_000_000_000

    private struct Item: Sendable {
        var compiled: CompiledStep
        var bytes: Int
        /// When it is not believed any more.
        var expiry: Int?
        /// The number of its last use.
        var lastUse: UInt64
    }

    private let capacity: Int
    private let mostEntries: Int
    private var items: [CompileKey: Item] = [:]
    /// All uses in their order. Those before `first`, and those that an item's later use has outdated, mean nothing.
    private var uses: [(key: CompileKey, number: UInt64)] = []
    private var first = 0
    private var lastUse: UInt64 = 0
    private(set) var bytes = 0
    private(set) var evicted = 0

    init(capacity: Int, mostEntries: Int) {
        self.capacity = capacity
        self.mostEntries = mostEntries
    }

    var count: Int { items.count }

    mutating func find(_ key: CompileKey, now: Int) -> CompiledStep? {
        guard let item = items[key] else { return nil }
        if let expiry = item.expiry, expiry <= now {
            remove(key)
            return nil
        }
        use(key)
        return item.compiled
    }

    mutating func keep(_ compiled: CompiledStep, as key: CompileKey, now: Int) {
        remove(key)
        let size = compiled.bytes
        guard size <= capacity, mostEntries > 0 else { return }
        items[key] = Item(
            compiled: compiled, bytes: size, expiry: compiled.succeeded ? nil : now + Self.failureLife, lastUse: 0)
        bytes += size
        use(key)
        while bytes > capacity || items.count > mostEntries { evictOldest() }
    }

    private mutating func use(_ key: CompileKey) {
        lastUse += 1
        items[key]?.lastUse = lastUse
        uses.append((key, lastUse))
        // Outdated uses are dropped when they are the most of all, so that it costs each use next to nothing.
        guard uses.count > 1_024 + 2 * items.count else { return }
        uses = uses[first...].filter { items[$0.key]?.lastUse == $0.number }
        first = 0
    }

    private mutating func evictOldest() {
        let (key, number) = uses[first]
        first += 1
        guard items[key]?.lastUse == number else { return }
        remove(key)
        evicted += 1
    }

    private mutating func remove(_ key: CompileKey) {
        if let item = items.removeValue(forKey: key) { bytes -= item.bytes }
    }
}
