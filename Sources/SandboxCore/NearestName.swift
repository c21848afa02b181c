// The "did you mean" of every error about a name, in requests, in files that people write and on the command line.

/// The candidate that the fewest slips of the keyboard turn into `name`: at most one for each three letters of the longer
/// of the two, and always one. Two for any name would offer `cwd` for `id`. Ties go to the one that comes first.
public func nearestName(to name: String, among candidates: some Sequence<String>) -> String? {
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

/// Insertions, deletions, replacements, and two neighbours swapped, one each.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var rows = [Array(0...b.count)]
    for (i, x) in a.enumerated() {
        var row = [i + 1]
        for (j, y) in b.enumerated() {
            var best = min(rows[i][j] + (x == y ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
            if i > 0, j > 0, x == b[j - 1], a[i - 1] == y { best = min(best, rows[i - 1][j - 1] + 1) }
            row.append(best)
        }
        rows.append(row)
    }
    return rows[a.count][b.count]
}
