// What a message says of a name that is not known: the name, and the known one that was probably meant.

import SandboxCore

/// `; did you mean "x"?`, or nothing when no candidate is near.
public func suggestion(for name: String, among candidates: some Sequence<String>) -> String {
    nearestName(to: name, among: candidates).map { "; did you mean \"\($0)\"?" } ?? ""
}

/// Text from outside, fit for a message: quoted, control characters escaped, cut at 60 characters.
public func quoted(_ text: String) -> String {
    var result = "\""
    for (count, scalar) in text.unicodeScalars.enumerated() {
        guard count < 60 else {
            result += "…"
            break
        }
        result += scalar.escaped(asASCII: false)
    }
    return result + "\""
}
