// Whether a change of the machine's toolchain is seen.

import Foundation
import Testing

@testable import Images

@Suite struct HostToolchainTests {
    let place: Place
    let toolchain: HostToolchain
    private let path = "/usr/local/bin:/usr/bin"

    init() throws {
        place = try Place()
        for directory in ["usr/local/bin", "usr/local/include/lib", "usr/lib", "var/lib/dpkg"] { try Files.makeDirectories(place.path + "/" + directory) }
        try place.write("usr/bin/cc-12", "twelve", mode: 0o755)
        try Files.makeLink(at: Files.openDirectory(place.path + "/usr/bin"), "cc", to: "cc-12")
        try place.write("var/lib/dpkg/status", "Package: cc")
        // Long ago: a file system's clock can stand still between two changes.
        for directory in ["usr/local/bin", "usr/local/include", "usr/lib", "usr/bin"] {
            try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: 1e9)], ofItemAtPath: "\(place.path)/\(directory)")
        }
        toolchain = HostToolchain(machine: place.path)
    }

    @Test("The same toolchain has the same state, each time it is asked for")
    func same() {
        let state = toolchain.state(of: "cc", path: path)
        #expect(state == toolchain.state(of: "cc", path: path) && state.contains("/usr/bin/cc "))
        #expect(state != toolchain.state(of: "c++", path: path))
    }

    @Test("A compiler that was replaced behind its link, an upgraded package, a new library, header or earlier compiler are seen", arguments: [
        "usr/bin/cc-12", "var/lib/dpkg/status", "usr/lib/libx.so", "usr/local/include/x.h", "usr/local/bin/cc",
    ])
    func changed(_ file: String) throws {
        let before = toolchain.state(of: "cc", path: path)
        // As package managers do it: another file takes the old one's place. That stays, so that they are two inodes.
        let target = place.path + "/" + file
        if Files.exists(target) { try Files.rename(target, place.path + "/old") }
        try place.write(file, "thirteen", mode: 0o755)
        #expect(toolchain.state(of: "cc", path: path) != before)
    }

    @Test("A program that is named by its path is looked at there")
    func named() throws {
        let before = toolchain.state(of: "/usr/bin/cc-12", path: "")
        try place.write("usr/bin/cc-12", "longer than before", mode: 0o755)
        #expect(toolchain.state(of: "/usr/bin/cc-12", path: "") != before)
    }
}
