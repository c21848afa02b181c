// A cell serves one sandbox after the other. What the one did, the next must not be able to tell.

import Foundation
import SandboxCore
import Testing

@Suite("One sandbox after the other in a cell")
struct RenewalTests {
    /// All that a job can look at, in one text. The numbers of namespaces differ and are left out.
    private static let look = """
        echo $(cat /proc/self/uid_map; readlink /proc/self/ns/user)
        cd /; for d in /workspace /tmp /dev/shm / /etc; do stat -c '%n %i %h %a %u %X %Y %Z' $d; ls -la --time-style=full-iso $d | tail -n +2 | tr -s ' ' | grep -v ' proc$'; done
        cat /proc/net/dev /proc/net/unix /proc/net/tcp /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg
        sed -n 1p /proc/net/sockstat
        df --output=used,iused /workspace | tail -1
        """

    /// Runs one job after the other in a farm that never has more than one cell in use.
    private func oneAfterTheOther(_ scripts: [String], spec: SandboxSpec = Harness.spec(), environment: [String] = []) async throws -> [StepReport] {
        let backend = try Harness.backend(mostSpare: 1)
        var reports: [StepReport] = []
        for script in scripts {
            let sandbox = try await backend.makeSandbox(spec)
            reports.append(try await sandbox.run(Harness.plan(["sh", "-c", script]) { $0.isLast = true; $0.environment += environment }, onOutput: nil))
            await sandbox.destroy()
        }
        await backend.shutdown()
        return reports
    }

    /// The first line of `look`, which tells cells apart.
    private func cell(_ report: StepReport) -> Substring { report.stdout.text.prefix { $0 != "\n" } }

