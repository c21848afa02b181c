import Foundation
import SandboxCore
import Testing

@testable import Images

@Suite struct HostImageTests {
    let place: Place
    let store: ImageStore

    init() throws {
        place = try Place()
        store = try ImageStore(root: place.path + "/store")
    }

    /// A small machine, with the kinds of files that must and must not be taken.
    private func machine() throws -> String {
        let root = place.path + "/machine"
        for directory in ["usr/bin", "opt/go/bin", "lib64", "root/.ssh", "home/me", "run", "var/lib", "etc/ld.so.conf.d"] {
            try Files.makeDirectories(root + "/" + directory)
        }
        try Files.makeLink(at: Files.openDirectory(root), "bin", to: "usr/bin")
        try place.write("machine/etc/ld.so.cache", "cache")
        try place.write("machine/etc/ld.so.conf.d/x.conf", "/usr/lib/x")
        try place.write("machine/etc/ssl/certs/ca-certificates.crt", "certificates")
        try place.write("machine/etc/ssl/private/server.key", "secret")
        try place.write("machine/etc/ssl/certs/site.key", "secret")
        try place.write("machine/etc/java-17-openjdk/security/java.security", "policy")
        try place.write("machine/etc/java-17-openjdk/management/jmxremote.password", "secret", mode: 0o600)
        try place.write("machine/etc/php/8.2/cli/php.ini", "ini")
        try place.write("machine/etc/php/8.2/fpm/pool.d/www.conf", "secret")
        try Files.makeLink(at: Files.openDirectory(root + "/etc"), "localtime", to: "/usr/share/zoneinfo/UTC")
        for secret in [
            "shadow", "gshadow", "sudoers", "machine-id", "pip.conf", "npmrc", "gitconfig", "ssh/ssh_host_rsa_key", "apt/auth.conf",
            "environment", "fstab", "krb5.keytab", "maven/settings.xml", "profile.d/token.sh",
        ] {
            try place.write("machine/etc/" + secret, "secret")
        }
        try place.write("machine/etc/passwd", "root:x:0:0::/root:/bin/sh\nme:x:1001:1001::/home/me:/bin/sh\n")
        try place.write("machine/etc/resolv.conf", "search corp.example\nnameserver 127.0.0.53\nnameserver 192.0.2.7\n# nameserver 1.1.1.1\n")
        try place.write("machine/etc/hosts", "192.0.2.9 secret-host\n")
        return root
    }

