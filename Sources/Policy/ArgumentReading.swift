// Conditions on arguments and error numbers as the files write them. Used by `SeccompSection` and `OCIProfile`.

import StrictYAML

extension ArgumentCondition {
    /// Reads `{index, op, value, valueTwo}`. `value` (for `SCMP_CMP_EQ`) and `valueTwo` (for `SCMP_CMP_MASKED_EQ`, whose
    /// `value` is the mask) may be lists: any one will do.
    static func read(_ field: Field) -> ArgumentCondition? {
        guard let fields = field.map(known: ["index", "op", "value", "valueTwo"]) else { return nil }
        for key in ["index", "op", "value"] where fields[key] == nil { field.wrong("the key \"\(key)\" is missing") }
        guard let index = fields["index"]?.number(in: 0...5), let op = fields["op"]?.word(Comparison.self),
            let value = fields["value"]
        else { return nil }
        if op == .maskedEqual {
            guard let mask = value.number(in: 0...UInt64.max) else { return nil }
            guard let second = fields["valueTwo"] else {
                field.wrong("the key \"valueTwo\" is missing: what the argument masked with \"value\" has to be")
                return nil
            }
            guard let values = second.numbers(severalAllowed: true) else { return nil }
            if let odd = values.first(where: { $0 & ~mask != 0 }) {
                second.wrong("found \(odd), which has bits outside the mask \(mask): it would never match")
                return nil
            }
            return ArgumentCondition(index: Int(index), op: op, values: values, mask: mask)
        }
        // Docker's own profile writes a zero here.
        if let second = fields["valueTwo"], !second.value.isNull, second.number(in: 0...UInt64.max) != 0 {
            second.wrong("belongs to SCMP_CMP_MASKED_EQ, not to \(op.rawValue)")
        }
        guard let values = value.numbers(severalAllowed: op == .equal) else { return nil }
        return ArgumentCondition(index: Int(index), op: op, values: values)
    }
}

extension Field {
    /// One number, or, where it makes sense, a list of them.
    fileprivate func numbers(severalAllowed: Bool) -> [UInt64]? {
        guard severalAllowed, case .list = value.kind else { return number(in: 0...UInt64.max).map { [$0] } }
        guard let fields = list(maximum: 64) else { return nil }
        if fields.isEmpty { wrong("found an empty list, expected numbers") }
        let numbers = fields.compactMap { $0.number(in: 0...UInt64.max) }
        return numbers.isEmpty || numbers.count < fields.count ? nil : numbers
    }

    /// An errno by number or by name.
    func errno() -> Int? {
        if case .scalar(let text, plain: _) = value.kind, let number = Errno.numbers[text] { return number }
        guard case .scalar(let text, plain: true) = value.kind, let number = parseNumber(text), number <= 4095 else {
            expected("an errno: a number from 0 to 4095, or a name such as EPERM")
            return nil
        }
        return Int(number)
    }
}

/// The errnos a policy has a use for, by name.
enum Errno {
    static let numbers = [
        "EPERM": 1, "ENOENT": 2, "EINTR": 4, "EIO": 5, "ENXIO": 6, "EBADF": 9, "EAGAIN": 11, "ENOMEM": 12, "EACCES": 13,
        "EFAULT": 14, "EBUSY": 16, "EEXIST": 17, "ENODEV": 19, "ENOTDIR": 20, "EINVAL": 22, "ENOTTY": 25, "ENOSPC": 28,
        "EROFS": 30, "ENOSYS": 38, "EPROTONOSUPPORT": 93, "ESOCKTNOSUPPORT": 94, "EOPNOTSUPP": 95, "ENOTSUP": 95,
        "EAFNOSUPPORT": 97,
    ]
    static let names = Dictionary(numbers.map { ($1, $0) }, uniquingKeysWith: { max($0, $1) })

    static func name(_ number: Int) -> String { names[number] ?? "\(number)" }
}
