"""Tasks in JavaScript, Bash and Perl. Their tests print TAP, which the farm reads from standard output."""

from __future__ import annotations

from paddock import Job, Labels, Limits, Tests

from . import Task


def task(
    name: str, language: str, files: dict[str, str], command: list[str], expected: str = "passed",
    limits: Limits = Limits(cpu_time_ms=10_000),
) -> Task:
    job = Job(command=command, files=files, tests=Tests("tap"), limits=limits, labels=Labels(rollout=name, group=language))
    return Task(name, language, expected, job, command[0])


def javascript(name: str, solution: str, checks: str, expected: str = "passed") -> Task:
    """`checks` is an array of [name, function that throws where something is wrong]."""
    suite = f"""
const assert = require('assert');
{solution}
const checks = [{checks}];
console.log(`1..${{checks.length}}`);
checks.forEach(([name, check], at) => {{
  let problem = null;
  try {{ check(); }} catch (error) {{ problem = error; }}
  console.log(`${{problem ? 'not ok' : 'ok'}} ${{at + 1}} - ${{name}}`);
}});
"""
    limits = Limits(cpu_time_ms=10_000, memory_bytes=512 << 20, processes=64)
    return task(name, "JavaScript", {"suite.js": suite}, ["node", "suite.js"], expected, limits)


TASKS = [
    javascript("group by", """
const groupBy = (items, key) => items.reduce((groups, item) => {
  (groups[key(item)] ||= []).push(item);
  return groups;
}, {});
""", """
  ['by parity', () => assert.deepStrictEqual(groupBy([1, 2, 3], n => n % 2 ? 'odd' : 'even'), {odd: [1, 3], even: [2]})],
  ['of nothing', () => assert.deepStrictEqual(groupBy([], n => n), {})],
"""),
    javascript("flatten", """
const flatten = list => [].concat(...list);  // one level only
""", """
  ['one level', () => assert.deepStrictEqual(flatten([1, [2, 3]]), [1, 2, 3])],
  ['all levels', () => assert.deepStrictEqual(flatten([1, [2, [3, [4]]]]), [1, 2, 3, 4])],
""", "tests failed"),
    task("sum a column", "Bash", {
        "sum.sh": "awk -F, -v column=\"$1\" 'NR > 1 { total += $column } END { print total + 0 }' \"$2\"\n",
        "prices.csv": "item,price\nbread,3\nmilk,2\nhoney,9\n", "empty.csv": "item,price\n",
        "suite.sh": """
check() { [ "$2" = "$3" ] && echo "ok $1" || echo "not ok $1 - found $2, expected $3"; }
echo 1..2
check 1 "$(bash sum.sh 2 prices.csv)" 14
check 2 "$(bash sum.sh 2 empty.csv)" 0
"""}, ["bash", "suite.sh"]),
    task("file names with spaces", "Bash", {
        "count.sh": "n=0; for f in $(ls \"$1\"); do n=$((n + 1)); done; echo $n\n",
        "files/plain": "", "files/with a space": "",
        "suite.sh": """
echo 1..1
[ "$(bash count.sh files)" = 2 ] && echo "ok 1" || echo "not ok 1 - a name with spaces is one name"
"""}, ["bash", "suite.sh"], "tests failed"),
    task("anagrams", "Perl", {"suite.t": """
use strict; use warnings; use Test::More tests => 2;
sub anagrams {
    my %groups;
    push @{$groups{join '', sort split //, lc}}, $_ for @_;
    return [sort map { join ' ', sort @$_ } grep { @$_ > 1 } values %groups];
}
is_deeply(anagrams(qw(listen silent tea eat sandbox)), ['eat tea', 'listen silent'], 'groups');
is_deeply(anagrams(qw(a b c)), [], 'none');
"""}, ["perl", "suite.t"]),
    task("count the words", "Perl", {"suite.t": """
use strict; use warnings; use Test::More tests => 2;
sub words { my %seen; $seen{lc $_}++ for $_[0] =~ /[a-z]+/gi; return \\%seen }
is(words("To be or not to be")->{be}, 2, 'twice');
is_deeply(words(""), {}, 'none');
"""}, ["perl", "suite.t"]),
]
