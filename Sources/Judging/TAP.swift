// Reads the Test Anything Protocol, versions 12 to 14: test points, a plan, directives, YAML diagnostics, and subtests
// indented by four. A stream without a plan, or with fewer tests than planned, was not a whole suite. `prove -v` prints the
// streams of several files, each below a line with its name.

import SandboxCore

enum TAP {
    static let maxMessage = 4096
    static let maxDepth = 32
    /// What is behind this many bytes of a line is not read.
    static let maxLine = 8192
    static let maxName = 1024
    /// Lines that look like TAP, diagnostics among them, mean something or not.
    static let maxLines = 2_000_000

    static func read(_ bytes: [UInt8], maxLines: Int = maxLines) -> Suite {
        var whole = Suite()
        var stream = Stream()
        var file: String?
        var decoded = 0
        func end() {
            let part = stream.suite()
            whole.tests += part.tests.map { test in
                var test = test
                test.id = file.map { "\($0) > \(test.id)" } ?? test.id
                return test
            }
            whole.expected = part.expected.map { (whole.expected ?? 0).addingReportingOverflow($0).partialValue } ?? whole.expected
            whole.fault = whole.fault ?? part.fault
            if whole.tests.count > Judge.maxTests { whole.fault = whole.fault ?? .unreadable("more than \(Judge.maxTests) tests") }
        }
        eachLine(of: bytes) { line in
            let header = file != nil || stream.isEmpty
            guard stream.inDiagnostic || TAPLine.mayMean(line) || header && TAPLine.mayBeProveHeader(line) else { return true }
            decoded += 1
            guard decoded <= maxLines else {
                whole.fault = .unreadable("more than \(maxLines) lines that look like TAP")
                return false
            }
            let text = String(decoding: line.prefix(maxLine), as: UTF8.self)
            if header, let name = TAPLine.proveHeader(text) {
                if file != nil { end() }
                stream = Stream()
                file = name
            } else if file == nil || text != "ok" || !stream.isFull {
                // An "ok" of its own below a whole stream is prove's word on the file.
                stream.take(text)
            }
            return !stream.stopped && whole.fault == nil
        }
        end()
        whole.tests = numbered(whole.tests)
        return whole
    }
}

/// The blocks that are open, the outermost first, and what is wrong with the stream so far.
private struct Stream {
    struct Block {
        var points: [TAPPoint] = []
        var planned: Int?
        var planCameLast = false
        /// The tests of the subtest that ended just above, waiting for the point that names it.
        var orphans: [TestCase] = []
    }

    private var blocks = [Block()]
    private var fault: Suite.Fault?
    /// The indentation of the YAML block that is being skipped.
    private var yaml: String?
    private var message: [String] = []

    private var count = 0
    /// The bytes of all names that were put together: a long one is repeated for each test below it.
    private var named = 0

    var inDiagnostic: Bool { yaml != nil }
    var stopped: Bool { fault != nil }
    var isEmpty: Bool { blocks.count == 1 && blocks[0].points.isEmpty && blocks[0].planned == nil }
    /// Whether everything that was planned is there.
    var isFull: Bool { yaml == nil && blocks.count == 1 && blocks[0].planned == blocks[0].points.count }

    mutating func take(_ line: String) {
        if let indent = yaml {
            diagnostic(line, indent: indent)
            return
        }
        let spaces = line.prefix { $0 == " " }.count
        let body = line.dropFirst(spaces)
        let depth = spaces / 4
        if spaces % 4 == 2, body == "---" {
            if depth < blocks.count, !blocks[depth].points.isEmpty {
                unwind(to: depth)
                yaml = String(repeating: " ", count: spaces)
            }
            return
        }
        guard spaces % 4 == 0, depth <= TAP.maxDepth else { return }
        if body.hasPrefix("Bail out!") {
            fault = .endedEarly("Bail out!\(bounded(String(body.dropFirst(9)), 500))")
        } else if let planned = TAPLine.plan(body) {
            enter(depth)
            plan(planned, depth: depth)
        } else if let point = TAPLine.point(body) {
            enter(depth)
            add(point.point, number: point.number, depth: depth)
        }
    }

    /// One line of the YAML block below a point.
    private mutating func diagnostic(_ line: String, indent: String) {
        if line == indent + "..." {
            attach()
            return
        }
        let body = line.hasPrefix(indent) ? String(line.dropFirst(indent.count)) : line
        let last = blocks.count - 1
        if body.hasPrefix("duration_ms: "), let value = Double(body.dropFirst(13)), value.isFinite, value >= 0 {
            blocks[last].points[blocks[last].points.count - 1].test.durationMs = value
        } else if body == "type: 'suite'" {
            blocks[last].points[blocks[last].points.count - 1].isSuite = true
        } else if message.count < 200 {
            message.append(body)
        }
    }

