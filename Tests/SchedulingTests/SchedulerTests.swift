// What a client or an operator can count on, one promise per test.

import SandboxCore
import Scheduling
import TestKit
import Testing

private func scheduler(size: Int, queue: Int) -> Scheduler {
    var scheduler = Scheduler()
    _ = scheduler.setPool("default", size: size, queue: queue, now: 0)
    return scheduler
}

private func ticket(_ job: String, group: String? = nil, priority: Int8 = 0, deadline: Int? = nil) -> Ticket {
    Ticket(job: JobID(job), pool: "default", group: group, priority: priority, deadline: deadline)
}

/// Finishes `job` and says what starts in its place.
private func next(_ scheduler: inout Scheduler, after job: inout JobID, now: Int = 0) -> JobID? {
    guard case .start(let started)? = scheduler.finished(job, now: now).first else { return nil }
    job = started
    return started
}

@Test("A group with 10,000 waiting jobs does not delay another group's first job by more than one start")
func noStarvation() throws {
    var farm = scheduler(size: 1, queue: 20_000)
    var running = JobID("big-0")
    for index in 0..<10_000 { _ = try farm.submit(ticket("big-\(index)", group: "big"), now: 0) }
    for index in 0..<3 { _ = try farm.submit(ticket("small-\(index)", group: "small"), now: 0) }
    let order = (0..<6).map { _ in next(&farm, after: &running)!.text }
    #expect(order == ["big-1", "small-0", "big-2", "small-1", "big-3", "small-2"])
}

@Test("Groups that all have jobs waiting get equally many starts, give or take one", arguments: 0..<20 as Range<UInt64>)
func equalShares(seed: UInt64) throws {
    var random = SeededRandom(seed)
    var farm = scheduler(size: Int.random(in: 1...5, using: &random), queue: 100_000)
    let groups = (0..<Int.random(in: 2...9, using: &random)).map { "g\($0)" }
    var running: [JobID] = []
    var starts: [String: Int] = [:]
    func note(_ actions: [Action]) {
        for case .start(let job) in actions {
            running.append(job)
            starts[String(job.text.prefix { $0 != "-" }), default: 0] += 1
        }
    }
    // Unequal backlogs in random order; then shares are counted while every group still has some.
    for index in 0..<3_000 {
        let group = index < groups.count ? groups[index] : groups.randomElement(using: &random)!
        note(try farm.submit(ticket("\(group)-\(index)", group: group), now: 0))
    }
    starts = Dictionary(uniqueKeysWithValues: groups.map { ($0, 0) })
    for _ in 0..<150 {
        let job = running.remove(at: Int.random(in: running.indices, using: &random))
        note(farm.finished(job, now: 0))
        #expect(starts.values.max()! - starts.values.min()! <= 1)
    }
}

@Test("A group that comes back after being idle gets its turn, not the turns it missed")
func noCredit() throws {
    var farm = scheduler(size: 1, queue: 1_000)
    var running = JobID("a-0")
    for index in 0..<100 { _ = try farm.submit(ticket("a-\(index)", group: "a"), now: 0) }
    for _ in 0..<50 { _ = next(&farm, after: &running) }
    for index in 0..<10 { _ = try farm.submit(ticket("b-\(index)", group: "b"), now: 0) }
    let order = (0..<8).map { _ in String(next(&farm, after: &running)!.text.prefix(1)) }
    #expect(order.count { $0 == "b" } == 4)
}

@Test("A group that always has just one job waiting does not take another's turns")
func noGainByReturning() throws {
    var farm = scheduler(size: 1, queue: 1_000)
    var running = JobID("a-0")
    for index in 0..<100 { _ = try farm.submit(ticket("a-\(index)", group: "a"), now: 0) }
    var fromB = 0
    for index in 0..<50 {
        if farm.place(of: JobID("b-\(fromB)")) == nil {
            fromB = index
            _ = try farm.submit(ticket("b-\(index)", group: "b"), now: 0)
        }
        _ = next(&farm, after: &running)
        if running.text.hasPrefix("b") {
            // Resubmits the moment its job starts.
            fromB = 1_000 + index
            _ = try farm.submit(ticket("b-\(fromB)", group: "b"), now: 0)
        }
    }
    // 25 turns each: a's jobs 1...25 have started by now.
    #expect(farm.place(of: JobID("a-26")) == .queued && farm.place(of: JobID("a-24")) == nil)
}

@Test("Within a group the higher priority starts first, and within a priority the older job")
func priorities() throws {
    var farm = scheduler(size: 1, queue: 100)
    var running = JobID("first")
    for (job, priority) in [("first", 0), ("low", -5), ("n1", 0), ("high", 7), ("n2", 0), ("high2", 7)] as [(String, Int8)] {
        _ = try farm.submit(ticket(job, priority: priority), now: 0)
    }
    let order = (0..<5).map { _ in next(&farm, after: &running)!.text }
    #expect(order == ["high", "high2", "n1", "n2", "low"])
}

