#include "http_server.hpp"
#include "listener.hpp"
#include "ssh_server.hpp"
#include "virtual_device.hpp"

#include <muster/core/error.hpp>
#include <muster/net/descriptor_limit.hpp>
#include <muster/sim/fleet.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>

namespace muster::sim {

namespace asio = boost::asio;

namespace {

void write_file(const std::filesystem::path& file, const std::string& text) {
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out << text;
    out.close();
    if (!out) {
        throw Error("virtual fleet: can't write " + file.string() +
                    "; does its folder exist, and is it writable?");
    }
}

// JSON's quoting is YAML's, for text without control characters beyond the usual ones.
std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

} // namespace

class Fleet::Impl {
public:
    explicit Impl(FleetOptions options)
        : options_(std::move(options)),
          key_(make_key()),
          other_key_(HostKey::generate()),
          ssh_(io_, options_.authorized_keys, options_.seed),
          http_(options_.seed) {
        if (options_.devices < 1) {
            throw ValueError("virtual fleet: the number of devices must be at least 1");
        }
        check_ports();
        require_descriptors(needed_descriptors(),
                            fmt::format("virtual fleet: {} devices", options_.devices));
        make_devices();
        listen();
        thread_ = std::thread([this] { io_.run(); });
    }

    ~Impl() { stop(); }

    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void stop() {
        io_.stop();
        if (thread_.joinable()) {
            thread_.join();
            ssh_.close_all();
            http_.close_all();
            listeners_.clear();
        }
    }

    [[nodiscard]] const VirtualDevice& device(int index) const {
        if (index < 0 || index >= options_.devices) {
            throw ValueError(fmt::format("virtual fleet: there is no device {}; there are {}, "
                                         "counted from 0",
                                         index, options_.devices));
        }
        return *devices_[static_cast<std::size_t>(index)];
    }

    [[nodiscard]] const FleetOptions& options() const { return options_; }

    [[nodiscard]] const SshServer& ssh() const { return ssh_; }

    [[nodiscard]] const HttpServer& http() const { return http_; }

    [[nodiscard]] bool by_address() const { return by_address_; }

    [[nodiscard]] static std::uint16_t port(const VirtualDevice& device, Face face) {
        return face == Face::ssh    ? device.ssh_port
               : face == Face::http ? device.http_port
                                    : device.https_port;
    }

    /// The key known_hosts lists for the device.
    [[nodiscard]] const HostKey& listed_key(int index) const {
        const auto& own = own_keys_[static_cast<std::size_t>(index)];
        return own ? *own : key_;
    }

private:
    [[nodiscard]] HostKey make_key() const {
        return options_.host_key_file.empty() ? HostKey::generate()
                                              : HostKey::load_or_create(options_.host_key_file);
    }

    /// A session with each device; by port, each listens on some.
    [[nodiscard]] std::size_t needed_descriptors() const {
        const int services = 1 + (options_.http ? 1 : 0) + (options_.https ? 1 : 0);
        const bool by_port = options_.addressing == Addressing::by_port;
        return static_cast<std::size_t>(options_.devices) *
               static_cast<std::size_t>(by_port ? 1 + services : 1);
    }

    void check_ports() const {
        const int last_port = 65535;
        for (const int first : {options_.ssh_port, options_.http_port, options_.https_port}) {
            if (options_.addressing == Addressing::by_port && first != 0 &&
                first + options_.devices - 1 > last_port) {
                throw ValueError(fmt::format("virtual fleet: {} devices by port need ports up to "
                                             "{}; the last is {}",
                                             options_.devices, first + options_.devices - 1,
                                             last_port));
            }
        }
    }

    void make_devices() {
        for (int i = 0; i < options_.devices; ++i) {
            auto spec = options_.device;
            spec.hostname = fmt::format("{}{}", options_.name_prefix, i + 1);
            if (options_.each) {
                options_.each(i, spec);
            }
            SshServer::check_key_exchange(spec.key_exchange);
            IosProfile profile;
            profile.hostname = spec.hostname;
            profile.enable_secret = spec.enable_secret;
            profile.management_ip =
                fmt::format("10.{}.{}.{}", i / 62500, i / 250 % 250, i % 250 + 1);
            profile.serial = fmt::format("9MUSTER{:04}", i + 1);
            profile.config = spec.config;
            std::optional<HostKey> own;
            if (spec.own_host_key) {
                own.emplace(HostKey::generate());
            }
            own_keys_.push_back(std::move(own));
            devices_.push_back(
                std::make_unique<VirtualDevice>(std::move(spec), std::move(profile)));
        }
    }

    void listen() {
        by_address_ = options_.addressing != Addressing::by_port;
        try {
            open_services();
        } catch (const boost::system::system_error& error) {
            const bool denied = error.code().value() == EPERM || error.code().value() == EOPNOTSUPP;
            if (!denied) {
                throw Error("virtual fleet: can't listen on loopback: " + error.code().message());
            }
            if (options_.addressing == Addressing::by_address) {
                throw Error("virtual fleet: this system does not let an unprivileged program bind "
                            "to the loopback interface (" +
                            error.code().message() + "); use Addressing::by_port");
            }
            by_address_ = false;
            listeners_.clear();
            open_services();
        }
    }

