// What runs inside a sandbox to report on a suite. A template may have all of it compiled before its first fork.

public enum HarnessFiles {
    public typealias Source = (name: String, bytes: [UInt8])

    static let pytest: Source = ("paddock_pytest.py", PackageResources.paddock_pytest_py)
    static let unittest: Source = ("paddock_unittest.py", PackageResources.paddock_unittest_py)

    /// Each runs one framework's suites.
    public static let programs = [pytest, unittest]

    /// What they import from the directory they are in.
    public static let modules: [Source] = [
        ("paddock_framework.py", PackageResources.paddock_framework_py), ("paddock_report.py", PackageResources.paddock_report_py),
    ]
}
