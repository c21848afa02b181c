// The "did you mean" of every error about a name: keys, policies, syscalls.

/// The candidate that takes the fewest insertions, deletions and replacements to become `name`, if at most a third of
/// its letters (and at least one) would change. Ties go to the one that comes first.
func nearestName(to name: String, among candidates: some Sequence<String>) -> String? {
    guard name.utf8.count <= 64 else { return nil }
    let wanted = Array(name.lowercased().utf8)
    var best: (name: String, distance: Int)?
    for candidate in candidates {
        let letters = Array(candidate.lowercased().utf8)
        let bound = max(1, max(wanted.count, letters.count) / 3)
        guard abs(wanted.count - letters.count) <= bound else { continue }
        let distance = editDistance(wanted, letters)
        if distance <= bound, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.name
}

/// `; did you mean "x"?`, or nothing when no candidate is near.
func suggestion(for name: String, among candidates: some Sequence<String>) -> String {
    nearestName(to: name, among: candidates).map { "; did you mean \"\($0)\"?" } ?? ""
}

private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var previous = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var current = [i + 1]
        current.reserveCapacity(b.count + 1)
        for (j, y) in b.enumerated() {
            current.append(min(previous[j] + (x == y ? 0 : 1), previous[j + 1] + 1, current[j] + 1))
        }
        previous = current
    }
    return previous[b.count]
}

/// Text from outside, fit for a message: quoted, control characters escaped, cut at 60 characters.
func quoted(_ text: String) -> String {
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
