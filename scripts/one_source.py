"""Names that clash when the sources of a folder are compiled as one, as the sanitizer build compiles them.

What stands in a file's unnamed namespace is that file's own, unless the files are one source. A compiler finds
every clash, after minutes; this finds by their looks the ones that happen: two files of a folder that define one
name there, other than as functions of different parameters.
"""
import collections
import re

DEFINITION = re.compile(
    r"(?:(?:inline|static|constexpr|const) )*"
    r"(?:(?:struct|class|enum(?: class)?) (?P<kind>\w+)\b(?!;)"
    r"|using (?P<alias>\w+) = (?P<aliased>[^;]*);"
    r"|[\w:<>,*& ]*[\w>*&] [*&]?(?P<value>\w+)(?:\[[^\]]*\])* ?(?:=|\{)"
    r"|[\w:<>,*& ]*[\w>*&] [*&]?(?P<function>\w+)\((?P<parameters>[^()]*(?:\([^()]*\)[^()]*)*)\)[\w ]* ?(?:\{|:))")
PARAMETER_NAME = re.compile(r"\b[a-z]\w*(?= ?(?:,|$|=))")


def definitions(text):
    """(name, what may not be the same twice) of what stands at the left edge in unnamed namespaces: None clashes
    with everything, parameter types of a function with equal ones, what an alias means with another meaning."""
    inside, joined = False, ""
    for line in text.splitlines():
        if line == "namespace {":
            inside = True
        elif line.startswith("}  // namespace"):
            inside = False
        if not inside or line == "namespace {":
            continue
        # A signature may go on in the next lines, which are indented.
        if line[:1].isalpha():
            joined = line
        elif joined and line.startswith("    "):
            joined += " " + line.strip()
        else:
            joined = ""
        found = joined and DEFINITION.match(joined)
        if found:
            joined = ""
            parameters = found["parameters"]
            if parameters is not None:
                parameters = PARAMETER_NAME.sub("", re.sub(r" = [^,]*", "", parameters)).replace(" ", "")
            if found["alias"]:
                yield found["alias"], "= " + found["aliased"]
            else:
                yield found["kind"] or found["value"] or found["function"], parameters


def clash(one, other):
    both = one | other
    if any(what is not None and what.startswith("= ") for what in both):
        return len(both) > 1
    return None in both or bool(one & other)


def clashes(sources):
    """Complaints about {folder: {file: text}}."""
    for folder, files in sources.items():
        seen = collections.defaultdict(dict)  # name -> {file: parameter lists}
        for file, text in files.items():
            for name, parameters in definitions(text):
                seen[name].setdefault(file, set()).add(parameters)
        for name, places in seen.items():
            (first, known), *others = places.items()
            for file, parameters in others:
                if clash(parameters, known):
                    yield f"{folder}/{file}: {name} is defined in {first} too; these files are compiled as one source"
