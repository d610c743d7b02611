#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

// By value: each holds an end of its own.
Coro<int> receive(Receiver<int> receiver) { co_return (co_await receiver.receive()).value_or(-1); }

Coro<void> send(Sender<int> sender, int item) { co_await sender.send(item); }

} // namespace

CO_TEST_CASE("channel: cancelled before its task starts") {
    auto [sender, receiver] = make_channel<int>(1);
    const Task<> sending = create_task(send(sender, 1));
    const Task<int> receiving = create_task(receive(receiver));
    sending.cancel();
    receiving.cancel();
    co_await turns();
    CHECK(outcome(sending) == "cancelled");
    CHECK(outcome(receiving) == "cancelled");
    CHECK(sender.statistics().size == 0);
    CHECK(sender.statistics().open_senders == 1);
    CHECK(sender.statistics().open_receivers == 1);
}

CO_TEST_CASE("channel: a cancellation that came before the await is thrown there if it must wait") {
    auto [sender, receiver] = make_channel<int>(1);
    const auto sending = [&]() -> Coro<void> {
        current_task().cancel();
        co_await sender.send(1);
        co_await sender.send(2);
    };
    int got = 0;
    const auto receiving = [&]() -> Coro<void> {
        current_task().cancel();
        got = (co_await receiver.receive()).value_or(-1);
        static_cast<void>(co_await receiver.receive());
    };
    const Task<> one = create_task(sending);
    co_await turns(2);
    CHECK(outcome(one) == "cancelled");
    CHECK(sender.statistics().size == 1);
    const Task<> two = create_task(receiving);
    co_await turns(2);
    CHECK(outcome(two) == "cancelled");
    CHECK(got == 1);
    CHECK(sender.statistics().tasks_waiting_receive == 0);
}

CO_TEST_CASE("channel: a receiver cancelled while it waits leaves the line") {
    auto [sender, receiver] = make_channel<int>();
    const Task<int> first = create_task(receive(receiver));
    const Task<int> second = create_task(receive(receiver));
    co_await turns();
    first.cancel();
    CHECK(sender.try_send(1));
    CHECK_FALSE(sender.try_send(2));
    co_await turns();
    CHECK(outcome(first) == "cancelled");
    REQUIRE(outcome(second) == "value");
    CHECK(second.result() == 1);
}

CO_TEST_CASE("channel: a sender cancelled while it waits has sent nothing") {
    for (const std::size_t capacity : {0U, 1U}) {
        CAPTURE(capacity);
        auto [sender, receiver] = make_channel<int>(capacity);
        if (capacity == 1) {
            CHECK(sender.try_send(0));
        }
        const Task<> first = create_task(send(sender, 1));
        const Task<> second = create_task(send(sender, 2));
        co_await turns();
        first.cancel();
        if (capacity == 1) {
            CHECK(receiver.try_receive() == 0);
        }
        CHECK(receiver.try_receive() == 2);
        co_await turns();
        CHECK(outcome(first) == "cancelled");
        CHECK(outcome(second) == "value");
        CHECK_FALSE(receiver.try_receive().has_value());
    }
}

CO_TEST_CASE("channel: a receiver woken and cancelled in the same turn hands its item on") {
    auto [sender, receiver] = make_channel<int>();
    const Task<int> first = create_task(receive(receiver));
    const Task<int> second = create_task(receive(receiver));
    co_await turns();
    CHECK(sender.try_send(1));
    first.cancel();
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    REQUIRE(outcome(second) == "value");
    CHECK(second.result() == 1);
}

CO_TEST_CASE("channel: the only receiver, woken and cancelled, leaves its item in the channel") {
    auto [sender, receiver] = make_channel<int>();
    const Task<int> first = create_task(receive(receiver));
    co_await turns();
    CHECK(sender.try_send(1));
    first.cancel();
    const Task<> next = create_task(send(sender, 2));
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(next) == "pending");
    CHECK(sender.statistics().size == 1);
    const int one = co_await receive(receiver);
    const int two = co_await receive(receiver);
    CHECK(one == 1);
    CHECK(two == 2);
    co_await next;
}

