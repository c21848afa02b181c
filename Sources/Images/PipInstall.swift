// Installs wheels into a built root filesystem, with the image's own Python and the machine's pip configuration.
// Runs in mount and process namespaces of its own: what is mounted for it is gone when it ends, however it ends.

import Foundation

struct PipInstall {
    /// The machine's pip configuration, as far as an installation inside another root needs it put elsewhere.
    struct Configuration: Equatable {
        var files: [String] = []
        var certificate: String?
        var links: [String] = []
    }

    /// Mounts what pip needs below a root, then runs it there. Arguments: root, certificate or "", number of
    /// configuration files and they, number of directories of wheels and they, requirements.
    private static let script = """
        set -eu
        root=$1 certificate=$2; shift 2
        mount -t proc proc "$root/proc"
        mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
        for d in null zero urandom; do : > "$root/dev/$d"; mount --bind "/dev/$d" "$root/dev/$d"; done
        mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
        [ -z "$certificate" ] || { cp -L "$certificate" "$root/tmp/ca.pem"; export PIP_CERT=/tmp/ca.pem; }
        n=$1; shift; i=0; export XDG_CONFIG_DIRS=
        while [ $i -lt $n ]; do
          mkdir -p "$root/tmp/config$i/pip"; cp -L "$1" "$root/tmp/config$i/pip/pip.conf"
          XDG_CONFIG_DIRS=/tmp/config$i${XDG_CONFIG_DIRS:+:$XDG_CONFIG_DIRS}; i=$((i+1)); shift
        done
        n=$1; shift; i=0; links=
        while [ $i -lt $n ]; do
          case $1 in
            /*) mkdir "$root/tmp/links$i"; mount --bind "$1" "$root/tmp/links$i"; links="$links /tmp/links$i" ;;
            *) links="$links $1" ;;
          esac
          i=$((i+1)); shift
        done
        export PIP_FIND_LINKS="$links" HOME=/tmp TMPDIR=/tmp PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        pip=$(cd "$root/usr/share/python-wheels" && ls pip-*.whl | head -n 1)
        exec chroot "$root" python3 "/usr/share/python-wheels/$pip/pip" install "$@"
        """

    static func run(
        _ requirements: [String], root: String, work: StoreWork, onLine: @Sendable (String) -> Void
    ) async throws {
        let configuration = configuration(of: ProcessInfo.processInfo.environment)
        var arguments = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh"]
        arguments += [root, configuration.certificate ?? ""]
        arguments += ["\(configuration.files.count)"] + configuration.files
        arguments += ["\(configuration.links.count)"] + configuration.links
        // Wheels only: installing one runs nothing of it.
        arguments += ["--only-binary=:all:", "--no-cache-dir", "--no-input", "--progress-bar=off", "--"] + requirements
        let environment: [String: String?] = [
            "PIP_BREAK_SYSTEM_PACKAGES": "1", "PIP_ROOT_USER_ACTION": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_CONFIG_FILE": nil, "PIP_CERT": nil, "PYTHONPATH": nil, "PYTHONHOME": nil, "SSL_CERT_FILE": nil,
            "SSL_CERT_DIR": nil, "REQUESTS_CA_BUNDLE": nil, "CURL_CA_BUNDLE": nil, "LD_PRELOAD": nil, "LC_ALL": "C.UTF-8",
        ]
        do {
            try await Tools.run("unshare", arguments, input: work.lock, environment: environment, onLine: onLine)
        } catch ImageError.toolFailed(_, let status, let output) {
            throw ImageError.toolFailed(tool: "pip install \(requirements.joined(separator: " "))", status: status, output: output)
        }
    }

    /// What pip itself would read, the least specific first, and the paths in it that mean the machine's files.
    static func configuration(of environment: [String: String], machine: String = "") -> Configuration {
        var found = Configuration()
        let home = environment["HOME"] ?? "/root"
        var paths = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", home + "/.pip/pip.conf"]
        paths.append((environment["XDG_CONFIG_HOME"] ?? home + "/.config") + "/pip/pip.conf")
        if let own = environment["PIP_CONFIG_FILE"] { paths = own == "/dev/null" ? [] : paths + [own] }
        for path in paths.map({ machine + $0 }) {
            guard let bytes = try? Files.read(path, limit: 1 << 20) else { continue }
            found.files.append(path)
            let values = values(String(decoding: bytes, as: UTF8.self))
            found.certificate = values["cert"] ?? found.certificate
            if let links = values["find-links"] { found.links = words(links) }
        }
        found.certificate = environment["PIP_CERT"] ?? found.certificate ?? machine + "/etc/ssl/certs/ca-certificates.crt"
        if let path = found.certificate, !Files.exists(path) { found.certificate = nil }
        if let links = environment["PIP_FIND_LINKS"] { found.links = words(links) }
        found.links = found.links.map { $0.hasPrefix("file:///") ? String($0.dropFirst(7)) : $0 }
            .filter { !$0.hasPrefix("/") || Files.isDirectory($0) }
        return found
    }

    private static func words(_ text: String) -> [String] { text.split(whereSeparator: \.isWhitespace).map(String.init) }

    /// The keys of [global] and [install], values over several lines joined.
    private static func values(_ text: String) -> [String: String] {
        var values: [String: String] = [:]
        var section = ""
        var key: String?
        for line in text.split(separator: "\n") where !line.hasPrefix("#") && !line.hasPrefix(";") {
            if line.first?.isWhitespace == true {
                if let key { values[key]! += " " + line.trimmingCharacters(in: .whitespaces) }
            } else if line.hasPrefix("[") {
                section = String(line.dropFirst().prefix { $0 != "]" })
                key = nil
            } else if let mark = line.firstIndex(where: { $0 == "=" || $0 == ":" }), ["global", "install"].contains(section) {
                let name = line[..<mark].trimmingCharacters(in: .whitespaces).lowercased()
                values[name] = line[line.index(after: mark)...].trimmingCharacters(in: .whitespaces)
                key = name
            } else {
                key = nil
            }
        }
        return values
    }
}
