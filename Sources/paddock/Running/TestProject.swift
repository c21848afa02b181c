// `paddock run --tests PATH`: which files of this machine the tests need, and which framework runs them.

import Foundation
import SandboxCore

struct TestProject {
    /// The directory that becomes `/workspace`.
    let root: String
    /// PATH, relative to the root; `.` for the root itself.
    let path: String
    let files: [FileIn]

    static func find(_ path: String) throws -> TestProject {
        let real = FileGatherer.real(path)
        // A directory that was removed is still there by the name of the current one, but nowhere.
        guard FileManager.default.fileExists(atPath: path), real.hasPrefix("/") else {
            throw UserError(
                "--tests: \(Human.safe(path)): no such file or directory", hint: "name a test file or a directory of tests, for example --tests tests/")
        }
        let root = projectRoot(of: real)
        let home = FileGatherer.real(FileManager.default.homeDirectoryForCurrentUser.path)
        guard root != "/", root != home else {
            throw UserError("--tests: the project would be all of \(root)", hint: "put the project in a directory of its own")
        }
        var gatherer = FileGatherer()
        gatherer.onlyProject = true
        try gatherer.add(root, to: ".", option: "--tests")
        // The tests themselves are wanted even where a directory of that name is none of the project's.
        let relative = real == root ? "." : String(real.dropFirst(root.count + 1))
        if relative != ".", !gatherer.files.contains(where: { $0.path == relative || $0.path.hasPrefix(relative + "/") }) {
            try gatherer.add(real, to: relative, option: "--tests")
        }
        return TestProject(root: root, path: relative, files: gatherer.files)
    }

    /// The nearest directory above that says it is a project, not above the current one; otherwise what holds the first
    /// directory named `tests`; otherwise the directory given.
    private static func projectRoot(of path: String) -> String {
        let current = FileGatherer.real(FileManager.default.currentDirectoryPath)
        let isInside = path == current || path.hasPrefix(current == "/" ? "/" : current + "/")
        let start = isDirectory(path) ? path : (path as NSString).deletingLastPathComponent
        var directory = start
        var aboveTests: String?
        while directory != "/" {
            if markers.contains(where: { access("\(directory)/\($0)", F_OK) == 0 }) { return directory }
            let above = (directory as NSString).deletingLastPathComponent
            if ["tests", "test"].contains((directory as NSString).lastPathComponent) { aboveTests = above }
            if isInside && directory == current { break }
            directory = above
        }
        return aboveTests ?? start
    }

    private static let markers = ["pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "pytest.ini", "go.mod", "package.json", "Cargo.toml", ".git"]

    private static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// What runs the tests when nobody says: Go's own tool in a Go module, Python's otherwise.
    var isGo: Bool {
        files.contains { $0.path == "go.mod" } && !files.contains { $0.path.hasSuffix(".py") && ($0.path as NSString).lastPathComponent.hasPrefix("test") }
    }

    /// Asks the sandbox's own Python for pytest.
    static func pythonFramework(in farm: LocalFarm, image: String?, policy: String?) async throws -> TestFramework {
        let question = "import importlib.util, sys; sys.exit(0 if importlib.util.find_spec('pytest') else 3)"
        let result = try await farm.run(JobRequest(work: .command(["python3", "-c", question]), policy: policy, image: image))
        switch result.outcome {
        case .exited(0): return .pytest
        case .exited(3): return .unittest
        case .cancelled: throw CancellationError()
        default:
            throw UserError(
                "--tests: the image has no working python3 (\(Verdict.sentence(result.outcome) ?? ""))",
                hint: "choose an image with --image, or another --framework with its command after --")
        }
    }
}
