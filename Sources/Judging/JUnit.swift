// Reads JUnit XML, the format of many hands: surefire, gradle, gtest, ctest, jest, node, cargo and pytest each write it a
// little differently. What a report says twice (elements, and counts in attributes) has to agree.

import SandboxCore

enum JUnit {
    static let maxMessage = 4096

    static func read(_ bytes: [UInt8]) -> Suite {
        var document = Document(reader: XMLReader(bytes))
        var suite = Suite()
        do throws(XMLError) {
            try document.read()
        } catch {
            suite.fault = .unreadable("not a JUnit report: \(error.message), at byte \(error.offset)")
        }
        suite.tests = numbered(document.tests)
        suite.expected = document.declared
        if suite.fault == nil, let fault = document.disagreement { suite.fault = .unreadable(fault) }
        return suite
    }
}

private struct Document {
    var reader: XMLReader
    var tests: [TestCase] = []
    /// The number of tests the outermost element declares.
    var declared: Int?
    var disagreement: String?

    private struct Group {
        var name: String?
        var attributes: [String: String]
        var cases = 0
        var children = 0
        var nested = 0
        /// Cases with a `<failure>` or `<error>`, whatever they count as.
        var bad = 0
        /// pytest counts phases and subtests that its file has no element for.
        var isPytest = false
    }
    private var groups: [Group] = []
    /// The bytes of all ids: a suite's name is repeated in each of its tests'.
    private var named = 0

    init(reader: XMLReader) { self.reader = reader }

    mutating func read() throws(XMLError) {
        while true {
            switch try reader.next() {
            case .open(let name, let attributes): try open(name, attributes)
            case .close: close()
            case .text: break
            case .end: return
            }
        }
    }

    private mutating func open(_ name: String, _ attributes: [String: String]) throws(XMLError) {
        if groups.isEmpty {
            guard name == "testsuites" || name == "testsuite" else {
                throw XMLError(message: "<\(name)> where <testsuites> or <testsuite> was expected", offset: 0)
            }
        }
        switch name {
        case "testsuites", "testsuite":
            groups.append(Group(name: attributes["name"], attributes: attributes, isPytest: attributes["name"] == "pytest"))
        case "testcase":
            try testCase(attributes)
        default:
            _ = try content()
        }
    }

    private mutating func close() {
        let group = groups.removeLast()
        disagreement = disagreement ?? disagreement(of: group)
        if groups.isEmpty {
            declared = group.isPytest ? nil : group.attributes["tests"].flatMap(Int.init)
        } else {
            groups[groups.count - 1].children += 1
            if group.isPytest { groups[groups.count - 1].isPytest = true }
            groups[groups.count - 1].nested += group.cases + group.nested
            groups[groups.count - 1].bad += group.bad
        }
    }

    /// `tests` counts a suite's own cases, or all below it, or (node) its own cases and suites. `failures` and `errors`
    /// are not counted alike either, but whether there are any is.
    private func disagreement(of group: Group) -> String? {
        let name = quoted(group.name ?? "")
        func number(_ key: String) -> Int? { group.attributes[key].flatMap(Int.init) }
        if !group.isPytest, let tests = number("tests"), ![group.cases, group.cases + group.nested, group.cases + group.children].contains(tests) {
            return "suite \(name) declares \(tests) tests and has \(group.cases + group.nested)"
        }
        guard number("failures") != nil || number("errors") != nil else { return nil }
        let (sum, overflow) = (number("failures") ?? 0).addingReportingOverflow(number("errors") ?? 0)
        if overflow || sum < 0 || (sum == 0) != (group.bad == 0) {
            return "suite \(name) declares \(sum) failures and errors and has \(group.bad)"
        }
        return nil
    }

    private mutating func testCase(_ attributes: [String: String]) throws(XMLError) {
        guard tests.count < Judge.maxTests else { throw XMLError(message: "more than \(Judge.maxTests) tests", offset: 0) }
        guard let name = attributes["name"] else { throw XMLError(message: "a <testcase> without a name", offset: 0) }
        let owner = attributes["classname"].flatMap { $0.isEmpty ? nil : $0 } ?? groups.last { $0.name?.isEmpty == false }?.name
        var marks: [String: String] = [:]
        var todo = false
        reading: while true {
            switch try reader.next() {
            case .open(let tag, let attributes):
                let text = try content()
                guard ["failure", "error", "skipped"].contains(tag) else { continue }
                let message = [attributes["message"] ?? "", text].filter { !$0.isEmpty }.joined(separator: "\n")
                if tag == "skipped", attributes["type"] == "todo" || attributes["type"] == "pytest.xfail" { todo = true }
                if marks[tag] == nil { marks[tag] = message }
            case .close: break reading
            case .text: break
            case .end: return
            }
        }
        let outcome = outcome(marks, todo: todo, attributes: attributes)
        let message = marks["failure"] ?? marks["error"] ?? marks["skipped"] ?? ""
        let id = owner.map { "\($0).\(name)" } ?? name
        named += id.utf8.count
        guard named <= Judge.maxReportBytes else {
            throw XMLError(message: "the names of its tests are longer than \(Judge.maxReportBytes) bytes", offset: 0)
        }
        groups[groups.count - 1].cases += 1
        if marks["failure"] != nil || marks["error"] != nil { groups[groups.count - 1].bad += 1 }
        tests.append(
            TestCase(
                id: id, outcome: outcome, durationMs: attributes["time"].flatMap(milliseconds),
                message: outcome == .passed ? "" : bounded(message, JUnit.maxMessage)))
    }

    private func outcome(_ marks: [String: String], todo: Bool, attributes: [String: String]) -> TestOutcome {
        if todo { return .xfailed }
        if marks["failure"] != nil { return .failed }
        if marks["error"] != nil { return .error }
        let notRun = ["notrun", "disabled", "skipped"]
        // gtest and ctest say it in attributes; an element that says nothing of it is a test that passed.
        if marks["skipped"] != nil || notRun.contains(attributes["status"] ?? "") || notRun.contains(attributes["result"] ?? "") {
            return .skipped
        }
        return attributes["status"] == "fail" ? .failed : .passed
    }

    /// The text in an element and in all below it, up to its end.
    private mutating func content() throws(XMLError) -> String {
        var depth = 1
        var text = ""
        while depth > 0 {
            switch try reader.next() {
            case .open: depth += 1
            case .close: depth -= 1
            case .text(let more): if text.utf8.count < JUnit.maxMessage { text += bounded(more, JUnit.maxMessage) }
            case .end: return text
            }
        }
        return text.trimmed
    }

    /// Seconds as `0.5` or, from surefire, `1,234.5`.
    private func milliseconds(_ text: String) -> Double? {
        guard let seconds = Double(text.filter { $0 != "," }), seconds.isFinite, seconds >= 0 else { return nil }
        return seconds * 1000
    }
}
