#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::outcome;
using testing_support::turns;

namespace {

template <class T>
Coro<std::vector<T>> drain(Receiver<T> receiver) {
    std::vector<T> items;
    while (std::optional<T> item = co_await receiver.receive()) {
        items.push_back(std::move(*item));
    }
    co_return items;
}

Coro<void> send_all(Sender<int> sender, int first, int count) {
    for (int item = first; item < first + count; ++item) {
        co_await sender.send(item);
    }
}

Coro<void> send_one(const Sender<int>& sender, int item) { co_await sender.send(item); }

Coro<int> receive_one(const Receiver<int>& receiver) {
    co_return (co_await receiver.receive()).value_or(-1);
}

} // namespace

CO_TEST_CASE("a channel hands its items on first in, first out, and its end ends the loop") {
    auto [sender, receiver] = make_channel<int>(2);
    const Task<std::vector<int>> draining = create_task(drain(receiver));
    co_await send_all(sender, 1, 10);
    CHECK(outcome(draining) == "pending");
    sender.close();
    co_await draining;
    CHECK(draining.result() == std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
    CHECK(receiver.at_end());
}

CO_TEST_CASE("a channel is the pair of its ends") {
    Channel<std::string> channel(1);
    co_await channel.sender.send("a");
    const std::optional<std::string> item = co_await channel.receiver.receive();
    CHECK(item == "a");
    CHECK(channel.sender.statistics().capacity == 1);
}

CO_TEST_CASE("a channel without room: a sender waits until a receiver has its item") {
    auto [sender, receiver] = make_channel<int>();
    const Task<> first = create_task(send_one(sender, 1));
    const Task<> second = create_task(send_one(sender, 2));
    co_await turns();
    CHECK(outcome(first) == "pending");
    CHECK(sender.statistics().tasks_waiting_send == 2);
    CHECK_FALSE(sender.try_send(3));
    const int one = co_await receive_one(receiver);
    CHECK(one == 1);
    co_await turns();
    CHECK(outcome(first) == "value");
    CHECK(outcome(second) == "pending");
    const std::optional<int> two = receiver.try_receive();
    CHECK(two == 2);
    CHECK_FALSE(receiver.try_receive().has_value());
    CHECK_FALSE(receiver.at_end());
}

CO_TEST_CASE("a channel without room: a receiver that waits is served at once") {
    auto [sender, receiver] = make_channel<int>();
    const Task<int> first = create_task(receive_one(receiver));
    const Task<int> second = create_task(receive_one(receiver));
    co_await turns();
    CHECK(receiver.statistics().tasks_waiting_receive == 2);
    CHECK(sender.try_send(1));
    co_await sender.send(2);
    CHECK_FALSE(sender.try_send(3));
    co_await turns();
    CHECK(first.result() == 1);
    CHECK(second.result() == 2);
}

CO_TEST_CASE("a channel's senders wait while it is full, and go on in the order they came") {
    auto [sender, receiver] = make_channel<int>(1);
    std::vector<Task<>> tasks;
    for (int item = 0; item < 4; ++item) {
        tasks.push_back(create_task(send_one(sender, item)));
    }
    co_await turns();
    CHECK(outcome(tasks[0]) == "value");
    CHECK(outcome(tasks[1]) == "pending");
    for (int expected = 0; expected < 4; ++expected) {
        CHECK(receiver.try_receive() == expected);
    }
    co_await gather(tasks);
}

CO_TEST_CASE("a channel's receivers are served in the order they came") {
    auto [sender, receiver] = make_channel<int>(8);
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 3; ++i) {
        tasks.push_back(create_task(receive_one(receiver)));
    }
    co_await turns();
    for (int item = 10; item <= 30; item += 10) {
        CHECK(sender.try_send(item));
    }
    // The items are kept for those that wait.
    CHECK_FALSE(receiver.try_receive().has_value());
    const Task<int> later = create_task(receive_one(receiver));
    co_await turns();
    CHECK(tasks[0].result() == 10);
    CHECK(tasks[1].result() == 20);
    CHECK(tasks[2].result() == 30);
    CHECK(outcome(later) == "pending");
    CHECK(sender.try_send(40));
    co_await turns();
    CHECK(later.result() == 40);
}

