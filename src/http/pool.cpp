#include "pool.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>

namespace muster::http::detail {

/// The kept connections of one loop.
class Pool::Shelf : public std::enable_shared_from_this<Shelf> {
public:
    Shelf(EventLoop& loop, Clock::duration keep) : loop_(loop), keep_(keep) {}

    [[nodiscard]] EventLoop& loop() const noexcept { return loop_; }

    [[nodiscard]] std::size_t size() const noexcept { return kept_.size(); }

    void put(const std::string& key, std::shared_ptr<Connection> connection, std::size_t max) {
        if (kept_.size() >= max) {
            kept_.erase(oldest());
        }
        kept_.emplace(key, Kept{std::move(connection), loop_.time()});
        if (kept_.size() == 1) {
            schedule();
        }
    }

    std::shared_ptr<Connection> take(const std::string& key) {
        for (;;) {
            const auto end = kept_.upper_bound(key);
            if (end == kept_.begin() || std::prev(end)->first != key) {
                return nullptr;
            }
            // Equal keys stand in the order of their coming: this is the newest.
            const auto node = kept_.extract(std::prev(end));
            if (node.mapped().connection->quiet()) {
                return node.mapped().connection;
            }
        }
    }

    /// Closes everything; the timer lets go of this.
    void clear() noexcept {
        kept_.clear();
        timer_.cancel();
    }

private:
    struct Kept {
        std::shared_ptr<Connection> connection;
        Clock::time_point since;
    };

    using Map = std::multimap<std::string, Kept>;

    Map::iterator oldest() {
        return std::ranges::min_element(
            kept_, {}, [](const Map::value_type& entry) { return entry.second.since; });
    }

    void schedule() {
        timer_.cancel();
        timer_ = loop_.call_at(muster::detail::deadline_after(oldest()->second.since, keep_),
                               [self = shared_from_this()] { self->sweep(); });
    }

    void sweep() {
        const Clock::time_point now = loop_.time();
        std::erase_if(kept_, [&](const Map::value_type& entry) {
            return muster::detail::deadline_after(entry.second.since, keep_) <= now;
        });
        if (!kept_.empty()) {
            schedule();
        }
    }

    EventLoop& loop_;
    Clock::duration keep_;
    Map kept_;
    TimerHandle timer_;
};

Pool::Pool(std::size_t max_per_host, std::size_t max_idle, std::chrono::milliseconds keep_idle)
    : max_per_host_(std::clamp<std::size_t>(max_per_host, 1, PTRDIFF_MAX)),
      max_idle_(max_idle),
      keep_idle_(muster::detail::to_duration(keep_idle)) {}

Pool::~Pool() { close_idle(); }

Semaphore& Pool::places(const std::string& key) {
    return places_.try_emplace(key, static_cast<std::ptrdiff_t>(max_per_host_)).first->second;
}

std::shared_ptr<Pool::Shelf> Pool::shelf() const {
    auto shelf = shelf_.lock();
    return shelf && &shelf->loop() == &get_running_loop() ? shelf : nullptr;
}

std::shared_ptr<Connection> Pool::take(const std::string& key) {
    const auto kept = shelf();
    return kept ? kept->take(key) : nullptr;
}

void Pool::give(const std::string& key, std::shared_ptr<Connection> connection) {
    if (max_idle_ == 0) {
        return;
    }
    auto kept = shelf();
    if (!kept) {
        kept = std::make_shared<Shelf>(get_running_loop(), keep_idle_);
        shelf_ = kept;
    }
    kept->put(key, std::move(connection), max_idle_);
}

void Pool::close_idle() noexcept {
    if (const auto kept = shelf_.lock()) {
        kept->clear();
    }
}

std::size_t Pool::idle() const noexcept {
    const auto kept = shelf_.lock();
    return kept ? kept->size() : 0;
}

} // namespace muster::http::detail
