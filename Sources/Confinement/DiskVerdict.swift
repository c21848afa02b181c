// Which of the disk's two bounds ran out, bytes or inodes: the kernel says ENOSPC for both. Asked by a step before it
// starts and by its watch while it runs.

import LinuxSystem
import SandboxCore

struct DiskVerdict {
    let limits: EnforcedLimits
    /// What was in it before any job wrote to it.
    let own: (inodes: Int, bytes: Int)

    /// The bound that is reached where so much is in use; `nil` for none.
    func full(_ disk: Files.Usage) -> Outcome? {
        if disk.freeBytes < 4096 { return bytes(disk.usedBytes - own.bytes) }
        if disk.freeInodes == 0 { return inodes(disk.usedInodes - own.inodes) }
        return nil
    }

    /// For what an earlier step left, which is more than this one may have.
    func outgrown() -> Outcome {
        guard let disk = try? Files.usage("/workspace") else { return bytes(limits.diskBytes) }
        let (bytesUsed, inodesUsed) = (disk.usedBytes - own.bytes, disk.usedInodes - own.inodes)
        return inodesUsed > limits.diskInodes && bytesUsed <= limits.diskBytes ? inodes(inodesUsed) : bytes(bytesUsed)
    }

    /// For files of the request that found no room. What did not fit is not counted, so the limit itself is what they used.
    func refused() -> Outcome {
        if (try? Files.usage("/workspace"))?.freeInodes == 0 { return inodes(limits.diskInodes) }
        return bytes(limits.diskBytes)
    }

    private func bytes(_ used: Int) -> Outcome { .limitExceeded(limit: .disk, asked: limits.diskBytes, used: used) }
    private func inodes(_ used: Int) -> Outcome { .limitExceeded(limit: .diskInodes, asked: limits.diskInodes, used: used) }
}