CO_TEST_CASE("items kept for receivers that were woken are no part of what a channel holds") {
    auto [sender, receiver] = make_channel<int>(1);
    const Task<int> task = create_task(receive_one(receiver));
    co_await turns();
    CHECK(sender.try_send(1));
    CHECK(sender.try_send(2));
    CHECK_FALSE(sender.try_send(3));
    CHECK(sender.statistics().size == 2);
    co_await task;
    CHECK(task.result() == 1);
    CHECK(receiver.try_receive() == 2);
}

CO_TEST_CASE("a channel without a limit never makes a sender wait") {
    auto [sender, receiver] = make_channel<int>(Channel<int>::unlimited);
    for (int item = 0; item < 1'000; ++item) {
        CHECK(sender.try_send(item));
    }
    CHECK(receiver.statistics().size == 1'000);
    sender.close();
    const std::vector<int> items = co_await drain(receiver);
    CHECK(items.size() == 1'000);
}

CO_TEST_CASE("a channel hands on what can only be moved, and leaves what it does not take") {
    auto [sender, receiver] = make_channel<std::unique_ptr<int>>(1);
    auto first = std::make_unique<int>(1);
    auto second = std::make_unique<int>(2);
    CHECK(sender.try_send(std::move(first)));
    CHECK_FALSE(sender.try_send(std::move(second)));
    REQUIRE(second != nullptr);
    const auto sending = [](Sender<std::unique_ptr<int>> end,
                            std::unique_ptr<int> item) -> Coro<void> {
        co_await end.send(std::move(item));
    };
    const Task<> task = create_task(sending(std::move(sender), std::move(second)));
    co_await turns();
    auto one = co_await receiver.receive();
    auto two = co_await receiver.receive();
    CHECK(**one + **two == 3);
    co_await task;
}

CO_TEST_CASE("a channel ends when all copies of its sender are closed, and its items are got") {
    auto [sender, receiver] = make_channel<int>(4);
    {
        const Sender<int> copy = sender;
        CHECK(sender.statistics().open_senders == 2);
        sender.close();
        CHECK_FALSE(static_cast<bool>(sender));
        CHECK(copy.try_send(1));
        CHECK_FALSE(receiver.at_end());
    }
    CHECK_FALSE(receiver.at_end()); // an item is left
    const int item = co_await receive_one(receiver);
    CHECK(item == 1);
    CHECK(receiver.at_end());
    for (int i = 0; i < 2; ++i) {
        const std::optional<int> nothing = co_await receiver.receive();
        CHECK_FALSE(nothing.has_value());
    }
}

CO_TEST_CASE("the end wakes all receivers that wait") {
    auto [sender, receiver] = make_channel<int>(4);
    const Task<int> first = create_task(receive_one(receiver));
    const Task<int> second = create_task(receive_one(receiver));
    co_await turns();
    CHECK(sender.try_send(7)); // for the first
    sender.close();
    const Task<int> third = create_task(receive_one(receiver));
    co_await turns(3);
    CHECK(first.result() == 7);
    CHECK(second.result() == -1);
    REQUIRE(outcome(third) == "value");
    CHECK(third.result() == -1);
}

CO_TEST_CASE("who comes after the end, behind receivers that were woken, is told, too") {
    auto [sender, receiver] = make_channel<int>(4);
    const Task<int> first = create_task(receive_one(receiver));
    const Task<int> second = create_task(receive_one(receiver));
    co_await turns();
    const Task<int> third = create_task(receive_one(receiver)); // runs before they resume
    CHECK(sender.try_send(7));
    sender.close();
    co_await turns(3);
    CHECK(first.result() == 7);
    CHECK(second.result() == -1);
    REQUIRE(outcome(third) == "value");
    CHECK(third.result() == -1);
}

CO_TEST_CASE("without receivers left a send throws BrokenResourceError, and items are dropped") {
    const auto tracked = std::make_shared<int>(1);
    auto [sender, receiver] = make_channel<std::shared_ptr<int>>(1);
    CHECK(sender.try_send(tracked));
    const auto sending = [](const Sender<std::shared_ptr<int>>& end,
                            std::shared_ptr<int> item) -> Coro<void> {
        co_await end.send(std::move(item));
    };
    const Task<> waiting = create_task(sending(sender, tracked));
    co_await turns();
    Receiver<std::shared_ptr<int>> copy = receiver;
    receiver.close();
    co_await turns();
    CHECK(outcome(waiting) == "pending");
    copy.close();
    co_await turns();
    CHECK(outcome(waiting) == "all receivers of the channel are closed");
    CHECK(tracked.use_count() == 1);
    CHECK_THROWS_AS(static_cast<void>(sender.try_send(tracked)), BrokenResourceError);
    const Task<> later = create_task(sending(sender, tracked));
    co_await turns();
    CHECK(outcome(later) == "all receivers of the channel are closed");
}

CO_TEST_CASE("an end that is closed throws ClosedResourceError") {
    auto [sender, receiver] = make_channel<int>(1);
    Sender<int> moved = std::move(sender);
    CHECK(moved.statistics().open_senders == 1);
    moved.close();
    moved.close();
    CHECK_THROWS_AS(static_cast<void>(moved.try_send(1)), ClosedResourceError);
    receiver.close();
    const Sender<int> copy = moved;
    CHECK_FALSE(static_cast<bool>(copy));
    const Task<> sending = create_task(send_one(moved, 1));
    const Task<int> receiving = create_task(receive_one(receiver));
    co_await turns();
    CHECK(outcome(sending) == "this end of the channel is closed");
    CHECK(outcome(receiving) == "this end of the channel is closed");
    CHECK_THROWS_AS(static_cast<void>(receiver.try_receive()), ClosedResourceError);
    CHECK_THROWS_AS(static_cast<void>(receiver.at_end()), ClosedResourceError);
    CHECK_THROWS_AS(static_cast<void>(receiver.statistics()), ClosedResourceError);
}

CO_TEST_CASE("an end that is closed while its send or receive waits stays open for that") {
    auto [sender, receiver] = make_channel<int>();
    const Task<int> receiving = create_task(receive_one(receiver));
    co_await turns();
    receiver.close();
    CHECK(sender.try_send(1));
    co_await receiving;
    CHECK(receiving.result() == 1);
    CHECK_THROWS_AS(static_cast<void>(sender.try_send(2)), BrokenResourceError);

    Channel<int> other;
    const Task<> sending = create_task(send_one(other.sender, 3));
    co_await turns();
    other.sender.close();
    CHECK_FALSE(other.receiver.at_end());
    CHECK(other.receiver.try_receive() == 3);
    co_await sending;
    CHECK(other.receiver.at_end());
}

CO_TEST_CASE("a channel's statistics") {
    auto [sender, receiver] = make_channel<int>(2);
    const Sender<int> copy = sender;
    CHECK(sender.try_send(1));
    CHECK(sender.try_send(2));
    const Task<> waiting = create_task(send_one(sender, 3));
    co_await turns();
    const ChannelStatistics statistics = receiver.statistics();
    CHECK(statistics.size == 2);
    CHECK(statistics.capacity == 2);
    CHECK(statistics.open_senders == 3);
    CHECK(statistics.open_receivers == 1);
    CHECK(statistics.tasks_waiting_send == 1);
    CHECK(statistics.tasks_waiting_receive == 0);
    waiting.cancel();
}

CO_TEST_CASE("an end assigned over is closed") {
    Channel<int> one(1);
    Channel<int> two(1);
    one.sender = two.sender;
    CHECK(one.receiver.at_end());
    CHECK(two.sender.statistics().open_senders == 2);
    two.receiver = std::move(one.receiver);
    CHECK_THROWS_AS(static_cast<void>(two.sender.try_send(1)), BrokenResourceError);
    co_return;
}

CO_TEST_CASE("an item may hold an end of its own channel") {
    struct Parcel {
        std::optional<Sender<int>> reply;
        std::shared_ptr<std::optional<Sender<Parcel>>> self;
    };

    auto [sender, receiver] = make_channel<Parcel>(1);
    auto self = std::make_shared<std::optional<Sender<Parcel>>>(sender);
    CHECK(sender.try_send(Parcel{std::nullopt, std::move(self)}));
    sender.close();
    CHECK_FALSE(receiver.at_end());
    receiver.close(); // drops the item, and with it the last sender
    co_return;
}

CO_TEST_CASE("a channel that never runs dry lets others run") {
    auto [sender, receiver] = make_channel<int>(4);
    bool stop = false;
    get_running_loop().call_soon([&] { stop = true; });
    int rounds = 0;
    for (; !stop && rounds < 10'000; ++rounds) {
        co_await sender.send(rounds);
        const int item = co_await receive_one(receiver);
        REQUIRE(item == rounds);
    }
    CHECK(rounds > 16);
    CHECK(rounds < 1'000);
}

CO_TEST_CASE("a receiver of a channel without room, whose senders never end, lets others run") {
    auto [sender, receiver] = make_channel<int>();
    bool stop = false;
    int next = 0;
    std::vector<Task<>> senders;
    for (int i = 0; i < 1'000; ++i) {
        senders.push_back(create_task(send_one(sender, i)));
    }
    co_await turns();
    get_running_loop().call_soon([&] { stop = true; });
    while (!stop && next < 1'000) {
        const int item = co_await receive_one(receiver);
        REQUIRE(item == next);
        ++next;
    }
    CHECK(next > 16);
    CHECK(next < 1'000);
    for (const Task<>& task : senders) {
        task.cancel();
    }
    co_await turns();
}

CO_TEST_CASE("many senders and receivers lose nothing and mix nothing up") {
    for (const std::size_t capacity : {0U, 1U, 3U}) {
        CAPTURE(capacity);
        auto [sender, receiver] = make_channel<int>(capacity);
        std::vector<Task<std::vector<int>>> draining;
        for (int i = 0; i < 4; ++i) {
            draining.push_back(create_task(drain(receiver)));
        }
        std::vector<Task<>> sending;
        for (int id = 0; id < 3; ++id) {
            sending.push_back(create_task(send_all(sender, id * 1'000, 1'000)));
        }
        sender.close();
        const std::vector<std::vector<int>> got = co_await gather(draining);
        std::vector<int> seen(3'000);
        for (const std::vector<int>& mine : got) {
            std::vector<int> last(3, -1);
            for (const int item : mine) {
                ++seen[static_cast<std::size_t>(item)];
                int& before = last[static_cast<std::size_t>(item / 1'000)];
                CHECK(before < item);
                before = item;
            }
        }
        CHECK(seen == std::vector<int>(3'000, 1));
    }
}

CO_TEST_CASE("wait_for, gather and create_task take a send and a receive") {
    auto [sender, receiver] = make_channel<int>();
    bool timed_out = false;
    try {
        static_cast<void>(co_await wait_for(receiver.receive(), 1s));
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    auto results = co_await gather(receiver.receive(), sender.send(5));
    CHECK(std::get<0>(results) == 5);
    const Task<std::optional<int>> task = create_task(receiver.receive());
    co_await sender.send(6);
    co_await task;
    CHECK(task.result() == 6);
}