CO_TEST_CASE(
    "channel: who comes before a woken receiver resumes takes the oldest item all the same") {
    auto [sender, receiver] = make_channel<int>();
    const Task<int> first = create_task(receive(receiver));
    co_await turns();
    CHECK(sender.try_send(1)); // kept for the first, which has not resumed
    const Task<> sending = create_task(send(sender, 2), TaskOptions{.eager_start = true});
    CHECK(outcome(sending) == "pending");
    CHECK(receiver.try_receive() == 1);
    CHECK_FALSE(receiver.try_receive().has_value());
    co_await turns();
    CHECK(first.result() == 2);
    CHECK(outcome(sending) == "value");
}

CO_TEST_CASE("channel: a sender whose item was taken and that is cancelled then has sent it") {
    auto [sender, receiver] = make_channel<int>();
    bool sent = false;
    const auto body = [&]() -> Coro<void> {
        co_await sender.send(1);
        sent = true;
        co_await sender.send(2);
    };
    const Task<> task = create_task(body);
    co_await turns();
    CHECK(receiver.try_receive() == 1);
    task.cancel("late");
    co_await turns(2);
    CHECK(sent);
    CHECK(ending(task) == "cancelled: late"); // at the second
    CHECK_FALSE(receiver.try_receive().has_value());
}

CO_TEST_CASE("channel: receivers gone and cancelled in the same turn, a sender is cancelled") {
    auto [sender, receiver] = make_channel<int>();
    const Task<> task = create_task(send(sender, 1));
    co_await turns();
    receiver.close();
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
}

CO_TEST_CASE("channel: ended and cancelled in the same turn, a receiver is cancelled") {
    auto [sender, receiver] = make_channel<int>();
    const Task<int> task = create_task(receive(receiver));
    const Task<int> other = create_task(receive(receiver));
    co_await turns();
    sender.close();
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK(other.result() == -1);
}

CO_TEST_CASE("channel: woken for the last item and cancelled, the next receiver has it") {
    auto [sender, receiver] = make_channel<int>();
    const Task<int> first = create_task(receive(receiver));
    const Task<int> second = create_task(receive(receiver));
    const Task<int> third = create_task(receive(receiver));
    co_await turns();
    CHECK(sender.try_send(1));
    sender.close();
    first.cancel();
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    CHECK(second.result() == 1);
    CHECK(third.result() == -1);
}