    @Test("Of a machine's /etc only what toolchains need is taken, and nothing that not everyone may read")
    func allowlist() throws {
        let machine = try machine()
        let image = try HostImage(machine: machine).resolve(store)
        let root = image.root.layers[0]
        let etc = try Place.tree(root + "/etc")
        #expect(etc == [
            "group", "hostname", "hosts", "java-17-openjdk/", "java-17-openjdk/management/", "java-17-openjdk/security/",
            "java-17-openjdk/security/java.security", "ld.so.cache", "ld.so.conf.d/", "ld.so.conf.d/x.conf",
            "localtime -> /usr/share/zoneinfo/UTC", "mtab -> /proc/mounts", "nsswitch.conf", "passwd", "php/", "php/8.2/", "php/8.2/cli/",
            "php/8.2/cli/php.ini", "resolv.conf", "ssl/", "ssl/certs/", "ssl/certs/ca-certificates.crt",
        ])
        #expect(try shell(["grep", "-rE", "secret|corp|/home/me|127.0.0.53", root]).text == "")
        #expect(try String(decoding: Files.read(root + "/etc/resolv.conf", limit: 1000), as: UTF8.self) == "nameserver 192.0.2.7\n")
        let passwd = try String(decoding: Files.read(root + "/etc/passwd", limit: 1000), as: UTF8.self)
        #expect(passwd.split(separator: "\n").map { $0.prefix { $0 != ":" } } == ["root", "nobody", "sandbox"])
        #expect(passwd.contains("sandbox:x:1000:1000:sandbox:/workspace:"))
        let names = try Files.names(in: root)
        #expect(!names.contains("root") && names.contains("workspace") && names.contains("lib64"))
        for empty in ["home", "run/lock", "var/lib", "opt", "usr", "proc", "dev", "tmp", "lib64"] {
            #expect(try Place.tree("\(root)/\(empty)") == [], "\(empty)")
        }
        #expect(Files.status(root + "/tmp")?.mode == 0o1777)
        #expect(image.root.binds == [
            .init(source: machine + "/usr", target: "/usr"), .init(source: machine + "/opt", target: "/opt"),
            .init(source: machine + "/lib64", target: "/lib64"),
        ])
        #expect(image.environment["PATH"]?.split(separator: ":").contains("/opt/go/bin") == true)
        #expect(image.environment["PATH"]?.contains("/root") == false)
    }

    @Test("The skeleton is made once, and again when the machine's files have changed")
    func fingerprint() throws {
        let machine = try machine()
        func path() throws -> String { try HostImage(machine: machine).resolve(store).root.layers[0] }
        let first = try path()
        #expect(try path() == first)
        try place.write("machine/etc/shadow", "another secret")
        #expect(try path() == first)
        var held: ResolvedImageFiles? = try HostImage(machine: machine).resolve(store)
        try place.write("machine/etc/ld.so.cache", "a newer cache")
        let second = try path()
        #expect(second != first && held?.root.layers == [first])
        // A sandbox stands on the old one; when it has ended, the next change takes it away.
        #expect(Files.isDirectory(first))
        held = nil
        #expect(held == nil)
        try place.write("machine/etc/timezone", "Etc/UTC")
        let third = try path()
        #expect(!Files.isDirectory(first) && !Files.isDirectory(second) && Files.isDirectory(third))
        #expect(try Files.names(in: store.temporary) == [])
    }

    @Test("A skeleton that is known without a walk is the one that a walk finds, whatever has changed")
    func witness() throws {
        let machine = try machine()
        let etc = try Files.openDirectory(machine + "/etc")
        func name(_ store: ImageStore) throws -> String {
            try HostImage(machine: machine).resolve(store).root.layers[0].split(separator: "/").dropLast().last.map(String.init) ?? ""
        }
        let changes: [(String, () throws -> Void)] = [
            ("nothing", {}),
            ("a file's content", { try place.write("machine/etc/ld.so.conf.d/x.conf", "/usr/lib/y") }),
            ("a file more in a directory", { try place.write("machine/etc/ld.so.conf.d/y.conf", "") }),
            ("a name that a pattern matches", { try place.write("machine/etc/java-21-openjdk/security/java.security", "policy") }),
            ("one below it", { try place.write("machine/etc/php/8.3/cli/php.ini", "ini") }),
            ("a listed name that was missing", { try place.write("machine/etc/R/Renviron", "") }),
            ("where a link leads", {
                try Files.removeTree(machine + "/etc/localtime")
                try Files.makeLink(at: etc, "localtime", to: "/usr/share/zoneinfo/CET")
            }),
            ("a name server", { try place.write("machine/etc/resolv.conf", "nameserver 192.0.2.8\n") }),
            ("a mode", { #expect(chmod(machine + "/etc/java-17-openjdk/management", 0o700) == 0) }),
            ("a directory's name", { try Files.rename(machine + "/etc/php/8.2", machine + "/etc/php/8.4") }),
            ("a file that goes", { try Files.removeTree(machine + "/etc/ld.so.cache") }),
            ("a link of the root", {
                try Files.removeTree(machine + "/bin")
                try Files.makeLink(at: Files.openDirectory(machine), "bin", to: "opt/bin")
            }),
            ("a directory of the root", { try Files.removeTree(machine + "/opt") }),
            ("nothing that matters", { try place.write("machine/etc/shadow2", "") }),
        ]
        var last = ""
        for (number, (what, change)) in changes.enumerated() {
            try change()
            let walked = try name(ImageStore(root: "\(place.path)/fresh\(number)"))
            #expect(try name(store) == walked, "\(what)")
            #expect((walked == last) == what.hasPrefix("nothing that"), "\(what)")
            last = walked
            // Twice: with what the first look has kept.
            #expect(try name(store) == walked, "\(what)")
        }
    }

    @Test("What was kept is believed as long as it is whole and of this machine")
    func keptWitness() throws {
        let machine = try machine()
        let layer = try HostImage(machine: machine).resolve(store).root.layers[0]
        let kept = try Files.read(layer.dropLast("root".count) + "witness", limit: 1 << 20)
        func holds(_ bytes: some Sequence<UInt8>, _ machine: String = machine) -> Bool {
            HostSkeleton(machine: machine).witness(kept: Array(bytes))?.holds() == true
        }
        // In words of their own: a failed expectation would print all of the bytes.
        let (whole, ofAnother, longer, twice) = (holds(kept), holds(kept, machine + "/"), holds(kept + [0]), holds(kept + kept))
        #expect(whole && !ofAnother && !longer && !twice)
        let believedParts = (0..<kept.count).filter { holds(kept.prefix($0)) }
        #expect(believedParts == [])
        // A name that is there and what is known of it. (Of one that is not, any other that is not will do.)
        let name = Array("/ld.so.cache\0".utf8)
        let start = try #require(kept.indices.first { kept[$0...].starts(with: name) })
        for position in start..<start + name.count + 64 {
            var changed = kept
            changed[position] ^= 0x55
            let isBelieved = holds(changed)
            #expect(!isBelieved, "\(position - start)")
        }
    }

    @Test("This machine's skeleton is small, and has no secrets of it")
    func thisMachine() throws {
        let image = try store.resolve("host")
        let root = image.root.layers[0]
        #expect(image.root.binds.contains(.init(source: "/usr", target: "/usr")))
        #expect(Set(image.root.binds.map(\.target)).isSubset(of: ["/usr", "/opt", "/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"]))
        for absent in ["root", "etc/shadow", "etc/gshadow", "etc/sudoers", "etc/machine-id", "etc/pip.conf", "etc/ssh", "etc/apt", "etc/gitconfig"] {
            #expect(!Files.exists(root + "/" + absent), "\(absent)")
        }
        #expect(try shell(["find", root, "-perm", "/6022", "!", "-type", "l", "!", "-perm", "1777"]).text == "")
        #expect(try shell(["find", root, "!", "-type", "f", "!", "-type", "d", "!", "-type", "l"]).text == "")
        let size = try shell(["du", "-s", "--block-size=1M", root]).text
        #expect(Int(size.prefix { $0.isNumber }).map { $0 < 20 } == true, "\(size)")
    }

    @Test("Ten at once make one skeleton")
    func concurrent() async throws {
        let machine = try machine()
        let paths = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<10 {
                group.addTask { try HostImage(machine: machine).resolve(ImageStore(root: self.store.root)).root.layers[0] }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(paths.count == 1)
        #expect(try Files.names(in: store.root + "/host").count == 1)
    }
}
