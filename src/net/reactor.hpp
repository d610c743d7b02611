#pragma once

#include "net/descriptor.hpp"

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace muster::detail {

class Watch;

/// Waits for all streams of an io_context with an epoll set of its own, which is one descriptor to
/// Asio. Each stream is added once and then hears of every change; Asio would ask the kernel more
/// than once for each read.
class Reactor final : public boost::asio::execution_context::service {
public:
    using key_type = Reactor;
    static boost::asio::execution_context::id id;

    explicit Reactor(boost::asio::execution_context& context);

private:
    friend class Watch;

    using Set = boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>;

    void shutdown() noexcept override { set_.reset(); }

    void notify_fork(boost::asio::execution_context::fork_event event) override;

    void open();
    std::uint32_t enter(Watch& watch);
    void leave(std::uint32_t place) noexcept;
    [[nodiscard]] bool control(int operation, const Watch& watch) noexcept;

    void waiting_changed() noexcept;
    void wait();
    void serve();
    [[nodiscard]] int collect() noexcept;

    boost::asio::io_context& context_;
    std::unique_ptr<Set> set_; // until the io_context is destroyed
    // What the kernel names is a place, not a watch: a descriptor that another process holds, too,
    // may outlive its stream in the set. Who has the place then looks, and finds nothing.
    std::vector<Watch*> places_;
    std::vector<std::uint32_t> free_;
    std::size_t waiting_ = 0; // watches that somebody waits for
    bool armed_ = false;      // Asio waits for the set
    bool serving_ = false;
};

/// A descriptor in the set of its io_context. It is told of edges: that something has changed since
/// it was told last, not what there is.
class Watch {
public:
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

protected:
    Watch() noexcept = default;

    ~Watch() { unwatch(); }

    /// Begins to watch, `writing` too: see watch_writing(). A first edge comes at once if there is
    /// something to read. Another watch may have left the descriptor in the set. Throws Error when
    /// the system has no room, or the descriptor is a file.
    void watch(boost::asio::io_context& context, int fd, bool writing = false);

    /// From now on it is told when there is room to write, too; now, if there is.
    void watch_writing() noexcept;

    /// It is told again of what there is.
    void repeat_edges() noexcept;

    /// No edge comes any more; before the descriptor is closed, or given to another watch.
    /// Idempotent.
    void unwatch() noexcept;

    /// The same, for a descriptor that stays open and is none of the set's any more.
    void leave_set() noexcept;

    /// Whether somebody waits for an edge. Edges come only while somebody waits for that of any
    /// watch; meanwhile the io_context has work.
    void set_waiting(bool waiting) noexcept;

private:
    friend class Reactor;

    /// `events`: epoll's.
    virtual void on_edge(std::uint32_t events) = 0;

    Reactor* reactor_ = nullptr;
    int fd_ = -1;
    std::uint32_t place_ = 0;
    std::uint32_t events_ = 0; // that are watched for
    bool waiting_ = false;
};

} // namespace muster::detail
