// Which results are still kept: for a time, and within a bound of bytes, the oldest going first.

import SandboxCore

struct RetainedResults: Sendable {
    private struct Item: Sendable {
        var job: JobID
        var expiry: Int
        var bytes: Int
    }

    private let retention: Int
    private let capacity: Int
    /// In the order the jobs ended; those before `first` are gone.
    private var items: [Item] = []
    private var first = 0
    private(set) var bytes = 0

    init(retention: Int, capacity: Int) {
        self.retention = retention
        self.capacity = capacity
    }

    var count: Int { items.count - first }
    var nextExpiry: Int? { first < items.count ? items[first].expiry : nil }

    /// - Returns: the jobs that have to be forgotten to make room, which may be `job` itself.
    mutating func add(_ job: JobID, bytes size: Int, now: Int) -> [JobID] {
        items.append(Item(job: job, expiry: now + retention, bytes: size))
        bytes += size
        var dropped: [JobID] = []
        while bytes > capacity, let job = dropFirst() { dropped.append(job) }
        return dropped
    }

    mutating func takeExpired(now: Int) -> [JobID] {
        var expired: [JobID] = []
        while let expiry = nextExpiry, expiry <= now, let job = dropFirst() { expired.append(job) }
        return expired
    }

    private mutating func dropFirst() -> JobID? {
        guard first < items.count else { return nil }
        let item = items[first]
        first += 1
        bytes -= item.bytes
        if first == items.count {
            items = []
            first = 0
        } else if first > 1_024, first > items.count / 2 {
            items.removeFirst(first)
            first = 0
        }
        return item.job
    }
}

extension JobEnd {
    /// About what it takes to keep it.
    var approximateBytes: Int {
        guard case .result(let result) = self else { return 1_024 }
        var bytes = 1_024 + result.stdout.keptBytes + result.stderr.keptBytes
        bytes += result.files.reduce(0) { $0 + $1.bytes.count + $1.path.utf8.count + 64 }
        bytes += result.filesSkipped.reduce(0) { $0 + $1.utf8.count }
        if let compile = result.compile { bytes += 512 + compile.stdout.keptBytes + compile.stderr.keptBytes }
        bytes += result.tests?.tests.reduce(0) { $0 + $1.id.utf8.count + $1.message.utf8.count + 64 } ?? 0
        return bytes
    }
}

extension Output {
    var keptBytes: Int { head.count + tail.count }
}
