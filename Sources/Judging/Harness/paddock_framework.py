"""Whether a test framework, and each test, is still what it was before tested code came.

Tested code shares an interpreter with the framework that judges it, and one line is enough to replace what runs a test
or compares its values. Nothing in here can prevent that; it is seen, and the suite is then no complete one. What only
changes how a test is shown is not looked at: suites do that.

Standard library only; Python 3.7 and later.
"""
import sys
import types

SHOWN = {"__str__", "__repr__", "shortDescription"}


def watch(packages, classes=()):
    """Remembers the functions, classes and modules that the packages' loaded modules have now, and those of `classes`.

    Returns `add(key, owner, name)`, which remembers an attribute of a module or class under a key, and `changed(key)`,
    which names something that was replaced, rewritten or overridden since: of the packages, or under that key. It
    answers "" where there is nothing.
    """
    # Bound now, as in paddock_report.py.
    function, wrappers, len_, vars_, getattr_, callable_ = types.FunctionType, (staticmethod, classmethod), len, vars, getattr, callable
    isinstance_, type_ = isinstance, type
    kept, spaces, single, seen = [], [], {}, set()

    def record(space, name, title):
        value = space[name]
        inner = value.__func__ if isinstance_(value, wrappers) else value.fget if type_(value) is property else value
        if type_(inner) is function:
            return (space, name, value, inner, inner.__code__, title)
        if value is inner and not callable_(value) and type_(value) is not types.ModuleType:
            # Data, which a suite may set.
            return None
        return (space, name, value, None, None, title)

    def keep(space, title):
        for name in list(space):
            found = None if name in SHOWN or name == "__builtins__" else record(space, name, title)
            if found is not None:
                kept.append(found)

    def keep_class(cls):
        if id(cls) in seen:
            return
        seen.add(id(cls))
        space, title = vars(cls), "%s.%s" % (cls.__module__, cls.__qualname__)
        keep(space, title)
        inherited = {name for base in cls.__mro__[1:] for name in vars(base)} - SHOWN
        spaces.append((space, len(space), inherited.difference(space), title))

    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] not in packages or type(module) is not types.ModuleType:
            continue
        space = vars(module)
        keep(space, module_name)
        for value in list(space.values()):
            if isinstance(value, type) and str(value.__module__).partition(".")[0] in packages:
                keep_class(value)
    for cls in classes:
        keep_class(cls)

    def add(key, owner, name):
        places = owner.__mro__ if isinstance_(owner, type_) else (owner,)
        for place in places:
            space = vars_(place)
            if name in space:
                found = record(space, name, getattr_(place, "__name__", ""))
                if found is not None:
                    single[key] = found
                return

    def changed(key=None):
        one = single.get(key)
        for group in (() if one is None else (one,)), kept:
            for space, name, value, inner, code, title in group:
                if space.get(name) is not value or (inner is not None and inner.__code__ is not code):
                    return "%s.%s" % (title, name)
        for space, count, inherited, title in spaces:
            if len_(space) != count:
                for name in space:
                    if name in inherited and callable_(space[name]):
                        return "%s.%s" % (title, name)
        return ""

    return add, changed
