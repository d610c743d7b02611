"""Shows what a stuck or crashed muster program waits for: a gdb extension.

    (gdb) source muster_gdb.py
    (gdb) muster tasks          every unfinished task: its state and where it stands
    (gdb) muster task NAME      one of them, with more about it
    (gdb) muster loops          the event loops
    (gdb) print task            a Task, Future, AnyTask or Coro, readably

It only reads memory, so that a core dump serves as well as a process. It finds its way by debug
information: muster must have been compiled with -g (-g1 is not enough), and the program, too, for
print.
"""

import contextlib
import re

import gdb
import gdb.printing

DETAIL = "muster::detail::"
NEWEST_LOOP = DETAIL + "LoopCore::newest_"
REFERENCES = (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF)

# What a task waits for, by the class whose describe() would say so. Those that choose their words
# at run time are in Describer.
WORDS = {
    "muster::TaskGroup": "task group",
    "muster::detail::AsioAwaiter": "I/O",
    "muster::detail::Completions::Wait": "as_completed",
    "muster::detail::FinishWait": "clean-up",
    "muster::detail::ForeignWait": "foreign awaitable",
    "muster::detail::GatherWait": "gather",
    "muster::detail::ManyWait": "wait",
    "muster::detail::ShieldWait": "shield",
    "muster::detail::SleepAwaiter": "sleep",
    "muster::detail::ThreadAwaiter": "thread",
}

# Who waits for a future, by the function of the node that lies among its waiters: what the node is
# a base class of, and the members that lead to the waiting task.
AWAITING = {
    "muster::TaskGroup::on_child": ("muster::TaskGroup::Child", "group", "parent_"),
    "muster::detail::Completions::on_item":
        ("muster::detail::Completions::Item", "completions", "waits_"),
    "muster::detail::FutureWait::on_node": ("muster::detail::FutureWait", "task_"),
    "muster::detail::GatherNode::on_node": ("muster::detail::GatherChild", "gather", "task_"),
    "muster::detail::ManyWait::on_item": ("muster::detail::ManyWait::Item", "wait", "task_"),
    "muster::detail::ShieldWait::on_node": ("muster::detail::ShieldWait", "task_"),
}

# The frame in which create_task(fn, args...) keeps what it was given says nothing to anybody.
HIDDEN_FUNCTION = "muster::detail::invoke_owned"


# ---------------------------------------------------------------- reading memory by names


def structure_if_known(name):
    """The type `name`, complete, or None."""
    try:
        found = gdb.lookup_type(name).strip_typedefs()
        return found if found.fields() else None
    except gdb.error:
        return None


def structure(name):
    """The type `name`, complete."""
    found = structure_if_known(name)
    if found is None:
        raise gdb.GdbError(
            f"No debug information about {name}: compile muster itself with -g (-g1 is not enough; "
            "with CMake: -DCMAKE_BUILD_TYPE=RelWithDebInfo), and do not strip the program.")
    return found


def unknown(what):
    """The error that something is not as this script knows it."""
    return gdb.GdbError(f"{what}: the program was built with another version of muster than this "
                        "script, or with incomplete debug information.")


def address_of(pointer):
    return int(pointer.cast(gdb.lookup_type("unsigned long")))


def object_at(address, kind):
    """The object of type `kind` at `address`."""
    # Element 0 of an array, because gdb looks after the dynamic type of what a pointer refers to,
    # and warns where the program has no debug information about that.
    return gdb.Value(address).cast(kind.array(0).pointer()).dereference()[0]


def target(pointer):
    """What a pointer refers to."""
    return object_at(address_of(pointer), pointer.type.strip_typedefs().target())


def referred(value):
    """`value`, or what it refers to if it is a reference."""
    code = value.type.strip_typedefs().code
    return value.referenced_value() if code in REFERENCES else value


def member(value, *names):
    """`value.name1.name2...`"""
    for name in names:
        value = referred(value)
        if value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
            value = target(value)
        try:
            value = value[name]
        except gdb.MemoryError:
            raise
        except gdb.error as error:
            raise unknown(f"{value.type.strip_typedefs().name} has no member {name}") from error
    return value


