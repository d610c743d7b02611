// What the network does to a session: at each of its steps, and at every so many bytes. Each time
// the error has to name the phase, nothing may be left behind, and a session beside it goes on.
#include "contains.hpp"
#include "fault_proxy.hpp"
#include "session_steps.hpp"
#include "sshd.hpp"
#include "temp_folder.hpp"

#include <muster/muster.hpp>
#include <muster/sim/fleet.hpp>
#include <muster/ssh/connection.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define MUSTER_SLOW_BUILD 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define MUSTER_SLOW_BUILD 1
#    endif
#endif

using namespace muster;
using namespace std::chrono_literals;

namespace {

#ifdef MUSTER_SLOW_BUILD
constexpr bool slow_build = true;
#else
constexpr bool slow_build = false;
#endif

/// Bytes from one place to the next when all of a session is gone through.
constexpr std::size_t stride = slow_build ? 53 : 11;

/// Long enough for everything that goes well.
constexpr auto patience = 20s;

/// A server and what to ask it.
struct Peer {
    std::string name;
    ssh::Options options;
    std::string prompt;   ///< what the shell says when it listens
    std::string question; ///< for the shell
    std::string answer;
    std::string command;
    std::string output;
};

/// The same for an sshd and for a virtual device.
class Peers {
public:
    static std::unique_ptr<Peers> sshd() {
        auto peers = std::make_unique<Peers>();
        // Without start-up files of a login shell: the same bytes each time. What comes before cat
        // listens may be lost in the terminal.
        peers->sshd_.emplace("ForceCommand if [ -z \"$SSH_ORIGINAL_COMMAND\" ]; then "
                             "echo ready; exec cat; fi; eval \"$SSH_ORIGINAL_COMMAND\"");
        Peer& peer = peers->peer;
        peer.name = "sshd";
        peer.options.port = peers->sshd_->listen();
        peer.options.username = peers->sshd_->user();
        peer.options.keys.push_back({.path = peers->sshd_->user_key()});
        peer.prompt = "ready\r\n";
        peer.question = "marker\n";
        peer.answer = "marker\r\nmarker\r\n";
        peer.command = "echo output";
        peer.output = "output\n";
        peers->trust("* " + peers->sshd_->host_key());
        return peers;
    }

    static std::unique_ptr<Peers> device() {
        auto peers = std::make_unique<Peers>();
        sim::FleetOptions options;
        options.http = false;
        options.addressing = sim::Addressing::by_port;
        options.device.starts_privileged = true;
        peers->fleet_.emplace(options);
        Peer& peer = peers->peer;
        peer.name = "virtual device";
        peer.options.port = peers->fleet_->ssh_port(0);
        peer.options.username = "admin";
        peer.options.password = "admin";
        peer.prompt = "r1#";
        peer.question = "show clock\n";
        peer.answer = "r1#"; // the next prompt
        peer.command = "show running-config";
        peer.output = "hostname r1";
        const std::string line = peers->fleet_->known_hosts();
        peers->trust("*" + line.substr(line.find(' ')));
        return peers;
    }

    Peer peer;

private:
    void trust(const std::string& line) {
        write_text(folder_.path() + "/known_hosts", line + "\n");
        peer.options.host = "127.0.0.1";
        peer.options.known_hosts = {folder_.path() + "/known_hosts"};
    }

    TempFolder folder_;
    std::optional<Sshd> sshd_;
    std::optional<sim::Fleet> fleet_;
};

bool has_sshd() {
    if (!Sshd::available()) {
        MESSAGE("skipped: no sshd on this machine");
        return false;
    }
    return true;
}

/// How long each part of a session may take.
struct Deadlines {
    TimeLimit handshake = patience;
    TimeLimit authenticate = patience;
    TimeLimit shell = patience;
    TimeLimit command = patience;
    TimeLimit close = patience;
    TimeLimit keepalive = patience;

    static Deadlines all(TimeLimit limit) { return {limit, limit, limit, limit, limit, limit}; }

