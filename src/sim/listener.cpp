#include "listener.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>
#include <fmt/format.h>

#include <fcntl.h>
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <utility>

namespace muster::sim {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr int backlog = 4096;

void check(const boost::system::error_code& error) {
    if (error) {
        throw boost::system::system_error(error);
    }
}

} // namespace

std::string device_address(int index) {
    // Last bytes 1 to 250: nothing that looks like a network's or a broadcast address.
    const int per_network = 250;
    const int network = index / per_network;
    return fmt::format("127.{}.{}.{}", 1 + network / 256, network % 256, 1 + index % per_network);
}

std::unique_ptr<Listener> Listener::by_address(asio::io_context& io, std::uint16_t port,
                                               int devices, Accepted accepted) {
    std::unique_ptr<Listener> listener(new Listener(io, std::move(accepted)));
    Acceptor acceptor(io, tcp::v4());
#ifdef SO_BINDTODEVICE
    // The socket takes connections to any address, but only those which come in through loopback.
    const char interface[] = "lo";
    if (::setsockopt(acceptor.native_handle(), SOL_SOCKET, SO_BINDTODEVICE, interface,
                     sizeof interface) != 0) {
        check({errno, boost::system::system_category()});
    }
#else
    check(asio::error::operation_not_supported);
#endif
    acceptor.set_option(tcp::acceptor::reuse_address(true));
    acceptor.bind({asio::ip::address_v4::any(), port});
    acceptor.listen(backlog);
    listener->acceptors_.push_back(std::move(acceptor));
    for (int i = 0; i < devices; ++i) {
        listener->devices_.emplace(asio::ip::make_address_v4(device_address(i)).to_uint(), i);
    }
    return listener;
}

std::unique_ptr<Listener> Listener::by_port(asio::io_context& io, std::uint16_t first, int devices,
                                            Accepted accepted) {
    std::unique_ptr<Listener> listener(new Listener(io, std::move(accepted)));
    for (int i = 0; i < devices; ++i) {
        const auto port = static_cast<std::uint16_t>(first == 0 ? 0 : first + i);
        Acceptor acceptor(io, tcp::v4());
        acceptor.set_option(tcp::acceptor::reuse_address(true));
        acceptor.bind({asio::ip::address_v4::loopback(), port});
        acceptor.listen(backlog);
        listener->acceptors_.push_back(std::move(acceptor));
    }
    return listener;
}

std::uint16_t Listener::port(int device) const {
    const auto index = devices_.empty() ? static_cast<std::size_t>(device) : 0;
    return acceptors_[index].local_endpoint().port();
}

void Listener::start() {
    for (std::size_t i = 0; i < acceptors_.size(); ++i) {
        ::fcntl(acceptors_[i].native_handle(), F_SETFD, FD_CLOEXEC);
        accept(i);
    }
}

void Listener::stop() {
    boost::system::error_code ignored;
    for (auto& acceptor : acceptors_) {
        acceptor.close(ignored);
    }
}

int Listener::device_of(std::size_t index, const tcp::socket& socket) const {
    if (devices_.empty()) {
        return static_cast<int>(index);
    }
    boost::system::error_code error;
    const auto local = socket.local_endpoint(error);
    const auto found = error ? devices_.end() : devices_.find(local.address().to_v4().to_uint());
    return found != devices_.end() ? found->second : -1;
}

void Listener::accept(std::size_t index) {
    acceptors_[index].async_accept(
        [this, index](boost::system::error_code error, tcp::socket socket) {
            if (error == asio::error::operation_aborted) {
                return;
            }
            if (error) {
                retry(index);
                return;
            }
            ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
            const int device = device_of(index, socket);
            if (device >= 0) {
                accepted_(device, std::move(socket));
            }
            accept(index);
        });
}

void Listener::retry(std::size_t index) {
    // Out of descriptors, most likely: sessions that end will free some.
    auto timer = std::make_shared<asio::steady_timer>(io_, std::chrono::milliseconds(50));
    timer->async_wait([this, index, timer](boost::system::error_code) {
        if (acceptors_[index].is_open()) {
            accept(index);
        }
    });
}

ClosedPort::ClosedPort(asio::io_context& io, const std::string& host) : bound_(io, tcp::v4()) {
    bound_.bind({asio::ip::make_address_v4(host), 0});
}

std::uint16_t ClosedPort::port() const { return bound_.local_endpoint().port(); }

} // namespace muster::sim
