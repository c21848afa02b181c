// Sandboxes that stay with a group between its jobs, in pools that say so: which one a job gets, how many wait, and when
// one has waited long enough. A pure state machine, as the scheduler is: it makes and ends none itself, it says which are
// to be ended. What one of them may ever be handed to, the group it was put with and a job that wants the same kind, is
// decided here and nowhere else.

import SandboxCore

/// The sandboxes that no job is in and whose group may come back. Times are nanoseconds on the scheduler's clock.
public struct GroupSandboxes: Sendable {
    /// Whom a sandbox belongs to. Its spec names the pool.
    private struct Owner: Hashable, Sendable {
        var spec: SandboxSpec
        var group: String

        /// A spec has a whole filter in it, and a group hardly ever two kinds of sandboxes.
        func hash(into hasher: inout Hasher) {
            hasher.combine(spec.pool)
            hasher.combine(group)
        }
    }

    private struct Idle: Sendable {
        var sandbox: any Sandbox
        var owner: Owner
        var since: Int
        /// Its neighbours among those of the pool, in the order they became idle.
        var before = nowhere
        var after = nowhere
    }

    /// The idle ones of one pool; none is empty.
    private struct Shelf: Sendable {
        var first = nowhere
        var last = nowhere
        var count = 0
    }

    /// How many may wait in one pool. One more, and the one that has waited longest ends.
    public let mostPerPool: Int
    /// How long one may wait.
    public let longestIdle: Int
    private var idle = Slab<Idle>()
    /// Those of one owner, the one that became idle last at the end; none is empty.
    private var owners: [Owner: [Slot]] = [:]
    private var shelves: [String: Shelf] = [:]

    public init(mostPerPool: Int, longestIdle: Int) {
        self.mostPerPool = max(0, mostPerPool)
        self.longestIdle = longestIdle
    }

    /// The sandbox of this kind that the group used last, which is the caller's from now on; `nil` where none waits.
    public mutating func take(_ spec: SandboxSpec, group: String) -> (any Sandbox)? {
        guard let slot = owners[Owner(spec: spec, group: group)]?.last else { return nil }
        return remove(slot)
    }

    /// Takes in a sandbox in which a job of this group has ended.
    /// - Returns: what is to be ended, which may be the very one.
    public mutating func put(_ sandbox: any Sandbox, _ spec: SandboxSpec, group: String, now: Int) -> [any Sandbox] {
        guard mostPerPool > 0 else { return [sandbox] }
        let owner = Owner(spec: spec, group: group)
        var shelf = shelves[spec.pool] ?? Shelf()
        let slot = idle.insert(Idle(sandbox: sandbox, owner: owner, since: now, before: shelf.last))
        if shelf.last == nowhere { shelf.first = slot } else { idle[shelf.last].after = slot }
        shelf.last = slot
        shelf.count += 1
        shelves[spec.pool] = shelf
        owners[owner, default: []].append(slot)
        return shelf.count > mostPerPool ? [remove(shelf.first)] : []
    }

    /// Those that have waited long enough.
    public mutating func expire(now: Int) -> [any Sandbox] {
        var ended: [any Sandbox] = []
        for pool in Array(shelves.keys) {
            while let slot = shelves[pool]?.first, idle[slot].since + longestIdle <= now { ended.append(remove(slot)) }
        }
        return ended
    }

    /// When `expire` has something to do next.
    public var nextExpiry: Int? {
        var next: Int?
        for shelf in shelves.values { next = min(next ?? .max, idle[shelf.first].since + longestIdle) }
        return next
    }

    /// All that wait in this pool.
    public mutating func removeAll(pool: String) -> [any Sandbox] {
        var ended: [any Sandbox] = []
        while let slot = shelves[pool]?.first { ended.append(remove(slot)) }
        return ended
    }

    public func count(pool: String) -> Int { shelves[pool]?.count ?? 0 }
    public var count: Int { idle.count }

    private mutating func remove(_ slot: Slot) -> any Sandbox {
        let found = idle[slot]
        idle.remove(slot)
        // The last is the one that is taken, the first the one that ends.
        owners[found.owner]!.remove(at: owners[found.owner]!.lastIndex(of: slot)!)
        if owners[found.owner]!.isEmpty { owners[found.owner] = nil }

        let pool = found.owner.spec.pool
        if found.before == nowhere { shelves[pool]!.first = found.after } else { idle[found.before].after = found.after }
        if found.after == nowhere { shelves[pool]!.last = found.before } else { idle[found.after].before = found.before }
        shelves[pool]!.count -= 1
        if shelves[pool]!.count == 0 { shelves[pool] = nil }
        return found.sandbox
    }
}
