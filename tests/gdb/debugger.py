"""scripts/gdb/muster_gdb.py in gdb, on the program stuck.cpp: as a process, as a core dump, and
where there is nothing to see. See CMakeLists.txt for what the environment tells."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SCRIPT = ROOT / "scripts" / "gdb" / "muster_gdb.py"
SOURCE = HERE / "stuck.cpp"
STUCK = os.environ.get("STUCK", "")


def gdb(*commands, program=STUCK, core=None):
    """What gdb prints, errors included, for commands on a program or its core dump."""
    arguments = ["gdb", "-nx", "-batch", "-ex", f"source {SCRIPT}"]
    for command in commands:
        arguments += ["-ex", command]
    result = subprocess.run(
        [*arguments, program, *([core] if core else [])], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=100,
        env={**os.environ, "DEBUGINFOD_URLS": "", "LC_ALL": "C"})
    return result.stdout


def answers(commands, *before, core=None):
    """What gdb prints for each of `commands` after those of `before`, by command."""
    marked = [part for command in commands for part in (f"echo \\n-- {command}\\n", command)]
    output = gdb(*before, *marked, core=core)
    parts = re.split(r"^-- (.+)\n", output, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2]))}


def missing():
    """Why gdb can't be used here; None if it can."""
    if shutil.which("gdb") is None:
        return "gdb is not installed (scripts/install-deps.sh --tests)"
    version = re.search(r"GNU gdb.*?(\d+)\.\d+", gdb("show version", program=sys.executable))
    if version is None or int(version[1]) < 13:
        return "gdb is older than 13"
    if "has python" not in gdb("python print('has python')", program=sys.executable):
        return "gdb was built without Python"
    if "Program stopped" not in gdb("starti", program=shutil.which("true")):
        return "gdb may not run programs here (ptrace)"
    return None


class Task:
    """A task as `muster tasks` prints it."""

    def __init__(self, name, state):
        self.name, self.state = name, state
        self.places = []  # pairs: function, and its source line if it is in stuck.cpp
        self.notes = []

    def __repr__(self):
        return f"{self.name} {self.state} {self.places} {self.notes}"


STATES = r"waits for: |is ready|is running|has not started"


def parse(output):
    """Loops, each a pair of its line and its tasks by name, from what `muster tasks` printed."""
    source = SOURCE.read_text().splitlines()
    loops = []
    for line in output.splitlines():
        if match := re.fullmatch(r"Loop \d+ (.+)", line):
            loops.append((match[1], {}))
        elif loops and (match := re.fullmatch(rf"(.+?) ((?:{STATES}).*)", line)):
            task = Task(match[1], match[2])
            loops[-1][1][task.name] = task
        elif loops and (match := re.fullmatch(r"  at (.+)  (\S+):(\d+)", line)):
            own = Path(match[2]).name == SOURCE.name
            task.places.append((match[1], source[int(match[3]) - 1].strip() if own else None))
        elif loops and (match := re.fullmatch(r"  (.+)", line)):
            task.notes.append(match[1])
    return loops


