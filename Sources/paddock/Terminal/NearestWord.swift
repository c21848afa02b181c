// The "did you mean" of names on the command line and keys in the configuration.

enum NearestWord {
    /// The candidate with the fewest letters to change, if at most a third of them (and at least one) would.
    static func find(_ word: String, among candidates: [String]) -> String? {
        guard word.utf8.count <= 64 else { return nil }
        let wanted = Array(word.lowercased().utf8)
        let scored = candidates.map { (word: $0, distance: distance(wanted, Array($0.lowercased().utf8))) }
        guard let best = scored.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(1, max(wanted.count, best.word.utf8.count) / 3) ? best.word : nil
    }

    /// `Hint: did you mean …?`, or the list of what there is.
    static func hint(_ word: String, among candidates: [String]) -> String? {
        if let near = find(word, among: candidates) { return "did you mean '\(near)'?" }
        return candidates.isEmpty ? nil : "there is \(candidates.prefix(20).joined(separator: ", "))"
    }

    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(diagonal + (x == y ? 0 : 1), above + 1, row[j] + 1)
                diagonal = above
            }
        }
        return row[b.count]
    }
}
