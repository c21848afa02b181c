// Cells kept ready ahead of need. One shelf for each spec: whoever wants a sandbox gets the one that became ready last, or
// where it is a template's, the one whose fork has had the most time to get ready; or waits for the next. How many there are
// follows demand: half as many again as were in use at once lately, and after a while without any use, none.

import LinuxSystem
import Logging
import SandboxCore
import Synchronization

final class CellStock: Sendable {
    fileprivate struct Shelf {
        var ready: [Cell] = []
        /// Being made or renewed.
        var pending = 0
        var leased = 0
        /// The most that were leased at once; fades. And the same since it was last looked at.
        var demand = 0
        var recentDemand = 0
        var waiting: [CheckedContinuation<Result<Cell, FarmError>, Never>] = []
        var lastUse = ContinuousClock.now
    }

    private struct State {
        var shelves: [SandboxSpec: Shelf] = [:]
        var isOver = false
    }

    /// The most cells of one spec that wait without being used; at least one.
    let mostSpare: Int
    private let state = Mutex(State())
    private let birth: @Sendable (SandboxSpec) -> Void

    /// - Parameter birth: makes a cell; what comes of it is told to `available` or `failed`.
    init(mostSpare: Int, birth: @escaping @Sendable (SandboxSpec) -> Void) {
        self.mostSpare = mostSpare
        self.birth = birth
    }

    /// Sandboxes that are ready and nobody's.
    func readyCount(pool: String) -> Int {
        state.withLock { $0.shelves.reduce(0) { $1.key.pool == pool ? $0 + $1.value.ready.count : $0 } }
    }

    func take(_ spec: SandboxSpec) async throws(FarmError) -> Cell {
        let (cell, births) = state.withLock { s in s.shelves[spec, default: Shelf()].lease(mostSpare) }
        for _ in 0..<births { birth(spec) }
        if let cell { return cell }
        let result = await withCheckedContinuation { (c: CheckedContinuation<Result<Cell, FarmError>, Never>) in
            let (now, births): (Result<Cell, FarmError>?, Int) = state.withLock { s in
                if s.isOver { return (.failure(FarmError(.sandboxLost, "the farm is shutting down")), 0) }
                // One may have come in meanwhile.
                let (cell, births) = s.shelves[spec, default: Shelf()].lease(mostSpare)
                if let cell { return (.success(cell), births) }
                return (nil, s.shelves[spec]!.wait(c))
            }
            for _ in 0..<births { birth(spec) }
            if let now { c.resume(returning: now) }
        }
        return try result.get()
    }

    /// A sandbox is ready in this cell.
    func available(_ cell: Cell) {
        put(cell) { $0.pending -= 1 }
    }

    private func put(_ cell: Cell, _ change: (inout Shelf) -> Void) {
        enum Fate { case handed(CheckedContinuation<Result<Cell, FarmError>, Never>, births: Int), kept, surplus }
        let fate: Fate = state.withLock { s in
            guard !s.isOver else { return .surplus }
            return s.shelves.change(cell.spec) { shelf in
                change(&shelf)
                if !shelf.waiting.isEmpty {
                    cell.lease()
                    let c = shelf.waiting.removeFirst()
                    return .handed(c, births: shelf.countLease(mostSpare))
                }
                if shelf.total >= shelf.wanted(mostSpare) { return .surplus }
                shelf.ready.append(cell)
                return .kept
            }
        }
        switch fate {
        case .handed(let c, let births):
            for _ in 0..<births { birth(cell.spec) }
            c.resume(returning: .success(cell))
        case .surplus: cell.end(FarmError(.sandboxLost, "the sandbox is not needed"))
        case .kept: break
        }
    }

    /// A cell that was to be ready never will be.
    func failed(_ spec: SandboxSpec, _ error: FarmError) {
        let told: CheckedContinuation<Result<Cell, FarmError>, Never>? = state.withLock { s in
            guard !s.isOver else { return nil }
            return s.shelves.change(spec) { shelf in
                shelf.pending -= 1
                // Each that waits has one on its way: here is one whose has failed.
                return !shelf.waiting.isEmpty && shelf.pending < shelf.waiting.count ? shelf.waiting.removeFirst() : nil
            }
        }
        told?.resume(returning: .failure(error))
    }

