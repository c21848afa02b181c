// Sizes and times as people write them.

import SandboxCore
import StrictYAML
import Testing

@testable import Policy

@Suite("Sizes and times are read as people write them")
struct QuantityTests {
    @Test("Bytes", arguments: [
        ("0", 0), ("512", 512), ("512B", 512), ("1KiB", 1024), ("512MiB", 512 << 20), ("1.5GiB", 3 << 29), ("2TiB", 2 << 40),
        ("256m", 256 << 20), ("1g", 1 << 30), ("64k", 64 << 10),
    ] as [(String, Int)])
    func bytes(text: String, value: Int) { #expect(Quantity.parse(text, as: .bytes) == value) }

    @Test("Times", arguments: [("250", 250), ("250ms", 250), ("10s", 10_000), ("0.25s", 250), ("2min", 120_000), ("1.5h", 5_400_000)] as [(String, Int)])
    func times(text: String, value: Int) { #expect(Quantity.parse(text, as: .milliseconds) == value) }

    @Test("Not a size", arguments: [
        "", "MiB", "-1", "+1", "1 MiB", "512MB", "512Mib", "1.5B", "1..5k", "1.k", ".5k", "0x10", "1e3", "10s",
        "9223372036854775807KiB", "99999999999999999999", "1.1234567g", "٣",
    ])
    func notBytes(text: String) { #expect(Quantity.parse(text, as: .bytes) == nil) }

    @Test("Not a time", arguments: ["1m", "1d", "1S", "0.5ms", "10MiB", "s"])
    func notTimes(text: String) { #expect(Quantity.parse(text, as: .milliseconds) == nil) }

    @Test("A plain count has no unit", arguments: [("12", 12), ("12k", nil), ("1.0", 1)] as [(String, Int?)])
    func counts(text: String, value: Int?) { #expect(Quantity.parse(text, as: .count) == value) }

    @Test("What is formatted reads back as the same")
    func roundTrip() {
        for unit in [LimitField.Unit.bytes, .milliseconds, .count] {
            for value in [0, 1, 999, 1000, 1024, 1536, 60_000, 90_000, 3_600_000, 1 << 20, 1 << 44, 12_345_678] {
                #expect(Quantity.parse(Quantity.format(value, as: unit), as: unit) == value)
            }
        }
        #expect(Quantity.format(512 << 20, as: .bytes) == "512MiB")
        #expect(Quantity.format(90_000, as: .milliseconds) == "90s")
    }
}
