// The facts of the host that a profile's rules can depend on: architecture and kernel. Read by `OCIProfile` and `Compile`.

import Foundation

/// A machine that programs run on.
public struct Machine: Sendable, Equatable {
    /// Those the farm runs on, as `uname -m` calls them.
    public enum Architecture: String, Sendable, CaseIterable {
        case x86_64, aarch64

        /// The OCI runtime-spec's word.
        var ociWord: String { self == .x86_64 ? "SCMP_ARCH_X86_64" : "SCMP_ARCH_AARCH64" }
        /// Go's word, which Docker's `includes.arches` uses.
        var dockerWord: String { self == .x86_64 ? "amd64" : "arm64" }
        /// The kernel's AUDIT_ARCH number in `seccomp_data.arch`.
        var auditArch: UInt32 { self == .x86_64 ? 0xC000_003E : 0xC000_00B7 }
    }

    public struct Kernel: Sendable, Comparable {
        public var major: Int
        public var minor: Int

        public init(major: Int, minor: Int) {
            self.major = major
            self.minor = minor
        }

        /// `6.18`, `4.8.1-generic`: the first two numbers.
        init?(_ text: String) {
            let parts = text.split(separator: ".", maxSplits: 2)
            guard parts.count >= 2, let major = Int(parts[0]), let minor = Int(parts[1].prefix { $0.isNumber }),
                (0...9999).contains(major), (0...9999).contains(minor)
            else { return nil }
            self.init(major: major, minor: minor)
        }

        public static func < (a: Kernel, b: Kernel) -> Bool { (a.major, a.minor) < (b.major, b.minor) }
    }

    public var architecture: Architecture
    public var kernel: Kernel

    public init(architecture: Architecture, kernel: Kernel) {
        self.architecture = architecture
        self.kernel = kernel
    }

    /// This machine.
    public static let current: Machine = {
        let version = ProcessInfo.processInfo.operatingSystemVersion
        #if arch(x86_64)
        let architecture = Architecture.x86_64
        #elseif arch(arm64)
        let architecture = Architecture.aarch64
        #endif
        return Machine(
            architecture: architecture, kernel: Kernel(major: version.majorVersion, minor: version.minorVersion))
    }()
}
