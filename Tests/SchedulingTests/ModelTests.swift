// Random operations on a scheduler and, beside it, on a model of arrays that is too simple to be wrong. Both have to
// say the same actions after every operation, and the invariants are checked on what was said.

import SandboxCore
import Scheduling
import TestKit
import Testing

/// The same decisions, made slowly.
private struct Model {
    struct Job {
        var ticket: Ticket
        var order: Int
        var running = false
        var stopping = false
    }
    struct Pool {
        var size: Int
        var bound: Int
        var draining = false
        /// Groups with waiting jobs, next turn first.
        var ring: [String?] = []
    }

    var pools: [String: Pool] = [:]
    var jobs: [JobID: Job] = [:]
    var order = 0

    func waiting(_ pool: String) -> [Job] { jobs.values.filter { $0.ticket.pool == pool && !$0.running } }
    func running(_ pool: String) -> Int { jobs.values.count { $0.ticket.pool == pool && $0.running } }

    mutating func grant(_ pool: String) -> [Action] {
        var actions: [Action] = []
        while running(pool) < pools[pool]!.size, !pools[pool]!.ring.isEmpty {
            let group = pools[pool]!.ring.removeFirst()
            let mates = waiting(pool).filter { $0.ticket.group == group }
            let next = mates.min { ($1.ticket.priority, $0.order) < ($0.ticket.priority, $1.order) }!
            jobs[next.ticket.job]!.running = true
            if mates.count > 1 { pools[pool]!.ring.append(group) }
            actions.append(.start(next.ticket.job))
        }
        return actions
    }

    mutating func submit(_ ticket: Ticket) -> [Action]? {
        guard let pool = pools[ticket.pool], !pool.draining else { return nil }
        if running(ticket.pool) >= pool.size, waiting(ticket.pool).count >= pool.bound { return nil }
        jobs[ticket.job] = Job(ticket: ticket, order: order)
        order += 1
        if !pool.ring.contains(ticket.group) { pools[ticket.pool]!.ring.append(ticket.group) }
        return grant(ticket.pool)
    }

    mutating func end(_ job: JobID, by canceller: Canceller) -> [Action] {
        guard let known = jobs[job] else { return [] }
        if known.running {
            if known.stopping { return [] }
            jobs[job]!.stopping = true
            return [.stop(job, by: canceller)]
        }
        jobs[job] = nil
        if !waiting(known.ticket.pool).contains(where: { $0.ticket.group == known.ticket.group }) {
            pools[known.ticket.pool]!.ring.removeAll { $0 == known.ticket.group }
        }
        return [.discard(job, by: canceller)]
    }

    mutating func finished(_ job: JobID) -> [Action] {
        guard let known = jobs[job], known.running else { return [] }
        jobs[job] = nil
        return grant(known.ticket.pool)
    }

    func due(_ now: Int) -> Set<JobID> {
        Set(jobs.values.filter { !$0.stopping && ($0.ticket.deadline ?? .max) <= now }.map(\.ticket.job))
    }
    var nextDeadline: Int? { jobs.values.filter { !$0.stopping }.compactMap(\.ticket.deadline).min() }
}

@Test("Whatever happens in whatever order, the scheduler says what a simple model says", arguments: 0..<40 as Range<UInt64>)
func agreesWithModel(seed: UInt64) throws {
    var random = SeededRandom(seed)
    var scheduler = Scheduler()
    var model = Model()
    var said: [JobID: [Action]] = [:]
    var now = 0
    var made = 0
    let names = ["a", "b", "c"]
    let labels: [String?] = [nil, "x", "y", "z", "w"]
    // Some runs keep the queues full, others nearly empty.
    let eagerness = Int.random(in: 20...70, using: &random)

    for name in names {
        let (size, bound) = (Int.random(in: 0...4, using: &random), Int.random(in: 0...12, using: &random))
        #expect(scheduler.setPool(name, size: size, queue: bound, now: now).isEmpty)
        model.pools[name] = .init(size: size, bound: bound)
    }

    for _ in 0..<600 {
        now += Int.random(in: 0...5, using: &random)
        let some = model.jobs.keys.sorted { $0.text < $1.text }.randomElement(using: &random)
        var actions: [Action]
        var expected: [Action]
        switch Int.random(in: 0..<100, using: &random) {
        case ..<eagerness:
            let ticket = Ticket(
                job: JobID("j\(made)"), pool: names.randomElement(using: &random)!,
                group: labels.randomElement(using: &random)!, priority: Int8.random(in: -2...2, using: &random),
                deadline: Bool.random(using: &random) ? now + Int.random(in: 0...200, using: &random) : nil)
            made += 1
            let answer: [Action]?
            do throws(Rejected) {
                answer = try scheduler.submit(ticket, now: now)
            } catch {
                #expect(error.code == .queueFull || error.code == .draining)
                #expect((1...60_000).contains(try #require(error.retryAfterMs)))
                answer = nil
            }
            let modelled = model.submit(ticket)
            #expect(answer == modelled)
            (actions, expected) = (answer ?? [], modelled ?? [])
            if answer != nil { said[ticket.job] = [] }
        case ..<80:
            guard let some else { continue }
            (actions, expected) = (scheduler.finished(some, now: now), model.finished(some))
        case ..<88:
            guard let some else { continue }
            (actions, expected) = (scheduler.cancel(some, by: .client), model.end(some, by: .client))
        case ..<94:
            #expect(scheduler.nextDeadline == model.nextDeadline)
            let due = model.due(now)
            actions = scheduler.expire(now: now)
            expected = actions.flatMap { model.end($0.job, by: .deadline) }
            #expect(Set(actions.map(\.job)) == due && actions.count == due.count)
        case ..<97:
            let name = names.randomElement(using: &random)!
            let (size, bound) = (Int.random(in: 0...4, using: &random), Int.random(in: 0...12, using: &random))
            actions = scheduler.setPool(name, size: size, queue: bound, now: now)
            (model.pools[name]!.size, model.pools[name]!.bound) = (size, bound)
            expected = model.grant(name)
        default:
            let name = names.randomElement(using: &random)!
            let draining = Bool.random(using: &random)
            if draining { try scheduler.drain(name) } else { try scheduler.resume(name) }
            model.pools[name]!.draining = draining
            (actions, expected) = ([], [])
        }
        #expect(actions == expected, "seed \(seed)")
        for action in actions { said[action.job]!.append(action) }
        for counts in scheduler.allCounts {
            #expect(counts.running == model.running(counts.name) && counts.queued == model.waiting(counts.name).count)
            #expect(counts.groups == Set(model.waiting(counts.name).map(\.ticket.group)).count)
        }
    }

    // Everything ends; then nothing is left, and each job was started once or discarded once.
    for action in scheduler.cancelAll(by: .drain) { said[action.job]!.append(action) }
    #expect(scheduler.queuedCount == 0)
    for (job, _) in model.jobs { #expect(scheduler.finished(job, now: now).isEmpty) }
    #expect(scheduler.isIdle && scheduler.nextDeadline == nil && scheduler.runningCount == 0)
    for (job, actions) in said {
        let ways = actions.count { if case .stop = $0 { false } else { true } }
        #expect(ways == 1, "\(job): \(actions)")
        #expect(actions.count { if case .stop = $0 { true } else { false } } <= 1)
    }
}

extension Action {
    var job: JobID {
        switch self {
        case .start(let job), .discard(let job, _), .stop(let job, _): job
        }
    }
}