    /// Short only where the step is: whatever is slow besides does not change what is reported.
    static Deadlines at(Step step, TimeLimit limit) {
        Deadlines deadlines;
        if (step <= Step::service) {
            deadlines.handshake = limit;
        } else if (step == Step::auth) {
            deadlines.authenticate = limit;
        } else if (step <= Step::shell) {
            deadlines.shell = limit;
        } else if (step == Step::data) {
            deadlines.keepalive = limit; // a shell is read without a deadline
        } else if (step == Step::command) {
            deadlines.command = limit;
        } else {
            deadlines.shell = limit;
            deadlines.close = limit;
        }
        return deadlines;
    }
};

/// Reads on until `text` has come; what is in front of it, and it, are taken off `seen`.
Coro<void> read_until(ssh::Shell& shell, std::string& seen, const std::string& text) {
    while (!contains(seen, text)) {
        const std::string more = co_await shell.read();
        if (more.empty()) {
            throw std::runtime_error("the shell has ended");
        }
        seen += more;
    }
    seen.erase(0, seen.find(text) + text.size());
}

/// Connects, asks a shell, runs a command and closes; tells which step begins.
Coro<void> hold_session(Peer peer, Deadlines deadlines, std::function<void(Step)> begins) {
    peer.options.timeouts.handshake = deadlines.handshake;
    peer.options.timeouts.authenticate = deadlines.authenticate;
    peer.options.timeouts.close = deadlines.close;
    peer.options.keepalive = deadlines.keepalive;
    peer.options.keepalive_tries = 1;
    auto connection = co_await ssh::connect(peer.options);
    begins(Step::channel);
    auto shell = co_await connection.open_shell({.timeout = deadlines.shell});
    begins(Step::data);
    std::string seen;
    co_await read_until(shell, seen, peer.prompt);
    co_await shell.write(peer.question);
    co_await read_until(shell, seen, peer.answer);
    begins(Step::command);
    const auto completed = co_await connection.run(peer.command, {.timeout = deadlines.command});
    if (!contains(completed.out, peer.output)) {
        throw std::runtime_error("wrong output: " + completed.out);
    }
    begins(Step::close);
    co_await shell.close();
    co_await connection.close();
    begins(Step::end);
}

/// How a session through a proxy has ended.
struct Outcome {
    Harm harm;
    bool harmed = false;
    Step reached = Step::version;    // the last that the client has told
    std::optional<ssh::Error> error; // what the session threw
    std::string other;               // the same, if it was something else

    [[nodiscard]] bool finished() const { return !error && other.empty(); }

    [[nodiscard]] std::string text() const {
        std::ostringstream text;
        text << to_string(harm.kind) << " at byte " << harm.at << ' ' << to_string(harm.direction)
             << (harmed ? "" : " (not reached)") << ": ";
        if (error) {
            text << to_string(error->kind()) << " in " << to_string(error->phase()) << ": "
                 << error->what();
        } else {
            text << (other.empty() ? "finished" : "");
        }
        text << other;
        text << " [after " << to_string(reached) << ']';
        return text.str();
    }
};

/// One session that is harmed.
struct Trial {
    Step step;
    Harm harm;
    Deadlines deadlines;
    /// Counted from the moment in which the client begins this step, where one is given.
    std::optional<Step> from = {};
};

/// Has the proxy harm what is to be harmed from this step on.
void tell_proxy(FaultProxy& proxy, const Trial& trial, Step begun) {
    if (trial.from == begun) {
        Harm harm = trial.harm;
        harm.at += proxy.seen(harm.direction).size();
        proxy.plan(harm);
    }
}

Coro<Outcome> session_through(Peer peer, Trial trial) {
    Outcome outcome;
    outcome.harm = trial.harm;
    FaultProxy proxy(peer.options.host, peer.options.port, trial.from ? Harm{} : trial.harm);
    peer.options.port = co_await proxy.listen();
    try {
        co_await wait_for(hold_session(std::move(peer), trial.deadlines,
                                       [&](Step step) {
                                           outcome.reached = step;
                                           tell_proxy(proxy, trial, step);
                                       }),
                          2 * patience);
    } catch (const ssh::Error& error) {
        outcome.error = error;
    } catch (const std::exception& error) {
        outcome.other = error.what();
    }
    outcome.harmed = proxy.is_harmed();
    // The client's socket is closed, and the server has seen it.
    try {
        co_await wait_for(proxy.over(), patience);
    } catch (const TimeoutError&) {
        outcome.other += " and then, a socket stayed open";
    }
    co_return outcome;
}

/// Where the steps are, and the length of both streams.
Coro<SessionSteps> record(Peer peer) {
    SessionSteps steps;
    FaultProxy proxy(peer.options.host, peer.options.port);
    peer.options.port = co_await proxy.listen();
    co_await wait_for(
        hold_session(std::move(peer), {}, [&](Step step) { steps.begins(step, proxy); }), patience);
    co_await wait_for(proxy.over(), patience);
    steps.complete(proxy);
    steps.begins(Step::end, proxy);
    co_return steps;
}

/// A session of the same loop that has nothing to do with the others.
class Bystander {
public:
    explicit Bystander(const Peer& peer) : session_(std::make_shared<Session>(peer)) {}