class Stuck:
    """What is seen of the stuck program, whatever is looked at. self.printed: what gdb printed, by
    command."""

    handles = "print *'(anonymous namespace)::shown'"
    look = ("muster tasks", "muster loops", "set print pretty on", handles)

    def loops(self):
        loops = parse(self.printed["muster tasks"])
        self.assertEqual(len(loops), 2, self.printed)
        return loops

    def task(self, name):
        tasks = self.loops()[1][1]
        self.assertIn(name, tasks, self.printed)
        return tasks[name]

    def check(self, name, state, *places):
        task = self.task(name)
        self.assertEqual(task.state, state)
        self.assertEqual(len(task.places), len(places), task)
        for (function, line), (expected_function, expected_line) in zip(task.places, places):
            self.assertIn(expected_function, function)
            self.assertEqual(line, expected_line)

    def test_loops_of_all_threads_but_no_closed_one(self):
        (other, other_tasks), (main, main_tasks) = self.loops()
        # It may not have got to its poll yet.
        self.assertRegex(other, r"^runs in thread 2(, idle)?: 1 unfinished task$")
        self.assertEqual(main, "runs in thread 1: 24 unfinished tasks")
        self.assertEqual(list(other_tasks), ["Task-1"])
        self.assertEqual(len(main_tasks), 24, main_tasks)

    def test_a_sleep_and_the_coroutines_above_it(self):
        self.check("sleeper", "waits for: sleep",
                   ("inner_sleep()", "co_await muster::async_sleep(1h);"),
                   ("outer_sleep()", "const int value = co_await inner_sleep();"))

    def test_a_generator_is_among_the_coroutines(self):
        self.check("iterating", "waits for: sleep",
                   ("numbers()", "co_await muster::async_sleep(1h);"),
                   ("iterate()", "while (auto item = co_await items.next()) {"))

    def test_what_is_waited_for(self):
        for name, state in {
                "wanting": "waits for: lock",
                "awaiting": "waits for: task 'sleeper'",
                "watching": "waits for: wait",
                "passing": "waits for: shield",
                "collecting": "waits for: as_completed",
                "cleaning": "waits for: clean-up",
                "borrowing": "waits for: foreign awaitable",
                "computing": "waits for: thread",
                "gathering": "waits for: gather",
                "grouping": "waits for: task group",
                "member": "waits for: sleep",
                "Task-25": "waits for: queue get",
                "receiving": "waits for: channel receive",
                "taking": "waits for: queue get",
                "Task-1": "waits for: task 'running'",
        }.items():
            self.assertEqual(self.task(name).state, state)

    def test_an_unknown_awaiter_is_named(self):
        self.assertEqual(self.task("asking").state, "waits for: (anonymous namespace)::Oracle")

    def test_requests_to_cancel(self):
        self.assertEqual(self.task("Task-6").state, "waits for: sleep, 2 cancel requests")

    def test_a_task_that_is_ready(self):
        self.assertEqual(self.task("owner").state, "is ready (waited for: future)")

    def test_a_task_that_has_not_started(self):
        task = self.task("unstarted")
        self.assertEqual(task.state, "has not started")
        self.assertIn("answer()", task.places[0][0])

    def test_the_frame_that_keeps_a_function_is_hidden(self):
        self.assertEqual(len(self.task("Task-6").places), 1)

    def test_the_task_that_runs(self):
        self.check("running", "is running",
                   ("stop_here(", self.stopped_at),
                   ("run_and_stop(", "co_await stop_here(handles, abort);"))
        self.assertEqual(self.task("running").notes,
                         ["(what it does: thread apply 1 bt)", "awaited by: Task-1"])

    def test_who_waits_for_whom(self):
        for name, waiter in {
                "sleeper": "awaiting, watching, passing, collecting",
                "Task-24": "gathering",
                "member": "grouping",
        }.items():
            self.assertEqual(self.task(name).notes, [f"awaited by: {waiter}"])
        self.assertEqual(self.task("wanting").notes, [])

    def test_handles(self):
        printed = self.printed[self.handles]
        for line in [
                "sleeper = Task 'sleeper' (waits for: sleep),",
                "failed = Task 'failed' (failed: muster::ValueError: no such device),",
                "cancelled = Task 'cancelled' (cancelled: muster::CancelledError: enough),",
                "cancelled_alone = Task 'cancelled alone' (cancelled),",
                "no_task = Task (empty),",
                "any = Task 'sleeper' (waits for: sleep),",
                "any_answered = Task 'answered' (done),",
                "nothing = Task (empty),",
                "refused = Future (failed: std::out_of_range: port 70000),",
                "no_future = Future (empty),",
                "no_coro = Coro (empty)",
        ]:
            self.assertIn(f"  {line}", printed.splitlines())
        # How a string is printed depends on libstdc++'s own printers.
        self.assertRegex(printed, r"  answered = Task 'answered' \(done\) = \{\n    result = ")
        self.assertIn('"forty-two"', printed)
        self.assertRegex(printed, r"  soon = Future \(done\) = \{\n    result = ")
        self.assertIn('"at last"', printed)
        self.assertIn("  number = Future (done) = {\n    result = 7\n  }", printed)
        self.assertRegex(printed, r"  coro = Coro \(.*outer_sleep\(\)  \S+stuck.cpp:\d+\)")

    def test_the_numbers_of_the_loops(self):
        self.assertRegex(
            self.printed["muster loops"],
            r"Loop 2 runs in thread 1: 24 unfinished tasks, 2 ready, 7 timers, "
            r"2 operations under way\n  is \(muster::detail::LoopCore \*\) 0x")


