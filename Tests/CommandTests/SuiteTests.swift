// `paddock run --tests`: a project's own tests, found, placed, run and told one by one.

import Foundation
import Testing

@Suite("paddock run --tests") struct SuiteTests {
    let place: Place
    init() throws { place = try Place() }

    private func project(_ test: String) throws {
        try place.write("app/calc.py", "def add(a, b):\n    return a + b\n")
        try place.write("app/tests/test_calc.py", "import unittest\nfrom calc import add\n\nclass Calc(unittest.TestCase):\n\(test)\n")
    }

    @Test("exits 0 when every test passed, and lists them")
    func passes() async throws {
        try project("    def test_add(self):\n        self.assertEqual(add(1, 2), 3)")
        let said = try await place.run("run", "--tests", "app/tests", "--framework", "unittest")
        #expect(said.code == 0, "\(said.error)")
        #expect(said.out.contains("passed     "))
        #expect(said.out.contains("test_add"))
        #expect(said.out.hasSuffix("\n1 passed\n"))
    }

    @Test("exits 1 when a test failed, with its reason")
    func fails() async throws {
        try project("    def test_add(self):\n        self.assertEqual(add(1, 2), 4)\n    def test_more(self):\n        pass")
        let said = try await place.run("run", "--tests", "app/tests")
        #expect(said.code == 1)
        #expect(said.out.contains("1 passed, 1 failed"))
        #expect(said.out.contains("3 == 4") || said.out.contains("3 != 4"))
    }

    @Test("never takes a suite that ends itself for a pass")
    func early() async throws {
        try project("    def test_add(self):\n        import os\n        os._exit(0)")
        let said = try await place.run("run", "--tests", "app/tests", "--framework", "unittest")
        #expect(said.code == 1)
        #expect(said.out.contains("the suite ended early"))
    }

    @Test("gives the result as on the wire with --json")
    func json() async throws {
        try project("    def test_add(self):\n        self.assertEqual(add(1, 2), 3)")
        let said = try await place.run("run", "--tests", "app/tests", "--framework", "unittest", "--json")
        #expect(said.code == 0)
        #expect((said.object["tests"] as? [String: Any])?["passed"] as? Bool == true)
    }

    @Test("leaves out what is not the project's: .git, virtual environments, node_modules, passwords")
    func skips() async throws {
        try project("    def test_add(self):\n        pass")
        for file in [".git/config", "node_modules/a/index.js", ".env", "here/pyvenv.cfg", "here/bin/python", "tests/__pycache__/x.pyc"] {
            try place.write("app/\(file)", "secret")
        }
        let said = try await place.run("run", "--tests", "app/tests", "--dry-run", "--json")
        let step = try #require((said.object["steps"] as? [[String: Any]])?.first)
        let placed = ((step["files"] as? [[String: Any]]) ?? []).compactMap { $0["path"] as? String }.filter { !$0.hasPrefix("/") }
        #expect(placed.sorted() == ["calc.py", "tests/test_calc.py"])
    }

    @Test("takes another framework's command after the dashes")
    func tap() async throws {
        try place.write("t/one.t", "")
        let said = try await place.run("run", "--tests", "t", "--framework", "tap", "--", "printf", "1..2\\nok 1 - first\\nnot ok 2 - second\\n")
        #expect(said.code == 1)
        #expect(said.out.contains("1 passed, 1 failed"))
        let nothing = try await place.run("run", "--tests", "t", "--framework", "tap")
        #expect(nothing.code == 2)
        #expect(nothing.error.contains("expected the command that runs the tests"))
    }
}
