// What is laid into a template, and how its runtime is started. One runtime for each kind of program that can be forked:
// Python's is ours; any other program speaks the same library (docs/templates.md) and brings its own runtime in its image.

import SandboxCore

extension TemplateDeclaration {
    private var isPython: Bool {
        let name = command.first?.split(separator: "/").last ?? ""
        return name == "python" || name.hasPrefix("python3") || name == "pypy3"
    }

    /// - Parameters:
    ///   - environment: `KEY=value`, of the image and the policy.
    ///   - seccomp: what confines it while it loads.
    ///   - known: what many of its jobs will run.
    public func spec(environment: [String], seccomp: SeccompProgram?, known: KnownSources = KnownSources()) -> TemplateSpec {
        var files = [PlacedFile(path: "\(Self.place)/fork.so", bytes: Base64.decode(forkLibraryText), mode: 0o755)]
        var arguments = command
        if isPython {
            files.append(PlacedFile(path: "\(Self.place)/paddock_template.py", bytes: PackageResources.paddock_template_py))
            files += known.files(in: "\(Self.place)/known")
            if let warmUp { files.append(PlacedFile(path: "\(Self.place)/warm_up.py", bytes: Array(warmUp.utf8))) }
            arguments += ["\(Self.place)/paddock_template.py"] + preload
        }
        return TemplateSpec(
            name: name, arguments: arguments, environment: environment + Self.oneThread + Self.boundEarly + ["PADDOCK_TEMPLATE=\(Self.place)/fork.so"], files: files, seccomp: seccomp,
            memoryBytes: memoryBytes, recycleForks: recycleForks, recycleMs: recycleMs)
    }

    private static let place = "/tmp/.paddock"
    /// A fork has the thread that forked and no other: libraries that start some when they are loaded are asked not to.
    private static let oneThread = ["OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1", "NUMEXPR_NUM_THREADS=1"]
    /// What the dynamic linker looks up late it would look up again in each fork.
    private static let boundEarly = ["LD_BIND_NOW=1"]
}

/// Python sources that a template compiles before its first fork: programs, and modules that only these may import. A job whose
/// script has the very bytes of one of the programs runs what is compiled, whatever the script is called and wherever it is.
public struct KnownSources: Sendable {
    private let programs: [(name: String, bytes: [UInt8])]
    private let modules: [(name: String, bytes: [UInt8])]

    public init(programs: [(name: String, bytes: [UInt8])] = [], modules: [(name: String, bytes: [UInt8])] = []) {
        (self.programs, self.modules) = (programs, modules)
    }

    fileprivate func files(in directory: String) -> [PlacedFile] {
        programs.map { PlacedFile(path: "\(directory)/programs/\($0.name)", bytes: $0.bytes, mode: 0o644) }
            + modules.map { PlacedFile(path: "\(directory)/modules/\($0.name)", bytes: $0.bytes, mode: 0o644) }
    }
}

/// The build writes the library as text; this room knows no Foundation.
enum Base64 {
    static func decode(_ text: StaticString) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8CodeUnitCount / 4 * 3)
        var (group, bits) = (UInt32(0), 0)
        for character in text.description.utf8 {
            guard let value = value(of: character) else { continue }
            (group, bits) = (group << 6 | value, bits + 6)
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
            }
        }
        return bytes
    }

    private static func value(of character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a") + 26)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0") + 52)
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
