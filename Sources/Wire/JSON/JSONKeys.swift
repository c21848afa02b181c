// No key twice in an object. Two readers that take different ones of two equal keys see two different requests.

extension JSONParser {
    /// Looks for equal keys in a finished object: pairwise in a small one, by sorting in a large one, so that no
    /// choice of keys makes it slow.
    func rejectDuplicateKeys(of object: Int) throws(JSONError) {
        let count = Int(nodes[object].start)
        if count <= 12 {
            var key = object + 1
            for position in 1..<count {
                key = nextKey(after: key)
                var earlier = object + 1
                for _ in 0..<position {
                    if equalKeys(earlier, key) { throw duplicate(key) }
                    earlier = nextKey(after: earlier)
                }
            }
            return
        }
        var keys: [Int] = []
        keys.reserveCapacity(count)
        var key = object + 1
        for _ in 0..<count {
            keys.append(key)
            key = nextKey(after: key)
        }
        keys.sort { precedes($0, $1) }
        for position in 1..<count where equalKeys(keys[position - 1], keys[position]) {
            throw duplicate(keys[position])
        }
    }

    private func nextKey(after key: Int) -> Int {
        let value = nodes[key + 1]
        return value.kind == .object || value.kind == .array ? Int(value.extent) : key + 2
    }

    private func equalKeys(_ left: Int, _ right: Int) -> Bool {
        nodes[left].extent == nodes[right].extent && contents(left) == contents(right)
    }

    /// Any total order will do: shorter first, which settles most pairs without reading them.
    private func precedes(_ left: Int, _ right: Int) -> Bool {
        if nodes[left].extent != nodes[right].extent { return nodes[left].extent < nodes[right].extent }
        return contents(left).lexicographicallyPrecedes(contents(right))
    }

    private func contents(_ index: Int) -> ArraySlice<UInt8> {
        let node = nodes[index]
        let range = Int(node.start)..<Int(node.start) + Int(node.extent)
        return node.inUnescaped ? unescaped[range] : bytes[range]
    }

    private func duplicate(_ key: Int) -> JSONError {
        let name = String(decoding: contents(key).prefix(64), as: UTF8.self)
        let offset = nodes[key].inUnescaped ? position : Int(nodes[key].start)
        return JSONError(offset: offset, message: "the key \"\(name)\" is in one object twice")
    }
}
