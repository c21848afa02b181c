// What has come of a batch so far: counts by verdict and how long jobs took, in bounded space.

import Foundation
import SandboxCore

struct BatchTally: Sendable {
    private(set) var done = 0
    private(set) var succeeded = 0
    /// Programs that did not succeed, lines that are no job or were turned away, and jobs the farm failed.
    private(set) var failed = 0
    private(set) var bad = 0
    private(set) var lost = 0
    private(set) var words: [String: Int] = [:]
    /// Bytes of the input that are settled.
    private(set) var bytes = 0
    private var peakMemory = 0
    /// Jobs by the logarithm of their wall time, each step 10 % longer.
    private var times: [Int: Int] = [:]

    mutating func add(_ result: JobResult, bytes: Int) {
        settle(bytes)
        if Verdict.exitCode(result) == Exit.succeeded { succeeded += 1 } else { failed += 1 }
        words[Verdict.word(result), default: 0] += 1
        peakMemory = max(peakMemory, result.usage.peakMemoryBytes ?? 0)
        times[Int((log(max(0.01, result.usage.wallTimeMs)) / log(1.1)).rounded()), default: 0] += 1
    }

    mutating func addBad(_ word: String, bytes: Int) {
        settle(bytes)
        bad += 1
        words[word, default: 0] += 1
    }

    mutating func addLost(_ word: String, bytes: Int) {
        settle(bytes)
        lost += 1
        words[word, default: 0] += 1
    }

    private mutating func settle(_ count: Int) {
        done += 1
        bytes += count + 1
    }

    /// The worst that happened decides.
    var exitCode: Int32 {
        if lost > 0 { return Exit.farm }
        if bad > 0 { return Exit.usage }
        return failed > 0 ? Exit.failed : Exit.succeeded
    }

    /// Milliseconds that a share of the jobs did not exceed, to within 10 %.
    private func quantile(_ share: Double) -> Double? {
        let total = times.values.reduce(0, +)
        guard total > 0 else { return nil }
        var seen = 0
        for (step, count) in times.sorted(by: { $0.key < $1.key }) {
            seen += count
            if Double(seen) >= share * Double(total) { return pow(1.1, Double(step)) }
        }
        return nil
    }

    func lines(elapsed: Duration, style: Style) -> [String] {
        var table = Table([.init("RESULT"), .init("JOBS", .right), .init("SHARE", .right)])
        for (word, count) in words.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            let good = word == "ok" || word == "passed"
            table.add([
                .init(word, good ? style.green : style.red), .init(Human.count(count)),
                .init("\(Human.fixed(100 * Double(count) / Double(max(1, done)), 1)) %"),
            ])
        }
        var lines = done > 0 ? table.lines(width: 80, style: style) + [""] : []
        let seconds = elapsed.seconds
        let total = "\(Human.counted(done, "job")) in \(Human.time(seconds * 1000)), \(Human.fixed(Double(done) / max(seconds, 0.001), 1)) per second"
        lines.append(total)
        if let half = quantile(0.5), let most = quantile(0.99) {
            let memory = peakMemory > 0 ? "; memory at most \(Human.bytes(peakMemory))" : ""
            lines.append("half ran for at most \(Human.time(half)), 99 % for \(Human.time(most))\(memory)")
        }
        return lines
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
