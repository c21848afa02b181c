// Which package sources a build uses: the machine's own for that suite, so that a mirror or proxy the operator has set
// up is used without being asked for; Debian's where the machine has none.

import Foundation

/// One-line sources (`deb [signed-by=…] uri suite components`) for mmdebstrap.
struct AptSources: Equatable {
    static let fallback = "http://deb.debian.org/debian"
    static let fallbackKeys = "/usr/share/keyrings/debian-archive-keyring.gpg"

    var lines: [String]

    /// - Parameters:
    ///   - mirror: the definition's; `nil` to use the machine's.
    ///   - apt: the machine's `/etc/apt`.
    static func find(suite: String, mirror: String?, apt: String = "/etc/apt") -> AptSources {
        let known = entries(apt)
        let keys = known.compactMap(\.signedBy).first ?? (Files.exists(fallbackKeys) ? fallbackKeys : nil)
        if let mirror { return AptSources(lines: [Entry(uri: mirror, suite: suite, signedBy: keys).line]) }
        // The suite itself and what belongs to it: bookworm-updates, bookworm-security. Not other people's archives
        // that are merely built for it (cloud-sdk-bookworm), nor suites of other releases.
        let own = known.filter { [suite, suite + "-updates", suite + "-security"].contains($0.suite) }
        if own.contains(where: { $0.suite == suite }) { return AptSources(lines: own.map(\.line)) }
        let archive = known.first { $0.uri.hasSuffix("/debian") || $0.uri.hasSuffix("/debian/") }
        return AptSources(
            lines: [Entry(uri: archive?.uri ?? fallback, suite: suite, signedBy: archive?.signedBy ?? keys).line])
    }

    private struct Entry {
        var uri: String
        var suite: String
        var components = ["main"]
        var signedBy: String?

        var line: String {
            "deb \(signedBy.map { "[signed-by=\($0)] " } ?? "")\(uri) \(suite) \(components.joined(separator: " "))"
        }
    }

    private static func entries(_ apt: String) -> [Entry] {
        var files = [apt + "/sources.list"]
        files += ((try? Files.names(in: apt + "/sources.list.d")) ?? []).map { "\(apt)/sources.list.d/\($0)" }
        return files.flatMap { file -> [Entry] in
            guard let bytes = try? Files.read(file, limit: 1 << 20) else { return [] }
            let text = String(decoding: bytes, as: UTF8.self)
            return file.hasSuffix(".sources") ? stanzas(text) : oneLiners(text)
        }
    }

    private static func oneLiners(_ text: String) -> [Entry] {
        text.split(separator: "\n").compactMap { line in
            guard let match = line.firstMatch(of: /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/) else { return nil }
            let signed = match.1.flatMap { $0.firstMatch(of: /signed-by=(\S+)/).map { String($0.1) } }
            return Entry(
                uri: String(match.2), suite: String(match.3), components: match.4.split(separator: " ").map(String.init),
                signedBy: signed)
        }
    }

    /// The deb822 form: paragraphs of `Key: value`.
    private static func stanzas(_ text: String) -> [Entry] {
        var found: [Entry] = []
        var fields: [String: [String]] = [:]
        func finish() {
            guard fields["types"]?.contains("deb") == true, fields["enabled"]?.first != "no" else { return }
            for uri in fields["uris"] ?? [] {
                for suite in fields["suites"] ?? [] {
                    // A key that is written into the stanza itself has no path; apt's own trust has to do.
                    let keys = fields["signed-by"]?.first.flatMap { $0.hasPrefix("/") ? $0 : nil }
                    found.append(Entry(uri: uri, suite: suite, components: fields["components"] ?? ["main"], signedBy: keys))
                }
            }
        }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.allSatisfy(\.isWhitespace) {
                finish()
                fields = [:]
            } else if !line.hasPrefix("#"), let colon = line.firstIndex(of: ":"), line.first?.isWhitespace == false {
                fields[line[..<colon].lowercased()] = line[line.index(after: colon)...]
                    .split(whereSeparator: \.isWhitespace).map(String.init)
            }
        }
        finish()
        return found
    }
}
