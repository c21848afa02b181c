// swift-tools-version: 6.2
import PackageDescription

// The rooms, and who may import whom, are explained in Sources/README.md.

/// Rooms that decide but never touch the kernel: unsafe code in them is a build error.
let pure: [SwiftSetting] = [.strictMemorySafety()]

/// How the daemon and command line are linked. `paddock run` is a whole process for one job, and a quarter of it was spent in the
/// dynamic loader. `make release` makes one static file: no libraries to find and map, and it runs wherever there is a
/// kernel. It has a fixed address, as the warden has: relocating itself took it 320 pages to copy, a tenth of `paddock run`
/// (docs/adr/0012). A bare `swift build -c release` links the machine's libraries.
let isOneFile = Context.environment["PADDOCK_ONE_FILE"] != nil
let quickStart: [LinkerSetting] = [
    .unsafeFlags(
        ["-use-ld=lld"]
            + (isOneFile
                ? ["-static-executable"]
                // Packed relocations: gold keeps 114,000 of them in 2.7 MB. No exported symbols, of which there are 27,000 that nobody looks up.
                // And what is bound at once is read-only from then on.
                : ["pack-relative-relocs", "now"].flatMap { ["-Xlinker", "-z", "-Xlinker", $0] } + ["-Xlinker", "--no-export-dynamic"]),
        .when(platforms: [.linux], configuration: .release))
]

let package = Package(
    name: "paddock",
    products: [
        .executable(name: "paddock", targets: ["paddock"]),
        .executable(name: "paddock-warden", targets: ["paddock-warden"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.34.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ],
    targets: [
        // Shims and system libraries.
        .target(name: "CLinux"),
        // What a template and an init say to each other, and the library that a template's runtime loads: C, because it has
        // to work in any image. A build step embeds it.
        .target(name: "CFork", exclude: ["fork.c", "rehearsal.c", "ahead.c", "text.c", "maps.c"]),
        .executableTarget(name: "embed-fork"),
        .plugin(name: "EmbedFork", capability: .buildTool(), dependencies: ["embed-fork"]),
        .systemLibrary(name: "CCap", pkgConfig: "libcap", providers: [.apt(["libcap-dev"])]),
        .systemLibrary(name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),

        // What runs inside the warden as well as in the daemon: no Foundation, no Dispatch, no async.
        .target(name: "LinuxSystem", dependencies: ["CLinux", "CCap"]),
        .target(name: "SandboxCore", swiftSettings: pure),
        .target(name: "Confinement", dependencies: ["SandboxCore", "LinuxSystem", "CFork"]),

        // Files that people write, read strictly.
        .target(name: "StrictYAML", dependencies: ["SandboxCore", .product(name: "Yams", package: "Yams")], swiftSettings: pure),

        // Decisions.
        .target(
            name: "Policy",
            dependencies: ["SandboxCore", "StrictYAML", "CSeccomp"]),
        .target(
            name: "Scheduling",
            dependencies: ["SandboxCore"],
            swiftSettings: pure),
        .target(
            name: "Judging",
            dependencies: ["SandboxCore", .product(name: "Crypto", package: "swift-crypto")],
            resources: [
                .embedInCode("Harness/paddock_framework.py"), .embedInCode("Harness/paddock_pytest.py"),
                .embedInCode("Harness/paddock_report.py"), .embedInCode("Harness/paddock_unittest.py"),
            ]),
        .target(
            name: "TemplateRuntime",
            dependencies: ["SandboxCore"],
            resources: [.embedInCode("Harness/paddock_template.py")],
            swiftSettings: pure,
            plugins: ["EmbedFork"]),
        .target(
            name: "Images",
            dependencies: [
                "SandboxCore", "LinuxSystem", "StrictYAML",
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "Crypto", package: "swift-crypto"),
            ]),

        // The engine, its ways to make sandboxes, and its face.
        .target(
            name: "Farm",
            dependencies: [
                "SandboxCore", "Scheduling",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Crypto", package: "swift-crypto"),
            ]),
        .target(
            name: "ProcessBackend",
            dependencies: ["SandboxCore", "Confinement", "LinuxSystem", .product(name: "Logging", package: "swift-log")],
            path: "Sources/Backends/Process"),
        .target(
            name: "Wire",
            dependencies: [
                "SandboxCore",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),

        .target(
            name: "Telemetry",
            dependencies: [
                "SandboxCore",
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOExtras", package: "swift-nio-extras"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: pure),

        // The two executables.
        .executableTarget(
            name: "paddock-warden",
            dependencies: ["Confinement"],
            linkerSettings: [.unsafeFlags(["-static-executable"])]),
        .executableTarget(
            name: "paddock",
            dependencies: [
                "SandboxCore", "LinuxSystem", "StrictYAML", "Policy", "Images", "Scheduling", "Farm", "Judging", "Wire",
                "Telemetry", "TemplateRuntime", "ProcessBackend", "Confinement",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            linkerSettings: quickStart),
        // The benchmarks: what is made of measurements, and the measuring.
        .target(name: "Measuring", path: "Benchmarks/Measuring", swiftSettings: pure),
        .executableTarget(
            name: "paddock-bench",
            dependencies: ["Measuring", "SandboxCore", "Wire", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Benchmarks/paddock-bench"),

        // Tests, by room, and what they share.
        .target(name: "TestKit", path: "Tests/TestKit"),
        .testTarget(name: "SandboxCoreTests", dependencies: ["TestKit", "SandboxCore"]),
        .testTarget(name: "SchedulingTests", dependencies: ["TestKit", "Scheduling", "SandboxCore"]),
        .testTarget(name: "FarmTests", dependencies: ["Farm", "SandboxCore", "Scheduling", .product(name: "Logging", package: "swift-log")]),
        .testTarget(name: "PolicyTests", dependencies: ["TestKit", "Policy", "StrictYAML", "SandboxCore"]),
        .testTarget(name: "ImagesTests", dependencies: ["TestKit", "Images", "SandboxCore", .product(name: "Crypto", package: "swift-crypto")]),
        .testTarget(name: "WireTests", dependencies: [
            "TestKit", "Wire", "SandboxCore", .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        ]),
        .testTarget(name: "TelemetryTests", dependencies: [
            "Telemetry", "SandboxCore", .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        ]),
        .testTarget(name: "MeasuringTests", dependencies: ["Measuring"]),
        .testTarget(name: "CommandTests", dependencies: ["Wire", "SandboxCore"]),
        .testTarget(name: "JudgingTests", dependencies: ["TestKit", "Judging", "SandboxCore"]),
        .testTarget(name: "ConfinementTests", dependencies: ["TestKit", "Confinement", "LinuxSystem", "SandboxCore"]),
        .testTarget(name: "ProcessBackendTests", dependencies: [
            "ProcessBackend", "Confinement", "LinuxSystem", "SandboxCore", "Policy", "TemplateRuntime", "CFork",
            .product(name: "Logging", package: "swift-log"),
        ]),
    ],
    swiftLanguageModes: [.v6]
)

// The fuzzers are built apart (`make fuzz`): with instrumentation, and with libFuzzer's own main.
if Context.environment["PADDOCK_FUZZ"] != nil {
    package.products.append(.library(name: "PaddockFuzz", type: .static, targets: ["PaddockFuzz"]))
    package.targets.append(
        .target(name: "PaddockFuzz", dependencies: ["Wire", "Policy", "Images", "Judging", "Confinement", "SandboxCore"], path: "Tests/Fuzz"))
}
