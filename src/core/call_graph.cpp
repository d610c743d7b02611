#include "deadlock.hpp"

#include <muster/core/call_graph.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/event_loop.hpp>

#include <algorithm>
#include <chrono>
#include <iomanip>
#include <limits>
#include <memory>
#include <ostream>
#include <ranges>
#include <sstream>
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

std::string waiting_time(const TaskBase& task) {
    const auto since = task.loop()->waits_since(task);
    if (!since || task.waiter() == nullptr) {
        return {};
    }
    std::ostringstream text;
    text << std::fixed << std::setprecision(3)
         << std::chrono::duration<double>(task.loop()->now() - *since).count();
    return ", for " + text.str() + " s";
}

class TreeWriter {
public:
    TreeWriter(std::ostream& out, std::size_t most_tasks) : out_(out), most_tasks_(most_tasks) {
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
                write(*task);
            }
        }
        for (TaskBase* task : tasks_) {
            if (!written_.contains(task) && written_.size() < most_tasks_) {
                out_ << "these tasks wait for each other in a circle:\n";
                write(*task);
            }
        }
        if (const std::size_t left = tasks_.size() - written_.size(); left > 0) {
            out_ << "and " << left << " more tasks\n";
        }
    }

private:
    // Deeper ones are not further to the right.
    static constexpr std::size_t most_levels = 20;

    struct Place {
        TaskBase* task;
        std::size_t level;
    };

    // Not recursive: tasks may wait for each other ever so deep.
    void write(TaskBase& root) {
        std::vector<Place> places{{&root, 0}};
        while (!places.empty() && written_.size() < most_tasks_) {
            const Place place = places.back();
            places.pop_back();
            above_.resize(place.level);
            const std::string indent(4 * std::min(place.level, most_levels), ' ');
            if (!written_.insert(place.task).second) {
                const bool circle = std::ranges::find(above_, place.task) != above_.end();
                out_ << indent << place.task->name() << " (see above)"
                     << (circle ? ", in a circle" : "") << "\n";
                continue;
            }
            write_one(*place.task, indent);
            above_.push_back(place.task);
            for (TaskBase* child : std::views::reverse(children_[place.task])) {
                places.push_back({child, place.level + 1});
            }
        }
    }

    void write_one(const TaskBase& task, const std::string& indent) {
        std::string text = indent + task.name() + state_of(task) + waiting_time(task) + "\n";
        for (const std::source_location& where : task.stack()) {
            add_line(text, indent + "  at ", where);
        }
        out_ << text;
    }

    std::ostream& out_;
    const std::size_t most_tasks_;
    std::vector<TaskBase*> tasks_;
    std::unordered_map<TaskBase*, std::vector<TaskBase*>> children_;
    std::unordered_set<TaskBase*> awaited_;
    std::unordered_set<TaskBase*> written_;
    std::vector<TaskBase*> above_; // the one that is written, outermost first
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

void detail::print_task_tree(std::ostream& out, std::size_t most_tasks) {
    TreeWriter(out, most_tasks).write();
}

void print_task_tree(std::ostream& out) {
    detail::print_task_tree(out, std::numeric_limits<std::size_t>::max());
}

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