    Coro<void> begin() {
        co_await session_->open();
        talking_ = create_task(talk(session_));
    }

    /// Throws whatever has happened to it.
    Coro<void> end() {
        session_->over = true;
        co_await talking_;
        co_await session_->close();
        CHECK(session_->exchanges > 2);
    }

private:
    struct Session {
        explicit Session(Peer with) : peer(std::move(with)) {}

        Coro<void> open() {
            connection.emplace(co_await ssh::connect(peer.options));
            shell.emplace(co_await connection->open_shell());
            co_await wait_for(read_until(*shell, seen, peer.prompt), patience);
        }

        Coro<void> exchange() {
            co_await shell->write(peer.question);
            co_await wait_for(read_until(*shell, seen, peer.answer), patience);
            ++exchanges;
        }

        Coro<void> close() {
            co_await exchange();
            co_await shell->close();
            co_await connection->close();
        }

        Peer peer;
        std::optional<ssh::Connection> connection;
        std::optional<ssh::Shell> shell;
        std::string seen;
        int exchanges = 0;
        bool over = false;
    };

    // The task may outlive this object.
    static Coro<void> talk(std::shared_ptr<Session> session) {
        while (!session->over) {
            co_await session->exchange();
            co_await async_sleep(5ms);
        }
    }

    std::shared_ptr<Session> session_;
    Task<void> talking_;
};

/// The phases that an error of the step may name.
std::set<ssh::Phase> phases_of(Step step, Direction direction) {
    using ssh::Phase;
    switch (step) {
    case Step::version:
    case Step::kexinit:
    case Step::kex:
        return {Phase::key_exchange};
    case Step::newkeys:
        // The server does not wait for the client's.
        return direction == Direction::to_client
                   ? std::set{Phase::key_exchange}
                   : std::set{Phase::key_exchange, Phase::authentication};
    case Step::service:
    case Step::auth:
        return {Phase::authentication};
    case Step::channel:
    case Step::pty:
    case Step::shell:
        return {Phase::channel};
    case Step::data:
        return {Phase::command};
    case Step::command:
        return {Phase::channel, Phase::command, Phase::close};
    case Step::close:
    case Step::end:
        return {};
    }
    return {};
}

/// Trials at each step, both ways: the byte `offset` of the step and everything behind it is
/// harmed.
std::vector<Trial> trials(const SessionSteps& steps, const std::vector<Harm::Kind>& kinds,
                          const std::vector<std::size_t>& offsets, TimeLimit deadline = patience) {
    std::vector<Trial> all;
    for (const Step step : all_steps) {
        for (const auto direction : {Direction::to_client, Direction::to_server}) {
            for (const Harm::Kind kind : kinds) {
                for (const std::size_t offset : offsets) {
                    Trial trial{step, {kind, direction, offset}, Deadlines::at(step, deadline)};
                    if (step >= Step::data) {
                        trial.from = step; // a shell's words come in pieces of different lengths
                    } else {
                        trial.harm.at += steps.start(step, direction);
                    }
                    all.push_back(trial);
                }
            }
        }
    }
    return all;
}

/// Holds a session for each trial, with a bystander beside them. Sessions that only wait need not
/// be few.
template <class Check>
Coro<void> try_all(const Peer& peer, std::vector<Trial> trials, Check check,
                   std::size_t at_once = 8) {
    Bystander bystander(peer);
    co_await bystander.begin();
    co_await amap(trials,
                  [&](const Trial& trial) -> Coro<void> {
                      const Outcome outcome = co_await session_through(peer, trial);
                      const std::string step = to_string(trial.step);
                      const std::string text = outcome.text();
                      CAPTURE(peer.name);
                      CAPTURE(step);
                      CAPTURE(text);
                      check(trial, outcome);
                  },
                  {.max_at_once = at_once});
    co_await bystander.end();
}

/// libssh2 forgets the host key whose proof does not hold (its issue 2080), and libssh as much on
/// the other side: the sanitizers' builds leave out what comes to that.
void drop_what_libraries_leak(const SessionSteps& steps, std::vector<Trial>& trials) {
    if (slow_build) {
        std::erase_if(trials, [&steps](const Trial& trial) {
            return trial.harm.kind == Harm::Kind::corrupt && !trial.from &&
                   trial.harm.at < steps.start(Step::service, trial.harm.direction);
        });
    }
}

/// Runs the test with a virtual device and with an sshd, which takes many times longer.
template <class Test>
void with_peers(Test test) {
    run([](Test each) -> Coro<void> {
        const auto device = Peers::device();
        co_await each(device->peer, true);
        Peer threads = device->peer;
        threads.name += ", keys exchanged on other threads";
        threads.options.key_exchange_budget = 0s;
        co_await each(threads, false);
        if (has_sshd()) {
            const auto sshd = Peers::sshd();
            co_await each(sshd->peer, false);
        }
    }(test));
}

/// The first byte of a step, and one that leaves its message half said.
std::vector<std::size_t> offsets(bool cheap) {
    return cheap ? std::vector<std::size_t>{0, 10} : std::vector<std::size_t>{10};
}

/// The closing of what has done its work throws nothing.
void check_closing(const Outcome& outcome) {
    if (outcome.reached >= Step::close) {
        CHECK(outcome.finished());
    } else {
        // The end of the command's channel, which the client was sending when it was recorded.
        REQUIRE(outcome.error);
        CHECK(outcome.error->phase() == ssh::Phase::close);
    }
}

/// Whether an outcome fits a harm that may fall on any byte. What is wrong, or nothing.
std::string misfit(const SessionSteps& steps, const Trial& trial, const Outcome& outcome) {
    const Harm& harm = trial.harm;
    if (!outcome.other.empty()) {
        return "not an ssh::Error";
    }
    if (outcome.finished()) {
        // Padding of the clear text, and little else, may change without anybody's harm.
        const bool harmless = harm.kind == Harm::Kind::corrupt && !trial.from &&
                              harm.at < steps.start(Step::service, harm.direction);
        // Behind the exit status nothing is missed but the goodbyes.
        const bool told_all = harm.kind != Harm::Kind::corrupt && trial.step == Step::command &&
                              harm.direction == Direction::to_client;
        return !outcome.harmed || harmless || told_all || trial.step == Step::close
                   ? ""
                   : "was not noticed";
    }
    auto phases = phases_of(trial.step, harm.direction);
    if (trial.step == Step::close) {
        phases = {ssh::Phase::close};
    } else {
        // Nobody waits for the last bytes of some steps.
        const auto next = static_cast<Step>(static_cast<int>(trial.step) + 1);
        phases.merge(phases_of(next, harm.direction));
    }
    if (!phases.contains(outcome.error->phase())) {
        return "another phase";
    }
    std::set<ssh::ErrorKind> kinds{ssh::ErrorKind::connection_lost};
    if (trial.step == Step::auth) {
        kinds.insert(ssh::ErrorKind::authentication); // hung up on, having offered something
    }
    if (harm.kind == Harm::Kind::corrupt) {
        kinds.insert({ssh::ErrorKind::protocol, ssh::ErrorKind::timeout});
        if (trial.step == Step::kexinit) {
            kinds.insert(ssh::ErrorKind::no_common_method);
        }
    }
    return kinds.contains(outcome.error->kind()) ? "" : "another kind";
}

} // namespace

