// Reads the report of a suite that the farm started itself: signed lines, one record each, in the order in which things
// happened (see Harness/paddock_report.py). The first line that the harness cannot have written ends the reading.

import Crypto
import SandboxCore

enum HarnessReport {
    /// - Parameters:
    ///   - bytes: the report as it was brought back.
    ///   - cut: whether more of it was left in the sandbox.
    ///   - key: what the harness was given to sign with.
    static func read(_ bytes: [UInt8], cut: Bool, key: [UInt8]) -> Suite {
        var reading = Reading()
        var chain = [UInt8](repeating: 0, count: 32)
        let symmetric = SymmetricKey(data: key)
        var start = bytes.startIndex
        while start < bytes.endIndex, !reading.broken {
            guard let end = bytes[start...].firstIndex(of: 0x0A) else {
                // Half a record: the process was ended while it wrote.
                break
            }
            let line = bytes[start..<end]
            start = end + 1
            guard line.count > 65, let signature = unhex(line.prefix(64)), line[line.startIndex + 64] == 0x20 else {
                reading.fail("is not a record of the harness")
                break
            }
            let payload = line.dropFirst(65)
            let expected = Array(HMAC<SHA256>.authenticationCode(for: chain + payload, using: symmetric))
            guard signature == expected else {
                reading.fail("was not written by the harness, or not in this place")
                break
            }
            chain = expected
            reading.take(payload)
        }
        return reading.suite(half: start < bytes.endIndex, cut: cut)
    }

    private static func unhex(_ digits: ArraySlice<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        var half: UInt8?
        for digit in digits {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            default: return nil
            }
            if let high = half {
                result.append(high << 4 | value)
                half = nil
            } else {
                half = value
            }
        }
        return half == nil ? result : nil
    }
}

/// The records so far, and what they add up to.
private struct Reading {
    private enum Stage { case start, collecting, running, ended }

    private var stage = Stage.start
    private var number = 0
    private var tests: [TestCase] = []
    private var undeclared: Set<Int> = []
    /// How often each collected test has still to report.
    private var missing: [String: Int] = [:]
    private var collected = 0
    private var counted: Int?
    private var surplus: String?
    private var running: String?
    private var code: Int?
    private var reason = ""
    private var fault: String?

    var broken: Bool { fault != nil }

    mutating func fail(_ what: String) {
        fault = "record \(number + 1) of the report \(what)"
    }

    mutating func take(_ payload: ArraySlice<UInt8>) {
        guard let record = JSON.read(payload), let kind = record["kind"]?.string, record["n"]?.integer == number + 1 else {
            return fail("cannot be read")
        }
        guard take(kind, record) else { return fail("of kind \(quoted(kind)) is malformed or out of place") }
        number += 1
    }

    private mutating func take(_ kind: String, _ record: JSON) -> Bool {
        switch (kind, stage) {
        case ("begin", .start):
            stage = .collecting
        case ("collected", .collecting):
            guard let ids = record["ids"]?.array else { return false }
            for id in ids {
                guard let id = id.string else { return false }
                missing[id, default: 0] += 1
            }
            collected += ids.count
        case ("run", .collecting):
            guard record["count"]?.integer == collected else { return false }
            counted = collected
            stage = .running
        case ("start", .running):
            guard let id = record["id"]?.string else { return false }
            running = id
        case ("collect", .collecting), ("collect", .running), ("subtest", .running), ("test", .running):
            guard let test = test(record), tests.count < Judge.maxTests else { return false }
            if test.outcome == .xfailed, record["declared"]?.integer != 1 { undeclared.insert(tests.count) }
            tests.append(test)
            guard kind == "test" else { break }
            if running == test.id { running = nil }
            if let left = missing[test.id], left > 0 {
                missing[test.id] = left == 1 ? nil : left - 1
            } else {
                surplus = surplus ?? test.id
            }
        case ("end", .collecting), ("end", .running):
            guard let code = record["code"]?.integer, let reason = record["reason"]?.string else { return false }
            self.code = code
            self.reason = reason
            stage = .ended
        default:
            return false
        }
        return true
    }

    private func test(_ record: JSON) -> TestCase? {
        guard let id = record["id"]?.string, let outcome = record["outcome"]?.string.flatMap(TestOutcome.init(rawValue:)),
            let message = record["message"]?.string
        else { return nil }
        return TestCase(id: id, outcome: outcome, durationMs: record["duration_ms"]?.double, message: message)
    }

    func suite(half: Bool, cut: Bool) -> Suite {
        var suite = Suite(tests: numbered(tests), undeclared: undeclared, expected: counted, running: running)
        suite.announcedCode = code
        suite.fault = fault.map(Suite.Fault.unreadable) ?? ending(half: half, cut: cut).map(Suite.Fault.endedEarly)
        return suite
    }

    /// Why the suite did not come to its end, in the order in which reasons explain each other.
    private func ending(half: Bool, cut: Bool) -> String? {
        if cut { return "the report is longer than \(Judge.maxReportBytes) bytes" }
        guard stage == .ended, !half else {
            let where_ = running.map { " while \(quoted($0)) was running" } ?? ""
            return number == 0 ? "the suite did not begin" : "the suite did not come to its end\(where_)"
        }
        let why = reason.isEmpty ? "" : ": \(reason)"
        guard counted != nil else { return "the tests were not collected\(why)" }
        if let surplus { return "\(quoted(surplus)) reported more often than it was collected" }
        if let first = missing.keys.min() {
            return "\(missing.values.reduce(0, +)) of \(collected) tests have no result, \(quoted(first)) among them\(why)"
        }
        return reason.isEmpty ? nil : reason
    }
}

/// The same tests with ids made unique: the second `a` becomes `a#2`.
func numbered(_ tests: [TestCase]) -> [TestCase] {
    var seen: Set<String> = []
    var next: [String: Int] = [:]
    return tests.map { test in
        guard !seen.insert(test.id).inserted else { return test }
        var test = test
        let id = test.id
        var number = next[id] ?? 2
        while !seen.insert("\(id)#\(number)").inserted { number += 1 }
        next[id] = number + 1
        test.id = "\(id)#\(number)"
        return test
    }
}
