// `paddock image`: the root filesystems jobs run in.

import ArgumentParser
import Foundation
import Images
import SandboxCore
import StrictYAML

struct ImagesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image",
        abstract: "List, show, build, import, export and remove images.",
        discussion: """
            'host' is always there: the machine's own toolchains, read-only, without its secrets.

            Examples:
              paddock image build python
              paddock image import busybox.tar busybox
              paddock image list
              paddock image export python python.tar
              paddock image remove busybox
            """,
        subcommands: [List.self, Show.self, Build.self, Import.self, Export.self, Remove.self])

    static func store() throws -> ImageStore {
        let layout = try Layout.find()
        do {
            return try ImageStore(root: layout.store)
        } catch ImageError.system(_, let path, let code) where code == EACCES || code == EPERM || code == EROFS {
            throw UserError("\(path): \(String(cString: strerror(code)))", hint: "run as the daemon's user, or choose another place with PADDOCK_HOME")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the images there are, and the definitions that could be built.", discussion: "Example:\n  paddock image list --json")
        @Flag(help: "Print {\"images\", \"definitions\"} as JSON.") var json = false

        struct Listing: Encodable {
            var images: [ImageRecord]
            var definitions: [String]
        }

        func run() async throws {
            let images = try ImagesCommand.store().list()
            let definitions = ((try? ImageDefinition.loadAll(in: Layout.find().images)) ?? []).map(\.name)
            if json { return Console.out(try MachineForm.json(Listing(images: images, definitions: definitions))) }
            let style = Style(1)
            var table = Table([
                .init("IMAGE"), .init("SOURCE"), .init("SIZE", .right), .init("LAYERS", .right), .init("AGE", .right), .init("FROM", shrinks: true),
            ])
            table.add([.init("host", style.bold), "machine", "-", "-", "-", "this machine's /usr and /opt"])
            for image in images {
                table.add([
                    .init(Human.safe(image.name), style.bold), .init(image.source.rawValue), .init(Human.bytes(image.sizeBytes)),
                    .init("\(image.layers.count)"), .init(ImagesCommand.age(image)), .init(Human.safe(image.origin)),
                ])
            }
            table.lines(width: Console.width(), style: style).forEach(Console.out)
            let unbuilt = definitions.filter { name in !images.contains { $0.name == name } }
            if !unbuilt.isEmpty {
                Console.out("")
                let text = "not built yet: \(unbuilt.joined(separator: ", ")) (paddock image build NAME)"
                for line in Human.wrap(text, width: Console.width()) { Console.out(style.dim(line)) }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one image: its layers, environment and what an import left out.", discussion: "Example:\n  paddock image show python")
        @Argument(help: "The image's name.") var image: String
        @Flag(help: "Print JSON.") var json = false

        struct Description: Encodable {
            var name: String
            var layers: [String]
            var binds: [PlanReport.Bind]
            var environment: [String: String]
            var record: ImageRecord?
        }

        func run() async throws {
            let store = try ImagesCommand.store()
            let record = image == HostImage.name ? nil : try store.inspect(image)
            let files = try store.resolve(image)
            let description = Description(
                name: image, layers: files.root.layers, binds: files.root.binds.map { PlanReport.Bind(source: $0.source, target: $0.target) },
                environment: files.environment, record: record)
            if json { return Console.out(try MachineForm.json(description)) }
            let style = Style(1)
            func list(_ label: String, _ values: [String]) {
                for (index, value) in values.enumerated() { Console.out(style.dim((index == 0 ? label : "").padding(to: 13)) + Human.safe(value)) }
            }
            list("image", [image])
            if let record {
                list("source", ["\(record.source.rawValue), \(ImagesCommand.age(record)) ago"])
                list("from", [record.origin])
                list("size", [Human.bytes(record.sizeBytes)])
            }
            list("layers", description.layers)
            list("binds", description.binds.map { $0.source == $0.target ? $0.source : "\($0.source) on \($0.target)" })
            list("environment", description.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
            list("left out", record?.skipped ?? [])
        }
    }

    struct Build: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Build images from their definitions, with mmdebstrap.",
            discussion: """
                An image that is there and made from just this definition is left alone.

                Examples:
                  paddock image build python
                  paddock image build ./my-image/image.yaml --force
                """)
        @Argument(help: "Names of shipped definitions, or paths of image.yaml or the directory that holds it.") var images: [String]
        @Flag(help: "Build anew even so, for newer packages.") var force = false
        @Flag(help: "Show what the tools print.") var verbose = false
        @Flag(help: "Print the images' records as JSON.") var json = false

        func run() async throws {
            let store = try ImagesCommand.store()
            let definitions = try images.map { name in (origin: try path(of: name), definition: try ImageDefinition.load(path(of: name))) }
            var records: [ImageRecord] = []
            for (origin, definition) in definitions {
                let began = ContinuousClock.now
                let record = try await ImageBuilder(store).build(definition, origin: origin, force: force, progress: ImagesCommand.progress(verbose))
                records.append(record)
                if !json { Console.out("\(record.name): \(Human.bytes(record.sizeBytes)), \(Human.time((ContinuousClock.now - began).seconds * 1000))") }
            }
            if json { Console.out(try MachineForm.json(records)) }
        }

        private func path(of name: String) throws -> String {
            if name.contains("/") || name.hasSuffix(".yaml") { return name }
            let directory = try Layout.find().images
            if FileManager.default.fileExists(atPath: "\(directory)/\(name)/image.yaml") { return "\(directory)/\(name)" }
            let known = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).sorted().filter {
                FileManager.default.fileExists(atPath: "\(directory)/\($0)/image.yaml")
            }
            throw UserError(
                "no definition is named '\(Human.safe(name))', expected one of \(known.joined(separator: ", ")), or a path",
                hint: nearestName(to: name, among: known).map { "did you mean '\($0)'?" })
        }
    }

    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Import an image from an OCI layout or a 'docker save' archive.",
            discussion: """
                Directories and tars are taken, packed with gzip or zstd too; layers that \
                other images have are shared.

                Examples:
                  docker save busybox -o busybox.tar
                  paddock image import busybox.tar busybox
                  paddock image import layout/ tool --reference tool:v2
                """)
        @Argument(help: "The archive or directory.", completion: .file()) var archive: String
        @Argument(help: "What jobs will call the image.") var name: String
        @Option(help: ArgumentHelp("Which image of the archive, where it has several.", valueName: "name")) var reference: String?
        @Flag(help: "Print the image's record as JSON.") var json = false

        func run() async throws {
            guard FileManager.default.fileExists(atPath: archive) else {
                throw UserError("\(Human.safe(archive)): no such file or directory", hint: "'docker save IMAGE -o FILE.tar' makes an archive")
            }
            let record = try await ImageImporter(ImagesCommand.store()).importImage(
                from: archive, as: name, reference: reference, progress: ImagesCommand.progress(false))
            if json { return Console.out(try MachineForm.json(record)) }
            Console.out("\(record.name): \(Human.bytes(record.sizeBytes)) in \(Human.counted(record.layers.count, "layer"))")
            if !record.skipped.isEmpty { Console.note("left out: " + record.skipped.prefix(5).map { Human.safe($0) }.joined(separator: "; ") + (record.skipped.count > 5 ? "; …" : "")) }
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write an image as one tar, as 'docker import' takes it.", discussion: "Example:\n  paddock image export python python.tar")
        @Argument(help: "The image's name.") var image: String
        @Argument(help: "The tar to write.", completion: .file()) var file: String

        func run() async throws {
            try await ImagesCommand.store().exportTar(image, to: file)
            let size = (try? FileManager.default.attributesOfItem(atPath: file)[.size] as? Int) ?? 0
            Console.out("\(Human.safe(file)): \(Human.bytes(size))")
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove images, and the layers no other image has.", discussion: "Example:\n  paddock image remove busybox")
        @Argument(help: "The images' names.") var images: [String]

        func run() async throws {
            let store = try ImagesCommand.store()
            for image in images {
                let busy = try store.remove(image)
                Console.out("\(Human.safe(image)): removed" + (busy.isEmpty ? "" : "; \(Human.counted(busy.count, "layer")) in use will go when their sandboxes have ended"))
            }
        }
    }

    private static func age(_ image: ImageRecord) -> String { Human.time(max(0, Date().timeIntervalSince1970 * 1000 - Double(image.createdMs))) }

    /// Steps are told as they begin; what tools print only when asked for.
    private static func progress(_ verbose: Bool) -> @Sendable (ImageProgress) -> Void {
        let style = Style(2)
        return { progress in
            switch progress {
            case .step(let text): Console.note(style.dim("· ") + Human.safe(text))
            case .output(let line): if verbose { Console.note("  " + style.dim(Human.safe(line))) }
            }
        }
    }
}
