// What a farm is asked for beyond its defaults where not every farm has it.

enum Offers {
    /// What follows in a pool's entry where one group's jobs may share a sandbox.
    static let reuse = ""
    /// Where the farm does not offer that.
    static let reuseNote: String? = "a fresh sandbox each: this farm does not reuse them"
}
