// The templates that image definitions declare, as the engine asks for them: read when an image's are first wanted, made
// once for each policy.

import Farm
import Images
import Judging
import Policy
import SandboxCore
import Synchronization
import TemplateRuntime

final class TemplateCatalog: Sendable {
    private struct Key: Hashable { var image: String, name: String, policy: String }
    private struct State {
        var declared: [String: [TemplateDeclaration]] = [:]
        var made: [Key: ResolvedTemplate] = [:]
        var filter: SeccompProgram?
    }

    private let definitions: String
    private let state = Mutex(State())

    /// - Parameter definitions: the directory of image definitions.
    init(definitions: String) { self.definitions = definitions }

    func names(image: String) -> [String] { declared(image).map(\.name) }

    /// - Parameter surroundings: the environment of the image and policy together, and whether there is to be a filter.
    func template(
        named name: String, image: String, policy: String, surroundings: () -> (environment: [String: String], isFiltered: Bool)?
    ) -> ResolvedTemplate? {
        let key = Key(image: image, name: name, policy: policy)
        if let made = state.withLock({ $0.made[key] }) { return made }
        guard let declaration = declared(image).first(where: { $0.name == name }), let around = surroundings() else { return nil }
        var variables = Farm.basicEnvironment
        variables.merge(around.environment) { $1 }
        let filter = around.isFiltered ? filter() : nil
        // One that cannot be confined is none.
        if around.isFiltered, filter == nil { return nil }
        let made = ResolvedTemplate(
            spec: declaration.spec(environment: variables.map { "\($0.key)=\($0.value)" }.sorted(), seccomp: filter, known: Self.known),
            program: declaration.command[0])
        state.withLock { $0.made[key] = made }
        return made
    }

    private static let known = KnownSources(programs: HarnessFiles.programs, modules: HarnessFiles.modules)

    private func filter() -> SeccompProgram? {
        if let known = state.withLock({ $0.filter }) { return known }
        let filter = try? TemplateFilter.compile()
        state.withLock { $0.filter = filter }
        return filter
    }

    private func declared(_ image: String) -> [TemplateDeclaration] {
        if let known = state.withLock({ $0.declared[image] }) { return known }
        let declarations = (try? read(image)) ?? []
        state.withLock { $0.declared[image] = declarations }
        return declarations
    }

    private func read(_ image: String) throws -> [TemplateDeclaration] {
        try image == "host" ? ImageDefinition.hostTemplates(in: definitions) : ImageDefinition.load("\(definitions)/\(image)").templates
    }
}
