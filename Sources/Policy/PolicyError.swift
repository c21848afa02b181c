// What is wrong with a policy file: the mistakes of every file that people write. The first stop of the journey "YAML ->
// checked policy -> seccomp program": nothing goes on to the next stop while there is one of these.

import StrictYAML

public typealias PolicyError = Mistake
public typealias PolicyErrors = Mistakes
