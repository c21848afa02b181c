// The table that `make bench` prints, and what it says of bars.

import Foundation
import Measuring
import Testing

@Suite("The benchmarks' table")
struct TableTests {
    private static func turns(_ baseline: Double, _ farm: Double) -> Turns {
        var turns = Turns()
        turns.add(baseline: baseline, farm: farm)
        return turns
    }

    @Test("a figure at its bar passes, one beyond is short, and one that could not be had is neither", arguments: [
        (bar: Bar(.value, atMost: 12), value: 12.0, verdict: Verdict.pass),
        (bar: Bar(.value, atMost: 12), value: 12.01, verdict: Verdict.short),
        (bar: Bar(.value, atLeast: 0.8), value: 0.8, verdict: Verdict.pass),
        (bar: Bar(.value, atLeast: 0.8), value: 0.79, verdict: Verdict.short),
        (bar: Bar(.value, atMost: 12), value: nil, verdict: Verdict.notMeasured),
        (bar: Bar(.value, atMost: 12), value: Double.nan, verdict: Verdict.notMeasured),
        (bar: Bar(.ratio, atMost: 2), value: 1.0, verdict: Verdict.notMeasured),
    ] as [(bar: Bar, value: Double?, verdict: Verdict)])
    func verdicts(_ expected: (bar: Bar, value: Double?, verdict: Verdict)) {
        #expect(Row(key: "k", "work", value: expected.value, unit: "ms", bar: expected.bar).verdict == expected.verdict)
    }

    @Test("a bar on the ratio looks at the ratio, whatever the value is")
    func ratioBar() {
        #expect(Row(key: "k", "work", Self.turns(10, 100), unit: "/s", bar: Bar(.ratio, atLeast: 4)).verdict == .pass)
        #expect(Row(key: "k", "work", Self.turns(100, 10), unit: "/s", bar: Bar(.ratio, atLeast: 4)).verdict == .short)
    }

    @Test("values, ratios, bars, verdicts and notes stand in columns")
    func text() {
        let rows = [
            Row("1", key: "a", "/bin/true: p50", Self.turns(0.8, 1.2), unit: "ms", bar: Bar(.ratio, atMost: 1.6)),
            Row(key: "b", "  p99", value: 12.345, unit: "ms"),
            Row("9", key: "c", "queued jobs", value: 19_999, unit: "/s", bar: Bar(.value, atLeast: 20_000), note: "from a fresh start"),
            Row("8", key: "d", "live", value: nil, unit: "s", bar: Bar(.value, atMost: 30), note: "no daemon"),
        ]
        #expect(
            Table(rows).text == """
                bar  work               value  ratio  asked
                1    /bin/true: p50   1.20 ms  1.50×  ≤ 1.6×      pass
                       p99            12.3 ms
                9    queued jobs     19999 /s         ≥ 20000 /s  short         (from a fresh start)
                8    live                             ≤ 30 s      not measured  (no daemon)
                """)
    }

    @Test("a figure has three digits, and a small one no fewer than its thousandths", arguments: [
        (0.0441, "0.044"), (0.5, "0.500"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (12_345.6, "12346"),
    ])
    func figures(_ value: Double, _ text: String) { #expect(Table.figure(value) == text) }

    @Test("as JSON a run has its machine and all of its rows, in snake_case, and nothing where there is nothing")
    func json() throws {
        let run = Run(
            begun: "2026-01-02T03:04:05Z", seconds: 6, quick: true,
            host: Machine(kernel: "6.1", processor: "A", processors: 2, memoryBytes: 1024, cgroup: "v2", commit: "abc+", loadBefore: 0.5),
            rows: [Row("1", key: "a", "work", Self.turns(2, 3), unit: "ms", bar: Bar(.ratio, atMost: 1.6)), Row(key: "b", "p99", value: nil, unit: "ms")])
        let found = try JSONSerialization.jsonObject(with: Data(run.json.utf8)) as? NSDictionary
        let expected: NSDictionary = [
            "version": 1, "begun": "2026-01-02T03:04:05Z", "seconds": 6, "quick": true,
            "host": ["kernel": "6.1", "processor": "A", "processors": 2, "memory_bytes": 1024, "cgroup": "v2", "commit": "abc+", "load_before": 0.5],
            "rows": [
                [
                    "number": "1", "key": "a", "name": "work", "value": 3, "unit": "ms", "baseline": 2, "ratio": 1.5, "rounds": [1.5],
                    "bar": ["of": "ratio", "at_most": true, "limit": 1.6], "verdict": "pass",
                ] as [String: Any],
                ["key": "b", "name": "p99", "unit": "ms", "rounds": [Double]()] as [String: Any],
            ],
        ]
        #expect(found == expected)
    }
}
