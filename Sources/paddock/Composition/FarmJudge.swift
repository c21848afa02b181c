// The Judging room behind the engine's border.

import Farm
import Judging
import SandboxCore

struct FarmJudge: TestJudge {
    func plan(for request: TestRequest, command: [String]?) throws(Rejected) -> TestStep {
        let plan = try Judge.plan(for: request, command: command)
        return TestStep(
            arguments: plan.arguments, files: plan.files, collect: plan.collect,
            keepOutputBytes: plan.usesStdout ? Judge.maxReportBytes : nil, renames: plan.renames
        ) { outcome, stdout, files in
            Judge.judge(request, plan: plan, outcome: outcome, stdout: stdout, files: files)
        }
    }
}
