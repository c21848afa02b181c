// Durations in fixed buckets: a job costs one increment, whatever it took, and a farm's memory stays what it is.

/// Counts of durations, in bounds that never change: two histograms can be added, and read at any later time.
public struct Histogram: Sendable, Equatable {
    /// The longest time each bucket but the last holds, in nanoseconds: ten to a decade (Renard's series R10), from a
    /// microsecond to a thousand seconds. What is read from a histogram is less than 28 % too high.
    public static let bounds: [Int] = {
        var bounds: [Int] = []
        var decade = 1_000
        for _ in 0..<9 {
            bounds += [100, 125, 160, 200, 250, 315, 400, 500, 630, 800].map { $0 * decade / 100 }
            decade *= 10
        }
        return bounds + [decade]
    }()

    /// Every bound of the form 1, 2 or 5 times a power of ten: enough to draw, and to hand to a scraper.
    public static let coarseBounds: [Int] = bounds.enumerated().compactMap { [0, 3, 7].contains($0.offset % 10) ? $0.element : nil }

    /// How many fell into each bucket; the last is for what is longer than every bound.
    private var counts = [Int](repeating: 0, count: bounds.count + 1)
    public private(set) var count = 0
    /// In nanoseconds; not an integer, because a hundred thousand jobs that wait side by side add up to one that would
    /// overflow within a day.
    public private(set) var sum = 0.0
    /// In nanoseconds.
    public private(set) var longest = 0

    public init() {}

    /// - Parameter nanoseconds: one below 0, of clocks that do not agree, counts as 0.
    public mutating func record(_ nanoseconds: Int) {
        let time = max(0, nanoseconds)
        counts[Self.bucket(of: time)] += 1
        count += 1
        sum += Double(time)
        longest = max(longest, time)
    }

    public mutating func add(_ other: Histogram) {
        for bucket in counts.indices { counts[bucket] += other.counts[bucket] }
        count += other.count
        sum += other.sum
        longest = max(longest, other.longest)
    }

    /// The time in nanoseconds that `share` (0…1) of all did not exceed; 0 when there are none.
    public func quantile(_ share: Double) -> Int {
        let rank = max(1, Int((share * Double(count)).rounded(.up)))
        var seen = 0
        for (bucket, number) in counts.enumerated() {
            seen += number
            if seen >= rank { return bucket < Self.bounds.count ? min(Self.bounds[bucket], longest) : longest }
        }
        return longest
    }

    /// How many did not exceed each of the coarse bounds: the last says all but those longer than every bound.
    public var cumulative: [Int] {
        var result: [Int] = []
        result.reserveCapacity(Self.coarseBounds.count)
        var seen = 0
        for (bucket, number) in counts.dropLast().enumerated() {
            seen += number
            if [0, 3, 7].contains(bucket % 10) { result.append(seen) }
        }
        return result
    }

    /// The first bucket whose bound is no less.
    private static func bucket(of time: Int) -> Int {
        var (low, high) = (0, bounds.count)
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] < time { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
