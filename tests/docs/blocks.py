"""The code blocks of README.md and docs/**/*.md, compiled and run as tests.

    blocks.py generate ROOT OUT [PAGE]...  writes a C++ file for each page but those named, and
                                         OUT/blocks.cmake
    blocks.py run PAGE LINE [PROGRAM]    runs the block of PAGE that begins at LINE
    blocks.py same PAGE LINE FILE        the block is FILE, to the letter
    blocks.py names PAGE                 the names in the second column of its tables are in the sources

A ```cpp block is, by what it looks like,

  - a program, if it has a `main()`;
  - else a body: it becomes `Coro<> example() { ... }`, which runs on a loop with virtual time.
    Functions and types may stand in front of it;
  - declarations, if there is nothing else in it: all blocks below can use them.

A ```python block runs with the local python3, on a loop with virtual time as well; `await` may
stand outside of functions. One that only defines functions and classes is for the blocks below.
Blocks in other languages are looked at by nobody.

A ```text block right behind says what is printed; "..." stands for anything. If a Python block
stands right in front of a C++ one, both have to print it.

`muster`, `std::chrono_literals` and <muster/muster.hpp> are there without a word. What else a block
is, a comment in the line above it says, which no reader sees:

  <!-- example: declarations -->        what does not look like it: variables
  <!-- example: compiled -->            it is compiled and never run, such as a wrong one
  <!-- example: refused REGEX -->       a body that must not compile; the error has to match
  <!-- example: refused by Clang REGEX -->   the same, and other compilers let it pass
  <!-- example: file PATH -->           it is this file, which is built and run as an example
  <!-- example: needs 3.13 -->          it needs this Python; an older one skips it
  <!-- example: skip -->                none of all this

What every block of a page needs, and no reader wants to see, is a comment by itself:

  <!-- setup                            or <!-- setup python
  Coro<int> fetch(std::string name) { ... }
  -->
"""

import ast
import asyncio
import inspect
import io
import re
import selectors
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path


@dataclass
class Block:
    page: str
    line: int  # of its first line of code
    language: str
    code: str
    kind: str = ""
    argument: str = ""
    expected: str = None
    expected_line: int = 0

    @property
    def place(self):
        return f"{self.page}:{self.line}"


@dataclass
class Page:
    name: str
    setup: list = field(default_factory=list)
    blocks: list = field(default_factory=list)


TOKENS = re.compile(
    r"^<!-- setup(?P<setup_language> python)?\n(?P<setup>.*?)^-->$"
    r"|^<!-- example: (?P<kind>\w+)(?: (?P<argument>[^\n]*?))? -->\n"
    r"|^```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```$",
    re.M | re.S)


DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


