// One policy file by itself: read together with what it builds on, and with nothing else that lies around it.

import Foundation
import Policy

struct PolicyFileReader {
    let file: String
    let shipped: String

    /// The room reads directories, so one is made of links to just the right files; errors name the files themselves.
    func read() throws -> Policy {
        let name = (file as NSString).lastPathComponent
        guard name.hasSuffix(".yaml") else { throw UserError("\(Human.safe(file)): expected a file that ends in .yaml") }
        guard FileManager.default.fileExists(atPath: file) else { throw UserError("\(Human.safe(file)): no such file") }
        let directory = FileManager.default.temporaryDirectory.path + "/paddock-policy-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }

        var origins: [String: String] = [:]
        func link(_ path: String) {
            let name = (path as NSString).lastPathComponent
            guard origins[name] == nil else { return }
            origins[name] = path
            symlink(FileGatherer.real(path), "\(directory)/\(name)")
        }
        link(file)
        let own = (file as NSString).deletingLastPathComponent
        let beside = own.isEmpty ? "." : own
        var next = parent(of: file)
        while let name = next, origins["\(name).yaml"] == nil {
            let path = FileManager.default.fileExists(atPath: "\(beside)/\(name).yaml") ? "\(beside)/\(name).yaml" : "\(shipped)/\(name).yaml"
            guard FileManager.default.fileExists(atPath: path) else { break }
            link(path)
            next = parent(of: path)
        }
        for place in [beside, shipped] {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []
            for name in names.sorted().prefix(1000) where name.hasSuffix(".json") { link("\(place)/\(name)") }
        }
        do {
            return try PolicyStore.load(directory: directory).policy(named: String(name.dropLast(".yaml".count)))
        } catch let errors as PolicyErrors {
            throw PolicyErrors(errors.errors.map { error in
                var error = error
                let name = (error.file as NSString).lastPathComponent
                error.file = origins[name] ?? error.file.replacingOccurrences(of: directory, with: beside)
                return error
            })
        }
    }

    /// What a file says it extends. Only a guess which files to look at: the room judges what it says.
    private func parent(of path: String) -> String? {
        guard let text = FileManager.default.contents(atPath: path).map({ String(decoding: $0.prefix(1 << 20), as: UTF8.self) }) else { return nil }
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("extends:") {
            let word = line.dropFirst("extends:".count).prefix { $0 != "#" }.trimmingCharacters(in: CharacterSet(charactersIn: " \t\"'"))
            return word.isEmpty || word.contains("/") ? nil : word
        }
        return nil
    }
}
