"""Whether a test framework, and each test, is still what it was before tested code came.

Tested code shares an interpreter with the framework that judges it, and one line is enough to replace what runs a test
or compares its values. Nothing in here can prevent that; it is seen, and the suite is then no complete one. What only
changes how a test is shown is not looked at: suites do that.

Standard library only; Python 3.7 and later.
"""
import operator
import sys
import types

# Bound now, as in paddock_report.py. All comparisons are of identities: equality could be the tested code's.
any, callable, enumerate, getattr, id, isinstance, list, map, property, set, type, vars, zip = (
    any, callable, enumerate, getattr, id, isinstance, list, map, property, set, type, vars, zip)

SHOWN = {"__str__", "__repr__", "shortDescription"}


def watch(modules, ending, classes=()):
    """Remembers what the loaded ones of `modules` (a package's name stands for all of it) define now, and `classes`.

    Returns three functions. `add(key, owner, name)` remembers an attribute of a module or class under a key, and
    `also(functions)` the code of some more functions. `look()` asks whether something of the modules, classes and functions
    was replaced, rewritten or overridden since, and `look(key)` whether what was added under that key was: the first that
    was becomes the `ending`'s reason, unless it has one.
    """
    function, module_type, wrappers = types.FunctionType, types.ModuleType, (staticmethod, classmethod)
    code = operator.attrgetter("__code__")

    def inner(value):
        kind = type(value)
        return value.__func__ if kind in wrappers else value.fget if kind is property else value

    def decides(value):
        """Not data, which a suite may set."""
        return callable(value) or isinstance(value, wrappers + (property, module_type))

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
        if isinstance(owner, type):
            return "%s.%s.%s" % (owner.__module__, owner.__qualname__, name)
        return "%s.%s" % (getattr(owner, "__name__", ""), name)

    def difference(owner, space, names, values):
        """Looks closer where something is different: it may be allowed."""
        for name, value in zip(names, values):
            if space.get(name) is not value and name not in SHOWN and decides(value):
                return title(owner, name)
        if isinstance(owner, type):
            for name in set(space).difference(names, SHOWN):
                if callable(space[name]) and any(name in vars(base) for base in owner.__mro__[1:]):
                    return title(owner, name)
        return ""

    def changed():
        for index, (owner, space, names, values) in enumerate(spaces):
            now = list(map(id, space.values()))
            if now != identities[index]:
                what = difference(owner, space, names, values)
                if what:
                    return what
                identities[index] = now
        if list(map(id, map(code, functions))) != code_identities:
            for one, was in zip(functions, codes):
                if one.__code__ is not was:
                    return "%s.%s" % (one.__module__, one.__qualname__)
        return ""

    def also(more):
        for one in more:
            one = getattr(one, "__func__", one)
            if type(one) is function and id(one) not in known:
                known.add(id(one))
                functions.append(one)
                codes.append(one.__code__)
                code_identities.append(id(one.__code__))

    def add(key, owner, name):
        for place in owner.__mro__ if isinstance(owner, type) else (owner,):
            value = vars(place).get(name)
            if value is not None:
                function_of = inner(value)
                single[key] = (place, name, value, function_of, getattr(function_of, "__code__", None))
                return

    def differs(key):
        if key in single:
            place, name, value, function_of, was = single[key]
            if vars(place).get(name) is not value or getattr(function_of, "__code__", None) is not was:
                return title(place, name)
        return ""

    def look(key=None):
        if not ending["reason"]:
            what = changed() if key is None else differs(key)
            if what:
                ending["reason"] = "%s was replaced while the suite ran" % what

    return add, also, look
