#include "exchange.hpp"

#include <muster/http/client.hpp>

#include <utility>

namespace muster::http {

namespace {

// Holds what it needs itself: the Client may go meanwhile.
Coro<Response> perform(std::shared_ptr<detail::ClientState> state, Request request) {
    detail::Exchange exchange(*state, std::move(request));
    co_return co_await exchange.run();
}

Request make_request(const char* method, std::string url, Body body, RequestOptions options) {
    Request request;
    request.method = method;
    request.url = std::move(url);
    request.body = std::move(body);
    request.options = std::move(options);
    return request;
}

} // namespace

Client::Client(ClientOptions options)
    : state_(std::make_shared<detail::ClientState>(std::move(options))) {}

Client::Client(Client&&) noexcept = default;

Client& Client::operator=(Client&& other) noexcept {
    if (this != &other) {
        if (state_) {
            state_->pool.close_idle();
        }
        state_ = std::move(other.state_);
    }
    return *this;
}

Client::~Client() {
    if (state_) {
        state_->pool.close_idle();
    }
}

Coro<Response> Client::request(Request request) { return perform(state_, std::move(request)); }

Coro<Response> Client::get(std::string url, RequestOptions options) {
    return request(make_request("GET", std::move(url), {}, std::move(options)));
}

Coro<Response> Client::head(std::string url, RequestOptions options) {
    return request(make_request("HEAD", std::move(url), {}, std::move(options)));
}

Coro<Response> Client::post(std::string url, Body body, RequestOptions options) {
    return request(make_request("POST", std::move(url), std::move(body), std::move(options)));
}

Coro<Response> Client::put(std::string url, Body body, RequestOptions options) {
    return request(make_request("PUT", std::move(url), std::move(body), std::move(options)));
}

Coro<Response> Client::patch(std::string url, Body body, RequestOptions options) {
    return request(make_request("PATCH", std::move(url), std::move(body), std::move(options)));
}

Coro<Response> Client::del(std::string url, RequestOptions options) {
    return request(make_request("DELETE", std::move(url), {}, std::move(options)));
}

void Client::close_idle() noexcept { state_->pool.close_idle(); }

std::size_t Client::idle_connections() const noexcept { return state_->pool.idle(); }

Coro<Response> fetch(std::string url, ClientOptions options) {
    return fetch(make_request("GET", std::move(url), {}, {}), std::move(options));
}

Coro<Response> fetch(Request request, ClientOptions options) {
    options.max_idle_connections = 0;
    return perform(std::make_shared<detail::ClientState>(std::move(options)), std::move(request));
}

} // namespace muster::http
