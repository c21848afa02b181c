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
