// What a scraper reads, byte for byte.

import SandboxCore
import Testing

@testable import Telemetry

@Suite("Prometheus text")
struct PrometheusTextTests {
    private func text(_ write: (inout PrometheusText) -> Void) -> String {
        var text = PrometheusText()
        write(&text)
        return String(decoding: text.bytes, as: UTF8.self)
    }

    @Test("is a family's help and type, and a line for each sample")
    func samples() {
        let written = text {
            $0.begin("paddock_jobs", .gauge, "Jobs that wait and jobs that run.")
            $0.sample(3, [.pool: "default", .state: "queued"])
            $0.sample(0, [.pool: "default", .state: "running"])
            $0.begin("process_cpu_seconds_total", .counter, "Time.")
            $0.sample(1.25)
        }
        #expect(written == """
            # HELP paddock_jobs Jobs that wait and jobs that run.
            # TYPE paddock_jobs gauge
            paddock_jobs{pool="default",state="queued"} 3
            paddock_jobs{pool="default",state="running"} 0
            # HELP process_cpu_seconds_total Time.
            # TYPE process_cpu_seconds_total counter
            process_cpu_seconds_total 1.25

            """)
    }

    @Test("escapes what would end a label's value")
    func escapes() {
        let written = text {
            $0.begin("m", .gauge, "h")
            $0.sample(1, [.pool: "a\"b\\c\nd"])
        }
        #expect(written.hasSuffix(#"m{pool="a\"b\\c\nd"} 1"# + "\n"))
    }

    @Test("has cumulative buckets with exact bounds in seconds, a sum and a count")
    func histogram() {
        var histogram = Histogram()
        for time in [1_000, 1_001, 500_000_000, 4_000_000_000_000] { histogram.record(time) }
        let lines = text {
            $0.begin("s", .histogram, "h")
            $0.sample(histogram, [.stage: "run"])
        }.split(separator: "\n").dropFirst(2)
        #expect(lines.first == #"s_bucket{stage="run",le="0.000001"} 1"#)
        #expect(lines.contains(#"s_bucket{stage="run",le="0.000002"} 2"#) && lines.contains(#"s_bucket{stage="run",le="0.2"} 2"#))
        #expect(lines.contains(#"s_bucket{stage="run",le="0.5"} 3"#) && lines.contains(#"s_bucket{stage="run",le="1000"} 3"#))
        #expect(lines.suffix(3) == [#"s_bucket{stage="run",le="+Inf"} 4"#, #"s_sum{stage="run"} 4000.500002001"#, #"s_count{stage="run"} 4"#])
        #expect(PrometheusText.bounds.count == 28 && PrometheusText.bounds[4] == "0.00002")
    }
}