TEST_CASE("a cut at each step ends in an error that names its phase") {
    with_peers([](const Peer& peer, bool cheap) -> Coro<void> {
        const SessionSteps steps = co_await record(peer);
        std::vector cuts{Harm::Kind::close, Harm::Kind::reset};
        if (cheap) {
            cuts.push_back(Harm::Kind::truncate);
        }
        co_await try_all(
            peer, trials(steps, cuts, offsets(cheap)),
            [](const Trial& trial, const Outcome& outcome) {
                CHECK(outcome.harmed);
                if (trial.step == Step::close) {
                    check_closing(outcome);
                    return;
                }
                REQUIRE(outcome.error);
                CHECK(phases_of(trial.step, trial.harm.direction).contains(outcome.error->phase()));
                CHECK(outcome.error->kind() == ssh::ErrorKind::connection_lost);
            });
    });
}

TEST_CASE("silence at each step ends with the deadline of its phase") {
    with_peers([](const Peer& peer, bool cheap) -> Coro<void> {
        const SessionSteps steps = co_await record(peer);
        const std::vector stall{Harm::Kind::stall};
        co_await try_all(
            peer, trials(steps, stall, offsets(cheap), 400ms),
            [](const Trial& trial, const Outcome& outcome) {
                if (trial.step == Step::close) {
                    CHECK(outcome.finished());
                    return;
                }
                REQUIRE(outcome.error);
                if (!outcome.harmed) {
                    // The machine is so busy that the deadline came first.
                    CHECK(outcome.error->kind() == ssh::ErrorKind::timeout);
                    return;
                }
                CHECK(phases_of(trial.step, trial.harm.direction).contains(outcome.error->phase()));
                // A shell is read without a deadline: the keepalive notices.
                CHECK(outcome.error->kind() == (trial.step == Step::data
                                                    ? ssh::ErrorKind::connection_lost
                                                    : ssh::ErrorKind::timeout));
            },
            cheap ? 24 : 12);
    });
}

