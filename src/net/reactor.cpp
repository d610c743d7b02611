#include "net/reactor.hpp"

#include "net/socket_wait.hpp"

#include <muster/core/error.hpp>

#include <boost/system/error_code.hpp>

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

namespace muster::detail {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::size_t batch = 256;

// Edges that are served before Asio's own descriptors have a turn.
constexpr int most_edges = 256;

[[noreturn]] void fail(const char* what) {
    throw Error(std::string(what) + ": " +
                error_code(errno, boost::system::system_category()).message());
}

} // namespace

asio::execution_context::id Reactor::id;

Reactor::Reactor(asio::execution_context& context)
    : asio::execution_context::service(context), context_(static_cast<asio::io_context&>(context)) {
    open();
}

void Reactor::open() {
    Descriptor set(::epoll_create1(EPOLL_CLOEXEC));
    if (!set.valid()) {
        fail("cannot wait for connections");
    }
    set_ = std::make_unique<Set>(context_);
    set_->assign(set.get());
    static_cast<void>(set.release());
}

/// The child of a fork shares the parent's set, and must not change it.
void Reactor::notify_fork(asio::execution_context::fork_event event) {
    if (event != asio::execution_context::fork_child || !set_) {
        return;
    }
    open();
    for (const Watch* watch : places_) {
        if (watch != nullptr && !control(EPOLL_CTL_ADD, *watch)) {
            fail("cannot wait for a connection");
        }
    }
}

std::uint32_t Reactor::enter(Watch& watch) {
    if (free_.empty()) {
        places_.push_back(nullptr);
        free_.reserve(places_.capacity()); // so that leave() need not throw
        free_.push_back(static_cast<std::uint32_t>(places_.size() - 1));
    }
    const std::uint32_t place = free_.back();
    free_.pop_back();
    places_[place] = &watch;
    return place;
}

void Reactor::leave(std::uint32_t place) noexcept {
    places_[place] = nullptr;
    free_.push_back(place);
}

bool Reactor::control(int operation, const Watch& watch) noexcept {
    epoll_event event{};
    event.events = watch.events_;
    event.data.u32 = watch.place_;
    return ::epoll_ctl(set_->native_handle(), operation, watch.fd_, &event) == 0;
}

void Reactor::waiting_changed() noexcept {
    if (serving_ || !set_) {
        return;
    }
    if (waiting_ > 0) {
        wait();
    } else if (armed_) {
        error_code ignored;
        set_->cancel(ignored); // a host's run() must be able to return
    }
}

void Reactor::wait() {
    if (std::exchange(armed_, true)) {
        return;
    }
    set_->async_wait(Set::wait_read, [this](error_code error) {
        armed_ = false;
        if (!error) {
            serve();
        }
        if (waiting_ > 0 && set_) {
            wait();
        }
    });
}

void Reactor::serve() {
    serving_ = true;
    int left = most_edges;
    int count = 0;
    do {
        if (LoopCore* loop = LoopCore::current()) {
            loop->expect_drain();
        }
        count = collect();
        run_woken();
        left -= count;
        // Where there were several, there are probably more by now.
    } while (count > 1 && left > 0 && waiting_ > 0 && set_ && !context_.stopped());
    serving_ = false;
}

/// Tells the watches of their edges. How many there were.
int Reactor::collect() noexcept {
    std::array<epoll_event, batch> events; // NOLINT(*-member-init): the kernel fills it
    const int count =
        ::epoll_wait(set_->native_handle(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (Watch* watch = places_[event.data.u32]) {
            watch->on_edge(event.events);
        }
    }
    return count;
}

void Watch::watch(asio::io_context& context, int fd, bool writing) {
    auto& reactor = asio::use_service<Reactor>(context);
    fd_ = fd;
    events_ = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET | (writing ? EPOLLOUT : 0U);
    place_ = reactor.enter(*this);
    reactor_ = &reactor;
    if (!reactor_->control(EPOLL_CTL_ADD, *this) &&
        (errno != EEXIST || !reactor_->control(EPOLL_CTL_MOD, *this))) {
        const int error = errno;
        unwatch();
        errno = error;
        fail("cannot wait for a connection");
    }
}

void Watch::watch_writing() noexcept {
    if ((events_ & EPOLLOUT) == 0) {
        events_ |= EPOLLOUT;
        repeat_edges();
    }
}

void Watch::repeat_edges() noexcept {
    if (reactor_ != nullptr) {
        static_cast<void>(reactor_->control(EPOLL_CTL_MOD, *this)); // fails for unknown ones only
    }
}

void Watch::unwatch() noexcept {
    if (reactor_ != nullptr) {
        set_waiting(false);
        std::exchange(reactor_, nullptr)->leave(place_);
    }
}

void Watch::leave_set() noexcept {
    if (reactor_ != nullptr) {
        static_cast<void>(reactor_->control(EPOLL_CTL_DEL, *this));
        unwatch();
    }
}

void Watch::set_waiting(bool waiting) noexcept {
    if (std::exchange(waiting_, waiting) == waiting || reactor_ == nullptr) {
        return;
    }
    if (waiting) {
        ++reactor_->waiting_;
    } else {
        --reactor_->waiting_;
    }
    reactor_->waiting_changed();
}

} // namespace muster::detail
