// Reads `go test -json`: one event per line, of a package or of a test in it. Each package says how it ended; a test that
// began and did not end was running when its package failed (a panic), or the stream was cut.

import SandboxCore

enum GoTest {
    static let maxMessage = 4096

    static func read(_ bytes: [UInt8]) -> Suite {
        var stream = Events()
        var number = 0
        eachLine(of: bytes) { line in
            number += 1
            // What other programs of the command print is no event, and neither is the old form of a failed build.
            guard line.first == UInt8(ascii: "{") else {
                stream.plain(line)
                return stream.fault == nil
            }
            guard let event = JSON.read(line), let action = event["Action"]?.string else {
                stream.fault = .unreadable("line \(number) is not an event of go test -json")
                return false
            }
            stream.take(action, event)
            return stream.fault == nil
        }
        return stream.suite()
    }
}

private struct Events {
    var fault: Suite.Fault?

    private struct Name: Hashable {
        var package: String
        var test: String
    }
    private struct Package {
        var ending: String?
        var output = Tail()
        var failedTests = 0
        /// Tests that began and have not ended, with the order in which they began.
        var running: [String: Int] = [:]
        var inOrder: [String] { running.sorted { $0.value < $1.value }.map(\.key) }
    }

    private var tests: [TestCase] = []
    private var output: [Name: Tail] = [:]
    private var packages: [String: Package] = [:]
    private var order: [String] = []
    private var builds: [String: Tail] = [:]
    private var begun = 0
    private var failedBuilds = 0

    mutating func take(_ action: String, _ event: JSON) {
        if action == "build-output" || action == "build-fail" {
            let name = event["ImportPath"]?.string ?? ""
            builds[name, default: Tail()].add(event["Output"]?.string ?? "")
            return
        }
        guard let package = event["Package"]?.string else { return }
        if packages[package] == nil {
            packages[package] = Package()
            order.append(package)
        }
        if let test = event["Test"]?.string {
            take(action, Name(package: package, test: test), event)
        } else {
            take(action, package: package, event)
        }
    }

    /// Before Go 1.24 a package that could not be built was a line of text.
    mutating func plain(_ line: ArraySlice<UInt8>) {
        guard line.starts(with: "FAIL\t".utf8), line.suffix(7).elementsEqual("failed]".utf8) else { return }
        failedBuilds += 1
        guard failedBuilds <= 10_000 else { return fault = fault ?? .unreadable("more than 10000 packages that were not built") }
        let text = String(decoding: line.prefix(GoTest.maxMessage), as: UTF8.self)
        let fields = text.split(separator: "\t")
        guard text.contains("[build failed]") || text.contains("[setup failed]"), fields.count > 1 else { return }
        let package = String(fields[1].prefix { $0 != " " })
        if packages[package] == nil { order.append(package) }
        packages[package, default: Package()].ending = "fail"
        packages[package]?.output.add(text)
    }

    private mutating func take(_ action: String, _ name: Name, _ event: JSON) {
        switch action {
        case "run":
            begun += 1
            packages[name.package]?.running[name.test] = begun
            output[name] = Tail()
        case "output":
            output[name, default: Tail()].add(event["Output"]?.string ?? "")
        case "pass", "bench", "fail", "skip":
            let outcome: TestOutcome = action == "fail" ? .failed : action == "skip" ? .skipped : .passed
            packages[name.package]?.running[name.test] = nil
            end(name, outcome, duration: event["Elapsed"]?.double.map { $0 * 1000 })
        default: break
        }
    }

    private mutating func end(_ name: Name, _ outcome: TestOutcome, duration: Double?) {
        guard tests.count < Judge.maxTests else { return fault = fault ?? .unreadable("more than \(Judge.maxTests) tests") }
        if outcome == .failed { packages[name.package]?.failedTests += 1 }
        let said = output.removeValue(forKey: name)?.text ?? ""
        tests.append(
            TestCase(
                id: "\(name.package).\(name.test)", outcome: outcome, durationMs: duration,
                message: outcome == .passed ? "" : bounded(said.trimmed, GoTest.maxMessage)))
    }

    private mutating func take(_ action: String, package: String, _ event: JSON) {
        switch action {
        case "output":
            packages[package]?.output.add(event["Output"]?.string ?? "")
        case "pass", "fail", "skip":
            if packages[package]?.ending != nil { fault = fault ?? .unreadable("package \(quoted(package)) ended twice") }
            packages[package]?.ending = action
            if let build = event["FailedBuild"]?.string, let said = builds[build] { packages[package]?.output.add(said.text) }
        default: break
        }
    }

    mutating func suite() -> Suite {
        for name in order {
            guard let package = packages[name] else { continue }
            guard package.ending == "fail" else {
                if package.ending == nil {
                    let running = package.inOrder.last.map { " while \(quoted($0)) was running" } ?? ""
                    fault = fault ?? .endedEarly("package \(quoted(name)) did not come to its end\(running)")
                } else if let test = package.inOrder.first {
                    fault = fault ?? .endedEarly("\(quoted("\(name).\(test)")) has no result though its package ended")
                }
                continue
            }
            // A panic ends the package and every test that was running in it.
            for test in package.inOrder { end(Name(package: name, test: test), .failed, duration: nil) }
            if packages[name]?.failedTests == 0 {
                let message = bounded(package.output.text.trimmed, GoTest.maxMessage)
                tests.append(TestCase(id: name, outcome: .error, message: message))
            }
        }
        if order.isEmpty { fault = fault ?? .unreadable("no event of go test -json on standard output") }
        return Suite(tests: numbered(tests), fault: fault)
    }
}

/// The beginning and the last of what was added, bounded in bytes however much that was.
private struct Tail {
    private static let bound = 4 * GoTest.maxMessage
    private(set) var text = ""

    mutating func add(_ more: String) {
        text += more
        if text.utf8.count > 2 * Self.bound { text = bounded(text, Self.bound) }
    }
}