class Process(Stuck, unittest.TestCase):
    """Stopped at a breakpoint."""

    stopped_at = "everything_is_set_up();"
    reference = "print (const muster::Task<int>&) '(anonymous namespace)::shown'->sleeper"

    @classmethod
    def setUpClass(cls):
        cls.printed = answers(
            [*cls.look, "muster task sleeper", "muster task nobody", "muster task",
             "muster tasks all", "complete muster task gat", "help muster", cls.reference],
            "break everything_is_set_up", "run")

    def test_one_task_by_name(self):
        self.assertRegex(
            self.printed["muster task sleeper"],
            r"^sleeper waits for: sleep\n  at .*\n  at .*\n  awaited by: .*\n"
            r"  is \(muster::detail::TaskBase \*\) 0x[0-9a-f]+, "
            r"of the loop \(muster::detail::LoopCore \*\) 0x[0-9a-f]+\n")

    def test_unknown_names_and_arguments(self):
        self.assertIn("No unfinished task is called 'nobody'; muster tasks lists those there are.",
                      self.printed["muster task nobody"])
        self.assertIn("needs the name of a task", self.printed["muster task"])
        self.assertIn("takes no arguments", self.printed["muster tasks all"])

    def test_a_reference_to_a_handle(self):
        self.assertRegex(self.printed[self.reference], r"Task 'sleeper' \(waits for: sleep\)\n")

    def test_names_are_completed(self):
        self.assertEqual(self.printed["complete muster task gat"].strip(), "muster task gathering")

    def test_help(self):
        for command in ("muster loops", "muster task", "muster tasks"):
            self.assertRegex(self.printed["help muster"], rf"(?m)^{command} -- .+\.$")


class CoreDump(Stuck, unittest.TestCase):
    """Of a program that aborted: made by gdb, since where the system puts one is its own affair."""

    stopped_at = "std::abort();"

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory(prefix="muster-test-") as folder:
            core = Path(folder) / "core"
            made = gdb("run abort", f"generate-core-file {core}")
            if not core.exists():
                raise RuntimeError("no core dump: " + made)
            cls.printed = answers(cls.look, core=core)

    def test_it_is_a_core_dump(self):
        self.assertIn("Program terminated with signal SIGABRT", self.printed[""])


class Overwritten(unittest.TestCase):
    """Memory that a crash has spoilt: what can be read is shown."""

    def look(self, place, value):
        return gdb("break everything_is_set_up", "run",
                   "set $task = (muster::detail::TaskBase *) "
                   "'(anonymous namespace)::shown'->sleeper.state_.object_",
                   f"set variable {place} = {value}", "muster tasks")

    def test_a_task(self):
        output = self.look("$task->leaf_", "(muster::detail::PromiseBase *) 8")
        self.assertRegex(output, r"sleeper waits for: sleep\n\(muster::detail::TaskBase \*\) "
                                 r"0x[0-9a-f]+ was overwritten: Cannot access memory")
        self.assertIn("\nowner is ready", output)
        self.assertIn("\nunstarted has not started", output)

    def test_the_list_of_tasks(self):
        output = self.look("((muster::detail::FutureBase *) $task)->next_", "8")
        self.assertIn("(a list ends here that was overwritten)\nLoop 2", output)
        self.assertIn("\nsleeper waits for: sleep\n", output)


class Refused(unittest.TestCase):
    """Where nothing can be seen, gdb says why, and shows no traceback."""

    def refused(self, words, *commands, program=STUCK):
        output = gdb(*commands, "muster tasks", program=program)
        self.assertIn(words, output)
        self.assertNotIn("Traceback", output)
        self.assertNotIn("Python Exception", output)
        return output

    def stripped(self, option):
        holder = tempfile.TemporaryDirectory(prefix="muster-test-")
        self.addCleanup(holder.cleanup)
        copy = Path(holder.name) / "stripped"
        subprocess.run([os.environ["STRIP"], option, "-o", copy, STUCK], check=True)
        return copy

    def test_no_process(self):
        self.refused("There is no process or core dump to look at.")

    def test_a_program_without_muster(self):
        self.refused("No muster in this program", "starti", program=shutil.which("true"))

    def test_no_debug_information(self):
        output = self.refused("No debug information about muster::detail::LoopCore", "starti",
                              program=self.stripped("--strip-debug"))
        self.assertIn("with -g", output)

    def test_no_symbols(self):
        self.refused("it was stripped of its symbols", "starti",
                     program=self.stripped("--strip-all"))

    def test_another_version_of_muster(self):
        self.refused("muster::detail::LoopCore has no member older_: the program was built with "
                     "another version of muster than this script", "break main", "run",
                     program=os.environ["OTHER_VERSION"])


class Words(unittest.TestCase):
    def test_what_describe_says_is_in_the_script(self):
        script = SCRIPT.read_text()
        said = {}
        pattern = r'describe\(\) const (?:override|final) \{ return "([^"]+)"; \}'
        for folder in (ROOT / "include" / "muster", ROOT / "src"):
            for path in folder.rglob("*.?pp"):
                for word in re.findall(pattern, path.read_text()):
                    said[word] = path.relative_to(ROOT)
        self.assertIn("sleep", said)
        for word, path in said.items():
            self.assertIn(f': "{word}",', script, f"{path} says what the script does not")


if __name__ == "__main__":
    if reason := missing():
        print(f"debugger.py: skipped: {reason}", file=sys.stderr)
        sys.exit(1 if os.environ.get("MUSTER_REQUIRE_INTEROP") == "1" else 77)
    unittest.main()