    /// A cell that was to be ready again has ended as it should. Whoever waits for it gets a new one.
    func spent(_ spec: SandboxSpec) {
        let isWanted = state.withLock { s in
            guard !s.isOver else { return false }
            return s.shelves.change(spec) { shelf in
                if shelf.pending <= shelf.waiting.count || shelf.total <= shelf.wanted(mostSpare) { return true }
                shelf.pending -= 1
                return false
            }
        }
        if isWanted { birth(spec) }
    }

    /// A cell on the shelf has died.
    func lost(_ cell: Cell) {
        state.withLock { s in s.shelves[cell.spec]?.ready.removeAll { $0 === cell } }
    }

    /// Takes a leased cell back. Its next sandbox is made while nobody waits for it; where there can be none it ends, and so
    /// does this call when it has.
    func takeBack(_ cell: Cell) async {
        let end = cell.endLease()
        state.withLock { s in
            guard !s.isOver else { return }
            s.shelves.change(cell.spec) { shelf in
                shelf.leased -= 1
                shelf.lastUse = .now
                // It may have become ready since, and been counted off before it is counted here.
                if case .pending = end { shelf.pending += 1 }
            }
        }
        switch end {
        case .available: put(cell) { _ in }
        case .pending: break
        case .ending: await cell.awaitEnd()
        }
    }

    /// Called now and then: lets demand fade and gives up what nobody has wanted for long.
    func age(_ now: ContinuousClock.Instant) {
        let surplus: [Cell] = state.withLock { s in
            var surplus: [Cell] = []
            for spec in Array(s.shelves.keys) {
                s.shelves.change(spec) { shelf in
                    shelf.demand = max(shelf.recentDemand, shelf.demand - max(1, shelf.demand / 8))
                    shelf.recentDemand = shelf.leased
                    let wanted = now - shelf.lastUse > .seconds(300) ? 0 : shelf.wanted(mostSpare)
                    while shelf.total > wanted, !shelf.ready.isEmpty { surplus.append(shelf.ready.removeFirst()) }
                }
                if let shelf = s.shelves[spec], shelf.isEmpty, now - shelf.lastUse > .seconds(300) { s.shelves[spec] = nil }
            }
            return surplus
        }
        for cell in surplus { cell.end(FarmError(.sandboxLost, "the sandbox is not needed")) }
    }

    /// Nothing is given out any more; whoever waits is told.
    func close() {
        let waiting = state.withLock { s in
            s.isOver = true
            defer { s.shelves = [:] }
            return s.shelves.values.flatMap(\.waiting)
        }
        for c in waiting { c.resume(returning: .failure(FarmError(.sandboxLost, "the farm is shutting down"))) }
    }
}

extension CellStock.Shelf {
    /// How many shall be there beside those in use.
    fileprivate func wanted(_ mostSpare: Int) -> Int { demand + min(mostSpare, demand / 2 + 1) }
    fileprivate var total: Int { leased + pending + ready.count }

    fileprivate var isEmpty: Bool { ready.isEmpty && pending == 0 && leased == 0 && waiting.isEmpty }

    /// - Returns: a cell, if one is ready, and how many are to be made now.
    fileprivate mutating func lease(_ mostSpare: Int) -> (Cell?, births: Int) {
        guard let last = ready.last else { return (nil, 0) }
        let cell = last.spec.template == nil ? ready.removeLast() : ready.removeFirst()
        cell.lease()
        return (cell, countLease(mostSpare))
    }

    fileprivate mutating func countLease(_ mostSpare: Int) -> Int {
        leased += 1
        recentDemand = max(recentDemand, leased)
        demand = max(demand, leased)
        lastUse = .now
        // One at a time: they are made beside the work that there is.
        guard waiting.isEmpty, pending == 0, total < wanted(mostSpare) else { return 0 }
        pending += 1
        return 1
    }

    /// - Returns: how many are to be made now.
    fileprivate mutating func wait(_ c: CheckedContinuation<Result<Cell, FarmError>, Never>) -> Int {
        waiting.append(c)
        guard pending < waiting.count else { return 0 }
        pending += 1
        return 1
    }
}

extension Dictionary where Key == SandboxSpec, Value == CellStock.Shelf {
    fileprivate mutating func change<T>(_ spec: SandboxSpec, _ body: (inout CellStock.Shelf) -> T) -> T { body(&self[spec, default: CellStock.Shelf()]) }
}
