// Sandboxes that stay with a group, beside a model that is one array: whatever comes in whatever order, both hand out and
// end the same ones, and none is ever in two hands or in another group's.

import SandboxCore
import Scheduling
import TestKit
import Testing

/// The same decisions, made slowly.
private struct Model {
    struct Item: Equatable {
        var sandbox: Int
        var spec: SandboxSpec
        var group: String
        var since: Int
    }
    let most: Int
    let longest: Int
    /// In the order they became idle.
    var items: [Item] = []

    mutating func take(_ spec: SandboxSpec, _ group: String) -> Int? {
        guard let index = items.lastIndex(where: { $0.spec == spec && $0.group == group }) else { return nil }
        return items.remove(at: index).sandbox
    }

    mutating func put(_ item: Item) -> [Int] {
        items.append(item)
        let mates = items.indices.filter { items[$0].spec.pool == item.spec.pool }
        return mates.count > most ? [items.remove(at: mates[0]).sandbox] : []
    }

    mutating func end(_ which: (Item) -> Bool) -> Set<Int> {
        defer { items.removeAll(where: which) }
        return Set(items.filter(which).map(\.sandbox))
    }
}

/// A sandbox that is nothing but its number.
private struct Numbered: Sandbox {
    let number: Int
    var isUsable: Bool { true }
    func run(_ plan: LaunchPlan, onOutput: (@Sendable (OutputStream, [UInt8]) -> Void)?) async throws(FarmError) -> StepReport {
        throw FarmError(.internal, "nothing runs in a number")
    }
    func cancel(by: Canceller) {}
    func destroy() async {}
}

extension GroupSandboxes {
    fileprivate mutating func takeNumber(_ spec: SandboxSpec, group: String) -> Int? { take(spec, group: group).map(number) }
    fileprivate mutating func put(_ sandbox: Int, _ spec: SandboxSpec, group: String, now: Int) -> [Int] {
        put(Numbered(number: sandbox), spec, group: group, now: now).map(number)
    }
    fileprivate mutating func expireNumbers(now: Int) -> [Int] { expire(now: now).map(number) }
    fileprivate mutating func removeNumbers(pool: String) -> [Int] { removeAll(pool: pool).map(number) }
    private func number(_ sandbox: any Sandbox) -> Int { (sandbox as! Numbered).number }
}

private func spec(_ pool: String, image: String = "a") -> SandboxSpec {
    SandboxSpec(pool: pool, root: RootFilesystem(layers: [image]), seccomp: nil)
}

@Suite("Sandboxes that stay with a group")
struct GroupSandboxesTests {
    @Test("Whatever happens in whatever order, they go where a simple model says", arguments: 0..<40 as Range<UInt64>)
    func agreesWithModel(seed: UInt64) {
        var random = SeededRandom(seed)
        let (most, longest) = (Int.random(in: 0...6, using: &random), Int.random(in: 10...60, using: &random))
        var groups = GroupSandboxes(mostPerPool: most, longestIdle: longest)
        var model = Model(most: most, longest: longest)
        let specs = [spec("p"), spec("p", image: "b"), spec("q")]
        var now = 0
        var made = 0
        /// Who has each sandbox that a job is in, and who had it first: nobody else may ever.
        var held: [Int: Model.Item] = [:]
        var home: [Int: Model.Item] = [:]

        for _ in 0..<500 {
            now += Int.random(in: 0...4, using: &random)
            let (spec, group) = (specs.randomElement(using: &random)!, ["x", "y", "z"].randomElement(using: &random)!)
            switch Int.random(in: 0..<100, using: &random) {
            case ..<45:
                let taken = groups.takeNumber(spec, group: group)
                #expect(taken == model.take(spec, group), "seed \(seed)")
                if let taken { #expect(home[taken]?.spec == spec && home[taken]?.group == group && held[taken] == nil) }
                let sandbox = taken ?? made
                if taken == nil { made += 1 }
                held[sandbox] = Model.Item(sandbox: sandbox, spec: spec, group: group, since: 0)
                if taken == nil { home[sandbox] = held[sandbox] }
            case ..<85:
                guard let sandbox = held.keys.sorted().randomElement(using: &random), var item = held.removeValue(forKey: sandbox) else { continue }
                item.since = now
                #expect(groups.put(sandbox, item.spec, group: item.group, now: now) == model.put(item), "seed \(seed)")
            case ..<95:
                #expect(groups.nextExpiry == model.items.map { $0.since + longest }.min())
                let ended = groups.expireNumbers(now: now)
                #expect(Set(ended) == model.end { $0.since + longest <= now } && Set(ended).count == ended.count, "seed \(seed)")
            default:
                let ended = groups.removeNumbers(pool: spec.pool)
                #expect(Set(ended) == model.end { $0.spec.pool == spec.pool } && Set(ended).count == ended.count, "seed \(seed)")
            }
            for pool in ["p", "q"] { #expect(groups.count(pool: pool) == model.items.count { $0.spec.pool == pool } && groups.count(pool: pool) <= most) }
            #expect(groups.count == model.items.count)
        }
    }

    @Test("A group gets back the sandbox it used last, and only for a job that wants the same kind")
    func lastUsed() {
        var groups = GroupSandboxes(mostPerPool: 8, longestIdle: 100)
        for (sandbox, group) in [(1, "x"), (2, "x"), (3, "y")] { #expect(groups.put(sandbox, spec("p"), group: group, now: 0).isEmpty) }
        #expect(groups.takeNumber(spec("p", image: "b"), group: "x") == nil && groups.takeNumber(spec("q"), group: "x") == nil)
        #expect(groups.takeNumber(spec("p"), group: "z") == nil && groups.takeNumber(spec("p"), group: "") == nil)
        #expect([groups.takeNumber(spec("p"), group: "x"), groups.takeNumber(spec("p"), group: "x"), groups.takeNumber(spec("p"), group: "x")] == [2, 1, nil])
    }

    @Test("One too many ends the one that has waited longest in its pool; a bound of none keeps none")
    func bounds() {
        var groups = GroupSandboxes(mostPerPool: 2, longestIdle: 100)
        #expect(groups.put(9, spec("q"), group: "x", now: 0).isEmpty)
        #expect((1...4).map { groups.put($0, spec("p"), group: "g\($0)", now: $0) } == [[], [], [1], [2]])
        #expect(groups.count(pool: "p") == 2 && groups.count(pool: "q") == 1 && groups.nextExpiry == 100)
        #expect(groups.expireNumbers(now: 102) == [9] && groups.nextExpiry == 103)
        #expect(groups.removeNumbers(pool: "p") == [3, 4] && groups.count == 0 && groups.nextExpiry == nil)
        var none = GroupSandboxes(mostPerPool: 0, longestIdle: 100)
        #expect(none.put(1, spec("p"), group: "x", now: 0) == [1] && none.takeNumber(spec("p"), group: "x") == nil)
    }
}