    void open_services() {
        for (int i = 0; i < options_.devices; ++i) {
            devices_[static_cast<std::size_t>(i)]->host =
                by_address_ ? device_address(i) : "127.0.0.1";
        }
        open(options_.ssh_port, &VirtualDevice::ssh_port, [this](int index, auto socket) {
            auto& device = *devices_[static_cast<std::size_t>(index)];
            auto& own = own_keys_[static_cast<std::size_t>(index)];
            auto& key = device.spec.fault.wrong_host_key ? other_key_ : own ? *own : key_;
            ssh_.serve(device, key, std::move(socket));
        });
        if (options_.http) {
            open(options_.http_port, &VirtualDevice::http_port, [this](int index, auto socket) {
                http_.serve(*devices_[static_cast<std::size_t>(index)], std::move(socket));
            });
        }
        if (options_.https) {
            http_.enable_tls();
            open(options_.https_port, &VirtualDevice::https_port, [this](int index, auto socket) {
                http_.serve_tls(*devices_[static_cast<std::size_t>(index)], std::move(socket));
            });
        }
    }

    void open(std::uint16_t port, std::uint16_t VirtualDevice::* where,
              Listener::Accepted accepted) {
        std::unique_ptr<Listener> listener;
        try {
            listener = by_address_
                           ? Listener::by_address(io_, port, options_.devices, std::move(accepted))
                           : Listener::by_port(io_, port, options_.devices, std::move(accepted));
        } catch (const boost::system::system_error& error) {
            if (error.code().value() == EADDRINUSE || error.code().value() == EACCES) {
                throw Error(
                    fmt::format("virtual fleet: can't listen on port {}: {}; choose another "
                                "port, or 0 for any free one",
                                port, error.code().message()));
            }
            throw;
        }
        for (int i = 0; i < options_.devices; ++i) {
            auto& device = *devices_[static_cast<std::size_t>(i)];
            device.*where = listener->port(i);
            if (device.spec.fault.refuse) {
                closed_.push_back(std::make_unique<ClosedPort>(io_, device.host));
                device.*where = closed_.back()->port();
            }
        }
        listener->start();
        listeners_.push_back(std::move(listener));
    }

    FleetOptions options_;
    std::vector<std::unique_ptr<VirtualDevice>> devices_;
    HostKey key_;
    HostKey other_key_; // what an impostor shows
    std::vector<std::optional<HostKey>> own_keys_;
    bool by_address_ = true;
    // Everything below lives on the thread.
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
    SshServer ssh_;
    HttpServer http_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::vector<std::unique_ptr<ClosedPort>> closed_;
    std::thread thread_;
};

Fleet::Fleet(FleetOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

Fleet::~Fleet() = default;

void Fleet::stop() { impl_->stop(); }

int Fleet::size() const { return impl_->options().devices; }

bool Fleet::by_address() const { return impl_->by_address(); }

const std::string& Fleet::name(int index) const { return impl_->device(index).spec.hostname; }

const std::string& Fleet::host(int index) const { return impl_->device(index).host; }

std::uint16_t Fleet::ssh_port(int index) const { return impl_->device(index).ssh_port; }

std::uint16_t Fleet::http_port(int index) const { return impl_->device(index).http_port; }

std::uint16_t Fleet::https_port(int index) const { return impl_->device(index).https_port; }

std::string Fleet::inventory(Face face) const {
    constexpr std::string_view names[]{"ssh", "http", "https"};
    std::string text = "# A virtual fleet: devices which exist only while it runs.\n";
    for (int i = 0; i < size(); ++i) {
        const auto& device = impl_->device(i);
        const auto& spec = device.spec;
        text += fmt::format("- name: {}\n"
                            "  device_type: cisco_ios\n"
                            "  host: {}\n"
                            "  port: {}\n"
                            "  username: {}\n"
                            "  password: {}\n",
                            quoted(spec.hostname), device.host, impl_->port(device, face),
                            quoted(spec.username), quoted(spec.password.reveal()));
        if (face != Face::ssh) {
            text += fmt::format("  transport: {}\n", names[static_cast<int>(face)]);
        } else if (!spec.enable_secret.empty()) {
            text += fmt::format("  secret: {}\n", quoted(spec.enable_secret.reveal()));
        }
    }
    return text;
}

void Fleet::write_inventory(const std::filesystem::path& file, Face face) const {
    write_file(file, inventory(face));
}

std::string Fleet::known_hosts() const {
    std::string text;
    for (int i = 0; i < size(); ++i) {
        const auto& device = impl_->device(i);
        const int standard_port = 22;
        text += device.ssh_port == standard_port
                    ? device.host
                    : fmt::format("[{}]:{}", device.host, device.ssh_port);
        text += " " + impl_->listed_key(i).public_line() + "\n";
    }
    return text;
}

void Fleet::write_known_hosts(const std::filesystem::path& file) const {
    write_file(file, known_hosts());
}

std::string Fleet::host_key_fingerprint(int index) const {
    return impl_->listed_key(index).fingerprint();
}

std::string Fleet::ca_certificate() const { return impl_->http().ca_certificate(); }

void Fleet::write_ca_certificate(const std::filesystem::path& file) const {
    write_file(file, ca_certificate());
}

std::string Fleet::running_config(int index) const {
    const auto& device = impl_->device(index);
    const std::scoped_lock lock(device.mutex);
    return device.ios.running_config();
}

std::string Fleet::startup_config(int index) const {
    const auto& device = impl_->device(index);
    const std::scoped_lock lock(device.mutex);
    return device.ios.startup_config();
}

std::uint64_t Fleet::sessions_opened(int index) const { return impl_->device(index).sessions; }

std::uint64_t Fleet::logins(int index) const { return impl_->device(index).logins; }

std::uint64_t Fleet::refused_logins(int index) const { return impl_->device(index).refused_logins; }

std::uint64_t Fleet::lines_received(int index) const { return impl_->device(index).lines; }

std::uint64_t Fleet::http_requests(int index) const { return impl_->device(index).requests; }

std::uint64_t Fleet::concurrent_sessions() const { return impl_->ssh().open(); }

std::uint64_t Fleet::concurrent_sessions_peak() const { return impl_->ssh().peak(); }

} // namespace muster::sim