TEST_CASE("a byte that was changed at any step is noticed, in its phase") {
    with_peers([](const Peer& peer, bool) -> Coro<void> {
        const SessionSteps steps = co_await record(peer);
        // The kind of a message of the clear text, its first value, and what is encrypted.
        std::vector<Trial> changed = trials(steps, {Harm::Kind::corrupt}, {5, 8}, 1s);
        std::erase_if(changed, [&steps](const Trial& trial) { // padding
            return trial.step == Step::newkeys &&
                   trial.harm.at > steps.start(trial.step, trial.harm.direction) + 5;
        });
        const std::size_t proof = steps.last_byte_of_proof();
        changed.push_back({Step::kex, {Harm::Kind::corrupt, Direction::to_client, proof}, {}});
        drop_what_libraries_leak(steps, changed);
        co_await try_all(
            peer, std::move(changed), [&steps](const Trial& trial, const Outcome& outcome) {
                CHECK(outcome.harmed);
                if (trial.step == Step::close) {
                    check_closing(outcome);
                    return;
                }
                REQUIRE(outcome.error);
                CHECK(misfit(steps, trial, outcome).empty());
                if (trial.step == Step::kex && trial.harm.at == steps.last_byte_of_proof()) {
                    CHECK(outcome.error->kind() == ssh::ErrorKind::protocol);
                    CHECK(contains(outcome.error->reason(), "proof of its host key"));
                }
            });
    });
}

TEST_CASE("a session goes on after a pause at any step, and byte by byte") {
    with_peers([](const Peer& peer, bool cheap) -> Coro<void> {
        const SessionSteps steps = co_await record(peer);
        std::vector<Trial> slow;
        if (cheap) {
            slow = trials(steps, {Harm::Kind::delay}, {5});
        }
        for (const auto direction : {Direction::to_client, Direction::to_server}) {
            slow.push_back({Step::version, {Harm::Kind::drip, direction, 0}, {}});
        }
        co_await try_all(peer, std::move(slow), [](const Trial&, const Outcome& outcome) {
            CHECK(outcome.harmed);
            CHECK(outcome.finished());
        });
    });
}

TEST_CASE("a session cancelled at any step leaves nothing behind") {
    with_peers([](const Peer& peer, bool cheap) -> Coro<void> {
        const SessionSteps steps = co_await record(peer);
        const std::vector stall{Harm::Kind::stall};
        co_await amap(trials(steps, stall, offsets(cheap)),
                      [&](const Trial& trial) -> Coro<void> {
                          FaultProxy proxy(peer.options.host, peer.options.port,
                                           trial.from ? Harm{} : trial.harm);
                          Peer through = peer;
                          through.options.port = co_await proxy.listen();
                          auto session =
                              create_task(hold_session(std::move(through), {}, [&](Step step) {
                                  tell_proxy(proxy, trial, step);
                              }));
                          co_await wait_for(proxy.harmed(), patience);
                          const bool was_done = session.done();
                          session.cancel();
                          bool cancelled = false;
                          try {
                              co_await session;
                          } catch (const CancelledError&) {
                              cancelled = true;
                          }
                          // The client's socket is closed, and the server has seen it.
                          co_await wait_for(proxy.over(), patience);
                          const std::string step = to_string(trial.step);
                          CAPTURE(step);
                          CAPTURE(trial.harm.at);
                          CHECK_FALSE(was_done);
                          CHECK(cancelled);
                      },
                      {.max_at_once = 8});
    });
}

TEST_CASE("a cut or a changed byte anywhere ends in an error that fits") {
    const auto peers = Peers::device();
    run([](const Peer& peer) -> Coro<void> {
        const SessionSteps steps = co_await record(peer);
        std::vector<Trial> sweep;
        for (const auto direction : {Direction::to_client, Direction::to_server}) {
            for (const auto kind : {Harm::Kind::close, Harm::Kind::corrupt}) {
                for (std::size_t at = 0; at < steps.start(Step::end, direction); at += stride) {
                    sweep.push_back(
                        {steps.at(at, direction), {kind, direction, at}, Deadlines::all(500ms)});
                }
            }
        }
        drop_what_libraries_leak(steps, sweep);
        co_await try_all(peer, std::move(sweep), [&](const Trial& trial, const Outcome& outcome) {
            CHECK(misfit(steps, trial, outcome) == "");
        });
    }(peers->peer));
}
