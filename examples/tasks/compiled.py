"""Tasks in C and C++. Their tests print TAP, which the farm reads from standard output."""

from __future__ import annotations

from paddock import Job, Labels, Limits, Source, Tests

from . import Task

LIMITS = Limits(cpu_time_ms=20_000, memory_bytes=512 << 20)

TAP = """
#include <stdio.h>
static int tap_count = 0;
#define CHECK(what, condition) \\
    do { ++tap_count; printf("%sok %d - %s\\n", (condition) ? "" : "not ", tap_count, what); fflush(stdout); } while (0)
#define PLAN(count) do { printf("1..%d\\n", count); fflush(stdout); } while (0)
"""


def task(name: str, language: str, solution: str, checks: str, expected: str = "passed") -> Task:
    compiler, suffix, standard = ("g++", "cpp", "-std=c++17") if language == "C++" else ("gcc", "c", "-std=gnu17")
    job = Job(
        command=["sh", "-c", f"{compiler} {standard} -O1 -o /tmp/suite suite.{suffix} && exec /tmp/suite"],
        files={f"suite.{suffix}": TAP + solution + checks}, tests=Tests("tap"), limits=LIMITS,
        labels=Labels(rollout=name, group=language))
    return Task(name, language, expected, job, compiler)


TASKS = [
    task("rational numbers", "C++", """
#include <numeric>
struct Rational {
    long top, bottom;
    Rational(long t, long b) : top(t / std::gcd(t, b)), bottom(b / std::gcd(t, b)) {}
    Rational operator+(Rational o) const { return {top * o.bottom + o.top * bottom, bottom * o.bottom}; }
    Rational operator*(Rational o) const { return {top * o.top, bottom * o.bottom}; }
    bool operator==(Rational o) const { return top == o.top && bottom == o.bottom; }
};
""", """
int main() {
    PLAN(3);
    CHECK("sums are reduced", Rational(1, 6) + Rational(1, 3) == Rational(1, 2));
    CHECK("products are reduced", Rational(2, 3) * Rational(3, 4) == Rational(1, 2));
    CHECK("equal whatever was written", Rational(10, 20) == Rational(1, 2));
}
"""),
    task("reverse the words", "C++", """
#include <algorithm>
#include <string>
std::string reversed(std::string text) {
    std::reverse(text.begin(), text.end());  // the letters too
    return text;
}
""", """
int main() {
    PLAN(2);
    CHECK("one letter each", reversed("a b c") == "c b a");
    CHECK("words stay whole", reversed("run the tests") == "tests the run");
}
""", "tests failed"),
    Task("shortest path", "C++", "compile error", Job(
        source=Source("""
#include <iostream>
#include <map>
#include <string>
int main() {
    std::map<std::string, int> distance;
    distance["here"] = "nothing";
    for (auto& [place, steps] : distances) std::cout << place << steps;
}
""", "cpp"), limits=LIMITS, labels=Labels(rollout="shortest path", group="C++")), "g++"),
    task("run-length encoding", "C", """
#include <string.h>
static void encode(const char *text, char *out) {
    while (*text) {
        size_t run = strspn(text, (char[]){*text, 0});
        out += sprintf(out, "%zu%c", run, *text);
        text += run;
    }
    *out = 0;
}
""", """
int main(void) {
    char out[64];
    PLAN(3);
    encode("aaabcc", out); CHECK("runs", !strcmp(out, "3a1b2c"));
    encode("", out); CHECK("nothing", !strcmp(out, ""));
    encode("zzzzzzzzzzzz", out); CHECK("two digits", !strcmp(out, "12z"));
    return 0;
}
"""),
    task("last of a list", "C", """
#include <stddef.h>
struct node { int value; struct node *next; };
static int last(struct node *list) {
    while (list->next) list = list->next;  // not of an empty one
    return list->value;
}
""", """
int main(void) {
    struct node two = {2, NULL}, one = {1, &two};
    PLAN(2);
    CHECK("of two", last(&one) == 2);
    struct node *volatile none = NULL;
    CHECK("of none", last(none) == 0);
    return 0;
}
""", "signaled SIGSEGV"),
]
