// Whose turn it is in a pool. Groups with waiting jobs stand in a ring and take turns, one start each; a group that
// was idle comes in at the end of the ring, so that it can neither save up turns nor jump the queue by leaving and
// returning, and needs no memory while it is away. Within a group the higher priority goes first, and within a
// priority the older job. Every operation is O(1), but for finding one of at most 201 priorities.

struct FairQueue: Sendable {
    private struct Group: Sendable {
        var label: String?
        /// By falling priority; none is empty.
        var levels: [Level]
        var before: Slot = nowhere
        var after: Slot = nowhere
    }

    /// The jobs of one group and priority, linked through their entries.
    private struct Level: Sendable {
        var priority: Int8
        var first: Slot
        var last: Slot
    }

    private var groups = Slab<Group>()
    private var slots: [String?: Slot] = [:]
    /// The ring: whose turn is next, and who came last.
    private var first = nowhere
    private var last = nowhere
    private(set) var count = 0

    var groupCount: Int { groups.count }

    mutating func append(_ job: Slot, label: String?, in jobs: inout Slab<Entry>) {
        let group = slots[label] ?? enter(label)
        jobs[job].group = group
        let priority = jobs[job].priority
        let at = groups[group].levels.firstIndex { $0.priority <= priority } ?? groups[group].levels.count
        if at < groups[group].levels.count, groups[group].levels[at].priority == priority {
            let tail = groups[group].levels[at].last
            jobs[tail].after = job
            jobs[job].before = tail
            groups[group].levels[at].last = job
        } else {
            groups[group].levels.insert(Level(priority: priority, first: job, last: job), at: at)
        }
        count += 1
    }

    /// The job whose turn it is, which leaves the queue; its group goes to the end of the ring.
    mutating func popNext(in jobs: inout Slab<Entry>) -> Slot? {
        guard first != nowhere else { return nil }
        let group = first
        let job = groups[group].levels[0].first
        // A group that has no other job leaves the ring here.
        remove(job, in: &jobs)
        if first == group, group != last {
            unlink(group)
            link(group)
        }
        return job
    }

    mutating func remove(_ job: Slot, in jobs: inout Slab<Entry>) {
        let group = jobs[job].group
        let (priority, before, after) = (jobs[job].priority, jobs[job].before, jobs[job].after)
        if before != nowhere { jobs[before].after = after }
        if after != nowhere { jobs[after].before = before }
        (jobs[job].before, jobs[job].after) = (nowhere, nowhere)
        count -= 1

        guard before == nowhere || after == nowhere else { return }
        let at = groups[group].levels.firstIndex { $0.priority == priority }!
        if before == nowhere, after == nowhere {
            groups[group].levels.remove(at: at)
            if groups[group].levels.isEmpty { leave(group) }
        } else if before == nowhere {
            groups[group].levels[at].first = after
        } else {
            groups[group].levels[at].last = before
        }
    }

    private mutating func enter(_ label: String?) -> Slot {
        let group = groups.insert(Group(label: label, levels: []))
        slots[label] = group
        link(group)
        return group
    }

    private mutating func leave(_ group: Slot) {
        unlink(group)
        slots[groups[group].label] = nil
        groups.remove(group)
        if slots.isEmpty, slots.capacity > keptWhenEmpty { slots = [:] }
    }

    /// Puts a group at the end of the ring.
    private mutating func link(_ group: Slot) {
        groups[group].before = last
        if last == nowhere { first = group } else { groups[last].after = group }
        last = group
    }

    private mutating func unlink(_ group: Slot) {
        let (before, after) = (groups[group].before, groups[group].after)
        if before == nowhere { first = after } else { groups[before].after = after }
        if after == nowhere { last = before } else { groups[after].before = before }
        (groups[group].before, groups[group].after) = (nowhere, nowhere)
    }
}
