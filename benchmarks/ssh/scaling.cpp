#include "harness/processor.hpp"
#include "packet_server.hpp"
#include "ssh/workloads.hpp"

#include <muster/muster.hpp>
#include <muster/net/server.hpp>
#include <muster/ssh/connection.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace bench {

namespace {

constexpr std::size_t connections = 300;
constexpr std::size_t at_once = 32;

/// A device whose key exchange costs it nothing, so that all processors are the client's.
muster::Coro<void> serve(muster::Stream stream) {
    PacketServer server(PacketServer::KeyExchange::group16);
    server.on_message = [&server](std::string_view payload) { server.let_in(payload); };
    try {
        while (true) {
            co_await stream.write(server.take_output());
            const std::string bytes = co_await stream.read(64UL * 1024UL);
            if (bytes.empty()) {
                break;
            }
            server.receive(bytes);
        }
    } catch (const muster::Error&) {
        // The client has gone.
    }
}

/// Serves in a thread of its own, while it lives.
class CheapServer {
public:
    CheapServer() {
        auto port = bound_.get_future();
        thread_ = std::thread([this] {
            muster::EventLoop loop;
            loop.run_until_complete([](CheapServer& self) -> muster::Coro<void> {
                auto server = co_await muster::start_server(serve, "127.0.0.1", 0);
                muster::Event end;
                self.end_ = [&loop = muster::get_running_loop(), &end] {
                    loop.call_soon_threadsafe([&end] { end.set(); });
                };
                self.bound_.set_value(server.port());
                co_await end.wait();
                server.close();
                server.abort_clients();
                co_await server.wait_closed();
            }(*this));
        });
        port_ = port.get();
    }

    CheapServer(const CheapServer&) = delete;
    CheapServer& operator=(const CheapServer&) = delete;

    ~CheapServer() {
        end_();
        thread_.join();
    }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
    std::promise<std::uint16_t> bound_;
    std::function<void()> end_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

muster::Coro<void> connect_some(std::uint16_t port, std::size_t& left) {
    while (left > 0) {
        --left;
        muster::ssh::Options options;
        options.host = "127.0.0.1";
        options.port = port;
        options.username = user_name;
        options.password = user_password;
        options.host_key_policy = muster::ssh::HostKeyPolicy::insecure_ignore;
        options.algorithms = muster::ssh::Algorithms::legacy;
        auto connection = co_await muster::ssh::connect(std::move(options));
        co_await connection.close();
    }
}

void connect_all(std::uint16_t port, std::size_t count) {
    muster::run([](std::uint16_t to, std::size_t left) -> muster::Coro<void> {
        std::vector<muster::Coro<void>> workers;
        workers.reserve(at_once);
        for (std::size_t i = 0; i < at_once; ++i) {
            workers.push_back(connect_some(to, left));
        }
        co_await muster::gather(std::move(workers));
    }(port, count));
}

Contender connecting(std::string_view name, bool one_processor) {
    return {name, [=](Meter& meter) {
                if (one_processor) {
                    keep_to_one_cpu();
                }
                const CheapServer server;
                connect_all(server.port(), at_once); // what a key exchange costs is learned
                const std::size_t count = meter.count(connections);
                meter.start();
                connect_all(server.port(), count);
                meter.stop(count);
            }};
}

} // namespace

Workload scaling() {
    // One thread is the loop's and one the server's: with many processors they are the limit.
    const double processors = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
    return {.name = "scaling",
            .description = "connects with diffie-hellman-group16-sha512, which costs the server "
                           "nothing, on all processors",
            .unit = "connect",
            .contenders = {connecting("muster", false), connecting("on one processor", true)},
            .targets = {{.most = 1.2 / processors, .of = "on one processor"}},
            .clock = Clock::wall,
            .one_cpu = false};
}

} // namespace bench
