// What a request's own fields must look like, whatever the names in it mean. Each complaint names the field, what was
// found and what was expected.

import SandboxCore

/// Bounds of a request's parts. What is larger belongs in a file or an archive.
enum Bounds {
    static let files = 10_000
    static let collect = 1_000
    static let pathBytes = 4_096
    static let nameBytes = 255
    static let labelBytes = 256
    static let keyCharacters = 128
    /// The kernel's own bound for one argument or variable.
    static let argumentBytes = 131_071
    static let priority = -100...100
    /// Those who wait for one job.
    static let listeners = 1_000
    static let deadlineMs = 1...604_800_000
}

func checkScalars(_ request: JobRequest) throws(Rejected) {
    guard Bounds.priority.contains(request.priority) else {
        throw invalid("priority", "found \(request.priority), expected -100 to 100")
    }
    if let deadline = request.deadlineMs, !Bounds.deadlineMs.contains(deadline) {
        throw invalid("deadline_ms", "found \(deadline), expected 1 to \(Bounds.deadlineMs.upperBound)")
    }
    if let key = request.idempotencyKey, !(1...Bounds.keyCharacters).contains(key.unicodeScalars.count) {
        throw invalid("idempotency_key", "found \(key.unicodeScalars.count) characters, expected 1 to \(Bounds.keyCharacters)")
    }
    for (label, field) in [(request.labels.group, "labels.group"), (request.labels.rollout, "labels.rollout")] {
        if let label, label.utf8.count > Bounds.labelBytes {
            throw invalid(field, "found \(label.utf8.count) bytes, expected at most \(Bounds.labelBytes)")
        }
    }
}

/// The working directory as an absolute path inside the sandbox.
func resolveDirectory(_ path: String?) throws(Rejected) -> String {
    guard let path else { return "/workspace" }
    guard !path.isEmpty, path.utf8.count <= Bounds.pathBytes, !path.utf8.contains(0) else {
        throw invalid("cwd", "found \(quoted(path)), expected a path of 1 to \(Bounds.pathBytes) bytes without NUL")
    }
    return path.utf8.first == UInt8(ascii: "/") ? path : "/workspace/" + path
}

func checkFiles(_ files: [FileIn]) throws(Rejected) {
    guard files.count <= Bounds.files else {
        throw invalid("files", "found \(files.count), expected at most \(Bounds.files); an archive can hold more")
    }
    for (index, file) in files.enumerated() {
        try checkPath(file.path, "files[\(index)].path")
        guard (0...0o777).contains(file.mode) else {
            throw invalid("files[\(index)].mode", "found 0\(String(file.mode, radix: 8)), expected 0000 to 0777")
        }
    }
    guard files.count > 1 else { return }
    // Sorted by bytes with '/' lowest, a directory stands right before what is in it.
    let sorted = files.indices.map { (key: files[$0].path.utf8.map { $0 == UInt8(ascii: "/") ? 0 : $0 }, index: $0) }
        .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    for (one, other) in zip(sorted, sorted.dropFirst()) where other.key.starts(with: one.key) {
        let (first, second) = (min(one.index, other.index), max(one.index, other.index))
        if one.key.count == other.key.count {
            throw invalid("files[\(second)].path", "found \(quoted(files[second].path)), which files[\(first)] has as well")
        }
        if other.key[one.key.count] == 0 {
            throw invalid(
                "files[\(other.index)].path",
                "found \(quoted(files[other.index].path)), but files[\(one.index)] is the file \(quoted(files[one.index].path))")
        }
    }
}

func checkCollect(_ collect: [FileOut], atMost bytes: Int) throws(Rejected) {
    guard collect.count <= Bounds.collect else {
        throw invalid("collect", "found \(collect.count), expected at most \(Bounds.collect); a pattern can match many files")
    }
    for (index, file) in collect.enumerated() {
        try checkPath(file.pattern, "collect[\(index)].path")
        guard (0...bytes).contains(file.maxBytes) else {
            throw invalid("collect[\(index)].max_bytes", "found \(file.maxBytes), expected 0 to \(bytes)")
        }
    }
}