    @Test("a cell that nothing was left in serves again, and looks the same to the last time stamp", .enabled(if: Harness.isRoot, "ids tell cells apart only where each has its own"))
    func blank() async throws {
        let reports = try await oneAfterTheOther(Array(repeating: Self.look, count: 12))
        let byCell = Dictionary(grouping: reports, by: cell)
        #expect(byCell.count <= 3, "as many cells as jobs would mean that none serves again")
        for (_, reports) in byCell {
            // What is made anew has other inode numbers and times; what is not has none but the same.
            for report in reports {
                let lines = report.stdout.text.split(separator: "\n"), expected = reports[0].stdout.text.split(separator: "\n")
                #expect(lines.count == expected.count)
                for (line, expected) in zip(lines, expected) { #expect(line == expected) }
            }
        }
    }

    @Test("what a sandbox waited for another step is no part of its end", arguments: [0, 1])
    func idle(_ spare: Int) async throws {
        let backend = try Harness.backend(mostSpare: spare)
        let sandbox = try await backend.makeSandbox(Harness.spec { $0.pool = "p" })
        _ = try await sandbox.run(Harness.plan(["true"]), onOutput: nil)
        try await Task.sleep(for: .seconds(20))
        await sandbox.destroy()
        let end = ContinuousClock.now + .seconds(30)
        while backend.figures()?.pools["p"]?.teardown.count != 1, .now < end { await Task.yield() }
        let teardown = try #require(backend.figures()?.pools["p"]?.teardown)
        // In nanoseconds; a busy machine may add seconds.
        #expect(teardown.count == 1 && teardown.longest < 15_000_000_000, "\(teardown.longest)")
        await backend.shutdown()
    }

    @Test("each sandbox's end is told, whether its cell serves again or not")
    func figures() async throws {
        for spare in [0, 1] {
            let backend = try Harness.backend(mostSpare: spare)
            for _ in 0..<5 {
                let sandbox = try await backend.makeSandbox(Harness.spec { $0.pool = "p" })
                _ = try await sandbox.run(Harness.plan(["true"]) { $0.isLast = true }, onOutput: nil)
                await sandbox.destroy()
            }
            // The next one is made after `destroy`.
            let end = ContinuousClock.now + .seconds(30)
            while backend.figures()?.pools["p"]?.teardown.count != 5, .now < end { await Task.yield() }
            let figures = try #require(backend.figures())
            let pool = try #require(figures.pools["p"])
            #expect(pool.teardown.count == 5 && figures.wardenRestarts == 0 && figures.failure == nil && figures.pools.count == 1)
            if spare == 0 { #expect(pool.made == 5 && pool.renewed == 0 && pool.discarded == 5) } else { #expect(pool.made <= 3 && pool.renewed == 5) }
            // What was never used has no teardown.
            await backend.shutdown()
            #expect(backend.figures()?.pools["p"]?.teardown.count == 5)
            #expect(backend.figures()?.pools["p"].map { $0.discarded == $0.made } == true)
        }
    }

    /// What a job could leave, and what of it to look for.
    private static let leftovers: [(name: String, leave: String, find: String)] = [
        ("a file in /tmp", "echo secret > /tmp/left", "cat /tmp/left"),
        ("a file in /var/tmp", "echo secret > /var/tmp/left", "cat /var/tmp/left"),
        ("a file in the workspace", "echo secret > left", "cat /workspace/left"),
        ("a file in shared memory", "echo secret > /dev/shm/left", "cat /dev/shm/left"),
        ("a file made and removed", "touch /tmp/left; rm /tmp/left", "[ $(stat -c %Y /tmp) = $(stat -c %Y /workspace) ] || echo secret"),
        ("a flow label", "python3 -c \"import socket, struct; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).setsockopt(41, 32, b'LEFT-BY-JOB-A-16' + struct.pack('>I', 0x100) + bytes([0, 255]) + struct.pack('=HHHI', 3, 60, 60, 0))\"", "grep -i 4c4546 /proc/net/ip6_flowlabel && echo secret"),
        ("failures counted", "python3 -c \"import socket; s = socket.socket(); s.connect_ex(('10.0.0.1', 9)); s.connect_ex(('10.0.0.1', 9))\"", "grep '^Ip:' /proc/net/snmp | tail -1 | cut -d' ' -f13 | grep -v '^0' && echo secret"),
        ("an attribute", "python3 -c \"import os; os.setxattr('/workspace', 'user.left', b'secret')\"", "python3 -c \"import os; print(*[os.getxattr('/workspace', n) for n in os.listxattr('/workspace')])\""),
        ("a mode", "chmod 700 /workspace", "[ $(stat -c %a /workspace) = 700 ] && echo secret"),
        ("a process", "(setsid sleep 61 >/dev/null 2>&1 &); until pgrep -x sleep > /dev/null; do :; done", "pgrep sleep && echo secret"),
        ("a System V segment", "python3 -c \"import ctypes; ctypes.CDLL(None).shmget(0x5eed, 4096, 0o1666)\"", "grep 24301 /proc/sysvipc/shm && echo secret"),
        ("packets", "python3 -c \"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('127.0.0.1', 9))\"", "grep 'lo: *[1-9]' /proc/net/dev && echo secret"),
        ("a connection that waits for its end", "python3 -c \"import socket as s; l = s.create_server(('127.0.0.1', 7777)); c = s.create_connection(('127.0.0.1', 7777)); d = l.accept()[0]; d.close(); c.close()\"", "grep -c : /proc/net/tcp | grep -v '^0' && echo secret"),
        ("an abstract socket's name", "python3 -c \"import socket, os, time; s = socket.socket(socket.AF_UNIX); s.bind(chr(0) + 'left'); s.listen(); os.fork() or time.sleep(62)\" & for i in $(seq 100); do grep -q left /proc/net/unix && break; sleep 0.1; done", "grep left /proc/net/unix && echo secret"),
        ("a look at /proc", "stat /proc/uptime > /dev/null; sleep 2.2", "[ $(( $(date +%s) - $(stat -c %Y /proc/uptime) )) -ge 2 ] && echo secret"),
        ("pids given out", "for i in $(seq 20); do (exit 0); done", "[ $(sh -c 'echo $$') -gt 20 ] && echo secret"),
        ("a semaphore set's number", "python3 -c \"import ctypes; c = ctypes.CDLL(None); i = c.semget(0x77, 1, 0o1666); c.semctl(i, 0, 0)\"", "python3 -c \"import ctypes; print('secret' if ctypes.CDLL(None).semget(0x78, 1, 0o1666) > 0 else '')\""),
        ("a message queue", "python3 -c \"import ctypes; ctypes.CDLL(None).mq_open(b'/left', 66, 0o666, None)\"", "python3 -c \"import ctypes; print('secret' if ctypes.CDLL(None).mq_open(b'/left', 0) >= 0 else '')\""),
        ("a descriptor in flight", "python3 -c \"import socket, array; a, b = socket.socketpair(); f = open('/tmp/left', 'w'); import os; os.unlink('/tmp/left'); a.sendmsg([b'x'], [(1, 1, array.array('i', [f.fileno(), a.fileno(), b.fileno()]))])\"", "df --output=iused /tmp | tail -1 | grep -vx ' *FILES' && echo secret"),
    ]

    /// What can be left in files again, with a writable layer over the image. (/var/tmp is root's, whom a sandbox does not know:
    /// it cannot be copied into such a layer.)
    private static let files = [
        "a file in /tmp", "a file in the workspace", "a file in shared memory", "a file made and removed", "an attribute", "a mode", "a descriptor in flight",
    ]
    private static let cases = leftovers.indices.map { ($0, isLayered: false) }
        + leftovers.indices.filter { files.contains(leftovers[$0].name) }.map { ($0, isLayered: true) }

    @Test("nothing that a job left is there for the next, in the same cell", arguments: cases)
    func left(_ index: Int, isLayered: Bool) async throws {
        let (name, leave, search) = Self.leftovers[index]
        let spec = Harness.spec { if isLayered { $0.root = Harness.layeredRoot } }
        let blank = try await Harness.sh("df --output=iused /tmp | tail -1 | tr -d ' \n'", spec: spec).stdout.text
        #expect(Int(blank) != nil)
        let find = search.replacing("FILES", with: blank)
        // That the search finds it where it is, or the test would prove nothing.
        let found = try await Harness.sh("\(leave)\n(\(find)) 2>&1 | tail -1; true", spec: spec)
        #expect(found.stdout.text.contains("secret") || name == "a descriptor in flight", "\(name): \(found.stdout.text) \(found.stderr.text)")
        let reports = try await oneAfterTheOther((0..<6).flatMap { _ in [leave, find] }, spec: spec)
        for report in reports where report.stdout.text.contains("secret") { Issue.record("\(name): \(report.stdout.text)") }
    }

    @Test("a multicast group that a job was in is not heard of after it", arguments: [NetworkMode.loopback, .none])
    func multicast(_ network: NetworkMode) async throws {
        // Joins, sees that it is in, and is gone before anything is reported; the other looks for as long as reports were late.
        let leave = """
            import socket, struct
            four, six = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            try: four.setsockopt(0, 35, socket.inet_aton('239.1.2.3') + socket.inet_aton('127.0.0.1'))
            except OSError as e: print('four', e)
            six.setsockopt(41, 20, socket.inet_pton(socket.AF_INET6, 'ff05::1234') + struct.pack('I', 1))
            print('in', 'ff050000000000000000000000001234' in open('/proc/net/igmp6').read())
            """
        let find = """
            import time
            def counted(): return [line.split(':')[1].split() for line in open('/proc/net/dev') if 'lo:' in line][0]
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                if any(n != '0' for n in counted()): print('heard', counted()); break
                time.sleep(0.02)
            """
        let spec = Harness.spec { $0.network = network }
        let reports = try await oneAfterTheOther((0..<4).flatMap { _ in ["python3 -c \"$LEAVE\"", "python3 -c \"$FIND\""] }, spec: spec, environment: ["LEAVE=\(leave)", "FIND=\(find)"])
        for report in reports { #expect(!report.stdout.text.contains("heard"), "\(report.stdout.text)") }
        #expect(reports.filter { $0.stdout.text.contains("in True") }.count == 4, "\(reports.map(\.stdout.text)) \(reports[0].stderr.text)")
    }

    @Test("a directory's number does not tell which was looked at first")
    func directories() async throws {
        var seen: [[Substring]] = []
        for order in ["/opt /root /etc", "/etc /root /opt"] {
            seen.append(try await Harness.sh("stat -c '%n %i' \(order) | sort", on: try Harness.backend(mostSpare: 0)).stdout.text.split(separator: "\n"))
        }
        #expect(seen[0].count == 3 && seen[0] == seen[1], "\(seen)")
    }

    @Test("what a job left in the kernel's memory costs the next nothing, however little that may use", .enabled(if: Harness.hasCgroups, "this host has no cgroups for us"))
    func memory() async throws {
        let backend = try Harness.backend(mostSpare: 1)
        for _ in 0..<4 {
            for (script, limit) in [("i=0; while [ $i -lt 30000 ]; do [ -e /usr/none$i ]; i=$((i+1)); done", 256 << 20), ("true", 4 << 20)] {
                let sandbox = try await backend.makeSandbox(Harness.spec())
                let report = try await sandbox.run(Harness.plan(["sh", "-c", script]) { $0.isLast = true; $0.limits.memoryBytes = limit }, onOutput: nil)
                #expect(report.outcome == .exited(code: 0), "\(report.outcome)")
                await sandbox.destroy()
            }
        }
        await backend.shutdown()
    }

    @Test("limits on disk are each job's own")
    func disk() async throws {
        let backend = try Harness.backend(mostSpare: 1)
        for (i, limit) in [8 << 20, 32 << 20, 4 << 20, 64 << 20].enumerated() {
            let sandbox = try await backend.makeSandbox(Harness.spec())
            let report = try await sandbox.run(Harness.plan(["sh", "-c", "head -c 100m /dev/zero > f\(i)"]) { $0.isLast = true; $0.limits.diskBytes = limit; $0.limits.fileSizeBytes = 1 << 30 }, onOutput: nil)
            #expect(report.exceeded?.limit == .disk && report.exceeded?.asked == limit, "\(report.outcome)")
            await sandbox.destroy()
        }
        await backend.shutdown()
    }

    @Test("a policy that permits keys gets a new cell each time: keys outlive processes and files", .enabled(if: Harness.isRoot, "ids tell cells apart only where each has its own"))
    func keys() async throws {
        var spec = Harness.spec()
        spec.seccomp?.permitsKeys = true
        let reports = try await oneAfterTheOther(Array(repeating: "cat /proc/self/uid_map; readlink /proc/self/ns/user", count: 4), spec: spec)
        let users = reports.compactMap { $0.stdout.text.split(separator: "\n").last }
        #expect(users.count == 4 && zip(users, users.dropFirst()).allSatisfy { $0 != $1 }, "\(users)")
    }

    @Test("a killed init costs its job, as the farm's failure, and no other", .enabled(if: Harness.isRoot, "its processes are looked for on the host"), arguments: [1, 0])
    func killedInit(mostSpare: Int) async throws {
        let backend = try Harness.backend(mostSpare: mostSpare)
        let sandbox = try await backend.makeSandbox(Harness.spec())
        let running = Task {
            try await sandbox.run(Harness.plan(["sh", "-c", "sleep 60 & echo up; wait"]) { $0.stream = true }) { _, _ in
                // Others have a child that waits; that one alone has children of its own.
                for initProcess in HostProcesses.children(of: backend.wardenPid)
                where HostProcesses.children(of: initProcess).contains(where: { !HostProcesses.children(of: $0).isEmpty }) { kill(initProcess, SIGKILL) }
            }
        }
        await #expect(throws: FarmError.self) { _ = try await running.value }
        await sandbox.destroy()
        #expect(try await Harness.sh("echo two", on: backend).stdout.text == "two\n")
        await backend.shutdown()
    }
}
