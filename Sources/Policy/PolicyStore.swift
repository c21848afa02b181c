// A directory of policies, read once: the room's door. The farm and the command line ask it for policies by name.

import Foundation
import SandboxCore
import StrictYAML

/// The policies of one directory, all of them checked.
public struct PolicyStore: Sendable {
    static let maximumFiles = 1000

    private let policies: [String: Policy]

    /// In alphabetical order.
    public var names: [String] { policies.keys.sorted() }

    public subscript(name: String) -> Policy? { policies[name] }

    /// The policy of that name, or `unknown_policy` with the nearest name.
    public func policy(named name: String) throws(Rejected) -> Policy {
        if let policy = policies[name] { return policy }
        let hint = suggestion(for: name, among: names)
        let all = hint.isEmpty ? ", expected one of \(names.joined(separator: ", "))" : hint
        throw Rejected(.unknownPolicy, "found \(quoted(name))\(all)", field: "policy")
    }

    /// Reads every `.yaml` file of a directory and the profiles they include from there. One mistake in one file
    /// refuses the directory: a farm that runs with half of its policies is a surprise.
    public static func load(directory: String) throws(PolicyErrors) -> PolicyStore {
        let contents: [String]
        do {
            contents = try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
        } catch {
            throw PolicyErrors(PolicyError(file: directory, "cannot be listed: \(error.localizedDescription)"))
        }
        let names = contents.filter { $0.hasSuffix(".yaml") && !$0.hasPrefix(".") }
        guard names.count <= maximumFiles else {
            throw PolicyErrors(PolicyError(file: directory, "found \(names.count) policies, expected at most \(maximumFiles)"))
        }
        guard !names.isEmpty else {
            throw PolicyErrors(PolicyError(file: directory, "found no .yaml file, expected policies"))
        }
        var files: [(name: String, bytes: [UInt8])] = []
        var errors: [PolicyError] = []
        for name in names {
            do throws(PolicyErrors) {
                files.append((name, try read(name, in: directory)))
            } catch {
                errors += error.errors
            }
        }
        let result = resolve(files: files, directory: directory, machine: .current) { name throws(PolicyErrors) in
            try read(name, in: directory)
        }
        errors += result.errors
        guard errors.isEmpty else { throw PolicyErrors(errors) }
        return PolicyStore(policies: result.policies)
    }

    /// Everything after reading: the same for a directory and for a test.
    static func resolve(
        files: [(name: String, bytes: [UInt8])], directory: String, machine: Machine,
        readProfile: (String) throws(PolicyErrors) -> [UInt8]
    ) -> (policies: [String: Policy], errors: [PolicyError]) {
        var errors: [PolicyError] = []
        var parsed: [String: PolicyFile] = [:]
        var profiles: [String: OCIProfile] = [:]
        for (name, bytes) in files {
            do throws(PolicyErrors) {
                let file = try parse(name, bytes, directory, &profiles, readProfile: readProfile)
                parsed[file.name.value] = file
            } catch {
                errors += error.errors
            }
        }
        // Those that extend a file with errors would only say that it is missing.
        guard errors.isEmpty else { return ([:], errors) }
        var resolution = Resolution(files: parsed, profiles: profiles, machine: machine)
        return resolution.resolve()
    }

    /// A policy that was read alone.
    public struct Lineage: Sendable {
        public var policy: Policy
        /// What it was made of, by name: its own file, those it extends, the profiles they include.
        public var files: [String: [UInt8]]
    }

    /// That policy alone, with what it extends and includes; the directory's other files are not read.
    /// - Returns: `nil` where there is none of that name, and where anything at all is wrong with it: `load` then says what.
    public static func lineage(of name: String, in directory: String) -> Lineage? {
        var files: [String: [UInt8]] = [:]
        var parsed: [String: PolicyFile] = [:]
        var profiles: [String: OCIProfile] = [:]
        func noted(_ name: String) throws(PolicyErrors) -> [UInt8] {
            let bytes = try read(name, in: directory)
            files[name] = bytes
            return bytes
        }
        var next: String? = name
        while let current = next {
            // What goes in a circle ends here, as does what is no file's name.
            guard parsed[current] == nil, !current.hasPrefix("."), !current.contains("/") else { return nil }
            do throws(PolicyErrors) {
                let file = "\(current).yaml"
                parsed[current] = try parse(file, try noted(file), directory, &profiles, readProfile: noted)
            } catch {
                return nil
            }
            next = parsed[current]?.extends?.value
        }
        var resolution = Resolution(files: parsed, profiles: profiles, machine: .current)
        let result = resolution.resolve()
        guard result.errors.isEmpty, let policy = result.policies[name] else { return nil }
        return Lineage(policy: policy, files: files)
    }

    /// A file of the directory as it is now.
    public static func bytes(of file: String, in directory: String) -> [UInt8]? { try? read(file, in: directory) }

    /// One file by itself, and the profile it includes unless that is known.
    private static func parse(
        _ name: String, _ bytes: [UInt8], _ directory: String, _ profiles: inout [String: OCIProfile],
        readProfile: (String) throws(PolicyErrors) -> [UInt8]
    ) throws(PolicyErrors) -> PolicyFile {
        let path = "\(directory)/\(name)"
        let file = try PolicyFile.parse(bytes, file: path)
        let expected = String(name.dropLast(".yaml".count))
        guard file.name.value == expected else {
            throw PolicyErrors(PolicyError(
                file: path, line: file.name.line, path: "name",
                "found \(quoted(file.name.value)), expected \(quoted(expected)), as the file is called"))
        }
        if let include = file.seccomp.include, profiles[include.file] == nil {
            profiles[include.file] = try OCIProfile.parse(try readProfile(include.file), file: "\(directory)/\(include.file)")
        }
        return file
    }

    private static func read(_ name: String, in directory: String) throws(PolicyErrors) -> [UInt8] {
        let path = "\(directory)/\(name)"
        // One byte more than is allowed, for the parser to complain about.
        do throws(RegularFile.Failure) { return try RegularFile.read(path, limit: Document.maximumBytes + 1) } catch {
            throw PolicyErrors(PolicyError(file: path, error.message))
        }
    }
}
