// How a template's request is written and read, and the parts it shares with that of a cell.

import SandboxCore

extension TemplateRequest {
    func encoded() -> [UInt8] {
        var w = MessageWriter()
        w.put(MessageKind.makeTemplate.rawValue)
        w.put(sandbox)
        w.put(id)
        w.put(cgroupVersion.rawValue)
        w.put(cgroupFiles) { $0.put($1.rawValue) }
        root.put(to: &w)
        w.put(template.name)
        w.put(template.arguments) { $0.put($1) }
        w.put(template.environment) { $0.put($1) }
        w.put(template.files) { $1.put(to: &$0) }
        SeccompProgram.put(template.seccomp, to: &w)
        w.put(Int64(template.memoryBytes))
        w.put(Int64(template.recycleForks))
        w.put(template.recycleMs)
        return w.bytes
    }

    init(from r: inout MessageReader) throws(MalformedMessage) {
        sandbox = try r.integer()
        id = try r.integer()
        cgroupVersion = try r.raw()
        cgroupFiles = try r.list { (r) throws(MalformedMessage) in try r.raw() }
        root = try RootFilesystem(from: &r)
        template = TemplateSpec(
            name: try r.text(), arguments: try r.list { (r) throws(MalformedMessage) in try r.text() },
            environment: try r.list { (r) throws(MalformedMessage) in try r.text() },
            files: try r.list { (r) throws(MalformedMessage) in try PlacedFile(from: &r) },
            seccomp: try SeccompProgram.take(from: &r), memoryBytes: try r.number(), recycleForks: try r.number(), recycleMs: try r.optional())
        try r.finish()
    }
}

extension RootFilesystem {
    func put(to w: inout MessageWriter) {
        w.put(layers) { $0.put($1) }
        w.put(binds) { $0.put($1.source); $0.put($1.target) }
        w.put(writable != nil)
        if let writable { w.put(writable) { $0.put($1) } }
    }

    init(from r: inout MessageReader) throws(MalformedMessage) {
        let layers = try r.list { (r) throws(MalformedMessage) in try r.text() }
        let binds = try r.list { (r) throws(MalformedMessage) in Bind(source: try r.text(), target: try r.text()) }
        let writable = try r.flag() ? try r.list { (r) throws(MalformedMessage) in try r.text() } : nil
        self.init(layers: layers, binds: binds, writable: writable)
    }
}

extension SeccompProgram {
    package static func put(_ program: SeccompProgram?, to w: inout MessageWriter) {
        w.put(program != nil)
        guard let program else { return }
        w.put(program.bpf)
        w.put(program.notifies)
        w.put(program.onDenied.rawValue)
        w.put(program.permitsKeys)
        w.put(program.loadsAhead)
        w.put(program.countedNetlink)
        w.put(program.permitsSockets)
        w.put(program.permitsIPC)
        w.put(program.watching.map { [$0] } ?? []) {
            $0.put($1.bpf)
            $0.put($1.network) { $0.put($1) }
            $0.put($1.ipc) { $0.put($1) }
        }
    }

    package static func take(from r: inout MessageReader) throws(MalformedMessage) -> SeccompProgram? {
        guard try r.flag() else { return nil }
        return SeccompProgram(
            bpf: try r.data(), notifies: try r.flag(), onDenied: try r.named(), permitsKeys: try r.flag(), loadsAhead: try r.flag(),
            countedNetlink: try r.integer(), permitsSockets: try r.flag(), permitsIPC: try r.flag(),
            watching: try r.list { (r) throws(MalformedMessage) in try watching(from: &r) }.first)
    }

    private static func watching(from r: inout MessageReader) throws(MalformedMessage) -> Watching {
        func numbers(_ r: inout MessageReader) throws(MalformedMessage) -> [UInt32] { try r.list { (r) throws(MalformedMessage) in try r.integer() } }
        return Watching(bpf: try r.data(), network: try numbers(&r), ipc: try numbers(&r))
    }
}

extension PlacedFile {
    func put(to w: inout MessageWriter) {
        w.put(path)
        w.put(UInt32(mode))
        w.put(bytes)
    }

    init(from r: inout MessageReader) throws(MalformedMessage) {
        let path = try r.text()
        let mode = Int(try r.integer(UInt32.self))
        self.init(path: path, bytes: try r.data(), mode: mode)
    }
}