def base_path(kind, name):
    """The fields that lead from a class to its base class `name`; None if it is none."""
    kind = kind.strip_typedefs()
    if kind.name == name:  # str() would depend on the language of the selected frame
        return []
    for field in kind.fields():
        if field.is_base_class:
            rest = base_path(field.type, name)
            if rest is not None:
                return [field, *rest]
    return None


def checked_base_path(kind, name):
    path = base_path(kind, name)
    if path is None:
        raise unknown(f"{kind.name} does not derive from {name}")
    return path


def as_base(value, name):
    """The part of an object that is its base class `name`."""
    for field in checked_base_path(value.type, name):
        value = value[field]
    return value


def as_derived(value, kind):
    """The object of type `kind` of which `value` is the base class; nothing is checked at run
    time."""
    path = checked_base_path(kind, value.type.strip_typedefs().name)
    address = int(value.address) - sum(field.bitpos // 8 for field in path)
    return object_at(address, kind)


def scalar_within(value, code):
    """The first scalar of this type code inside `value`: what a smart pointer or an atomic holds,
    whoever made the standard library. None if there is none."""
    kind = value.type.strip_typedefs()
    if kind.code == code:
        return value
    if kind.code == gdb.TYPE_CODE_STRUCT:
        for field in kind.fields():
            if hasattr(field, "bitpos"):  # not a static member
                found = scalar_within(value[field], code)
                if found is not None:
                    return found
    return None


def pointer_within(value):
    found = scalar_within(value, gdb.TYPE_CODE_PTR)
    if found is None:
        raise unknown(f"{value.type.name} holds no pointer")
    return found


def text_of(value):
    """A std::string."""
    try:
        length = int(value["_M_string_length"])
        return value["_M_dataplus"]["_M_p"].string(errors="replace", length=length)
    except gdb.MemoryError:
        raise
    except gdb.error:  # not libstdc++
        return value.format_string().strip('"')


def symbols_at(address):
    """What lies at `address`: demangled symbols, each with how far behind its beginning that is.
    Several, since thread-local variables have addresses of their own that look like others."""
    answer = gdb.execute(f"info symbol {address:#x}", to_string=True)
    for match in re.finditer(r"^(.+?)(?: \+ (\d+))? in section ", answer, re.MULTILINE):
        yield match[1], int(match[2] or 0)


def symbol_like(pattern, address):
    """What the group of a regular expression matches in a symbol that begins at `address`; else
    None."""
    for symbol, offset in symbols_at(address):
        match = re.fullmatch(pattern, symbol)
        if match and offset == 0:
            return match[1]
    return None


def words_at(address, count):
    word = gdb.lookup_type("unsigned long")
    array = object_at(address, word.array(count - 1))
    return [int(array[index]) for index in range(count)]


def virtual_table(value):
    """The address of the object's virtual table."""
    for field in value.type.strip_typedefs().fields():
        if field.name and field.name.startswith("_vptr"):
            return address_of(value[field])
        if field.is_base_class:
            found = virtual_table(value[field])
            if found is not None:
                return found
    return None


def class_by_table(table):
    """The name of the class that a virtual table is of, or None."""
    prefix = "vtable for "
    for symbol, _ in symbols_at(table):
        if symbol.startswith(prefix):
            return symbol[len(prefix):]
    return None


def without_arguments(name):
    """`name` without template arguments."""
    kept, depth = [], 0
    for character in name:
        if character == "<":
            depth += 1
        elif character == ">":
            depth -= 1
        elif depth == 0:
            kept.append(character)
    return "".join(kept)


def vector_size(value):
    """How many a std::vector holds."""
    return int(member(value, "_M_impl", "_M_finish") - member(value, "_M_impl", "_M_start"))


def enumerator(value):
    """The name of an enumeration's value, without the enumeration's."""
    for field in value.type.strip_typedefs().fields():
        if field.enumval == int(value):
            return field.name.rsplit("::", 1)[-1]
    return str(int(value))


def plural(count, noun):
    return f"{count} {noun}{'' if count == 1 else 's'}"


# ---------------------------------------------------------------- what muster is made of


def links(list_):
    """The links of a muster::detail::List, first to last."""
    head = member(list_, "head_")
    end = address_of(head.address)
    seen = {end}
    link = member(head, "next_")
    try:
        while address_of(link) not in seen:
            seen.add(address_of(link))
            yield target(link)
            link = member(link, "next_")
        if address_of(link) == end:
            return
    except gdb.MemoryError:
        pass
    print("(a list ends here that was overwritten)")


def items(list_, kind):
    """The members of a List whose items are of type `kind`."""
    for link in links(list_):
        yield as_derived(link, kind)


def before_arguments(function):
    """`f(int)` -> (`f`, `(int)`), whatever parentheses there are before."""
    depth = 0
    for index in range(len(function) - 1, -1, -1):
        depth += (function[index] == ")") - (function[index] == "(")
        if depth == 0:
            return function[:index], function[index:]
    return function, ""


def written_function(name):
    """A coroutine's name as its author wrote it: GCC names the function that it makes of one,
    `void f(f(int)::_Z1fi.Frame*)`."""
    made, arguments = before_arguments(name)
    inner = re.fullmatch(r"\((.+)::_Z\S+\.Frame\*\)", arguments)
    return made.removeprefix("void ") + before_arguments(inner[1])[1] if inner else name


class Place:
    """Where a coroutine stands: a std::source_location."""

    def __init__(self, location):
        described = target(pointer_within(location))
        fields = [field.name for field in described.type.strip_typedefs().fields()]
        if len(fields) < 3:
            raise gdb.GdbError(
                "No debug information about std::source_location: compile muster with -g.")
        file, function, line = (described[name] for name in fields[:3])
        self.file = file.string(errors="replace")
        self.function = written_function(function.string(errors="replace"))
        self.line = int(line)

    def __str__(self):
        return f"{self.function}  {self.file}:{self.line}"


class Describer:
    """Says what a muster::detail::Waiter waits for, in the words of its describe(), which can't be
    called in a core dump."""

    def __init__(self):
        self._classes = {}  # by virtual table

    def _describing_class(self, table):
        """The class whose describe() the virtual table has."""
        if table not in self._classes:
            found = None
            for slot in words_at(table, 4):
                class_ = symbol_like(
                    r"(?:non-virtual thunk to )?(.+)::describe(?:\[abi:\w+\])?\(\) const", slot)
                if class_ is not None:
                    found = without_arguments(class_)
                    break
            self._classes[table] = found
        return self._classes[table]

    def __call__(self, waiter):
        table = virtual_table(waiter)
        if table is None:
            raise unknown("muster::detail::Waiter has no virtual table")
        class_ = self._describing_class(table)
        if class_ == DETAIL + "FutureWait":
            wait = as_derived(waiter, structure(class_))
            future = target(pointer_within(member(wait, "future_")))
            return f"task '{Task.of(future).name}'" if is_task(future) else "future"
        if class_ in (DETAIL + "QueuedWaiter", "muster::concurrent::detail::TaskSleeper"):
            return member(as_derived(waiter, structure(class_)), "what_").string(errors="replace")
        return WORDS.get(class_) or class_by_table(table) or "something without a symbol"


def is_task(future):
    """Whether a FutureBase is a task."""
    class_ = class_by_table(virtual_table(future))
    return class_ is not None and class_.startswith(DETAIL + "TaskState<")


class Task:
    """A muster::detail::TaskBase."""

    def __init__(self, value):
        self.value = value
        self.address = address_of(value.address)

    @classmethod
    def of(cls, future):
        """The task that a FutureBase is."""
        base = as_base(future, DETAIL + "FutureBase")
        return cls(as_derived(base, structure(DETAIL + "TaskBase")))

    @property
    def name(self):
        given = pointer_within(member(self.value, "name_"))
        if address_of(given) != 0:
            return text_of(target(given))
        return f"Task-{int(member(self.value, 'number_'))}"

    @property
    def loop_address(self):
        return address_of(member(as_base(self.value, DETAIL + "FutureBase"), "loop_"))

    @property
    def is_ready(self):
        link = as_base(as_base(self.value, DETAIL + "Node"), DETAIL + "Link")
        return address_of(member(link, "next_")) != 0

    @property
    def has_started(self):
        return bool(member(self.value, "started_"))

    @property
    def is_running(self):
        """In the midst of a step; also while a task that it started eagerly has its first one."""
        return self.has_started and address_of(member(self.value, "leaf_")) == 0

    def state(self, describe):
        if self.is_running:
            return "is running"
        waiter = member(self.value, "waiter_")
        waits = describe(target(waiter)) if address_of(waiter) != 0 else None
        if not self.has_started:
            text = "has not started"
        elif self.is_ready:
            text = "is ready" + (f" (waited for: {waits})" if waits else "")
        elif waits:
            text = "waits for: " + waits
        else:
            text = "is ready or running"
        return text

    @property
    def cancellation(self):
        """What there is to say about it, as an end of a line."""
        text = ""
        requests = int(member(self.value, "cancel_requests_"))
        if requests:
            text = ", " + plural(requests, "cancel request")
        if bool(member(self.value, "must_cancel_")):
            text += ", a cancellation is to be delivered"
        return text

    def awaited_by(self):
        """The tasks that wait for this one, as far as can be told."""
        waiters = member(as_base(self.value, DETAIL + "FutureBase"), "waiters_")
        for node in items(waiters, structure(DETAIL + "Node")):
            task = awaiting_task(node)
            if task is not None:
                yield task

    def places(self):
        """Where its coroutines stand, innermost first."""
        return places_from(member(self.value, "leaf_"))


def awaiting_task(node):
    """The task that waits for a future, by its node among the future's waiters; None for a callback
    and for what this script does not know."""
    function = symbol_like(r"(.+?)\(.*", address_of(member(node, "function_")))
    kind, *path = AWAITING.get(function, (None,))
    kind = structure_if_known(kind) if kind else None
    if kind is None:
        return None
    task = member(as_derived(node, kind), *path)
    if path[-1] == "waits_":  # a list, of which the first is the one
        waits = items(task, structure(DETAIL + "Completions::Wait"))
        task = next((member(wait, "task_") for wait in waits), None)
        if task is None:
            return None
    return Task(target(task)) if address_of(task) != 0 else None


def places_from(promise):
    """Where a coroutine and those that await it stand, it first."""
    seen = {0}
    while address_of(promise) not in seen:  # memory that was overwritten may lead in a circle
        seen.add(address_of(promise))
        yield Place(member(promise, "where"))
        promise = member(promise, "parent")


class Loop:
    """A muster::detail::LoopCore."""

    def __init__(self, value):
        self.value = value
        self.address = address_of(value.address)

    def tasks(self):
        """Unfinished ones, oldest first."""
        kind = structure(DETAIL + "FutureBase")
        for future in items(member(self.value, "tasks_"), kind):
            yield Task.of(future)

    def thread(self):
        """The gdb.InferiorThread that runs it; None if none does, or if gdb can't tell."""
        handle = scalar_within(member(self.value, "thread_"), gdb.TYPE_CODE_INT)
        if handle is None or int(handle) == 0:
            return None
        try:
            return gdb.selected_inferior().thread_from_handle(handle)
        except gdb.error:
            return None

    def state(self):
        if int(member(self.value, "run_depth_")) == 0:
            return "does not run"
        thread = self.thread()
        running = "runs" + (f" in thread {thread.num}" if thread else "")
        return running if bool(member(self.value, "draining_")) else running + ", idle"


def open_loops():
    """All event loops that are not closed, oldest first."""
    if gdb.selected_inferior().pid == 0 or gdb.selected_thread() is None:
        raise gdb.GdbError("There is no process or core dump to look at.")
    try:
        newest = gdb.parse_and_eval(f"&'{NEWEST_LOOP}'")
    except gdb.error as error:
        raise gdb.GdbError(
            "No muster in this program, or it was stripped of its symbols (the symbol "
            f"{NEWEST_LOOP} is missing).") from error
    loop = object_at(int(newest), structure(DETAIL + "LoopCore").pointer())
    found = []
    while address_of(loop) != 0:
        found.append(Loop(target(loop)))
        loop = member(loop, "older_")
    return found[::-1]


# ---------------------------------------------------------------- tasks that are running


@contextlib.contextmanager
def selection_kept():
    """Whatever thread and frame is looked at meanwhile."""
    thread, frame = gdb.selected_thread(), gdb.selected_frame()
    try:
        yield
    finally:
        thread.switch()
        frame.select()


def words_of(frame):
    """What the registers and the stack of a frame hold."""
    for register in frame.architecture().registers("general"):
        try:
            yield int(frame.read_register(register.name))
        except (gdb.error, ValueError):  # not known in this frame, or not a number
            continue
    older = frame.older()
    if older is not None:
        begin, end = (int(each.read_register("sp")) for each in (frame, older))
        size = gdb.lookup_type("unsigned long").sizeof
        # gdb reads 64 KB at once. A coroutine's stack frame is small: its variables lie elsewhere.
        count = min((end - begin) // size, 4096)
        if count > 0:
            yield from words_at(begin, count)


def functions_at(address):
    """The functions that `address` lies in, of which compilers make several parts."""
    return {re.sub(r" \[clone .*\]$", "", symbol) for symbol, _ in symbols_at(address)}


def running_promise(frame, task):
    """The PromiseBase of the coroutine of `task` whose body a stack frame runs, or None.

    Optimised code has no variable for it. But a coroutine keeps the address of its own frame at
    hand, in a register or on the stack; and such an address proves itself, because what is there
    names this function, itself and its task."""
    # A call that never returns may be the last instruction of a function.
    functions = functions_at(frame.pc() - (frame.newer() is not None))
    kind = structure(DETAIL + "PromiseBase")
    size = gdb.lookup_type("unsigned long").sizeof
    found = []
    for address in set(words_of(frame)):
        if address % size or not 0 < address < 1 << (8 * size - 1):
            continue
        try:
            # The promise lies behind the addresses of two functions, in Clang as in GCC.
            promise = object_at(address + 2 * size, kind)
            if (address_of(pointer_within(member(promise, "self"))) == address
                    and address_of(member(promise, "task")) == task.address
                    and functions_at(words_at(address, 1)[0]) & functions):
                found.append(promise)
        except gdb.MemoryError:
            continue
    # A function that awaits itself may have its caller's address at hand, too.
    return max(found, key=lambda promise: len(list(places_from(promise.address))), default=None)


def running_places(task):
    """The thread that runs a task, and where its coroutines stand; None and nothing as far as the
    stacks do not tell."""
    known = Loop(object_at(task.loop_address, structure(DETAIL + "LoopCore"))).thread()
    with selection_kept():
        for thread in [known] if known else gdb.selected_inferior().threads():
            thread.switch()
            try:
                places = places_on_stack(gdb.newest_frame(), task)
            except gdb.error:  # a stack that can't be unwound
                continue
            if places:
                return thread, places
    return known, []


def places_on_stack(frame, task):
    """Where the coroutines of a task stand, the innermost of which runs on this stack; else
    nothing."""
    while frame is not None:
        promise = running_promise(frame, task) if frame.type() == gdb.NORMAL_FRAME else None
        if promise is not None:
            places = list(places_from(promise.address))
            # `where` is its latest co_await; where it is now, the stack knows.
            sal = frame.find_sal()
            if sal.symtab is not None:
                places[0].file, places[0].line = sal.symtab.filename, sal.line
            return places
        frame = frame.older()
    return []


# ---------------------------------------------------------------- the commands


class Report:
    """Prints tasks as muster::print_task_tree() does."""

    def __init__(self):
        self._describe = Describer()

    def task(self, task, details=False):
        try:
            self._task(task, details)
        except gdb.MemoryError as error:
            print(f"(muster::detail::TaskBase *) {task.address:#x} was overwritten: {error}")

    def _task(self, task, details):
        print(f"{task.name} {task.state(self._describe)}{task.cancellation}")
        places = task.places()
        if task.is_running:
            thread, places = running_places(task)
            where = "all" if thread is None else thread.num
            print(f"  (what it does: thread apply {where} bt)")
        for place in places:
            if HIDDEN_FUNCTION not in place.function:
                print(f"  at {place}")
        awaited_by = ", ".join(waiter.name for waiter in task.awaited_by())
        if awaited_by:
            print(f"  awaited by: {awaited_by}")
        if details:
            print(f"  is (muster::detail::TaskBase *) {task.address:#x}, of the loop "
                  f"(muster::detail::LoopCore *) {task.loop_address:#x}")


class MusterCommand(gdb.Command):
    """Looks into a program that uses muster, alive or a core dump.

muster must have been compiled with -g; the program, too, for print to show tasks and futures."""

    def __init__(self):
        super().__init__("muster", gdb.COMMAND_STATUS, prefix=True)


def refuse_arguments(command, argument):
    if argument.strip():
        raise gdb.GdbError(f"{command} takes no arguments.")


class TasksCommand(gdb.Command):
    """List the unfinished tasks of all event loops, oldest first.
Usage: muster tasks

For each: its name, whether it runs, is ready or what it waits for, requests to cancel it, and where
its coroutines stand, innermost first."""

    def __init__(self):
        super().__init__("muster tasks", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def invoke(self, argument, from_tty):
        refuse_arguments("muster tasks", argument)
        loops = open_loops()
        if not loops:
            print("No event loop is open.")
        for number, loop in enumerate(loops, 1):
            report = Report()
            tasks = list(loop.tasks())
            print(f"Loop {number} {loop.state()}: {plural(len(tasks), 'unfinished task')}")
            for task in tasks:
                report.task(task)


class TaskCommand(gdb.Command):
    """Show the unfinished tasks of this name.
Usage: muster task NAME

The same as muster tasks prints, and the addresses of the task and its loop, for print."""

    def __init__(self):
        super().__init__("muster task", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        name = argument.strip()
        if not name:
            raise gdb.GdbError("muster task needs the name of a task; muster tasks lists them.")
        found = [task for task in self._all() if task.name == name]
        if not found:
            raise gdb.GdbError(
                f"No unfinished task is called '{name}'; muster tasks lists those there are.")
        report = Report()
        for task in found:
            report.task(task, details=True)

    def complete(self, text, word):
        try:
            names = [task.name for task in self._all()]
        except gdb.error:
            return gdb.COMPLETE_NONE
        # What is completed begins where gdb sees a word begin.
        begun = len(text) - len(word)
        return [name[begun:] for name in names if name.startswith(text)]

    @staticmethod
    def _all():
        return [task for loop in open_loops() for task in loop.tasks()]


class LoopsCommand(gdb.Command):
    """List the open event loops, oldest first.
Usage: muster loops

For each: whether it runs and in which thread, how many unfinished tasks it has, how much is ready
to run, timers, and operations of other threads and sockets that are under way."""

    def __init__(self):
        super().__init__("muster loops", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def invoke(self, argument, from_tty):
        refuse_arguments("muster loops", argument)
        loops = open_loops()
        if not loops:
            print("No event loop is open.")
        for number, loop in enumerate(loops, 1):
            value = loop.value
            ready = sum(1 for list_ in ("turn_", "ready_") for _ in links(member(value, list_)))
            timers = member(value, "timers_")
            set_timers = sum(1 for _ in links(member(timers, "fresh_")))
            set_timers += vector_size(member(timers, "heap_"))
            print(f"Loop {number} {loop.state()}: "
                  f"{plural(int(member(value, 'task_count_')), 'unfinished task')}, {ready} ready, "
                  f"{plural(set_timers, 'timer')}, "
                  f"{plural(int(member(value, 'external_count_')), 'operation')} under way")
            print(f"  is (muster::detail::LoopCore *) {loop.address:#x}")


# ---------------------------------------------------------------- print


# They begin as std::runtime_error or std::logic_error do.
WITH_MESSAGE = [
    "std::runtime_error", "std::logic_error", "std::system_error", "std::range_error",
    "std::overflow_error", "std::underflow_error", "std::domain_error", "std::invalid_argument",
    "std::length_error", "std::out_of_range", "std::filesystem::__cxx11::filesystem_error",
]


def exception_text(pointer):
    """What a std::exception_ptr holds: its type and, if it has one, its message."""
    thrown = address_of(pointer_within(pointer))
    if thrown == 0:
        return None
    class_ = thrown_class(thrown)
    if class_ is None:
        return f"an exception at {thrown:#x}"
    return class_ + exception_message(thrown, class_)


def thrown_class(thrown):
    """The type of an exception object; None if there is no telling."""
    # The header before the object begins with it. On 64-bit machines that has 14 words.
    word = gdb.lookup_type("unsigned long").sizeof
    try:
        return symbol_like(r"typeinfo for (.+)", words_at(thrown - 14 * word, 1)[0])
    except gdb.MemoryError:
        return None


def exception_message(thrown, class_):
    """': ' and the message of an exception, if it has one."""
    try:
        if class_ in WITH_MESSAGE:
            text = standard_message(thrown)
        else:
            value = object_at(thrown, gdb.lookup_type(class_))
            if class_ == "muster::CancelledError":
                text = text_of(member(value, "message_"))
            else:
                bases = (name for name in WITH_MESSAGE if base_path(value.type, name) is not None)
                text = standard_message(address_of(as_base(value, next(bases)).address))
    except (gdb.error, gdb.GdbError, StopIteration):
        return ""
    return ": " + text if text else ""


def standard_message(exception):
    """The text of a std::runtime_error and the like, whose what() can't be called."""
    # Compilers rely on the standard library to describe these types, and it seldom has debug
    # information. In libstdc++ they are a virtual table and a pointer to the text, for good.
    text = words_at(exception, 2)[1]
    return gdb.Value(text).cast(gdb.lookup_type("char").pointer()).string(errors="replace")


class FuturePrinter:
    """Prints a Task, Future or AnyTask."""

    def __init__(self, value):
        value = referred(value)
        future = value.type.strip_typedefs().name.startswith("muster::Future<")
        self._kind = "Future" if future else "Task"
        state = pointer_within(member(value, "state_"))
        self._object = target(state) if address_of(state) != 0 else None

    def to_string(self):
        if self._object is None:
            return f"{self._kind} (empty)"
        name = ""
        task = None
        if self._kind == "Task":
            task = Task.of(self._object)
            name = f" '{task.name}'"
        return f"{self._kind}{name} ({self._state(task)})"

    def _state(self, task):
        future = as_base(self._object, DETAIL + "FutureBase")
        state = enumerator(member(future, "state_"))
        if state == "value":
            return "done"
        if state == "pending":
            return "pending" if task is None else task.state(Describer()) + task.cancellation
        error = exception_text(member(future, "error_"))
        return state + (f": {error}" if error else "")

    def children(self):
        if self._object is None:
            return
        future = as_base(self._object, DETAIL + "FutureBase")
        if enumerator(member(future, "state_")) != "value":
            return
        try:
            result = self._object["slot_"]["value_"]
        except gdb.error:  # of an AnyTask, which does not know its type
            return
        if result.type.strip_typedefs().name != "std::monostate":
            yield "result", result


class CoroPrinter:
    """Prints a Coro."""

    def __init__(self, value):
        self._promise = member(value, "promise_")

    def to_string(self):
        if address_of(self._promise) == 0:
            return "Coro (empty)"
        return f"Coro ({Place(member(self._promise, 'where'))})"


def register():
    printers = gdb.printing.RegexpCollectionPrettyPrinter("muster")
    printers.add_printer("Future", r"^muster::(Task|Future)<.*>$", FuturePrinter)
    printers.add_printer("AnyTask", r"^muster::AnyTask$", FuturePrinter)
    printers.add_printer("Coro", r"^muster::Coro<.*>$", CoroPrinter)
    gdb.printing.register_pretty_printer(None, printers, replace=True)
    for command in (MusterCommand, TasksCommand, TaskCommand, LoopsCommand):
        command()


register()
