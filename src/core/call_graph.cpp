#include <muster/core/call_graph.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/event_loop.hpp>

#include <algorithm>
#include <memory>
#include <ostream>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace muster {

namespace {

using detail::FutureBase;
using detail::Node;
using detail::NodeEvent;
using detail::TaskBase;

// Lies among a future's waiters to say that somebody waits who has no node of his own there.
class AwaitedBy final : public detail::Pooled, public Node {
public:
    explicit AwaitedBy(const AnyTask& waiter) : Node(&AwaitedBy::on_node), waiter_(waiter) {}

    static TaskBase* on_node(Node& node, NodeEvent event) noexcept {
        auto* self = static_cast<AwaitedBy*>(&node);
        if (event == NodeEvent::who) {
            return self->waiter_.state().get();
        }
        delete self;
        return nullptr;
    }

private:
    AnyTask waiter_;
};

std::vector<TaskBase*> awaiting(const FutureBase& future) {
    std::vector<TaskBase*> result;
    future.waiters().for_each([&](Node& node) {
        TaskBase* waiter = node.awaiting_task();
        if (waiter != nullptr && std::ranges::find(result, waiter) == result.end()) {
            result.push_back(waiter);
        }
    });
    return result;
}

void add_line(std::string& text, const std::string& indent, const std::source_location& where) {
    // The frame in which create_task(fn, args...) keeps what it was given says nothing to anybody.
    if (std::string_view(where.function_name()).find("muster::detail::invoke_owned") !=
        std::string_view::npos) {
        return;
    }
    text += indent + where.function_name() + "  " + where.file_name() + ":" +
            std::to_string(where.line()) + "\n";
}

std::string state_of(const TaskBase& task) {
    if (task.waiter() != nullptr) {
        return " waits for: " + task.waiter()->describe();
    }
    return task.has_started() ? " is ready or running" : " has not started";
}

class GraphWriter {
public:
    explicit GraphWriter(std::string& text) : text_(text) {}

    void write(const FutureCallGraph& graph, std::size_t level) {
        const std::string indent(4 * level, ' ');
        text_ += indent + (graph.task ? "* Task '" + graph.task.name() + "'" : "* Future") + "\n";
        for (const std::source_location& where : graph.call_stack) {
            add_line(text_, indent + "  | ", where);
        }
        if (!graph.awaited_by.empty()) {
            text_ += indent + "  + Awaited by:\n";
        }
        for (const FutureCallGraph& waiter : graph.awaited_by) {
            write(waiter, level + 1);
        }
    }

private:
    std::string& text_;
};

FutureCallGraph capture(FutureBase& future, const CallGraphOptions& options, std::size_t depth,
                        std::unordered_set<FutureBase*>& path) {
    TaskBase* const task = future.as_task();
    FutureCallGraph graph{AnyTask(task), {}, {}};
    if (task != nullptr) {
        graph.call_stack = task->stack();
    }
    if (graph.call_stack.size() > options.limit) {
        graph.call_stack.resize(options.limit);
    }
    // Tasks can wait for each other in a circle, which is a deadlock, but one to look at.
    if (depth < options.depth && path.insert(&future).second) {
        for (TaskBase* waiter : awaiting(future)) {
            graph.awaited_by.push_back(capture(*waiter, options, depth + 1, path));
        }
        path.erase(&future);
    }
    return graph;
}

class TreeWriter {
public:
    explicit TreeWriter(std::ostream& out) : out_(out) {
        for (const AnyTask& task : all_tasks()) {
            tasks_.push_back(task.state().get());
        }
        for (TaskBase* task : tasks_) {
            for (TaskBase* waiter : awaiting(*task)) {
                children_[waiter].push_back(task);
                awaited_.insert(task);
            }
        }
    }

    void write() {
        for (TaskBase* task : tasks_) {
            if (!awaited_.contains(task)) {
                write(*task, 0);
            }
        }
        for (TaskBase* task : tasks_) {
            if (!written_.contains(task)) {
                out_ << "these tasks wait for each other in a circle:\n";
                write(*task, 0);
            }
        }
    }

private:
    void write(TaskBase& task, std::size_t level) {
        const std::string indent(4 * level, ' ');
        if (!written_.insert(&task).second) {
            out_ << indent << task.name() << " (see above)\n";
            return;
        }
        std::string text = indent + task.name() + state_of(task) + "\n";
        for (const std::source_location& where : task.stack()) {
            add_line(text, indent + "  at ", where);
        }
        out_ << text;
        for (TaskBase* child : children_[&task]) {
            write(*child, level + 1);
        }
    }

    std::ostream& out_;
    std::vector<TaskBase*> tasks_;
    std::unordered_map<TaskBase*, std::vector<TaskBase*>> children_;
    std::unordered_set<TaskBase*> awaited_;
    std::unordered_set<TaskBase*> written_;
};

} // namespace

FutureCallGraph detail::capture_call_graph(FutureBase& future, CallGraphOptions options) {
    std::unordered_set<FutureBase*> path;
    return capture(future, options, 0, path);
}

FutureCallGraph capture_call_graph(const AnyTask& task, CallGraphOptions options) {
    return task ? detail::capture_call_graph(*task.state(), options) : FutureCallGraph();
}

std::string format_call_graph(const FutureCallGraph& graph) {
    std::string text;
    GraphWriter(text).write(graph, 0);
    return text;
}

std::string format_call_graph(const AnyTask& task, CallGraphOptions options) {
    return task ? format_call_graph(capture_call_graph(task, options)) : std::string();
}

void print_call_graph(const AnyTask& task, std::ostream& out, CallGraphOptions options) {
    out << format_call_graph(task, options);
}

void print_task_tree(std::ostream& out) { TreeWriter(out).write(); }

void future_add_to_awaited_by(const AnyTask& future, const AnyTask& waiter) {
    if (!future.done()) {
        future.state()->add_waiter(*new AwaitedBy(waiter));
    }
}

void future_discard_from_awaited_by(const AnyTask& future, const AnyTask& waiter) noexcept {
    Node* found = nullptr;
    future.state()->waiters().for_each([&](Node& node) {
        if (node.runs(&AwaitedBy::on_node) && node.awaiting_task() == waiter.state().get()) {
            found = &node;
        }
    });
    if (found != nullptr) {
        found->unlink();
        found->notify(NodeEvent::drop);
    }
}

} // namespace muster
