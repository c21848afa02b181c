// Elements under small stable numbers, so that queues, rings and heaps can point at each other with four bytes.
// What is freed is reused, and a slab that becomes empty gives its memory back.

/// The number of an element in a `Slab`.
typealias Slot = Int32

/// No element.
let nowhere: Slot = -1

struct Slab<Element: Sendable>: Sendable {
    private var elements: [Element?] = []
    private var free: [Slot] = []

    var count: Int { elements.count - free.count }
    var isEmpty: Bool { count == 0 }
    /// Slots there is memory for; the next slot handed out is below it or equal to it.
    var extent: Int { elements.count }
    var occupied: some Sequence<Slot> { elements.indices.lazy.filter { elements[$0] != nil }.map(Slot.init) }

    mutating func insert(_ element: Element) -> Slot {
        if let slot = free.popLast() {
            elements[Int(slot)] = element
            return slot
        }
        elements.append(element)
        return Slot(elements.count - 1)
    }

    mutating func remove(_ slot: Slot) {
        elements[Int(slot)] = nil
        if count == 1, elements.count > keptWhenEmpty {
            self = Slab()
        } else {
            free.append(slot)
        }
    }

    subscript(slot: Slot) -> Element {
        get { elements[Int(slot)]! }
        _modify { yield &elements[Int(slot)]! }
    }
}

/// A container that becomes empty keeps its memory up to this many elements: a farm that runs one job after the
/// other would otherwise allocate it each time.
let keptWhenEmpty = 1024
