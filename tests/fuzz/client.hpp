#pragma once

#include "ssh/engine.hpp"
#include "ssh/methods.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <utility>

/// An engine that is given a fuzzer's bytes, and the operations that it is busy with.
class FuzzClient {
public:
    explicit FuzzClient(
        const muster::ssh::detail::Methods& methods = muster::ssh::detail::default_methods())
        : engine(methods) {}

    FuzzClient(const FuzzClient&) = delete;
    FuzzClient& operator=(const FuzzClient&) = delete;

    ~FuzzClient() {
        for (auto& operation : operations_) {
            engine.finish(operation);
        }
    }

    /// Begins an operation; `exclusive` ones share state in libssh2 and take turns.
    void begin(std::function<int()> step, bool exclusive = true) {
        operations_.remove_if([this](Busy& operation) {
            if (!operation.finished()) {
                return false;
            }
            engine.finish(operation);
            return true;
        });
        auto& operation = operations_.emplace_back(std::move(step), exclusive ? &engine : nullptr);
        engine.start(operation);
    }

    /// Hands over what the server has sent, at most `chunk` bytes at once.
    void receive(std::string_view bytes, std::size_t chunk) {
        while (!bytes.empty()) {
            const auto part = bytes.substr(0, std::max<std::size_t>(chunk, 1));
            bytes.remove_prefix(part.size());
            engine.receive(part);
        }
    }

    /// Carries bytes between the two; what the server says comes in pieces of `chunk` bytes, 0: as
    /// it is. Who was spoken to may answer, and so on: a few rounds are enough for all of it.
    template <class Server>
    void talk_to(Server& server, std::size_t chunk = 0) {
        for (int round = 0; round < 8; ++round) {
            const std::string up = engine.take_output();
            server.receive(up);
            const std::string down = server.take_output();
            if (up.empty() && down.empty()) {
                return;
            }
            receive(down, chunk == 0 ? down.size() : chunk);
        }
    }

    muster::ssh::detail::Engine engine;

private:
    class Busy final : public muster::ssh::detail::Operation {
    public:
        Busy(std::function<int()> step, const void* exclusive)
            : Operation(exclusive), step_(std::move(step)) {}

        int step() override { return step_(); }

        void wake() noexcept override {}

    private:
        std::function<int()> step_;
    };

    std::list<Busy> operations_;
};
