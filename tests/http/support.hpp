#pragma once

#include <muster/http/client.hpp>
#include <muster/muster.hpp>

#include <chrono>
#include <concepts>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

/// The error that a request ends with.
inline muster::Coro<muster::http::Error> error_of(muster::Coro<muster::http::Response> request) {
    try {
        const auto response = co_await std::move(request);
        throw std::logic_error("no error, but status " + std::to_string(response.status));
    } catch (const muster::http::Error& error) {
        co_return error;
    }
}

/// Waits until something is so that another thread or task does; ten seconds at most.
inline muster::Coro<void> until(std::predicate auto condition) {
    using namespace std::chrono_literals;
    co_await muster::timeout(10s, [&]() -> muster::Coro<void> {
        while (!condition()) {
            co_await muster::async_sleep(1ms);
        }
    });
}

inline bool holds(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}