    private mutating func attach() {
        let last = blocks.count - 1
        let at = blocks[last].points.count - 1
        let outcome = blocks[last].points[at].test.outcome
        if outcome != .passed, outcome != .skipped, blocks[last].points[at].test.message.isEmpty {
            blocks[last].points[at].test.message = bounded(message.joined(separator: "\n"), TAP.maxMessage)
        }
        message = []
        yaml = nil
    }

    // MARK: structure

    private mutating func enter(_ depth: Int) {
        while blocks.count <= depth { blocks.append(Block()) }
        unwind(to: depth)
    }

    /// Ends the blocks below `depth`; their tests wait for the point that follows.
    private mutating func unwind(to depth: Int) {
        while blocks.count > depth + 1 {
            let block = blocks.removeLast()
            if fault == nil { fault = ending(of: block, name: "a subtest") }
            blocks[blocks.count - 1].orphans += flat(block)
        }
    }

    private mutating func plan(_ planned: Int, depth: Int) {
        if blocks[depth].planned != nil {
            fault = .unreadable("a second plan, 1..\(planned)")
        } else if blocks[depth].points.count > 0, blocks[depth].points.count != planned {
            blocks[depth].planned = planned
            fault = ending(of: blocks[depth], name: depth == 0 ? "the stream" : "a subtest")
        } else {
            blocks[depth].planned = planned
            blocks[depth].planCameLast = !blocks[depth].points.isEmpty
        }
    }

    private mutating func add(_ point: TAPPoint, number: Int?, depth: Int) {
        let next = blocks[depth].points.count + 1
        count += 1
        if let number, number != next {
            fault = .unreadable("test \(number) where test \(next) was expected")
        } else if blocks[depth].planCameLast || next > blocks[depth].planned ?? Int.max {
            fault = .unreadable("more tests than the \(blocks[depth].planned ?? 0) planned")
        } else if count > Judge.maxTests {
            fault = .unreadable("more than \(Judge.maxTests) tests")
        } else {
            var point = point
            point.children = blocks[depth].orphans
            blocks[depth].orphans = []
            if point.name.isEmpty { point.name = "test \(next)" }
            point.test.id = point.name
            blocks[depth].points.append(point)
        }
    }

    private func ending(of block: Block, name: String) -> Suite.Fault? {
        guard let planned = block.planned else { return .endedEarly("\(name) has no plan: it did not come to its end") }
        if block.points.count < planned { return .endedEarly("\(name) planned \(planned) tests and has \(block.points.count)") }
        if block.points.count > planned { return .unreadable("\(name) planned \(planned) tests and has \(block.points.count)") }
        return block.orphans.isEmpty ? nil : .endedEarly("\(name) ends inside a subtest")
    }

    /// The tests of a block, those of subtests under `parent > child`. A suite that only repeats what its tests say is
    /// left out, as is any point that is marked as one (`type: 'suite'`).
    private mutating func flat(_ block: Block) -> [TestCase] {
        var result: [TestCase] = []
        for point in block.points {
            for var child in point.children {
                child.id = "\(point.name) > \(child.id)"
                named += child.id.utf8.count
                guard named <= 8 * Judge.maxReportBytes else {
                    fault = .unreadable("the names of subtests are longer than \(8 * Judge.maxReportBytes) bytes")
                    return result
                }
                result.append(child)
            }
            let childFailed = point.children.contains { $0.outcome == .failed || $0.outcome == .error }
            let repeats = point.isSuite && !point.children.isEmpty && childFailed == (point.test.outcome == .failed)
            if !repeats { result.append(point.test) }
        }
        return result + block.orphans
    }

    mutating func suite() -> Suite {
        if yaml != nil {
            attach()
            fault = fault ?? .endedEarly("the stream ends inside a diagnostic")
        }
        let open = blocks.count > 1
        unwind(to: 0)
        if open { fault = fault ?? .endedEarly("the stream ends inside a subtest") }
        let tests = flat(blocks[0])
        return Suite(
            tests: tests, expected: blocks[0].planned == Int.max ? nil : blocks[0].planned,
            fault: fault ?? ending(of: blocks[0], name: "the stream"))
    }
}
