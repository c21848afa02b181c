// The farm beside other sandboxes: the same commands, the same number in flight, the same baseline, in one run.

import Foundation
import Measuring
import SandboxCore

enum PeerBars {
    private static let inFlight = 8

    /// Something that runs the three works. Both throw where what they run does not end well.
    private struct Contender {
        var key: String
        var name: String
        /// The p50 of so many, one after the other, in milliseconds.
        var alone: (_ work: PeerWork, _ count: Int) async throws -> Double
        /// Ends per second with `inFlight` under way.
        var rate: (_ work: PeerWork, _ seconds: Double) async throws -> Double
    }

    static func measure(_ effort: Effort) async -> [Row] {
        await attempt(nil, key: "peers", "other sandboxes", unit: "/s") {
            let place = try temporaryDirectory()
            defer { try? FileManager.default.removeItem(atPath: place) }
            try FileManager.default.createDirectory(atPath: "\(place)/suite", withIntermediateDirectories: true)
            try TemplateBars.suite.write(toFile: "\(place)/suite/test_five.py", atomically: true, encoding: .utf8)
            var rows = try await FarmUnderTest.with(pools: ["{name: default, size: \(inFlight)\(TemplateBars.pool)}"], ready: effort.ready) { farm in
                try await TemplateBars.load(farm)
                try await SingleJobBars.warmUp(farm, effort)
                return try await Self.rows(paddock(farm), place, effort)
            }
            for peer in Peer.all {
                rows += await attempt(nil, key: "peer.\(peer.name)", peer.name, unit: "/s") {
                    try peer.prepare(place)
                    for work in PeerWork.allCases { try Baseline.spawn(peer.command(work, place, numbers.take())) }
                    return try await Self.rows(contender(peer, place), place, effort)
                }
            }
            return rows
        }
    }

    private static let numbers = Counter()

    private static func contender(_ peer: Peer, _ place: String) -> Contender {
        Contender(key: peer.name, name: peer.name) { work, count in
            quantile(try (0..<count).map { _ in try milliseconds { try Baseline.spawn(peer.command(work, place, numbers.take())) } }, 0.5)
        } rate: { work, seconds in
            try await Baseline.rate(threads: inFlight, seconds: seconds) { _ in try Baseline.spawn(peer.command(work, place, numbers.take())) }
        }
    }

    private static func paddock(_ farm: FarmUnderTest) -> Contender {
        Contender(key: "paddock", name: "paddock") { work, count in
            quantile(try await farm.alone(job(work), count: count).ms, 0.5)
        } rate: { work, seconds in
            try await farm.rate(job(work), inFlight: inFlight, seconds: seconds).perSecond
        }
    }

    private static func job(_ work: PeerWork) -> JobRequest {
        switch work {
        case .nothing: SingleJobBars.nothing
        case .python: TemplateBars.fork(JobRequest(work: .command(["python3", "-c", "print(1)"])), of: "python")
        case .pytest: TemplateBars.suiteJob
        }
    }

    private static func rows(_ contender: Contender, _ place: String, _ effort: Effort) async throws -> [Row] {
        let seconds = effort.quick ? 1.0 : 2.0
        func bare(_ work: PeerWork) -> Command { Command(arguments: work.bare(place), quiet: work != .nothing) }
        func alone(_ work: PeerWork, _ count: Int) async throws -> Turns {
            try await Turns.measure(rounds: 3) {
                quantile(try Baseline.alone(bare(work), count: count), 0.5)
            } farm: {
                try await contender.alone(work, count)
            }
        }
        func rate(_ work: PeerWork) async throws -> Turns {
            try await Turns.measure(rounds: 3) {
                try await Baseline.rate(bare(work), threads: 2, seconds: seconds)
            } farm: {
                try await contender.rate(work, seconds)
            }
        }
        let key = "peer.\(contender.key)"
        return [
            Row(key: "\(key).nothing.p50", "\(contender.name): /bin/true, one at a time, p50", try await alone(.nothing, 50), unit: "ms"),
            Row(key: "\(key).nothing.rate", "  /bin/true, \(inFlight) in flight", try await rate(.nothing), unit: "/s"),
            Row(key: "\(key).python.rate", "  python3 -c 'print(1)', \(inFlight) in flight", try await rate(.python), unit: "/s"),
            Row(key: "\(key).pytest.p50", "  five-test pytest file, p50", try await alone(.pytest, 3), unit: "ms"),
        ]
    }
}
