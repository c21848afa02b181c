// What a farm is asked for beyond its defaults, said once for all groups of bars.

import SandboxCore

enum Offers {
    /// What follows in a pool's entry where one group's jobs may share a sandbox.
    static let reuse = ""
    /// Where the farm does not offer that.
    static let reuseNote: String? = "a fresh sandbox each: this farm does not reuse them"

    /// What follows in a pool's entry that keeps templates.
    static let templates = ""
    /// Where the farm does not offer that.
    static let templatesNote: String? = "from a fresh start: this farm has no templates"

    /// A job that is forked from a template.
    static func fork(_ job: JobRequest, of template: String) -> JobRequest { job }
}
