// Content, files in and files to collect. The path rules stand here, before anything near a file system sees a path.

import SandboxCore

private enum ContentKey: String, WireKey {
    case text, base64, blob
    static let table = KeyTable<Self>()
}

private enum FileInKey: String, WireKey {
    case path, text, base64, blob, mode
    static let table = KeyTable<Self>()
}

private enum FileOutKey: String, WireKey {
    case path
    case maxBytes = "max_bytes"
    static let table = KeyTable<Self>()
}

extension FieldReader {
    func content(_ value: Int) throws(Rejected) -> Content {
        var content: Content?
        try object(value, ContentKey.self) { (key, member) throws(Rejected) in
            switch key {
            case .text: try set(&content, .bytes(Array(try bytes(member))), at: member)
            case .base64: try set(&content, .bytes(try base64(member)), at: member)
            case .blob: try set(&content, .blob(try sha256(member)), at: member)
            }
        }
        guard let content else { throw missing("text", in: value, "exactly one of text, base64 and blob") }
        return content
    }

    func filesIn(_ value: Int) throws(Rejected) -> [FileIn] {
        var files: [FileIn] = []
        try array(value, of: "files") { (item) throws(Rejected) in
            var path: String?
            var content: Content?
            var mode = 0o644
            try object(item, FileInKey.self) { (key, member) throws(Rejected) in
                switch key {
                case .path: path = try relativePath(member)
                case .text: try set(&content, .bytes(Array(try bytes(member))), at: member)
                case .base64: try set(&content, .bytes(try base64(member)), at: member)
                case .blob: try set(&content, .blob(try sha256(member)), at: member)
                case .mode: mode = try self.mode(member)
                }
            }
            guard let path else { throw missing("path", in: item, "a path relative to /workspace") }
            guard let content else { throw missing("text", in: item, "exactly one of text, base64 and blob") }
            files.append(FileIn(path: path, content: content, mode: mode))
        }
        return files
    }

    func filesOut(_ value: Int) throws(Rejected) -> [FileOut] {
        var files: [FileOut] = []
        try array(value, of: "files to collect") { (item) throws(Rejected) in
            var path: String?
            var maxBytes = 1 << 20
            try object(item, FileOutKey.self) { (key, member) throws(Rejected) in
                switch key {
                case .path: path = try relativePath(member)
                case .maxBytes: maxBytes = try integer(member, in: 0...64 << 20)
                }
            }
            guard let path else { throw missing("path", in: item, "a path or pattern relative to /workspace") }
            files.append(FileOut(pattern: path, maxBytes: maxBytes))
        }
        return files
    }

    private func set(_ content: inout Content?, _ new: Content, at member: Int) throws(Rejected) {
        if content != nil { throw wrong(member, "a second content, expected exactly one of text, base64 and blob") }
        content = new
    }

    /// A path below `/workspace` that names a file: no way out of it, nothing the kernel would refuse anyway.
    func relativePath(_ value: Int) throws(Rejected) -> String {
        let path = try kernelText(value, bytes: 1...4_095)
        guard !path.utf8.starts(with: "/".utf8) else {
            throw wrong(value, "the absolute path \"\(json.excerpt(of: value))\", expected one relative to /workspace")
        }
        let components = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        for component in components {
            guard !component.elementsEqual("..".utf8) else {
                throw wrong(value, "the path \"\(json.excerpt(of: value))\" has '..', expected one within /workspace")
            }
            guard component.count <= 255 else {
                throw wrong(value, "a file name of \(component.count) bytes, expected at most 255")
            }
        }
        guard let name = components.last, !name.isEmpty, !name.elementsEqual(".".utf8) else {
            throw wrong(value, "the path \"\(json.excerpt(of: value))\" names a directory, expected a file")
        }
        return path
    }

    /// Permission bits only: set-id and sticky bits have no place in a sandbox.
    private func mode(_ value: Int) throws(Rejected) -> Int {
        let expected = "an octal string from \"0000\" to \"0777\""
        let digits = try bytes(value, expected)
        guard (3...4).contains(digits.count), let mode = Int(String(decoding: digits, as: UTF8.self), radix: 8),
            digits.first != UInt8(ascii: "-"), digits.first != UInt8(ascii: "+"), mode <= 0o777
        else { throw wrong(value, expected: expected) }
        return mode
    }
}