CO_TEST_CASE(
    "channel: a receiver that yields although an item is ready and is cancelled, leaves it") {
    for (const std::size_t capacity : {std::size_t{0}, Channel<int>::unlimited}) {
        CAPTURE(capacity);
        auto [sender, receiver] = make_channel<int>(capacity);
        std::vector<Task<>> senders;
        for (int i = 0; i < 1'000; ++i) {
            senders.push_back(create_task(send(sender, i)));
        }
        co_await turns();
        std::vector<int> got;
        const auto body = [&]() -> Coro<void> {
            for (;;) {
                got.push_back((co_await receiver.receive()).value_or(-1));
            }
        };
        const Task<> task = create_task(body);
        co_await turns(); // it has yielded by now
        REQUIRE(outcome(task) == "pending");
        REQUIRE_FALSE(got.empty());
        REQUIRE(got.size() < 1'000);
        task.cancel();
        co_await turns();
        CHECK(outcome(task) == "cancelled");
        const int next = co_await receive(receiver);
        CHECK(next == got.back() + 1);
        for (const Task<>& sending : senders) {
            sending.cancel();
        }
        co_await turns();
    }
}

CO_TEST_CASE("channel: a sender that yields after it has sent and is cancelled has sent once") {
    auto [sender, receiver] = make_channel<int>(Channel<int>::unlimited);
    int sent = 0;
    const auto body = [&]() -> Coro<void> {
        for (;; ++sent) {
            co_await sender.send(sent);
        }
    };
    const Task<> task = create_task(body);
    co_await turns();
    REQUIRE(outcome(task) == "pending");
    task.cancel();
    co_await turns(2);
    CHECK(outcome(task) == "cancelled"); // where it was to yield once more
    int received = 0;
    while (receiver.try_receive().has_value()) {
        ++received;
    }
    CHECK(received == sent);
}

CO_TEST_CASE("channel: a cancellation storm loses no item and doubles none") {
    for (const std::size_t capacity : {0U, 2U}) {
        CAPTURE(capacity);
        auto [sender, receiver] = make_channel<int>(capacity);
        std::vector<int> got;
        std::vector<Task<>> consumers;
        const auto consumer = [&]() -> Coro<void> {
            while (const std::optional<int> item = co_await receiver.receive()) {
                got.push_back(*item);
            }
        };
        for (int i = 0; i < 5; ++i) {
            consumers.push_back(create_task(consumer));
        }
        for (int item = 0; item < 500; ++item) {
            co_await sender.send(item);
            const auto victim = static_cast<std::size_t>(item % 5);
            consumers[victim].cancel();
            consumers[victim] = create_task(consumer);
            if (item % 3 == 0) {
                co_await turns();
            }
        }
        sender.close();
        co_await turns(5);
        std::vector<int> expected;
        for (int item = 0; item < 500; ++item) {
            expected.push_back(item);
        }
        CHECK(got == expected);
    }
}

TEST_CASE("channel: a loop that goes away while tasks send, receive and were woken") {
    Channel<int> waiting;
    Channel<int> full(1);
    Channel<int> woken;
    Channel<int> taken;
    CHECK(full.sender.try_send(1));
    {
        EventLoop loop;
        loop.create_task(receive(waiting.receiver));
        loop.create_task(send(full.sender, 2));
        loop.create_task(receive(woken.receiver));
        loop.create_task(send(taken.sender, 3));
        loop.run_until_complete(turns());
        CHECK(woken.sender.try_send(4));
        CHECK(taken.receiver.try_receive() == 3);
    }
    CHECK(waiting.sender.statistics().open_receivers == 1);
    CHECK_FALSE(waiting.sender.try_send(1));
    CHECK(full.sender.statistics().open_senders == 1);
    CHECK(full.receiver.try_receive() == 1);
    CHECK_FALSE(full.receiver.try_receive().has_value());
    CHECK(woken.receiver.try_receive() == 4); // nobody has had it
    CHECK(taken.sender.statistics().tasks_waiting_send == 0);
}

TEST_CASE("channel: a loop that goes away with the last ends in its frames") {
    const auto tracked = std::make_shared<int>(1);
    using Item = std::shared_ptr<int>;
    {
        EventLoop loop;
        const auto receiving = [](Receiver<Item> receiver) -> Coro<void> {
            static_cast<void>(co_await receiver.receive());
        };
        const auto sending = [](Sender<Item> sender, Item item) -> Coro<void> {
            co_await sender.send(std::move(item));
        };
        {
            Channel<Item> one;
            loop.create_task(receiving(std::move(one.receiver)));
            loop.create_task(receiving(Channel<Item>().receiver));
            Channel<Item> two(1);
            CHECK(two.sender.try_send(tracked));
            loop.create_task(sending(std::move(two.sender), tracked));
            Channel<Item> three;
            loop.create_task(sending(three.sender, tracked));
            loop.create_task(receiving(three.receiver));
            loop.create_task(receiving(three.receiver));
            loop.run_until_complete(turns(1));
        }
        // The frames have the last ends now; those that the scope's end woke never resume.
    }
    CHECK(tracked.use_count() == 1);
}

TEST_CASE("channel: tasks of two loops cannot wait in the same line") {
    Channel<int> channel;
    EventLoop one;
    EventLoop two;
    one.create_task(receive(channel.receiver));
    one.run_until_complete(turns());
    CHECK_THROWS_AS(two.run_until_complete(receive(channel.receiver)), RuntimeError);
}