@Test("A priority does not lift a job above another group's turn")
func prioritiesStayWithinGroup() throws {
    var farm = scheduler(size: 1, queue: 100)
    var running = JobID("a-0")
    for index in 0..<4 { _ = try farm.submit(ticket("a-\(index)", group: "a", priority: 100), now: 0) }
    for index in 0..<4 { _ = try farm.submit(ticket("b-\(index)", group: "b", priority: -100), now: 0) }
    let order = (0..<4).map { _ in next(&farm, after: &running)!.text }
    #expect(order == ["a-1", "b-0", "a-2", "b-1"])
}

@Test("A full queue turns jobs away with the time a place needs to become free at the pool's pace")
func retryAfter() throws {
    var farm = scheduler(size: 2, queue: 2)
    var made = 0
    func submit(at now: Int) throws -> [Action] {
        made += 1
        return try farm.submit(ticket("j\(made)"), now: now)
    }
    for _ in 0..<4 { _ = try submit(at: 0) }
    let millisecond = 1_000_000
    var now = 0
    var running = [JobID("j1"), JobID("j2")]
    // One job ends every 40 ms.
    for _ in 0..<60 {
        now += 40 * millisecond
        for case .start(let job) in farm.finished(running.removeFirst(), now: now) { running.append(job) }
        _ = try submit(at: now)
    }
    var waits: [Int] = []
    for _ in 0..<3 {
        do throws(Rejected) {
            _ = try farm.submit(ticket("late"), now: now)
            Issue.record("the queue is full")
        } catch {
            #expect(error.code == .queueFull && error.field == "pool")
            waits.append(error.retryAfterMs!)
        }
    }
    // The second asker is told the time of the second place, and so on.
    #expect(waits == [40, 80, 120])
    // A pool that stands still is as slow as that shows, and no wait is longer than a minute.
    #expect(throws: Rejected.self) { try farm.submit(ticket("late"), now: now + 3_000 * millisecond) }
    do throws(Rejected) {
        _ = try farm.submit(ticket("late"), now: now + 900_000 * millisecond)
    } catch {
        #expect(error.retryAfterMs == 60_000)
    }
}

@Test("A draining pool finishes what it has, starts what waits, and takes new jobs again after resume")
func drainAndResume() throws {
    var farm = scheduler(size: 1, queue: 10)
    _ = try farm.submit(ticket("a"), now: 0)
    _ = try farm.submit(ticket("b"), now: 0)
    try farm.drain("default")
    #expect(throws: Rejected.self) { try farm.submit(ticket("c"), now: 0) }
    #expect(farm.finished(JobID("a"), now: 0) == [.start(JobID("b"))])
    try farm.resume("default")
    #expect(try farm.submit(ticket("c"), now: 0).isEmpty)
    farm.drainAll()
    do throws(Rejected) {
        _ = try farm.submit(ticket("d"), now: 0)
        Issue.record("the farm is draining")
    } catch {
        #expect(error.code == .draining && error.retryAfterMs != nil)
    }
}

@Test("A pool that grows starts waiting jobs; one that shrinks lets its jobs finish")
func resize() throws {
    var farm = scheduler(size: 1, queue: 10)
    for job in ["a", "b", "c", "d"] { _ = try farm.submit(ticket(job), now: 0) }
    #expect(farm.setPool("default", size: 3, queue: 10, now: 0) == [.start(JobID("b")), .start(JobID("c"))])
    #expect(farm.setPool("default", size: 1, queue: 10, now: 0).isEmpty)
    #expect(farm.counts(of: "default")?.running == 3)
    #expect(farm.finished(JobID("a"), now: 0).isEmpty)
    #expect(farm.finished(JobID("b"), now: 0).isEmpty)
    #expect(farm.finished(JobID("c"), now: 0) == [.start(JobID("d"))])
}

@Test("Unknown names are errors that name what there is")
func unknownNames() throws {
    var farm = scheduler(size: 1, queue: 1)
    do throws(Rejected) {
        _ = try farm.submit(Ticket(job: JobID("a"), pool: "gpu"), now: 0)
        Issue.record("there is no such pool")
    } catch {
        #expect(error.code == .unknownPool && error.field == "pool" && error.message.contains("'default'"))
    }
    #expect(throws: Rejected.self) { try farm.drain("gpu") }
    #expect(farm.cancel(JobID("nobody"), by: .client).isEmpty && farm.finished(JobID("nobody"), now: 0).isEmpty)
}

@Test("100,000 waiting jobs, each in a group of its own, are admitted, expired and forgotten")
func manyJobs() throws {
    var farm = scheduler(size: 1, queue: 200_000)
    for index in 0...100_000 {
        _ = try farm.submit(ticket("j\(index)", group: "g\(index)", deadline: 100_000 - index), now: 0)
    }
    #expect(farm.counts(of: "default")?.groups == 100_000)
    #expect(farm.expire(now: 49_999).count == 50_000)
    #expect(farm.expire(now: 100_000).count == 50_001)
    #expect(farm.nextDeadline == nil)
    #expect(farm.finished(JobID("j0"), now: 0).isEmpty && farm.isIdle)
}