/// A path below `/workspace`, in one spelling.
func checkPath(_ path: String, _ field: String) throws(Rejected) {
    func reject(_ why: String) -> Rejected {
        invalid(field, "found \(quoted(path)), expected a path relative to /workspace \(why)")
    }
    if path.isEmpty { throw reject("that is not empty") }
    if path.utf8.count > Bounds.pathBytes { throw reject("of at most \(Bounds.pathBytes) bytes") }
    if path.utf8.contains(0) { throw reject("without NUL") }
    if path.utf8.first == UInt8(ascii: "/") { throw reject("that does not begin with '/'") }
    for part in path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
        if part.elementsEqual("..".utf8) { throw reject("without '..'") }
        if part.isEmpty || part.elementsEqual(".".utf8) { throw reject("without '.' and empty parts") }
        if part.count > Bounds.nameBytes { throw reject("with names of at most \(Bounds.nameBytes) bytes") }
    }
}

func checkDigest(_ digest: String, _ field: String) throws(Rejected) {
    let hexadecimal = digest.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    guard digest.utf8.count == 64, hexadecimal else {
        throw invalid(field, "found \(quoted(digest)), expected a SHA-256: 64 lower-case hexadecimal digits")
    }
}

/// What comes with the request has to fit the writable layer.
/// - Parameter blobBytes: the sizes of the blobs it names, once they are known.
func checkFilesFit(_ job: ResolvedJob, blobBytes: [String: Int] = [:]) throws(Rejected) {
    let bytes = job.files.reduce(0) { sum, file in
        switch file.content {
        case .bytes(let bytes): sum + bytes.count
        case .blob(let digest): sum + (blobBytes[digest] ?? 0)
        }
    }
    if let disk = job.limits.value.diskBytes, bytes > disk {
        throw invalid("files", "found \(bytes) bytes, but limits.disk_bytes is \(disk)")
    }
    if let inodes = job.limits.value.diskInodes, job.files.count > inodes {
        throw invalid("files", "found \(job.files.count) files, but limits.disk_inodes is \(inodes)")
    }
}

/// Arguments and environment as exec takes them: no NUL, and not more than the kernel accepts for the job's stack.
func checkArguments(_ job: ResolvedJob) throws(Rejected) {
    var environmentBytes = 0
    for (name, value) in job.environment {
        if name.isEmpty || name.utf8.contains(UInt8(ascii: "=")) || name.utf8.contains(0) {
            throw invalid("env", "found the name \(quoted(name)), expected one that is not empty and has no '=' or NUL")
        }
        if value.utf8.contains(0) { throw invalid("env.\(shown(name))", "found a NUL byte") }
        let bytes = name.utf8.count + value.utf8.count + 1
        if bytes > Bounds.argumentBytes {
            throw invalid("env.\(shown(name))", "found \(bytes) bytes, expected at most \(Bounds.argumentBytes)")
        }
        environmentBytes += bytes + 16
    }
    for step in job.steps {
        let field = step.phase == .compile ? "source" : job.steps.count > 1 ? "source.args" : "command"
        var bytes = environmentBytes
        for (index, argument) in step.arguments.enumerated() {
            if argument.utf8.contains(0) { throw invalid(field, "found a NUL byte in argument \(index)") }
            if argument.utf8.count > Bounds.argumentBytes {
                throw invalid(field, "found \(argument.utf8.count) bytes in argument \(index), expected at most \(Bounds.argumentBytes)")
            }
            bytes += argument.utf8.count + 16
        }
        // The kernel takes a quarter of the stack's limit, but at least 128 KiB; a little is left to the image's own.
        let room = min(max((step.limits.value.stackBytes ?? 0) / 4, 131_072), 2 << 20) - 16_384
        if bytes > room {
            throw invalid(environmentBytes > bytes / 2 ? "env" : field, "found \(bytes) bytes of arguments and environment, expected at most \(room)")
        }
    }
}

func invalid(_ field: String, _ message: String) -> Rejected { Rejected(.invalidRequest, message, field: field) }

/// A client's text as an error may repeat it: bounded, in quotes, without control characters.
func quoted(_ text: String) -> String { "'\(shown(text))'" }

func shown(_ text: String) -> String {
    let scalars = text.unicodeScalars
    let start = String(String.UnicodeScalarView(scalars.prefix(80).map { $0.properties.generalCategory == .control ? "\u{FFFD}" : $0 }))
    return scalars.dropFirst(80).isEmpty ? start : start + "…"
}

func listed(_ names: [String]) -> String { names.prefix(30).map { "'\($0)'" }.joined(separator: ", ") }
