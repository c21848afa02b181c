// What runs inside a sandbox to report on a suite. A template may have all of it compiled before its first fork.

public enum HarnessFiles {
    /// Each runs one framework's suites.
    public static let programs: [(name: String, bytes: [UInt8])] = [
        ("paddock_pytest.py", PackageResources.paddock_pytest_py), ("paddock_unittest.py", PackageResources.paddock_unittest_py),
    ]

    /// What they import from the directory they are in.
    public static let modules: [(name: String, bytes: [UInt8])] = [
        ("paddock_framework.py", PackageResources.paddock_framework_py), ("paddock_report.py", PackageResources.paddock_report_py),
    ]
}