def kind_of(language, code):
    if language == "python":
        tree = compile(code, "", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return "declarations" if all(isinstance(part, DEFINITIONS) for part in tree.body) else "body"
    if re.search(r"^int main\(", code, re.M):
        return "program"
    lines = code.split("\n")
    return "body" if any(lines[body_start(code):]) else "declarations"


KINDS = ("declarations", "compiled", "refused", "file", "needs", "skip")


def read_page(root, path):
    text = path.read_text()
    page = Page(str(path.relative_to(root)))
    marker = ("", "")
    end = 0
    fresh = []  # blocks right in front of this place
    for match in TOKENS.finditer(text):
        if text[end:match.start()].strip():
            fresh = []
        end = match.end()
        group = "setup" if match["setup"] is not None else "code"
        line = text.count("\n", 0, match.start(group if match["kind"] is None else 0)) + 1
        if match["setup"] is not None:
            language = "python" if match["setup_language"] else "cpp"
            page.setup.append(Block(page.name, line, language, match["setup"], "setup"))
        elif match["kind"]:
            marker = (match["kind"], match["argument"] or "")
            if marker[0] not in KINDS or not text.startswith("```", end):
                sys.exit(f"{page.name}:{line}: not a comment that blocks.py knows, or not above a block")
        elif match["language"] == "text":
            for block in fresh:
                block.expected, block.expected_line = match["code"], line
            fresh = []
        else:
            block = Block(page.name, line, match["language"], match["code"], *marker)
            marker = ("", "")
            if block.language in ("cpp", "python") and not block.kind:
                block.kind = kind_of(block.language, block.code)
            fresh.append(block)
            page.blocks.append(block)
    return page


def pages(root):
    for path in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        yield read_page(root, path)


# --- C++ ---

EXAMPLE = Path(__file__).resolve().with_name("example.hpp")
INCLUDE = re.compile(r"^#include\b.*$", re.M)
DEFINITION = re.compile(r"((Coro|AsyncGenerator)<[^=]*$|struct |class |enum |template|inline |using |"
                        r"(void|int|bool|std::string|std::size_t) \w+\([^;]*\{)")


def at(block, code):
    """Code that the compiler takes for lines of the page."""
    return f'#line {block.line} "{block.page}"\n{code}'


def blank_includes(block):
    return at(block, INCLUDE.sub("", block.code))


def hoisted_includes(block):
    lines = block.code.split("\n")
    return "".join(f'#line {block.line + i} "{block.page}"\n{text}\n'
                   for i, text in enumerate(lines) if INCLUDE.match(text))


def body_start(code):
    """The number of lines of functions and types at the beginning."""
    start = 0
    inside = False
    for number, line in enumerate(code.split("\n"), start=1):
        if not inside:
            if not line or line.startswith(("//", "#include")):
                continue
            if not DEFINITION.match(line):
                return start
            inside = True
        if re.search(r"^\S.*[};]$|^};?$", line):
            inside = False
            start = number
    return start


def body(block):
    code = INCLUDE.sub("", block.code)
    start = body_start(block.code)
    lines = code.split("\n")
    head, rest = "\n".join(lines[:start]), "\n".join(lines[start:])
    return (f"{at(block, head)}\nmuster::Coro<> example() {{\n"
            f'#line {block.line + start} "{block.page}"\n{rest}co_return;\n}}\n')


def program(block):
    code = INCLUDE.sub("", block.code)
    head, main = re.split(r"^int main\(", code, maxsplit=1, flags=re.M)
    ending = main.rindex("}")
    main = f"{main[:ending]}return 0; {main[ending:]}"
    return at(block, f"{head}int example_main({main}")


def translation_unit(page, name):
    """C++ that runs any block of the page, or nothing."""
    parts = []
    examples = []
    for block in sorted(page.setup + page.blocks, key=lambda b: b.line):
        if block.language != "cpp" or block.kind in ("refused", "file", "skip"):
            continue
        if block.kind in ("setup", "declarations"):
            parts.append(blank_includes(block))
            continue
        examples.append(block)
        if kind_of("cpp", block.code) == "program":
            code, call = program(block), "example_main()"
        else:
            code, call = body(block), "muster::docs::run_body(example())"
        parts.append(f"namespace block_{block.line} {{\n{code}"
                     f"\n[[maybe_unused]] int run() {{ return {call}; }}\n}}\n")
    if not examples:
        return None, []
    runnable = [block for block in examples if block.kind in ("body", "program")]
    cases = "".join(f"    case {b.line}:\n        return block_{b.line}::run();\n"
                    for b in runnable)
    includes = "".join(hoisted_includes(block) for block in page.setup + page.blocks
                       if block.language == "cpp" and block.kind not in ("refused", "file", "skip"))
    text = (f'#include "example.hpp"\n{includes}\nnamespace {name} {{\n'
            "using namespace muster;\nusing namespace std::chrono_literals;\n"
            + "\n".join(parts)
            + f"\nint run_block(int line) {{\n    switch (line) {{\n{cases}"
            + "    default:\n        return muster::docs::no_such_block;\n    }\n}\n"
            + f'\nconst muster::docs::Page page("{page.name}", &run_block);\n'
            + f"\n}} // namespace {name}\n")
    return text, runnable


def refused_unit(page, block):
    setup = [b for b in page.setup + page.blocks
             if b.language == "cpp" and b.kind in ("setup", "declarations") and b.line < block.line]
    includes = "".join(hoisted_includes(b) for b in setup)
    only = re.match(r"by (\w+) ", block.argument)
    expected = block.argument[only.end():] if only else block.argument
    heading = f"// expect: {expected}\n" + (f"// only: {only[1]}\n" if only else "")
    return (f'{heading}#include "{EXAMPLE}"\n{includes}'
            "using namespace muster;\nusing namespace std::chrono_literals;\n"
            + "\n".join(map(blank_includes, setup))
            + "muster::Coro<> example() {\n#ifdef MUSTER_BAD\n"
            + blank_includes(block) + "#endif\nco_return;\n}\n")


def write(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def generate(root, out, *left_out):
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    this = Path(__file__).resolve()

    def test(function, block, *command):
        command = " ".join(f'"{part}"' for part in (sys.executable, this, *command))
        lines.append(f'{function}("docs: {block.place}" {command})\n')

    for page in pages(root):
        path = root / page.name
        if path in [root / name for name in left_out]:
            continue
        name = "page_" + re.sub(r"\W+", "_", page.name.removesuffix(".md")).lower()
        text, runnable = translation_unit(page, name)
        if text is not None:
            write(out / f"{name}.cpp", text)
            lines.append(f'target_sources(muster_docs PRIVATE "{out / name}.cpp")\n')
        for block in runnable:
            test("muster_docs_test", block, "run", path, block.line, "$<TARGET_FILE:muster_docs>")
        for block in page.blocks:
            if block.kind == "file":
                test("muster_docs_plain_test", block, "same", path, block.line,
                     root / block.argument)
            elif block.kind == "refused":
                source = out / f"{name}_{block.line}.cpp"
                write(source, refused_unit(page, block))
                lines.append(f'muster_docs_refused("docs: {block.place}" "{source}")\n')
            elif block.language == "python" and block.kind not in ("skip", "declarations"):
                test("muster_docs_plain_test", block, "run", path, block.line)
    write(out / "blocks.cmake", "".join(lines))


# --- Python ---


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its clock stands still while anything is ready or a thread works, and jumps otherwise."""

    class Selector(selectors.DefaultSelector):
        loop = None

        def select(self, timeout=None):
            if timeout is None or timeout <= 0 or self.loop.threads:
                return super().select(timeout)
            ready = super().select(0)
            if not ready:
                self.loop.now += timeout
            return ready

    def __init__(self):
        self.now = 0.0
        self.threads = 0
        selector = self.Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self):
        return self.now

    def run_in_executor(self, executor, func, *args):
        future = super().run_in_executor(executor, func, *args)
        self.threads += 1

        def done(_):
            self.threads -= 1

        future.add_done_callback(done)
        return future


def run_python(page, block):
    if block.kind == "needs":
        wanted = tuple(map(int, block.argument.split(".")))
        if sys.version_info < wanted:
            print(f"{block.place} needs Python {block.argument}")
            sys.exit(77)

    def virtual_run(main, *, debug=None):
        with asyncio.Runner(debug=debug, loop_factory=VirtualLoop) as runner:
            return runner.run(main)

    asyncio.run = virtual_run
    names = {"__name__": "__main__", "asyncio": asyncio}
    setup = [b for b in page.setup + page.blocks if b.language == "python" and b.line < block.line
             and b.kind in ("setup", "declarations")]
    printed = io.StringIO()
    with redirect_stdout(printed):
        for part in [*setup, block]:
            source = "\n" * (part.line - 1) + part.code  # tracebacks name lines of the page
            code = compile(source, part.page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if code.co_flags & inspect.CO_COROUTINE:
                asyncio.run(eval(code, names))
            else:
                exec(code, names)
    return printed.getvalue()


# --- tests ---


def same_text(block, printed):
    if block.expected is None:
        return True
    if re.fullmatch(".*".join(map(re.escape, block.expected.split("..."))), printed):
        return True
    print(f"{block.page}:{block.expected_line}: {block.place} prints something else",
          file=sys.stderr)
    sys.stderr.writelines(unified_diff(block.expected.splitlines(True), printed.splitlines(True),
                                       "the page", "the program"))
    return False


def missing_names(path, root):
    """What the page's tables say is there and is not, each with its place."""
    sources = [*(root / "include").rglob("*.hpp"), *(root / "src").rglob("*.cpp")]
    known = set()
    for source in sources:
        known.update(re.findall(r"\w+", re.sub(r"^\s*//.*", "", source.read_text(), flags=re.M)))
    for number, line in enumerate(path.read_text().split("\n"), start=1):
        cells = line.split("|")
        if len(cells) != 5:
            continue
        said = re.findall(r"`([^`]*)`", cells[2])
        if "the same" in cells[2]:  # as in the first column, but for classes and parameters
            said += [re.sub(r"\(.*|^\w+\.", "", name) for name in re.findall(r"`([^`]*)`", cells[1])]
        for name in re.findall(r"[A-Za-z_]\w+", " ".join(said)):
            if name not in known:
                yield f"{path.relative_to(root)}:{number}: there is no {name}"


def find(path, line):
    root = Path.cwd()
    page = read_page(root, Path(path))
    return page, next(block for block in page.blocks if block.line == int(line))


def main():
    command, *arguments = sys.argv[1:]
    if command == "generate":
        generate(*map(Path, arguments))
        return 0
    if command == "names":
        missing = list(missing_names(Path(arguments[0]), Path.cwd()))
        print(*missing, sep="\n", file=sys.stderr)
        return 1 if missing else 0
    page, block = find(*arguments[:2])
    if command == "same":
        if Path(arguments[2]).read_text() != block.code:
            print(f"{block.place}: is not {block.argument} as it is", file=sys.stderr)
            return 1
        return 0
    if block.language == "python":
        return 0 if same_text(block, run_python(page, block)) else 1
    done = subprocess.run([arguments[2], block.page, str(block.line)], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        print(f"{block.place}: ended with {done.returncode}\n{done.stdout}", file=sys.stderr)
        return 1
    return 0 if same_text(block, done.stdout) else 1


if __name__ == "__main__":
    sys.exit(main())
