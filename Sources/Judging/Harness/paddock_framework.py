"""Whether a test framework, and each test, is still what it was before tested code came.

Tested code shares an interpreter with the framework that judges it, and one line is enough to replace what runs a test
or compares its values. Nothing in here can prevent that; it is seen, and the suite is then no complete one. What only
changes how a test is shown is not looked at: suites do that.

Standard library only; Python 3.7 and later.
"""
import operator
import sys
import types

SHOWN = {"__str__", "__repr__", "shortDescription"}


def watch(modules, classes=()):
    """Remembers what the loaded ones of `modules` (a package's name stands for all of it) define now, and `classes`.

    Returns four functions. `add(key, owner, name)` remembers an attribute of a module or class under a key, and
    `also(functions)` the code of some more functions. `changed()` names something of the modules, classes and functions
    that was replaced, rewritten or overridden since; `differs(key)` the same for what was added under that key. Both
    answer "" where there is nothing.
    """
    # Bound now, as in paddock_report.py. All comparisons are of identities: equality could be the tested code's.
    function, module_type, wrappers = types.FunctionType, types.ModuleType, (staticmethod, classmethod)
    id_, len_, list_, map_, type_, vars_, getattr_, callable_, isinstance_, zip_ = (
        id, len, list, map, type, vars, getattr, callable, isinstance, zip)
    code = operator.attrgetter("__code__")

    def inner(value):
        kind = type_(value)
        return value.__func__ if kind in wrappers else value.fget if kind is property else value

    def decides(value):
        """Not data, which a suite may set."""
        return callable_(value) or isinstance_(value, wrappers + (property, module_type))

    # What there is: modules, and the classes they define.
    owners, seen = [], set()
    for name, module in list(sys.modules.items()):
        if (name in modules or name.partition(".")[0] in modules) and type(module) is module_type:
            owners.append(module)
            owners += [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == name]
    owners = [owner for owner in owners + list(classes) if not (id(owner) in seen or seen.add(id(owner)))]
    # A list of each one's values, and of all their functions' code, are compared as a whole: a suite may have many tests.
    spaces = [(owner, vars(owner), list(vars(owner)), list(vars(owner).values())) for owner in owners]
    identities = [list(map(id, values)) for _, _, _, values in spaces]
    functions = [value for _, _, _, values in spaces for value in map(inner, values) if type(value) is function]
    codes = list(map(code, functions))
    code_identities = list(map(id, codes))
    known = set(map(id, functions))
    single = {}

    def title(owner, name):
        if isinstance_(owner, type_):
            return "%s.%s.%s" % (owner.__module__, owner.__qualname__, name)
        return "%s.%s" % (getattr_(owner, "__name__", ""), name)

    def difference(owner, space, names, values):
        """Looks closer where something is different: it may be allowed."""
        for name, value in zip_(names, values):
            if space.get(name) is not value and name not in SHOWN and decides(value):
                return title(owner, name)
        if isinstance_(owner, type_):
            for name in set(space).difference(names, SHOWN):
                if callable_(space[name]) and any(name in vars_(base) for base in owner.__mro__[1:]):
                    return title(owner, name)
        return ""

    def changed():
        for index, (owner, space, names, values) in enumerate(spaces):
            now = list_(map_(id_, space.values()))
            if now != identities[index]:
                what = difference(owner, space, names, values)
                if what:
                    return what
                identities[index] = now
        if list_(map_(id_, map_(code, functions))) != code_identities:
            for one, was in zip_(functions, codes):
                if one.__code__ is not was:
                    return "%s.%s" % (one.__module__, one.__qualname__)
        return ""

    def also(more):
        for one in more:
            one = getattr_(one, "__func__", one)
            if type_(one) is function and id_(one) not in known:
                known.add(id_(one))
                functions.append(one)
                codes.append(one.__code__)
                code_identities.append(id_(one.__code__))

    def add(key, owner, name):
        for place in owner.__mro__ if isinstance_(owner, type_) else (owner,):
            value = vars_(place).get(name)
            if value is not None:
                function_of = inner(value)
                single[key] = (place, name, value, function_of, getattr_(function_of, "__code__", None))
                return

    def differs(key):
        if key in single:
            place, name, value, function_of, was = single[key]
            if vars_(place).get(name) is not value or getattr_(function_of, "__code__", None) is not was:
                return title(place, name)
        return ""

    return add, also, changed, differs
