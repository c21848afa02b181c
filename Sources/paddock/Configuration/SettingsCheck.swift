// What can be wrong with settings although each is well-formed: a socket that cannot be made there, pools of a policy or an
// image that there is none of. `paddock serve` asks before it starts anything, and `--check` asks nothing more.

import SandboxCore
import StrictYAML
import Wire

extension DaemonSettings {
    /// - Throws: `Mistakes` with all there are, each with its line where a file says so.
    func check(socket path: String, _ catalog: FarmCatalog) throws {
        var found: [Mistake] = []
        func add(_ key: String, _ message: String) { found.append(Mistake(file: file ?? "the defaults", line: lines[key], path: key, message)) }
        do throws(ServerError) { try Server.check(path: path) } catch {
            // An option of the command line, or a place of the machine's own, is no line of the file.
            if lines["socket"] != nil { add("socket", error.reason) } else { found.append(Mistake(file: socket == nil ? path : "--socket", error.reason)) }
        }
        for (index, pool) in pools.enumerated() {
            for (key, problem) in catalog.problems(of: pool) { add("pools[\(index)].\(key)", problem) }
        }
        if !found.isEmpty { throw Mistakes(found) }
    }
}
